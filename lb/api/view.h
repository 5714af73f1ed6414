/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps in a form to show: a snapshot of the frontends, sorted, the mapped arrays with their
 * bounds checked, and names for ids where they are known. The agent's API
 * and the CLI without an agent look through the same view.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "conntrack/table.h"
#include "lb/base/err.h"
#include "lb/base/ip.h"
#include "lb/dp/maps.h"
#include "lb/model/addr.h"
#include "lb/model/names.h"

struct fl_service_port_info;

/* Where names come from: the agent's fl_sync_service_port(); `port` NULL: no names are known. */
struct fl_names {
	const struct fl_service_port_info *(*port)(const void *arg, uint32_t service_id);
	/* its drained backends: fl_sync_each_drained(); NULL: they are not known */
	void (*drained)(const void *arg, uint32_t service_id,
			void (*fn)(uint32_t backend_id, void *fn_arg), void *fn_arg);
	const void *arg;
};

struct fl_view_frontend {
	struct fl_frontend_key key;
	struct fl_frontend value;
};

/* What hash maps hold, copied. */
struct fl_view_contents {
	struct fl_view_frontend *frontends;
	size_t n_frontends;
	struct fl_range_key *ranges;
	size_t n_ranges;
};

struct fl_view {
	const struct fl_maps *maps; /* borrowed */
	struct fl_names names;
	uint64_t now; /* jiffies */
	uint32_t hz;  /* jiffies per second */
	/* owned; frontends sorted by service id, type, address, port, protocol; ranges by service
	 * id and address */
	struct fl_view_contents contents;
	uint32_t *by_key; /* owned; indexes of frontends, sorted by key */
};

/*
 * Take the snapshot. hz 0: the kernel's. `now` is the datapath's clock as last written to fl_meta,
 * moved on by the time since. names may be NULL. 0, -ENOMEM or the kernel's error.
 */
int fl_view_init(struct fl_view *view, const struct fl_maps *maps, const struct fl_names *names,
		 uint32_t hz, struct fl_err *err);
/* The same of contents that were read already; they are the view's then, also after a failure. 0 or
 * -ENOMEM. */
int fl_view_take(struct fl_view *view, const struct fl_maps *maps, const struct fl_names *names,
		 uint32_t hz, struct fl_view_contents *contents);
void fl_view_fini(struct fl_view *view);

/* The frontend that a packet to ip:port belongs to: that address, else the node port; or NULL. */
const struct fl_view_frontend *fl_view_find(const struct fl_view *view, const struct fl_ip *ip,
					    uint16_t port, uint8_t proto);

/*
 * Names of a service port, never NULL. Where they are not known: namespace and port "", name
 * "#ID". `name_buf` is used in that case.
 */
struct fl_view_name {
	const char *ns, *name, *port;
	char name_buf[16];
};
void fl_view_name(const struct fl_view *view, uint32_t service_id, struct fl_view_name *ret_name);
/* "ns/name:port", "ns/name" when the port has no name, "#ID" */
#define FL_SERVICE_REF_MAX 400
const char *fl_view_ref(const struct fl_view *view, uint32_t service_id,
			char buf[static FL_SERVICE_REF_MAX]);

/* The i-th backend id of a list, 0 when list or index lie outside the arrays. */
uint32_t fl_view_list_backend(const struct fl_view *view, const struct fl_list *list, uint32_t i);
/* Its share by weight: how often it stands in a row from `i` on, at least 1. */
uint32_t fl_view_list_share(const struct fl_view *view, const struct fl_list *list, uint32_t i);
/* The ordinal at a position of a list's lookup table, UINT32_MAX outside. */
uint32_t fl_view_list_ordinal(const struct fl_view *view, const struct fl_list *list, uint32_t pos);
/* The backend with this id, or NULL. */
const struct fl_backend *fl_view_backend(const struct fl_view *view, uint32_t id);

/* The frontends of one service port: a run of the view's. */
struct fl_view_service {
	uint32_t id;
	const struct fl_view_frontend *first;
	size_t n;
	/* lists found in them, count 0 when there is none */
	struct fl_list cluster, local;
};
/* The service port of a frontend of the view. */
struct fl_view_service fl_view_service_of(const struct fl_view *view,
					  const struct fl_view_frontend *frontend);

/* Which Services to show. NULL or "" for all; name: also "#ID"; port: a name, or a number of a port
 * that is not a node port. */
struct fl_service_filter {
	const char *ns, *name, *port;
};
/* "ns/name:port" of what it names. */
const char *fl_service_filter_format(const struct fl_service_filter *filter,
				     char buf[static FL_SERVICE_REF_MAX]);
bool fl_view_service_matches(const struct fl_view *view, const struct fl_view_service *service,
			     const struct fl_service_filter *filter);
/*
 * The service ports that match (NULL: all), sorted by names, by id without names. The caller frees
 * *ret_services. 0 or -ENOMEM.
 */
int fl_view_services(const struct fl_view *view, const struct fl_service_filter *filter,
		     struct fl_view_service **ret_services, size_t *ret_n);
/* Its source ranges: a run of the view's. Returns how many. */
size_t fl_view_ranges(const struct fl_view *view, uint32_t service_id,
		      const struct fl_range_key **ret_first);

enum fl_family fl_frontend_family(const struct fl_frontend_key *key);
