// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Masquerading ports under attack. A few hundred spoofed SYNs a second must not hold the ports
 * towards a backend: what has proved nothing for seconds gives its port up, a handshake that is on
 * its way does not. And a packet that is refused may not cost more than one that is served.
 */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <stdlib.h>

#define PROGRAM_OF(t)                                                                              \
	((t)->hook == HOOK_XDP		? PROG_XDP                                                 \
	 : (t)->hook == HOOK_TC_INGRESS ? PROG_TC_INGRESS                                          \
					: PROG_POD_INGRESS)

/* Spoofed SYNs of many clients until no port is left. */
static void exhaust(struct trial *t)
{
	for (unsigned int n = 0; n < 20 * SMALL_PORTS; n++) {
		struct packet packet = from_client(t, 50 + n % 50, (uint16_t)(1000 + n * 31));

		feed(t, &packet);
	}
	assert_int_equal(plane_count(t->p, t->family), SMALL_PORTS);
	allow_counter(t, FL_REASON_NO_SOURCE_PORT);
}

/* Every flow of the table gets a state, and was seen last so long ago. */
static void make_all(struct trial *t, enum fl_flow_state state, uint32_t idle_s)
{
	uint32_t then = plane_now(t->p) - idle_s * t->p->config.hz;

	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++) {
		struct fl_flow_head *head = plane_head(t->p, t->family, slot);

		if ((head->word & FL_FLOW_STATE_MASK) < FL_FLOW_NEW)
			continue;
		head->word = (head->word & ~FL_FLOW_STATE_MASK) | state;
		head->last_seen = then;
	}
}

struct unproven {
	struct row row;
	enum fl_flow_state state;
};

static const struct unproven unprovens[] = {
	{ROW("no answer seen"), FL_FLOW_NEW},
	{ROW("answered, not acknowledged", .protos = ONLY_TCP), FL_FLOW_REPLIED},
};

/* Another Service on the same backend does not suffer either: it is the same ports. */
static void unproven_flows_give_their_ports_up(struct trial *t)
{
	const struct unproven *unproven = t->row;

	exhaust(t);
	make_all(t, unproven->state, 10);
	for (uint16_t i = 0; i < 8; i++) {
		struct talk talk = talk_from(t, CLIENT_HOST, CLIENT_PORT + i, t->to);

		talk_send(&talk, SYN);
		talk_expect_request(&talk);
		talk_establish(&talk);
	}
	allow_counter(t, FL_COUNTER_FLOW_EVICTED);
}

static void handshakes_keep_their_ports(struct trial *t)
{
	const struct unproven *unproven = t->row;

	exhaust(t);
	make_all(t, unproven->state, 2);
	for (uint16_t i = 0; i < SMALL_PORTS; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT + i);

		feed(t, &packet);
		expect_outcome(t, DROPPED);
	}
	expect_flows(t, SMALL_PORTS);
	expect_counter(t, FL_COUNTER_FLOW_EVICTED, 0);
}

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

#define SAMPLES 40

/* Nanoseconds that the program takes for the first packet of a flow, median of many. */
static uint32_t cost(struct trial *t, uint16_t first_port, int verdict)
{
	uint32_t ns[SAMPLES];

	for (uint16_t i = 0; i < SAMPLES; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, first_port + i);
		struct xdp_md xdp = {.ingress_ifindex = t->p->net->ifindex[DEV_EXT0]};
		struct __sk_buff skb = {.ifindex = t->p->net->ifindex[hook_dev(t->hook)]};
		bool is_xdp = t->hook == HOOK_XDP;
		struct frame frame;
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame.b);

		frame_build(&packet, &frame);
		opts.data_size_in = xdp.data_end = frame.len;
		opts.ctx_in = is_xdp ? (void *)&xdp : (void *)&skb;
		opts.ctx_size_in = is_xdp ? sizeof(xdp) : sizeof(skb);
		assert_int_equal(bpf_prog_test_run_opts(t->p->prog_fd[PROGRAM_OF(t)], &opts), 0);
		assert_int_equal((int)opts.retval, verdict);
		t->dropped += verdict == (is_xdp ? (int)XDP_DROP : TC_ACT_SHOT);
		ns[i] = opts.duration;
	}
	qsort(ns, SAMPLES, sizeof(ns[0]), compare);
	return ns[SAMPLES / 2];
}

/*
 * By the program's own time, in one process and at one moment; both have the same cost of being
 * measured, and the faster one is given that of four looks at the clock, so that only a multiple
 * fails.
 */
static void refused_flow_costs_no_more_than_two(struct trial *t)
{
	bool xdp = t->hook == HOOK_XDP;
	uint32_t served, refused;

	if (getenv("FL_EMULATED")) {
		print_error("SKIP: an emulated processor's times say nothing about a real one\n");
		skip();
	}
	plane_forget_exhaustion(t->p);			     /* of the trial before */
	cost(t, 10000, xdp ? (int)XDP_TX : TC_ACT_REDIRECT); /* warm */
	plane_flows_clear(t->p);
	served = cost(t, 20000, xdp ? (int)XDP_TX : TC_ACT_REDIRECT);
	exhaust(t);
	make_all(t, FL_FLOW_ESTABLISHED, 0);
	cost(t, 30000, xdp ? (int)XDP_DROP : TC_ACT_SHOT);
	refused = cost(t, 40000, xdp ? (int)XDP_DROP : TC_ACT_SHOT);
	if (refused > 2 * served + 200)
		trial_fail(t, "a refused flow takes %u ns, one that is made %u ns", refused,
			   served);
	allow_counter(t, FL_REASON_NO_SOURCE_PORT);
	allow_counter(t, FL_COUNTER_FLOW_EVICTED);
}

static const struct search {
	struct row row;
	int ago_s; /* since one was in vain; -1: never */
	uint32_t turns;
} searches[] = {
	{ROW("none was in vain"), -1, 7},
	{ROW("one was in vain just now"), 0, 2},
	{ROW("one was in vain long ago"), 10, 7},
};

/* How many candidates have come in turn so far. */
struct turns {
	uint32_t usual, of_all; /* of the ports that no hash leads to, and of all */
};

static struct turns count_turns(const struct trial *t)
{
	struct turns turns = {0};

	for (uint32_t i = 0; i < FL_PORT_SPACES; i++) {
		turns.usual += t->p->maps.port_spaces[i].cursor;
		turns.of_all += t->p->maps.port_spaces[i].cursor_all;
	}
	return turns;
}

/* The last search in vain was so long ago; -1: there was none. */
static void set_in_vain(struct trial *t, int ago_s)
{
	const uint32_t then = plane_now(t->p) - (uint32_t)ago_s * t->p->config.hz;

	for (uint32_t i = 0; i < FL_PORT_SPACES; i++)
		t->p->maps.port_spaces[i].gave_up = ago_s < 0 ? 0 : then;
}

/* A search in vain makes the next ones short, for a moment. */
static void search_is_short_after_one_in_vain(struct trial *t)
{
	const struct search *search = t->row;
	struct turns before, first, next;
	uint32_t then;
	uint16_t port = 1;

	exhaust(t);
	make_all(t, FL_FLOW_ESTABLISHED, 0);
	/* again if the machine stood still meanwhile */
	do {
		struct packet packet = from_client(t, 49, port++);

		set_in_vain(t, search->ago_s);
		then = plane_now(t->p);
		before = count_turns(t);
		feed(t, &packet);
		expect_outcome(t, DROPPED);
		first = count_turns(t);
		packet.sport = port++;
		feed(t, &packet);
		expect_outcome(t, DROPPED);
		next = count_turns(t);
	} while (plane_now(t->p) - then > 1);
	assert_int_equal(first.usual - before.usual, search->turns - 1);
	assert_int_equal(first.of_all - before.of_all, 1);
	assert_int_equal(next.usual - first.usual, 1);
	assert_int_equal(next.of_all - first.of_all, 1);
	allow_counter(t, FL_COUNTER_FLOW_EVICTED);
}

#define SMALL .hooks = ON_INGRESS, .plane = PLANE_SMALL

static const struct test tests[] = {
	{"B2: a flow that has proved nothing for seconds gives its port up",
	 CHECK(unproven_flows_give_their_ports_up), SMALL, ROWS(unprovens)},
	{"B2: a handshake that is under way keeps its port", CHECK(handshakes_keep_their_ports),
	 SMALL, ROWS(unprovens)},
	{"B2: a flow that finds no port costs no more than two that find one",
	 CHECK(refused_flow_costs_no_more_than_two), SMALL},
	{"B2: at most eight candidates are looked at, and three when none was free just now",
	 CHECK(search_is_short_after_one_in_vain), SMALL, ROWS(searches)},
};

const struct topic exhaustion_topic = {"exhaustion", TESTS(tests)};
