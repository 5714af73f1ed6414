/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a scrape shows, gathered by the agent from what its parts keep anyway: nothing here is
 * counted for a scrape, so that one costs the same however many Services there are.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/health.h"
#include "lb/base/ip.h"
#include "lb/metrics/histogram.h"

#define FL_METRICS_BACKENDS 20

struct fl_metrics_flows {
	uint64_t slots, used, open, unanswered, states[FL_FLOW_STATES];
};

struct fl_metrics_ports {
	uint32_t most;
	struct {
		char backend[FL_IP_PORT_STRLEN + 8]; /* "10.1.0.1:80/TCP" */
		uint32_t used;
	} top[FL_METRICS_BACKENDS];
	size_t n;
};

struct fl_metrics_map {
	const char *name;
	uint64_t used, size;
};

struct fl_metrics_device {
	const char *name, *role, *hook;
};

/* Where what was counted of other Services is summed; no Service has such a name. */
#define FL_METRICS_OTHER "_other"

struct fl_metrics_service {
	const char *ns, *name;
	uint64_t connections, socket_connections;
	uint64_t packets[2], bytes[2]; /* of requests, of replies */
};

/* A kind of objects that is followed at the API server. */
struct fl_metrics_api {
	const char *resource;
	bool current;
	uint64_t requests[2]; /* lists, watches */
	uint64_t events, failures;
};

struct fl_metrics_process {
	bool known;
	double start_s; /* since 1970 */
	double cpu_s;
	uint64_t resident_bytes, virtual_bytes;
	size_t fds; /* 0: not known */
};

/* Everything is borrowed for the call. */
struct fl_metrics_facts {
	const struct fl_health *health;
	bool healthy, synced, proxy_healthy, eligible, taken_over;
	long drift;	       /* negative: not known */
	const uint64_t *stats; /* FL_COUNTER_MAX of them; NULL: not known */
	struct fl_metrics_flows flows[FL_FAMILIES];
	struct fl_metrics_ports ports[FL_FAMILIES];
	uint32_t source_ports, masquerade_addresses[FL_FAMILIES];
	uint64_t next_hops, next_hops_max;
	const struct fl_metrics_map *maps;
	size_t n_maps;
	uint64_t map_writes, revision;
	uint64_t services, slices;
	uint64_t service_ports[FL_FAMILIES], refused_ports, frontends, backends;
	uint64_t drained_backends, drains, backend_sets;
	/* clients that may have to leave their backend */
	struct {
		uint64_t frontends, passes;
		double seconds, longest_s;
	} judged;
	const struct fl_metrics_device *devices;
	size_t n_devices;
	const struct fl_metrics_service *traffic; /* per Service */
	size_t n_traffic;
	const struct fl_metrics_api *api;
	size_t n_api;
	uint64_t health_ports;
	uint64_t health_answers[2], healthz[2], livez[2]; /* 200, 503 */
	double scrape_s;
	const struct fl_histogram *sync, *programming; /* programming: by family */
	uint64_t slice_changes, slices_pending, service_changes, services_pending;
	double last_sync_s, last_queued_s;	/* since 1970 */
	uint64_t without_local[FL_FAMILIES][2]; /* internal, external */
	struct fl_metrics_process process;
};

/* All metrics as text, which is the caller's; NULL: no memory. */
char *fl_metrics_render(const struct fl_metrics_facts *facts);

/* process.c: what /proc says of this process; its start is left as it is */
void fl_metrics_process_read(struct fl_metrics_process *ret_process);
