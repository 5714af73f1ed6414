/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of service ports as people write them: "NS/NAME", "NS/NAME:PORT", "#ID". */
#pragma once

#include <stdbool.h>

#include "lb/api/view.h"
#include "lb/base/url.h"
#include "tools/cli.h"

struct fl_json;
struct fl_value;

#define FL_REF_FORM "NAMESPACE/NAME[:PORT]"
#define FL_REF_OPERANDS FL_REF_FORM "..."

/* Cut "NS/NAME:PORT" in place; "" where a part is absent. False: it does not have this form. */
bool fl_ref_parse(char *text, struct fl_service_filter *ret_ref);
/* FL_EXIT_USAGE, reported, if one of the operands does not have this form. */
enum fl_exit fl_ref_check(const struct fl_cli *cli);
/* "PATH?namespace=...": the Services that are meant; without a name, all. */
void fl_ref_url(const struct fl_service_filter *ref, const char *path, struct fl_url *url);
/* Whether an item with namespace, name, port and frontends is meant. */
bool fl_ref_means(const struct fl_service_filter *ref, const struct fl_value *item);

/* Render from the pinned maps; -ENOENT with words when there is none of that name. */
int fl_ref_render(const struct fl_view *view, const struct fl_service_filter *ref,
		  int (*render)(const struct fl_view *view, const struct fl_service_filter *filter,
				struct fl_json *json, size_t *ret_n),
		  struct fl_json *json, struct fl_err *err);
