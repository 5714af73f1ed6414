/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Documents of the JSON API, made from a view of the maps. The agent serves them; the CLI renders
 * the same ones from the pinned maps when no agent answers. Each writes one whole object with
 * apiVersion and kind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/api/view.h"

struct fl_api_drain_request;
struct fl_api_drain_result;
struct fl_api_status;
struct fl_drains;
struct fl_flow_filter;
struct fl_json;
struct fl_sync;

#define FL_API_VERSION "fairlead.dev/v1"

/* Begin a document: {"apiVersion":..., "kind":KIND ; the caller goes on with members and ends the
 * object. */
void fl_render_begin(struct fl_json *json, const char *kind);

/* ServiceList: a row per service port and family. *ret_n: number of rows. 0 or -ENOMEM. */
int fl_render_services(const struct fl_view *view, const struct fl_service_filter *filter,
		       struct fl_json *json, size_t *ret_n);
/* BackendList: every backend that lives or is still named by a flow. `drains`: those drained by
 * command; NULL: not known. */
int fl_render_backends(const struct fl_view *view, const struct fl_drains *drains,
		       struct fl_json *json);
/* FlowList: at most filter->limit flows; "total" counts all that match. */
int fl_render_flows(const struct fl_view *view, const struct fl_flow_filter *filter,
		    struct fl_json *json);
/* MaglevList: a row per backend of each list of the service ports that match. */
int fl_render_maglev(const struct fl_view *view, const struct fl_service_filter *filter,
		     struct fl_json *json, size_t *ret_n);
/* Status. `sync` NULL: its numbers are null. All members are there in any case. */
int fl_render_status(const struct fl_view *view, const struct fl_api_status *status,
		     struct fl_sync *sync, struct fl_json *json);
/* Member "drains": an array, or null where they are not known (NULL). */
void fl_render_drains(const struct fl_drains *drains, struct fl_json *json);
/* A member that is a time, by RFC 3339. */
void fl_render_time(struct fl_json *json, const char *key, int64_t unix_s);
/* DrainResult */
void fl_render_drain_result(const struct fl_api_drain_request *request,
			    const struct fl_api_drain_result *result, struct fl_json *json);
/* FlushResult */
void fl_render_flush(size_t flushed, struct fl_json *json);
/* Version, of the program that answers. */
void fl_render_version(struct fl_json *json);
/* Error */
void fl_render_error(unsigned int code, const char *message, struct fl_json *json);
