// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What it costs the agent to judge the clients of a UDP Service that has changed (7.1 to 7.7):
 * whole passes of conntrack/resteer.c over tables in memory, of 1,048,576 IPv4 entries and 131,072
 * records of sockets, and how much of a processor they take while there are 20 changes a second.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/bench.h"
#include "conntrack/resteer.h"
#include "lb/base/cleanup.h"

#define FLOW_BUCKETS (1U << 18)
#define SOCKET_BUCKETS (1U << 15)
#define CHANGES 20 /* a second */

static const struct {
	const char *name;
	uint8_t proto; /* 0: no flows */
	bool touched;  /* they are of the frontend that has changed */
} fillings[] = {
	{"empty", 0, false},
	{"TCP flows", IPPROTO_TCP, false},
	{"UDP flows of others", IPPROTO_UDP, false},
	{"UDP flows of the frontend", IPPROTO_UDP, true},
};

static enum fl_serving serving(const struct fl_frontend_key *frontend,
			       const struct fl_addr *backend, __be16 port, void *ctx)
{
	return FL_SERVING_YES;
}

static bool has_node_ports(const struct fl_addr *addr, void *ctx)
{
	return false;
}

/* Every entry is used: the original, then the reply. */
static void fill(struct fl_bucket4 *buckets, uint8_t proto, uint16_t port)
{
	for (uint32_t i = 0; i < FLOW_BUCKETS * FL_FLOW_WAYS; i++) {
		struct fl_flow4 *flow = &buckets[i / FL_FLOW_WAYS].way[i % FL_FLOW_WAYS];

		memset(flow, 0, sizeof(*flow));
		if (!proto)
			continue;
		flow->head.word = fl_flow_word(1, FL_FLOW_ESTABLISHED);
		flow->head.proto = proto;
		flow->head.flags = i & 1 ? FL_FLOW_IS_REPLY : 0;
		fl_flow_set_backend(&flow->head, 1 + i % 1000);
		flow->key = (struct fl_tuple4){htonl(BENCH_CLIENT_NET + i), htonl(BENCH_VIP_NET),
					       htons(1024), htons(port)};
		flow->rewrite = (struct fl_tuple4){flow->key.saddr, htonl(BENCH_POD_NET + i),
						   htons(1024), htons(BENCH_POD_PORT)};
	}
}

/* For some seconds; CPU time of a pass, and the share of the time that passes took. */
static void run(struct fl_resteer *r, uint32_t seconds, double *ret_pass_ns, double *ret_share)
{
	const struct fl_frontend_key key = {
		.addr.w = {0, 0, htonl(0xffff), htonl(BENCH_VIP_NET)},
		.port = htons(BENCH_PORT),
		.proto = IPPROTO_UDP,
	};
	const uint64_t begin = bench_now_ns(), every = 1000000000ULL / CHANGES;
	uint64_t now = begin, next = begin, cpu_ns = 0;

	while (now < begin + seconds * 1000000000ULL) {
		const uint64_t before = bench_thread_ns();
		bool more;

		if (now >= next) {
			fl_resteer_touch(r, &key);
			next += every;
		}
		more = fl_resteer_run(r);
		cpu_ns += bench_thread_ns() - before;
		if (!more)
			nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
		now = bench_now_ns();
	}
	*ret_pass_ns = (double)cpu_ns / (double)(r->done.passes ? r->done.passes : 1);
	*ret_share = (double)cpu_ns / (double)(now - begin);
}

int bench_resteer(int argc, char **argv, struct fl_err *err)
{
	static const struct fl_resteer_ops ops = {serving, has_node_ports};
	const uint32_t seconds = (uint32_t)bench_option(argc, argv, "--seconds", 3);
	_cleanup_free_ struct fl_bucket4 *flows = calloc(FLOW_BUCKETS, sizeof(*flows));
	_cleanup_free_ struct fl_socket_bucket *sockets = calloc(SOCKET_BUCKETS, sizeof(*sockets));
	struct fl_maps maps = FL_MAPS_INIT;

	if (!flows || !sockets)
		return fl_err_set(err, -ENOMEM, "out of memory");
	maps.flows4 = flows;
	maps.n_flows4 = FLOW_BUCKETS;
	maps.sockets = sockets;
	maps.n_sockets = SOCKET_BUCKETS;
	for (size_t i = 0; i < sizeof(fillings) / sizeof(fillings[0]); i++) {
		struct fl_resteer resteer;
		double pass_ns, share;

		fill(flows, fillings[i].proto, fillings[i].touched ? BENCH_PORT : BENCH_PORT + 1);
		fl_resteer_init(&resteer, &ops, NULL, &fl_clock_system, &maps);
		run(&resteer, seconds, &pass_ns, &share);
		printf("{\"filling\":\"%s\",\"entries\":%u,\"pass_ns\":%.0f,\"passes\":%zu,"
		       "\"share\":%.4f}\n",
		       fillings[i].name, FLOW_BUCKETS * FL_FLOW_WAYS, pass_ns, resteer.done.passes,
		       share);
		fl_resteer_fini(&resteer);
	}
	return 0;
}
