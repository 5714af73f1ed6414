/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the drivers of the bench share: a private world (mount and network namespaces that vanish
 * with the process), generated services, and an open Fairlead on them. Results are JSON objects, a
 * line each, on stdout; bench/run collects them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/outer.bpf.h"
#include "bench/tuple.bpf.h"
#include "lb/base/err.h"
#include "lb/dp/dp.h"
#include "lb/sync/sync.h"

/* Commands: 0 or 1 as exit status; words of a failure in err */
int bench_flows(int argc, char **argv, struct fl_err *err);
int bench_dsr(int argc, char **argv, struct fl_err *err);
int bench_foreign(int argc, char **argv, struct fl_err *err);
int bench_refused(int argc, char **argv, struct fl_err *err);
int bench_node(int argc, char **argv, struct fl_err *err);
int bench_sync(int argc, char **argv, struct fl_err *err);
int bench_sockets(int argc, char **argv, struct fl_err *err);
int bench_agent(int argc, char **argv, struct fl_err *err);
int bench_watch(int argc, char **argv, struct fl_err *err);
int bench_resteer(int argc, char **argv, struct fl_err *err);

/* The number after option `name`, or `fallback`. Text options: bench_option_text. */
uint64_t bench_option(int argc, char **argv, const char *name, uint64_t fallback);
const char *bench_option_text(int argc, char **argv, const char *name, const char *fallback);

/* Numbers of flows: powers of two, separated by commas, ascending; at least one, at most `max`. */
int bench_sizes(const char *list, size_t max, uint64_t ret_sizes[], size_t *ret_n,
		struct fl_err *err);

/* world.c */

/* A private mount namespace with a BPF file system of its own on /sys/fs/bpf. */
int bench_world_enter(struct fl_err *err);
/* Make a network namespace and enter it; loopback is up. The descriptor is the caller's. */
int bench_netns_new(int *ret_fd, struct fl_err *err);
int bench_netns_enter(int fd, struct fl_err *err);
/* Run lines of `ip -batch`. */
int bench_ip(struct fl_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
int bench_sysctl(const char *name, const char *value, struct fl_err *err);
int bench_device(const char *name, unsigned int *ret_ifindex, uint8_t ret_mac[6],
		 struct fl_err *err);
int bench_pin_to_cpu(int cpu, struct fl_err *err);
int bench_last_cpu(void);
uint64_t bench_thread_ns(void); /* CPU time of this thread */
uint64_t bench_now_ns(void);

/* services.c */

enum bench_ports { /* which ports a generated service has */
		   BENCH_TCP4 = 1 << 0,
		   BENCH_UDP4 = 1 << 1,
		   BENCH_TCP6 = 1 << 2,
};

enum bench_service_kind {
	BENCH_SERVED,
	BENCH_ON_NODE,	   /* with all endpoints on this node */
	BENCH_NO_ENDPOINT, /* with none at all: clients are answered "port unreachable" */
	BENCH_NO_LOCAL,	   /* externalTrafficPolicy Local, without an endpoint on this node */
	BENCH_RANGES,	   /* loadBalancerSourceRanges that let no client in; IPv4 */
	BENCH_TUNNEL,	   /* served by DSR, with all endpoints on the node BENCH_PEER */
};

struct bench_services;

/* `services` Services that share `endpoints` endpoints evenly; `ports`: enum bench_ports. */
int bench_services_new(uint32_t services, uint32_t endpoints, unsigned int ports,
		       enum bench_service_kind kind, struct bench_services **ret_services);
void bench_services_free(struct bench_services **services);
/* Give all of them to sync, as one batch, and settle. */
int bench_services_apply(struct bench_services *services, struct fl_sync *sync, struct fl_err *err);
/* Take an endpoint from Service s, or give it back; and tell sync. */
int bench_services_toggle(struct bench_services *services, uint32_t s, struct fl_sync *sync,
			  struct fl_err *err);
/* Endpoints of Service s: numbers first .. first + count - 1. */
void bench_services_range(const struct bench_services *services, uint32_t s, uint32_t *ret_first,
			  uint32_t *ret_count);

/* fairlead.c */

struct bench_fairlead_options {
	enum fl_dp_mode mode;
	uint32_t services, endpoints;
	unsigned int ports; /* enum bench_ports */
	enum bench_service_kind kind;
	bool answer_all; /* refused clients, instead of 1,000 per CPU and second */
	enum fl_dispatch dispatch;
	uint32_t flow_buckets; /* of either family; 0: default */
	const char *cgroup;    /* whose sockets are translated; NULL: none */
};

struct bench_fairlead {
	struct fl_dp *dp;
	enum fl_dp_mode mode;
	struct fl_sync *sync;
	struct bench_services *services;
};

/* Open the datapath with the settings an agent would use, but without a limit of new flows; empty
 * service maps. */
int bench_fairlead_open(const struct bench_fairlead_options *options,
			struct bench_fairlead *ret_fairlead, struct fl_err *err);
void bench_fairlead_close(struct bench_fairlead *fairlead);
/* Attach to a device, as external, with these addresses to masquerade with. */
int bench_fairlead_attach(struct bench_fairlead *fairlead, const char *device, const char *addr4,
			  const char *addr6, struct fl_err *err);
/* The node is BENCH_NODE in a cluster with the node BENCH_PEER. */
int bench_fairlead_join(struct bench_fairlead *fairlead, struct fl_err *err);
/* Sum of a counter (enum fl_reason, enum fl_counter) over the CPUs. */
uint64_t bench_fairlead_counter(struct bench_fairlead *fairlead, uint32_t counter);
/* The same of all reasons why a packet is not sent on. */
uint64_t bench_fairlead_dropped(struct bench_fairlead *fairlead);
/* Say what an agent at the root of cgroup v2 says every second: there are no sockets but those that
 * the bind hooks have seen; here there are none. For the next FL_BOUND_PORTS_S seconds. */
void bench_fairlead_refresh(struct bench_fairlead *fairlead);
/* All reasons that are not zero, as members of a JSON object: "\"no-route\":3". */
void bench_fairlead_reasons(struct bench_fairlead *fairlead, char *ret_text, size_t size);

/* prepare.c */

struct bench_path {
	int ingress_fd,
		reply_fd; /* programs that see the packet of the client, and of the endpoint */
	bool skb;	  /* they are tc programs */
	bool reply_skb;	  /* the second one is, too */
	bool to_stack;	  /* what is translated is for the node's own stack */
	bool crowded;	  /* any number of flows may be refused */
	bool one_way;	  /* answers do not come by here: only the client speaks */
	/* what the client's packets come in, from BENCH_PEER, for bench_endpoint() */
	enum bench_outer_kind outer;
	uint32_t endpoints;
	unsigned int client_device, endpoint_device;
};

/*
 * Establish flows 0 .. n - 1 by sending the packets that do: SYN, SYN-ACK, ACK, or UDP to, from,
 * to, and to again seconds later. Flows that were not forwarded are counted; more than one in fifty
 * is a failure unless the path is crowded: -EPROTO, naming the last.
 */
int bench_prepare(const struct bench_path *path, uint64_t n, uint32_t services, uint8_t proto,
		  bool v6, uint64_t *ret_refused, struct fl_err *err);
