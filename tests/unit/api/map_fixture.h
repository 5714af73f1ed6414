/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maps made by hand: default/web:http over TCP on IPv4 with a cluster and a local list, default/dns
 * over UDP on IPv6 without endpoints, two backends, a third that is gone and a fourth that is
 * drained, and three flows.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lb/api/view.h"
#include "lb/sync/sync.h"

#define FIXTURE_HZ 100
#define FIXTURE_NOW 500000

struct map_fixture {
	struct fl_maps maps;
	struct fl_meta meta;
	struct fl_backend backends[8];
	struct fl_line lines[8];
	struct fl_bucket4 flows4[4];
	struct fl_bucket6 flows6[4];
	struct fl_view_frontend frontends[8];
	size_t n_frontends;
	struct fl_range_key ranges[4];
	size_t n_ranges;
};

static inline struct fl_addr fixture_addr(const char *text)
{
	struct fl_addr addr;
	struct fl_ip ip;

	fl_ip_parse(text, &ip);
	memcpy(&addr, ip.b, sizeof(addr));
	return addr;
}

static inline const struct fl_service_port_info *fixture_port(const void *arg, uint32_t id)
{
	static const struct fl_service_port_info ports[] = {
		{1, "default", "web", "http", IPPROTO_TCP, FL_IPV4},
		{2, "default", "dns", "", IPPROTO_UDP, FL_IPV6},
	};

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
		if (ports[i].service_id == id)
			return &ports[i];
	}
	return NULL;
}

/* Service port 1 has one that is in no list. */
static void fixture_drained(const void *arg, uint32_t service_id,
			    void (*fn)(uint32_t backend_id, void *fn_arg), void *fn_arg)
{
	if (service_id == 1)
		fn(4, fn_arg);
}

static const struct fl_names fixture_names = {fixture_port, fixture_drained, NULL};

static inline void fixture_frontend(struct map_fixture *f, const char *ip, uint16_t port,
				    uint8_t proto, const struct fl_frontend *value)
{
	struct fl_view_frontend *to = &f->frontends[f->n_frontends++];

	to->key = (struct fl_frontend_key){
		.addr = fixture_addr(ip), .port = htons(port), .proto = proto};
	to->value = *value;
}

static inline void fixture_services(struct map_fixture *f)
{
	struct fl_list cluster = {.slab = 0, .lut_len = 7, .count = 2, .id = 2};
	struct fl_list local = {.slab = 2, .lut_len = 3, .count = 1, .id = 3};
	struct fl_frontend web = {
		.service_id = 1,
		.flags = FL_MASQUERADE_OUTSIDE | FL_MASQUERADE_POD | FL_AFFINITY,
		.type = FL_FRONTEND_CLUSTER_IP,
		.verdict = {FL_VERDICT_FORWARD, FL_VERDICT_FORWARD},
		.affinity_timeout = 10800 * FIXTURE_HZ,
		.list = {cluster, cluster},
	};
	struct fl_frontend dns = {
		.service_id = 2,
		.type = FL_FRONTEND_CLUSTER_IP,
		.verdict = {FL_VERDICT_REJECT, FL_VERDICT_REJECT},
	};
	struct fl_frontend vip = {.type = FL_FRONTEND_VIP};

	fixture_frontend(f, "10.96.0.10", 80, IPPROTO_TCP, &web);
	web.list[FL_SIDE_EXTERNAL] = local;
	web.flags = FL_MASQUERADE_POD | FL_AFFINITY | FL_SOURCE_RANGES;
	web.type = FL_FRONTEND_LOAD_BALANCER;
	fixture_frontend(f, "192.0.2.80", 80, IPPROTO_TCP, &web);
	web.type = FL_FRONTEND_NODE_PORT;
	fixture_frontend(f, "0.0.0.0", 30080, IPPROTO_TCP, &web);
	fixture_frontend(f, "fd96::53", 53, IPPROTO_UDP, &dns);
	fixture_frontend(f, "10.96.0.10", 0, 0, &vip);
}

static inline void fixture_backend(struct map_fixture *f, uint32_t id, const char *ip,
				   uint8_t flags)
{
	f->backends[id] = (struct fl_backend){
		.addr = fixture_addr(ip),
		.port = htons(8080),
		.generation = (uint16_t)id,
		.proto = IPPROTO_TCP,
		.flags = flags,
		.weight = 1,
	};
}

static inline void fixture_range(struct map_fixture *f, uint32_t service_id, const char *ip,
				 uint32_t len)
{
	f->ranges[f->n_ranges++] = (struct fl_range_key){
		.prefix_len = 32 + len, .service_id = service_id, .addr = fixture_addr(ip)};
}

/* A view of the fixture's maps, as if they had been read from the kernel. */
static inline void fixture_view(const struct map_fixture *f, struct fl_view *view)
{
	struct fl_view_contents contents = {
		.frontends = malloc(sizeof(f->frontends)),
		.n_frontends = f->n_frontends,
		.ranges = malloc(sizeof(f->ranges)),
		.n_ranges = f->n_ranges,
	};

	memcpy(contents.frontends, f->frontends, sizeof(f->frontends));
	memcpy(contents.ranges, f->ranges, sizeof(f->ranges));
	assert_int_equal(fl_view_take(view, &f->maps, &fixture_names, FIXTURE_HZ, &contents), 0);
}

/* A flow in the ways 2n and 2n+1 of bucket 0: client 198.51.100.1, or a pod, to a frontend of
 * default/web. */
static inline void fixture_flow(struct map_fixture *f, uint32_t n, const char *client,
				uint16_t port, const char *frontend, uint16_t frontend_port,
				uint32_t backend, enum fl_flow_state state)
{
	struct fl_flow4 *o = &f->flows4[n / 2].way[2 * n % 4], *r = o + 1;
	struct fl_addr c = fixture_addr(client), v = fixture_addr(frontend),
		       *b = &f->backends[backend].addr;

	*o = (struct fl_flow4){
		.head = {.word = 1U << FL_FLOW_GENERATION_SHIFT | state,
			 .twin = 2 * n + 1,
			 .twin_generation = 1,
			 .backend_low = (uint16_t)backend,
			 .last_seen = FIXTURE_NOW - 7300,
			 .proto = IPPROTO_TCP,
			 .packets = 10,
			 .bytes_low = 1000},
		.key = {c.w[3], v.w[3], htons(port), htons(frontend_port)},
		.rewrite = {c.w[3], b->w[3], htons(port), htons(8080)},
	};
	*r = *o;
	r->head.twin = 2 * n;
	r->head.flags = FL_FLOW_IS_REPLY;
	r->head.bytes_low = 2000;
	r->key = (struct fl_tuple4){b->w[3], c.w[3], htons(8080), htons(port)};
	r->rewrite = (struct fl_tuple4){v.w[3], c.w[3], htons(frontend_port), htons(port)};
}

static inline void fixture_maps(struct map_fixture *f)
{
	static const uint16_t cluster[] = {0, 1, 0, 0, 1, 0, 1};

	memset(f, 0, sizeof(*f));
	f->maps = (struct fl_maps)FL_MAPS_INIT;
	f->maps.meta = &f->meta;
	f->maps.backends = f->backends;
	f->maps.n_backends = 8;
	f->maps.lines = f->lines;
	f->maps.n_lines = 8;
	f->maps.flows4 = f->flows4;
	f->maps.n_flows4 = 4;
	f->maps.flows6 = f->flows6;
	f->maps.n_flows6 = 4;
	f->meta.abi_version = FL_ABI_VERSION;
	f->meta.now_jiffies = FIXTURE_NOW;
	f->meta.now_ns = UINT64_MAX; /* later than any clock: time stands still */
	f->meta.revision = 42;
	fixture_backend(f, 1, "10.1.0.3", FL_BACKEND_LIVE | FL_BACKEND_LOCAL);
	fixture_backend(f, 2, "10.1.1.4", FL_BACKEND_LIVE);
	fixture_backend(f, 3, "10.1.1.5", 0);
	fixture_backend(f, 4, "10.1.1.6", FL_BACKEND_LIVE);
	f->backends[4].weight = 0;
	fixture_services(f);
	fixture_range(f, 1, "198.51.100.0", 96 + 24);
	fixture_range(f, 1, "192.0.2.80", 128);
	fixture_range(f, 7, "10.0.0.0", 96 + 8);
	f->lines[0].id[0] = 1;
	f->lines[0].id[1] = 2;
	memcpy(f->lines[1].ordinal, cluster, sizeof(cluster));
	f->lines[2].id[0] = 1;
	fixture_flow(f, 0, "198.51.100.1", 50001, "10.96.0.10", 80, 2, FL_FLOW_ESTABLISHED);
	fixture_flow(f, 1, "198.51.100.1", 50002, "203.0.113.7", 30080, 1, FL_FLOW_NEW);
	fixture_flow(f, 2, "198.51.100.2", 50003, "192.0.2.80", 80, 3, FL_FLOW_CLOSING);
}
