// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading the contenders: one device, a next hop for everybody, the same services. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
	int netns;
	unsigned int device;
	uint8_t mac[6];
	int fds[BENCH_CONTENDERS];
};

/* packets at a time: some hundred milliseconds */
#define PIECE (1 << 17)

#define DEVICE "d0"
#define ADDRESS "198.18.0.1" /* BENCH_NODE */
#define ADDRESS6 "fd00:12::1"

static const struct {
	const char *name;
	bool skb;
	uint32_t verdict; /* of a packet that it sends on */
} contenders[BENCH_CONTENDERS] = {
	[BENCH_EMPTY] = {"empty", false, XDP_DROP},
	[BENCH_TX] = {"tx", false, XDP_TX},
	[BENCH_BITS] = {"bits", false, XDP_PASS},
	[BENCH_BARE] = {"bare", false, XDP_TX},
	[BENCH_BARE_INSERT] = {"bare-insert", false, XDP_TX},
	[BENCH_BARE_ENCAP] = {"bare-encap", false, XDP_TX},
	[BENCH_BARE_DECAP] = {"bare-decap", false, XDP_PASS},
	[BENCH_TEXTBOOK] = {"textbook", false, XDP_TX},
	[BENCH_TEXTBOOK_FIB] = {"textbook-fib", false, XDP_TX},
	[BENCH_FAIRLEAD] = {"fairlead", false, XDP_TX},
	[BENCH_EMPTY_TC] = {"empty-tc", true, TC_ACT_SHOT},
	[BENCH_BITS_TC] = {"bits-tc", true, TC_ACT_UNSPEC},
	[BENCH_BARE_ENCAP_TC] = {"bare-encap at tc", true, TC_ACT_REDIRECT},
	[BENCH_BARE_DECAP_TC] = {"bare-decap at tc", true, TC_ACT_UNSPEC},
	[BENCH_TC_INGRESS] = {"tc-ingress", true, TC_ACT_REDIRECT},
	/* what it translates goes on by itself */
	[BENCH_TC_EGRESS] = {"tc-egress", true, TC_ACT_UNSPEC},
};

const char *bench_contender_name(enum bench_contender c)
{
	return contenders[c].name;
}

enum bench_contender bench_contender_empty(enum bench_contender c)
{
	return contenders[c].skb ? BENCH_EMPTY_TC : BENCH_EMPTY;
}

static int make_network(struct bench_arena *arena, struct fl_err *err)
{
	int rc = bench_netns_new(&arena->netns, err);

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
		.kind = arena->options.kind,
		.answer_all = arena->options.answer_all,
		.dispatch = arena->options.outer == BENCH_GENEVE ? FL_DISPATCH_GENEVE
								 : FL_DISPATCH_IPIP,
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
	if (!rc && arena->options.outer)
		rc = bench_fairlead_join(&arena->fairlead, err);
	if (rc)
		return rc;
	arena->fds[BENCH_FAIRLEAD] = fl_dp_program(arena->fairlead.dp, "fl_xdp");
	arena->fds[BENCH_TC_INGRESS] = fl_dp_program(arena->fairlead.dp, "fl_tc_ingress");
	arena->fds[BENCH_TC_EGRESS] = fl_dp_program(arena->fairlead.dp, "fl_tc_egress");
	return 0;
}

static int open_minimal(struct bench_arena *arena, struct fl_err *err)
{
	const uint32_t entries = arena->options.entries;
	struct minimal *m = minimal__open();

	arena->wrap = wrap__open_and_load();
	arena->minimal = m;
	if (m) {
		/* one entry per flow, not two */
		m->rodata->line_bits = __builtin_ctz(entries / 2);
		bpf_map__set_max_entries(m->maps.lines, entries / 2);
		m->rodata->bucket_bits = __builtin_ctz(entries / 4);
		bpf_map__set_max_entries(m->maps.buckets, entries / 4);
		m->rodata->outer_len = bench_outer_size(arena->options.v6, arena->options.outer);
		m->rodata->outer_v6 = arena->options.v6;
		m->rodata->outer_udp = arena->options.outer == BENCH_GENEVE;
	}
	if (!arena->wrap || !m || minimal__load(m))
		return fl_err_set(err, -errno, "cannot load the minimal programs: %s",
				  strerror(errno));
	arena->fds[BENCH_EMPTY] = bpf_program__fd(m->progs.bench_empty);
	arena->fds[BENCH_EMPTY_TC] = bpf_program__fd(m->progs.bench_empty_skb);
	arena->fds[BENCH_TX] = bpf_program__fd(m->progs.bench_tx);
	if (arena->options.outer) {
		arena->fds[BENCH_BARE_ENCAP] = bpf_program__fd(m->progs.bench_bare_encap);
		arena->fds[BENCH_BARE_DECAP] = bpf_program__fd(m->progs.bench_bare_decap);
		arena->fds[BENCH_BARE_ENCAP_TC] = bpf_program__fd(m->progs.bench_bare_encap_skb);
		arena->fds[BENCH_BARE_DECAP_TC] = bpf_program__fd(m->progs.bench_bare_decap_skb);
	}
	if (!arena->options.v6) {
		arena->fds[BENCH_BITS] = bpf_program__fd(m->progs.bench_bits);
		arena->fds[BENCH_BITS_TC] = bpf_program__fd(m->progs.bench_bits_skb);
		arena->fds[BENCH_BARE] = bpf_program__fd(m->progs.bench_bare);
		arena->fds[BENCH_BARE_INSERT] = bpf_program__fd(m->progs.bench_bare_insert);
	}
	return 0;
}

static int wrap(struct bench_arena *arena, uint32_t c, struct fl_err *err)
{
	struct bpf_map *targets =
		contenders[c].skb ? arena->wrap->maps.targets_skb : arena->wrap->maps.targets;

	if (arena->fds[c] >= 0 &&
	    bpf_map_update_elem(bpf_map__fd(targets), &c, &arena->fds[c], BPF_ANY))
		return fl_err_set(err, -errno, "cannot wrap %s: %s", contenders[c].name,
				  strerror(errno));
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
	arena->netns = -1;
	for (int i = 0; i < BENCH_CONTENDERS; i++)
		arena->fds[i] = -1;
	rc = bench_world_enter(err);
	if (!rc)
		rc = make_network(arena, err);
	if (!rc)
		rc = open_minimal(arena, err);
	if (!rc)
		rc = open_fairlead(arena, err);
	/* it knows services that all clients are served by, and IPv4 */
	if (!rc && !options->v6 && options->kind == BENCH_SERVED && !options->no_textbook) {
		rc = open_textbook(arena, false, err);
		if (!rc)
			rc = open_textbook(arena, true, err);
	}
	for (uint32_t c = 0; c < BENCH_CONTENDERS && !rc; c++)
		rc = wrap(arena, c, err);
	if (rc)
		return rc;
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
	if (a->netns >= 0)
		close(a->netns);
	free(a);
	*arena = NULL;
}

bool bench_arena_has(const struct bench_arena *arena, enum bench_contender c)
{
	const char *only = arena->options.only;

	return arena->fds[c] >= 0 && (!only || c == BENCH_EMPTY || c == BENCH_EMPTY_TC ||
				      !strcmp(only, contenders[c].name));
}

const uint8_t *bench_arena_mac(const struct bench_arena *arena)
{
	return arena->mac;
}

struct bench_fairlead *bench_arena_fairlead(struct bench_arena *arena)
{
	return &arena->fairlead;
}

int bench_arena_prepare(struct bench_arena *arena, enum bench_contender c, uint64_t n, bool crowded,
			uint64_t *ret_refused, struct fl_err *err)
{
	const bool on_node = arena->options.kind == BENCH_ON_NODE;
	struct bench_path path = {
		.ingress_fd = arena->fds[c],
		.reply_fd = arena->fds[on_node ? BENCH_TC_EGRESS : c],
		.reply_skb = on_node,
		.to_stack = on_node,
		.crowded = crowded,
		.one_way = arena->options.kind == BENCH_TUNNEL,
		.outer = on_node ? arena->options.outer : BENCH_NO_OUTER,
		.endpoints = arena->options.endpoints,
		.client_device = arena->device,
		.endpoint_device = arena->device,
	};
	int rc = bench_netns_enter(arena->netns, err);

	*ret_refused = 0;
	/* the others know no state, or share that of fl_xdp */
	if (!rc && (c == BENCH_TEXTBOOK || c == BENCH_TEXTBOOK_FIB || c == BENCH_FAIRLEAD))
		rc = bench_prepare(&path, n, arena->options.services, arena->options.proto,
				   arena->options.v6, ret_refused, err);
	return rc ? fl_err_wrap(err, rc, "%s", contenders[c].name) : 0;
}

/* Of the last packet of a run. */
static bool is_verdict(const struct bench_arena *arena, const struct bench_run *run,
		       enum bench_contender c, uint32_t verdict)
{
	const bool skb = contenders[c].skb, empty = c == BENCH_EMPTY || c == BENCH_EMPTY_TC;
	const bool foreign = run->way != BENCH_TO_SERVICE && run->way != BENCH_TO_CLIENT;

	if (run->refused)
		return true;
	/* of what is unpacked the stack gets the rest */
	if (!empty && (foreign || (run->outer && arena->options.kind == BENCH_ON_NODE)))
		return verdict == (skb ? (uint32_t)TC_ACT_UNSPEC : XDP_PASS);
	if (verdict == contenders[c].verdict)
		return true;
	/* Fairlead's table may refuse a few flows; bench_flows counts them */
	return c == BENCH_FAIRLEAD && !run->dsr && verdict == XDP_DROP;
}

static struct bpf_program *wrapper_of(const struct bench_arena *arena, const struct bench_run *run,
				      bool skb)
{
	const struct wrap *w = arena->wrap;

	if (run->dsr && !run->single)
		return skb ? w->progs.bench_wrap_dsr_skb : w->progs.bench_wrap_dsr;
	return skb ? w->progs.bench_wrap_skb : w->progs.bench_wrap;
}

static struct bench_job *start_job(struct bench_arena *arena, enum bench_contender c,
				   const struct bench_run *run)
{
	struct bench_job *job = &arena->wrap->data_jobs->jobs[sched_getcpu() & (BENCH_CPUS - 1)];

	*job = (struct bench_job){
		.next = run->first,
		.flows = run->flows,
		.services = arena->options.services,
		.target = c,
		.proto = run->proto ? run->proto : arena->options.proto,
		.tcp_flags = run->tcp_flags,
		.v6 = arena->options.v6,
		.checksums = run->checksums,
		.way = run->way,
		.outer = run->outer,
		.port = run->port ? run->port : BENCH_PORT,
		.frame_len = BENCH_LONG_FRAME_LEN,
		.endpoints = arena->options.endpoints,
	};
	memcpy(job->dst_mac, arena->mac, 6);
	return job;
}

/* How long one call took, as often as that was. */
struct spread {
	uint32_t of[16384]; /* ns; the last one: longer */
};

static double median_of(const struct spread *spread, uint32_t n)
{
	uint32_t below = 0;

	for (uint32_t i = 0; i < sizeof(spread->of) / sizeof(*spread->of); i++) {
		below += spread->of[i];
		if (below > n / 2)
			return i;
	}
	return 0;
}

int bench_arena_run(struct bench_arena *arena, enum bench_contender c, struct bench_run *run,
		    struct fl_err *err)
{
	const bool skb = contenders[c].skb;
	const uint32_t len = run->dsr ? BENCH_LONG_FRAME_LEN : BENCH_FRAME_LEN;
	struct bench_job *job = start_job(arena, c, run);
	struct xdp_md md = {.data_end = len, .ingress_ifindex = arena->device};
	struct __sk_buff sk = {.ifindex = arena->device};
	uint8_t in[BENCH_LONG_FRAME_LEN] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = len,
		    .ctx_in = skb ? (void *)&sk : (void *)&md,
		    .ctx_size_in = skb ? sizeof(sk) : sizeof(md));
	_cleanup_free_ struct spread *spread = calloc(1, sizeof(*spread));
	const uint32_t slots = sizeof(spread->of) / sizeof(*spread->of);
	const uint32_t piece = run->single ? 1 : PIECE;
	uint64_t before, ns = 0;
	int rc = bench_netns_enter(arena->netns, err);

	if (rc)
		return rc;
	if (!spread)
		return fl_err_set(err, -ENOMEM, "out of memory");
	/* the kernel looks at these once, before the first packet is written */
	memcpy(in, arena->mac, 6);
	*(uint16_t *)(in + 12) = htons(arena->options.v6 ? ETH_P_IPV6 : ETH_P_IP);
	/* in pieces: on a busy machine a long run would outlive what the agent says every second */
	for (uint64_t done = 0; done < run->repeat; done += opts.repeat) {
		opts.repeat = run->repeat - done < piece ? run->repeat - done : piece;
		opts.data_out = run->out;
		opts.data_size_out = run->out ? BENCH_OUT_LEN : 0;
		if (done % PIECE == 0)
			bench_fairlead_refresh(&arena->fairlead);
		before = bench_thread_ns();
		if (bpf_prog_test_run_opts(bpf_program__fd(wrapper_of(arena, run, skb)), &opts))
			return fl_err_set(err, -errno, "%s: test run: %s", contenders[c].name,
					  strerror(errno));
		ns += bench_thread_ns() - before;
		spread->of[opts.duration < slots ? opts.duration : slots - 1]++;
	}
	run->ns = run->single ? median_of(spread, run->repeat) : (double)ns / run->repeat;
	run->next = job->next;
	run->out_len = opts.data_size_out;
	if (!is_verdict(arena, run, c, opts.retval))
		return fl_err_set(err, -EPROTO, "%s: verdict %u", contenders[c].name, opts.retval);
	return 0;
}
