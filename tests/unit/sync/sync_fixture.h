/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps without a kernel: arrays in memory, and hash maps as plain tables with a limit that can also
 * refuse any one write. After each single write everything a packet could find is looked at
 * (robustness A2): every frontend must resolve to a whole set of live backends with a complete
 * table, its members and ranges.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/base/cleanup.h"
#include "lb/sync/internal.h"

#define FAKE_BACKENDS 512
#define FAKE_LINES 4096
#define FAKE_IDS 1024 /* of one list */
#define FAKE_TABLE 65536
#define FAKE_SEED 0xfeedULL
#define FAKE_HZ 100

struct fake_map {
	unsigned char *keys, *values;
	uint32_t n, max;
};

struct fake {
	struct fl_maps maps;
	struct fl_meta meta;
	struct fl_sync_options options;
	struct fake_map map[FL_SYNC_HASHES];
	struct fl_sync *sync;
	struct fl_err err;
	unsigned writes;    /* single elements written or removed so far */
	unsigned refuse_at; /* this many writes from now is refused with `refuse_with`; 0: none */
	int refuse_with;
	bool refuse_new; /* only what would add an element is refused, as a full map does */
	/* a frontend that could not be removed may outlive its backends and members */
	bool outlive;
	bool unchecked;			  /* do not look at everything after each write */
	void (*after)(struct fake *fake); /* a further look */
};

/* Looking */

static inline uint32_t fake_find(const struct fake *fake, enum fl_sync_map map, const void *key)
{
	const struct fake_map *m = &fake->map[map];
	const size_t size = fl_sync_map_descs[map].key_size;

	for (uint32_t i = 0; i < m->n; i++)
		if (!memcmp(m->keys + i * size, key, size))
			return i;
	return UINT32_MAX;
}

static inline struct fl_addr fake_addr(const char *text)
{
	struct fl_addr addr;
	struct fl_ip ip;

	assert_int_equal(fl_ip_parse(text, &ip), 0);
	memcpy(&addr, ip.b, sizeof(addr));
	return addr;
}

/* What the map holds, or NULL. */
static inline const struct fl_frontend *fake_frontend(const struct fake *fake, const char *ip,
						      uint16_t port, uint8_t proto)
{
	const struct fl_frontend_key key = {
		.addr = fake_addr(ip), .port = htons(port), .proto = proto};
	const uint32_t i = fake_find(fake, FL_SYNC_FRONTENDS, &key);
	const struct fl_frontend *values =
		(const struct fl_frontend *)fake->map[FL_SYNC_FRONTENDS].values;

	return i == UINT32_MAX ? NULL : &values[i];
}

static inline bool fake_has_range(const struct fake *fake, uint32_t service_id, const char *cidr)
{
	struct fl_range_key key = {.service_id = service_id};
	struct fl_prefix prefix;

	assert_int_equal(fl_prefix_parse(cidr, &prefix), 0);
	memcpy(&key.addr, prefix.ip.b, sizeof(key.addr));
	key.prefix_len = 32U + prefix.len;
	return fake_find(fake, FL_SYNC_RANGES, &key) != UINT32_MAX;
}

static inline bool fake_has_member(const struct fake *fake, uint32_t list_id, uint32_t backend)
{
	const struct fl_member_key key = {.list_id = list_id, .backend = backend};

	return fake_find(fake, FL_SYNC_MEMBERS, &key) != UINT32_MAX;
}

/* The id of a live backend of this address, 0 if there is none. */
static inline uint32_t fake_backend(const struct fake *fake, const char *ip)
{
	const struct fl_addr addr = fake_addr(ip);

	for (uint32_t id = 1; id < fake->maps.n_backends; id++)
		if (fake->maps.backends[id].flags & FL_BACKEND_LIVE &&
		    !memcmp(&fake->maps.backends[id].addr, &addr, sizeof(addr)))
			return id;
	return 0;
}

/* The backends of a list, as "10.1.0.1,10.1.0.2". */
static inline const char *fake_list(const struct fake *fake, const struct fl_list *list, char *buf,
				    size_t size)
{
	size_t len = 0;

	buf[0] = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		const uint32_t id = fake->maps.lines[list->slab].id[i];
		char text[FL_IP_STRLEN];
		struct fl_ip ip;

		memcpy(ip.b, &fake->maps.backends[id].addr, sizeof(ip.b));
		len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? "," : "",
					fl_ip_format(&ip, text));
	}
	return buf;
}

static inline void fake_check_list(struct fake *fake, const struct fl_frontend *value,
				   const struct fl_list *list)
{
	const uint32_t id_lines = (list->count + FL_LINE_IDS - 1) / FL_LINE_IDS;
	struct fl_maglev_backend inputs[FAKE_IDS] = {0};
	uint32_t first = 0;
	struct fl_maglev_scratch scratch = {0};
	uint16_t table[FAKE_TABLE];

	assert_true(list->slab > 0 && list->count <= FAKE_IDS && list->lut_len <= FAKE_TABLE);
	assert_true(list->slab + id_lines + list->lut_len / FL_LINE_ORDINALS < fake->maps.n_lines);
	for (uint32_t i = 0; i < list->count; i++) {
		const uint32_t *ids = fake->maps.lines[list->slab].id, id = ids[i];
		const struct fl_backend *backend = &fake->maps.backends[id];

		assert_true(id > 0 && id < fake->maps.n_backends);
		assert_true(backend->generation);
		assert_true(fake->outlive || backend->flags & FL_BACKEND_LIVE);
		if (value->flags & FL_AFFINITY && !fake->outlive)
			assert_true(fake_has_member(fake, list->id, id));
		memcpy(inputs[i].ip.b, &backend->addr, 16);
		inputs[i].port = ntohs(backend->port);
		inputs[i].proto = backend->proto;
		/* an id stands in a row as often as its share is */
		first = i && id == ids[i - 1] ? first : i;
		inputs[first].weight++;
	}
	assert_int_equal(
		fl_maglev_build(inputs, list->count, FAKE_SEED, list->lut_len, &scratch, table), 0);
	assert_memory_equal(table, fake->maps.lines[list->slab + id_lines].ordinal,
			    list->lut_len * sizeof(*table));
	fl_maglev_scratch_fini(&scratch);
}

static inline void fake_check(struct fake *fake)
{
	const struct fake_map *m = &fake->map[FL_SYNC_FRONTENDS];

	for (uint32_t i = 0; i < m->n; i++) {
		const struct fl_frontend *value = (const struct fl_frontend *)m->values + i;

		for (int side = 0; side < FL_SIDES; side++) {
			const bool forward = value->verdict[side] == FL_VERDICT_FORWARD;

			assert_int_not_equal(value->verdict[side], FL_VERDICT_NONE);
			assert_int_equal(forward, value->list[side].count > 0);
			if (forward)
				fake_check_list(fake, value, &value->list[side]);
		}
		if (value->flags & FL_SOURCE_RANGES && !fake->outlive) {
			const struct fake_map *r = &fake->map[FL_SYNC_RANGES];
			bool some = false;

			for (uint32_t k = 0; k < r->n; k++)
				some |= ((const struct fl_range_key *)r->keys)[k].service_id ==
					value->service_id;
			assert_true(some);
		}
	}
}

/* Every service port has what its stage says, and waits or not (services.h). */
static inline void fake_check_stages(const struct fake *fake)
{
	const struct fl_services *services = &fake->sync->services;
	uint32_t n_waiting = 0, n_ports = 0;

	for (uint32_t i = 0; i < services->n; i++) {
		assert_non_null(services->all[i]->ports);
		for (const struct fl_sync_service_port *port = services->all[i]->ports; port;
		     port = port->next) {
			assert_false(port->pending);
			assert_null(port->old);
			assert_int_equal(port->stage == FL_STAGE_REFUSED, port->want != NULL);
			assert_int_equal(port->stage == FL_STAGE_NO_ROOM, port->plan != NULL);
			assert_true(fl_stage_waits(port->stage) ||
				    port->stage == FL_STAGE_IN_FORCE);
			n_waiting += fl_stage_waits(port->stage);
			n_ports++;
		}
	}
	assert_int_equal(n_ports, services->n_ports[FL_IPV4] + services->n_ports[FL_IPV6]);
	assert_int_equal(n_waiting, fake->sync->waiting.n);
	for (int wait = 0; wait < FL_WAITS; wait++) {
		const struct fl_waiting_list *list = &fake->sync->waiting.lists[wait];
		uint32_t n = 0;

		for (const struct fl_sync_service_port *port = list->first; port;
		     port = port->next_waiting)
			n++;
		assert_int_equal(n, list->n);
		n_waiting -= n;
	}
	assert_int_equal(n_waiting, 0);
}

/* Being the kernel */

static inline bool fake_refuses(struct fake *fake)
{
	return fake->refuse_at && --fake->refuse_at == 0;
}

static inline void fake_wrote(struct fake *fake)
{
	fake->writes++;
	if (!fake->unchecked)
		fake_check(fake);
	if (fake->after)
		fake->after(fake);
}

static inline int fake_update(void *ctx, enum fl_sync_map map, const void *keys, const void *values,
			      uint32_t *count)
{
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[map];
	struct fake *fake = ctx;
	struct fake_map *m = &fake->map[map];

	for (uint32_t i = 0; i < *count; i++) {
		const char *key = (const char *)keys + (size_t)i * desc->key_size;
		uint32_t at = fake_find(fake, map, key);
		const bool exempt = fake->refuse_new && at != UINT32_MAX;
		int rc = !exempt && fake_refuses(fake)	      ? fake->refuse_with
			 : at == UINT32_MAX && m->n == m->max ? -E2BIG
							      : 0;

		if (rc) {
			*count = i;
			return rc;
		}
		at = at == UINT32_MAX ? m->n++ : at;
		memcpy(m->keys + (size_t)at * desc->key_size, key, desc->key_size);
		memcpy(m->values + (size_t)at * desc->value_size,
		       (const char *)values + (size_t)i * desc->value_size, desc->value_size);
		fake_wrote(fake);
	}
	return 0;
}

static inline void fake_delete(struct fake *fake, enum fl_sync_map map, uint32_t at)
{
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[map];
	struct fake_map *m = &fake->map[map];

	m->n--;
	memmove(m->keys + (size_t)at * desc->key_size, m->keys + (size_t)m->n * desc->key_size,
		desc->key_size);
	memmove(m->values + (size_t)at * desc->value_size,
		m->values + (size_t)m->n * desc->value_size, desc->value_size);
}

static inline int fake_remove(void *ctx, enum fl_sync_map map, const void *keys, uint32_t *count)
{
	struct fake *fake = ctx;

	for (uint32_t i = 0; i < *count; i++) {
		const uint32_t at =
			fake_find(fake, map,
				  (const char *)keys + (size_t)i * fl_sync_map_descs[map].key_size);

		if (!fake->refuse_new && fake_refuses(fake)) {
			*count = i;
			return fake->refuse_with;
		}
		if (at == UINT32_MAX)
			continue;
		fake_delete(fake, map, at);
		fake_wrote(fake);
	}
	return 0;
}

static inline int fake_dump(void *ctx, enum fl_sync_map map,
			    int (*fn)(const void *key, const void *value, void *arg), void *arg)
{
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[map];
	struct fake *fake = ctx;
	int rc = 0;

	for (uint32_t i = 0; i < fake->map[map].n && !rc; i++)
		rc = fn(fake->map[map].keys + (size_t)i * desc->key_size,
			fake->map[map].values + (size_t)i * desc->value_size, arg);
	return rc;
}

static inline uint32_t fake_capacity(void *ctx, enum fl_sync_map map)
{
	return ((struct fake *)ctx)->map[map].max;
}

static const struct fl_sync_ops fake_ops = {
	.update = fake_update,
	.remove = fake_remove,
	.dump = fake_dump,
	.capacity = fake_capacity,
};

static inline void fake_start(struct fake *fake)
{
	assert_int_equal(fl_sync_new_with(&fake->maps, &fake->options, &fake_ops, fake, &fake->sync,
					  &fake->err),
			 0);
}

/* Another agent on the maps as they are. */
static inline void fake_restart(struct fake *fake)
{
	fl_sync_free(&fake->sync);
	fake_start(fake);
}

static inline int fake_setup(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	fake->maps = (struct fl_maps)FL_MAPS_INIT;
	fake->maps.n_backends = FAKE_BACKENDS;
	fake->maps.n_lines = FAKE_LINES;
	fake->maps.backends = calloc(FAKE_BACKENDS, sizeof(struct fl_backend));
	fake->maps.n_backend_nodes = FAKE_BACKENDS;
	fake->maps.backend_nodes = calloc(FAKE_BACKENDS, sizeof(struct fl_backend_node));
	fake->maps.lines = calloc(FAKE_LINES, sizeof(struct fl_line));
	fake->maps.n_formers = FL_FORMER_LISTS;
	fake->maps.formers = calloc(FL_FORMER_LISTS, sizeof(struct fl_former));
	fake->maps.meta = &fake->meta;
	assert_true(fake->maps.backends && fake->maps.lines && fake->maps.backend_nodes &&
		    fake->maps.formers);
	for (int map = 0; map < FL_SYNC_HASHES; map++) {
		fake->map[map].max = 512;
		fake->map[map].keys = calloc(512, fl_sync_map_descs[map].key_size);
		fake->map[map].values = calloc(512, fl_sync_map_descs[map].value_size);
		assert_true(fake->map[map].keys && fake->map[map].values);
	}
	fake->refuse_with = -E2BIG;
	fake->options = (struct fl_sync_options){
		.maglev_seed = FAKE_SEED,
		.maglev_length = 251, /* short, as it is built again after each write */
		.hz = FAKE_HZ,
		.reject_unknown_port = true,
		.detector = {true, true},
	};
	fake_start(fake);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	*state = fake;
	return 0;
}

static inline int fake_teardown(void **state)
{
	struct fake *fake = *state;

	fl_sync_free(&fake->sync);
	free(fake->maps.backends);
	free(fake->maps.backend_nodes);
	free(fake->maps.formers);
	free(fake->maps.lines);
	for (int map = 0; map < FL_SYNC_HASHES; map++) {
		free(fake->map[map].keys);
		free(fake->map[map].values);
	}
	free(fake);
	return 0;
}

/* Plans */

#define WANT_ENDPOINTS 24
#define WANT_PORTS 4

/* One service port; what is left out is absent, or the default. */
struct want {
	const char *port_name; /* "" */
	uint8_t proto;	       /* TCP */
	uint16_t port;	       /* 80 */
	enum fl_family family; /* IPv4 */
	const char *cluster_ip, *external_ip, *lb_ip;
	uint16_t node_port;
	/* "10.1.0.1" in the cluster list; "*10.1.0.1" on this node and in both; "-10.1.0.1" only
	 * serving, "~10.1.0.1" drained */
	const char *endpoints[WANT_ENDPOINTS];
	const char *nodes[WANT_ENDPOINTS]; /* addresses; NULL: not known */
	uint16_t weights[WANT_ENDPOINTS];  /* 0: 1, the default */
	bool external_local, internal_local, affinity, vips_exempt, resets, dsr;
	const char *range;
};

struct plan {
	struct fl_plan plan;
	struct fl_plan_port port[WANT_PORTS];
	struct fl_plan_frontend frontends[WANT_PORTS][4];
	struct fl_plan_endpoint endpoints[WANT_PORTS][WANT_ENDPOINTS];
	struct fl_prefix range[WANT_PORTS];
};

static inline void plan_frontend(struct fl_plan_port *port, enum fl_plan_frontend_type type,
				 const char *ip, uint16_t number)
{
	struct fl_plan_frontend *frontend = &port->frontends[port->n_frontends];

	if (!ip)
		return;
	*frontend = (struct fl_plan_frontend){.type = type, .port = number};
	assert_int_equal(fl_ip_parse(ip, &frontend->ip), 0);
	port->n_frontends++;
}

static inline void plan_port(struct fl_plan_port *port, const struct want *want,
			     struct fl_prefix *range)
{
	size_t n_cluster = 0, n_local = 0;
	bool local;

	port->port_name = want->port_name ? want->port_name : "";
	port->proto = want->proto ? want->proto : IPPROTO_TCP;
	port->port = want->port ? want->port : 80;
	port->family = want->family;
	plan_frontend(port, FL_PLAN_CLUSTER_IP, want->cluster_ip, port->port);
	plan_frontend(port, FL_PLAN_EXTERNAL_IP, want->external_ip, port->port);
	plan_frontend(port, FL_PLAN_LOAD_BALANCER, want->lb_ip, port->port);
	plan_frontend(port, FL_PLAN_NODE_PORT,
		      !want->node_port		? NULL
		      : want->family == FL_IPV4 ? "0.0.0.0"
						: "::",
		      want->node_port);
	for (; want->endpoints[port->n_endpoints]; port->n_endpoints++) {
		struct fl_plan_endpoint *endpoint = &port->endpoints[port->n_endpoints];
		const char *text = want->endpoints[port->n_endpoints];

		const bool in_list = *text != '-' && *text != '~';
		const uint16_t weight = want->weights[port->n_endpoints];

		*endpoint = (struct fl_plan_endpoint){.port = 8080, .flags = FL_PLAN_SERVING};
		if (in_list)
			endpoint->flags |= FL_PLAN_IN_CLUSTER;
		if (*text == '*')
			endpoint->flags |= FL_PLAN_IN_LOCAL | FL_PLAN_ON_NODE;
		if (*text == '~')
			endpoint->flags |= FL_PLAN_DRAINED;
		if (in_list)
			endpoint->weight = weight ? weight : 1;
		n_cluster += in_list;
		n_local += *text == '*';
		assert_int_equal(fl_ip_parse(text + strspn(text, "*-~"), &endpoint->ip), 0);
		if (want->nodes[port->n_endpoints])
			assert_int_equal(
				fl_ip_parse(want->nodes[port->n_endpoints], &endpoint->node), 0);
	}
	port->internal_local = want->internal_local;
	port->external_local = want->external_local;
	port->resets = want->resets;
	port->dsr = want->dsr;
	port->affinity = want->affinity;
	port->affinity_timeout_s = want->affinity ? 10800 : 0;
	port->vips_exempt = want->vips_exempt;
	if (want->range) {
		assert_int_equal(fl_prefix_parse(want->range, range), 0);
		port->source_ranges = range;
		port->n_source_ranges = 1;
	}
	port->has_any = n_cluster;
	local = want->internal_local;
	port->cluster_ip = !n_cluster	       ? FL_PLAN_REJECT
			   : local && !n_local ? FL_PLAN_DROP
					       : FL_PLAN_FORWARD;
	local = want->external_local;
	port->external = !n_cluster	     ? FL_PLAN_REJECT
			 : local && !n_local ? FL_PLAN_DROP
					     : FL_PLAN_FORWARD;
	port->internal_to_external = n_cluster ? FL_PLAN_FORWARD : FL_PLAN_REJECT;
}

static inline void plan_make(struct plan *plan, const char *name, const struct want *wants,
			     size_t n)
{
	*plan = (struct plan){.plan = {plan->port, n}};
	for (size_t i = 0; i < n; i++) {
		plan->port[i].ns = "default";
		plan->port[i].name = name;
		plan->port[i].frontends = plan->frontends[i];
		plan->port[i].endpoints = plan->endpoints[i];
		plan_port(&plan->port[i], &wants[i], &plan->range[i]);
	}
}

static inline int fake_sync(struct fake *fake, const char *name, int64_t created,
			    const struct want *wants, size_t n)
{
	struct plan plan;
	int rc;

	plan_make(&plan, name, wants, n);
	rc = fl_sync_service(fake->sync, "default", name, created, &plan.plan, &fake->err);
	if (!fake->sync->in_batch)
		fake_check_stages(fake);
	return rc;
}

#define SYNC_AT(fake, name, created, ...)                                                          \
	fake_sync(fake, name, created, (const struct want[]){__VA_ARGS__},                         \
		  sizeof((const struct want[]){__VA_ARGS__}) / sizeof(struct want))
#define SYNC(fake, name, ...) SYNC_AT(fake, name, 0, __VA_ARGS__)
#define GONE(fake, name) fake_sync(fake, name, 0, NULL, 0)
