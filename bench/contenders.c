// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading the contenders: one device, a next hop for everybody, the same services. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/contenders.h"
#include "lb/base/cleanup.h"
#include "minimal.skel.h"
#include "textbook.skel.h"
#include "wrap.skel.h"

struct bench_arena {
	struct bench_arena_options options;
	struct wrap *wrap;
	struct minimal *minimal;
	struct textbook *textbook[2]; /* without and with route lookups */
	struct bench_fairlead fairlead;
	unsigned int device;
	uint8_t mac[6];
	int fds[BENCH_CONTENDERS];
};

#define DEVICE "d0"
#define ADDRESS "198.18.0.1"
#define ADDRESS6 "fd00:12::1"

static const char *const names[BENCH_CONTENDERS] = {
	[BENCH_EMPTY] = "empty",
	[BENCH_TX] = "tx",
	[BENCH_BARE] = "bare",
	[BENCH_TEXTBOOK] = "textbook",
	[BENCH_TEXTBOOK_FIB] = "textbook-fib",
	[BENCH_FAIRLEAD] = "fairlead",
};

const char *bench_contender_name(enum bench_contender c)
{
	return names[c];
}

static int make_network(struct bench_arena *arena, struct fl_err *err)
{
	_cleanup_close_ int netns = -1;
	int rc = bench_netns_new(&netns, err);

	if (!rc)
		rc = bench_ip(err, "link add " DEVICE " type veth peer name d1\n"
				   "link set d1 up\n"
				   "link set " DEVICE " up\n"
				   "addr add " ADDRESS "/24 dev " DEVICE "\n"
				   "addr add " ADDRESS6 "/64 dev " DEVICE " nodad\n"
				   "neigh add 198.18.0.2 lladdr 02:00:00:00:00:02 dev " DEVICE
				   " nud permanent\n"
				   "neigh add fd00:12::2 lladdr 02:00:00:00:00:02 dev " DEVICE
				   " nud permanent\n"
				   "route add default via 198.18.0.2\n"
				   "route add default via fd00:12::2\n");
	if (!rc)
		rc = bench_sysctl("net/ipv4/ip_forward", "1", err);
	if (!rc)
		rc = bench_sysctl("net/ipv6/conf/all/forwarding", "1", err);
	if (!rc)
		rc = bench_device(DEVICE, &arena->device, arena->mac, err);
	return rc;
}

static int fill_textbook(struct textbook *t, const struct bench_arena *arena, struct fl_err *err)
{
	struct {
		__be32 addr;
		__be16 port;
		uint8_t proto, pad;
	} service_key = {.port = htons(BENCH_PORT), .proto = arena->options.proto};
	struct {
		uint32_t id, count;
	} service;
	struct {
		uint32_t service, index;
	} endpoint_key;
	struct {
		__be32 addr;
		__be16 port;
		uint16_t pad;
	} endpoint = {.port = htons(BENCH_POD_PORT)};

	for (uint32_t s = 0; s < arena->options.services; s++) {
		uint32_t first;

		bench_services_range(arena->fairlead.services, s, &first, &service.count);
		service.id = s;
		service_key.addr = htonl(BENCH_VIP_NET + 1 + s);
		if (bpf_map_update_elem(bpf_map__fd(t->maps.textbook_services), &service_key,
					&service, BPF_ANY))
			return fl_err_set(err, -errno, "cannot fill the textbook's services: %s",
					  strerror(errno));
		for (uint32_t i = 0; i < service.count; i++) {
			endpoint_key.service = s;
			endpoint_key.index = i;
			endpoint.addr = htonl(BENCH_POD_NET + 1 + first + i);
			if (bpf_map_update_elem(bpf_map__fd(t->maps.textbook_endpoints),
						&endpoint_key, &endpoint, BPF_ANY))
				return fl_err_set(err, -errno,
						  "cannot fill the textbook's endpoints: %s",
						  strerror(errno));
		}
	}
	return 0;
}

static int open_textbook(struct bench_arena *arena, bool fib, struct fl_err *err)
{
	struct textbook *t = textbook__open();

	arena->textbook[fib] = t;
	if (!t)
		return fl_err_set(err, -errno, "cannot open the textbook program");
	inet_pton(AF_INET, ADDRESS, (void *)&t->rodata->masquerade_address);
	t->rodata->use_fib = fib;
	bpf_map__set_max_entries(t->maps.textbook_flows, arena->options.entries);
	if (textbook__load(t))
		return fl_err_set(err, -errno, "cannot load the textbook program: %s",
				  strerror(errno));
	arena->fds[fib ? BENCH_TEXTBOOK_FIB : BENCH_TEXTBOOK] =
		bpf_program__fd(t->progs.bench_textbook);
	return fill_textbook(t, arena, err);
}

static int open_fairlead(struct bench_arena *arena, struct fl_err *err)
{
	struct bench_fairlead_options o = {
		.mode = FL_DP_XDP,
		.services = arena->options.services,
		.endpoints = arena->options.endpoints,
		.ports = arena->options.v6		       ? BENCH_TCP6
			 : arena->options.proto == IPPROTO_TCP ? BENCH_TCP4
							       : BENCH_UDP4,
		.flow_buckets = arena->options.entries / FL_FLOW_WAYS,
	};
	int rc = bench_fairlead_open(&o, &arena->fairlead, err);

	if (!rc)
		rc = bench_services_apply(arena->fairlead.services, arena->fairlead.sync, err);
	if (!rc)
		rc = bench_fairlead_attach(&arena->fairlead, DEVICE, ADDRESS, ADDRESS6, err);
	if (rc)
		return rc;
	arena->fds[BENCH_FAIRLEAD] = fl_dp_program(arena->fairlead.dp, "fl_xdp");
	return 0;
}

int bench_arena_open(const struct bench_arena_options *options, struct bench_arena **ret_arena,
		     struct fl_err *err)
{
	_cleanup_(bench_arena_close) struct bench_arena *arena = calloc(1, sizeof(*arena));
	int rc;

	if (!arena)
		return fl_err_set(err, -ENOMEM, "out of memory");
	arena->options = *options;
	for (int i = 0; i < BENCH_CONTENDERS; i++)
		arena->fds[i] = -1;
	rc = bench_world_enter(err);
	if (!rc)
		rc = make_network(arena, err);
	if (rc)
		return rc;
	arena->wrap = wrap__open_and_load();
	arena->minimal = minimal__open();
	if (arena->minimal) {
		/* one entry per flow, not two */
		arena->minimal->rodata->line_bits = __builtin_ctz(options->entries / 2);
		bpf_map__set_max_entries(arena->minimal->maps.lines, options->entries / 2);
	}
	if (!arena->wrap || !arena->minimal || minimal__load(arena->minimal))
		return fl_err_set(err, -errno, "cannot load the minimal programs: %s",
				  strerror(errno));
	arena->fds[BENCH_EMPTY] = bpf_program__fd(arena->minimal->progs.bench_empty);
	arena->fds[BENCH_TX] = bpf_program__fd(arena->minimal->progs.bench_tx);
	rc = open_fairlead(arena, err);
	if (!rc && !options->v6) {
		arena->fds[BENCH_BARE] = bpf_program__fd(arena->minimal->progs.bench_bare);
		rc = open_textbook(arena, false, err);
		if (!rc)
			rc = open_textbook(arena, true, err);
	}
	if (rc)
		return rc;
	for (uint32_t i = 0; i < BENCH_CONTENDERS; i++)
		if (arena->fds[i] >= 0 &&
		    bpf_map_update_elem(bpf_map__fd(arena->wrap->maps.targets), &i, &arena->fds[i],
					BPF_ANY))
			return fl_err_set(err, -errno, "cannot wrap %s: %s", names[i],
					  strerror(errno));
	*ret_arena = TAKE_PTR(arena);
	return 0;
}

void bench_arena_close(struct bench_arena **arena)
{
	struct bench_arena *a = *arena;

	if (!a)
		return;
	bench_fairlead_close(&a->fairlead);
	textbook__destroy(a->textbook[0]);
	textbook__destroy(a->textbook[1]);
	minimal__destroy(a->minimal);
	wrap__destroy(a->wrap);
	free(a);
	*arena = NULL;
}

bool bench_arena_has(const struct bench_arena *arena, enum bench_contender c)
{
	const char *only = arena->options.only;

	return arena->fds[c] >= 0 && (!only || c == BENCH_EMPTY || !strcmp(only, names[c]));
}

struct bench_fairlead *bench_arena_fairlead(struct bench_arena *arena)
{
	return &arena->fairlead;
}

int bench_arena_prepare(struct bench_arena *arena, enum bench_contender c, uint64_t n,
			uint64_t *ret_refused, struct fl_err *err)
{
	struct bench_path path = {
		.ingress_fd = arena->fds[c],
		.reply_fd = arena->fds[c],
		.client_device = arena->device,
		.endpoint_device = arena->device,
	};
	int rc;

	*ret_refused = 0;
	if (c == BENCH_EMPTY || c == BENCH_TX || c == BENCH_BARE)
		return 0; /* they know no state */
	rc = bench_prepare(&path, n, arena->options.services, arena->options.proto,
			   arena->options.v6, ret_refused, err);
	return rc ? fl_err_wrap(err, rc, "%s", names[c]) : 0;
}

int bench_arena_run(struct bench_arena *arena, enum bench_contender c, struct bench_run *run,
		    struct fl_err *err)
{
	struct bench_job *job = &arena->wrap->data_jobs->jobs[sched_getcpu() & (BENCH_CPUS - 1)];
	struct xdp_md md = {.data_end = 128, .ingress_ifindex = arena->device};
	uint8_t in[128] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = sizeof(in),
		    .ctx_in = &md, .ctx_size_in = sizeof(md), .repeat = run->repeat);
	uint64_t before;

	*job = (struct bench_job){
		.next = run->first,
		.flows = run->flows,
		.services = arena->options.services,
		.target = c,
		.proto = arena->options.proto,
		.tcp_flags = run->tcp_flags,
		.v6 = arena->options.v6,
	};
	memcpy(job->dst_mac, arena->mac, 6);
	bench_fairlead_refresh(&arena->fairlead);
	before = bench_thread_ns();
	if (bpf_prog_test_run_opts(bpf_program__fd(arena->wrap->progs.bench_wrap), &opts))
		return fl_err_set(err, -errno, "%s: test run: %s", names[c], strerror(errno));
	run->ns = (double)(bench_thread_ns() - before) / run->repeat;
	run->next = job->next;
	/* Fairlead's table may refuse a few flows; bench_flows counts them */
	if (opts.retval != (c == BENCH_EMPTY ? XDP_DROP : XDP_TX) &&
	    !(c == BENCH_FAIRLEAD && opts.retval == XDP_DROP))
		return fl_err_set(err, -EPROTO, "%s: verdict %u", names[c], opts.retval);
	return 0;
}
