// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets that become several, on a way whose neighbour is not known yet: copies cannot wait for it
 * where the packet itself can, so the egress program of the device has the kernel find it. All that
 * a packet becomes has to arrive, masqueraded or behind outer headers.
 */
#include "tests/packet/pieces.h"
#include "tests/packet/tunnel.h"
#include "tests/packet/wire.h"

#include <string.h>
#include <unistd.h>

#define MTU 1500 /* of the device: without a neighbour the kernel names no other */

/* Of the running trial. */
static struct {
	struct tc_link egress;
	int far;
} cold = {TC_LINK_NONE, -1};

/* A datagram or segment, and how its pieces leave. */
struct whole {
	struct packet packet;
	uint32_t id, sent_id;
	bool tunnelled;
	struct packet want;
	struct outer outer;
};

static struct whole begin(struct trial *t, uint16_t payload)
{
	const unsigned int ifindex = t->p->net->ifindex[DEV_EXT1];
	static uint32_t id = 0x3456; /* what is known of fragments outlives a trial */
	struct whole w = {
		.packet = packet_of(t),
		.id = ++id,
		.tunnelled = t->test->scene.more_flags & FL_TUNNEL,
	};

	w.packet.payload = payload;
	w.packet.may_be_fragmented = true;
	tc_attach(t->p, PROG_TC_EGRESS, ifindex, BPF_TC_EGRESS, &cold.egress);
	cold.far = wire_open(t->p->net->peer_ifindex[DEV_EXT1], false);
	neighbour_seek(t);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
	return w;
}

static void end(struct trial *t)
{
	tc_detach(&cold.egress);
	if (cold.far >= 0)
		close(cold.far);
	cold.far = -1;
	neighbour_forget(t);
}

static void feed_piece(struct trial *t, const struct whole *w, struct piece piece)
{
	struct frame whole, frame;

	frame_build(&w->packet, &whole);
	piece_build(&whole, w->id, piece, &frame);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

/* What has just come out of a run says what the datapath was free to choose. */
static void learn(struct trial *t, struct whole *w, bool fragment)
{
	struct fl_flow flow;

	expect_outcome(t, SENT);
	w->want = w->packet;
	w->sent_id = fragment ? w->id : 0;
	if (w->tunnelled) {
		w->outer = outer_sent(t, 1);
	} else {
		flow = expect_flow(t, &w->packet);
		w->want = translated(&w->packet, &flow);
		w->sent_id = fragment ? piece_id(&t->r.out) : 0;
	}
	w->want.ttl--;
	w->want.src_mac = t->p->net->mac[DEV_EXT1];
	w->want.dst_mac = neighbour_mac;
}

static struct frame wanted(const struct whole *w, struct piece piece)
{
	struct frame whole, frame;

	frame_build(&w->want, &whole);
	piece_build(&whole, w->sent_id, piece, &frame);
	if (w->tunnelled)
		frame_wrap(&frame, &w->outer);
	return frame;
}

/* What the run gave back, which the kernel would hand to bpf_redirect_neigh(): all but the
 * addresses of its frame. */
static void expect_at_hand(struct trial *t, const struct whole *w, struct piece piece)
{
	struct frame want = wanted(w, piece);

	memcpy(want.b, t->r.out.b, (size_t)2 * ETH_ALEN);
	expect_frame(t, &want);
}

/* The piece arrives at the neighbour, now that this is known. */
static void expect_there(struct trial *t, const struct whole *w, struct piece piece)
{
	const uint32_t outer = w->tunnelled ? outer_size(t) : 0;
	const uint32_t at = ETH_HLEN + outer + (t->family == FL_IPV4 ? 4 : 42);
	const struct frame want = wanted(w, piece);

	do {
		wire_receive(t, cold.far, &want, 0, NULL, &t->r.out);
	} while (memcmp(t->r.out.b + at, want.b + at, t->family == FL_IPV4 ? 4 : 6) != 0);
	expect_frame(t, &want);
}

static uint16_t header(const struct trial *t)
{
	return t->proto == IPPROTO_TCP ? 20 : 8;
}

/* Bytes of a fragment that fit, by eights. */
static uint16_t most(const struct trial *t, const struct whole *w)
{
	return (uint16_t)((MTU - 20 - (w->tunnelled ? outer_size(t) : 0)) & ~7U);
}

static void those_that_wait_arrive(struct trial *t)
{
	struct whole w = begin(t, 1200);
	const struct piece pieces[] = {
		{960, (uint16_t)(240 + header(t)), false}, {480, 480, true}, {0, 480, true}};

	for (size_t i = 0; i < N(pieces); i++) {
		feed_piece(t, &w, pieces[i]);
		if (i < N(pieces) - 1)
			expect_outcome(t, HELD);
	}
	learn(t, &w, true);
	expect_at_hand(t, &w, pieces[2]);
	neighbour_answer(t);
	expect_there(t, &w, pieces[0]);
	expect_there(t, &w, pieces[1]);
	expect_counter(t, FL_COUNTER_FRAGMENT, N(pieces));
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, 2);
}

/* One that waits and is too big for the device goes in smaller ones. */
static void large_ones_that_wait_arrive(struct trial *t)
{
	struct whole w = begin(t, 1200);
	const uint16_t fits = most(t, &w), size = 1600;
	const struct piece first = {0, 480, true}, held = {480, size, false};

	feed_piece(t, &w, held);
	expect_outcome(t, HELD);
	feed_piece(t, &w, first);
	learn(t, &w, true);
	expect_at_hand(t, &w, first);
	neighbour_answer(t);
	expect_there(t, &w, (struct piece){480, fits, true});
	expect_there(t, &w, (struct piece){(uint16_t)(480 + fits), (uint16_t)(size - fits), false});
	allow_counter(t, FL_COUNTER_FRAGMENT);
	expect_counter(t, FL_COUNTER_FRAGMENT_HELD, 1);
}

/* A whole packet that routers may divide. */
static void parts_arrive(struct trial *t)
{
	struct whole w = begin(t, 1600);
	const uint16_t fits = most(t, &w), total = (uint16_t)(1600 + header(t));

	feed(t, &w.packet);
	learn(t, &w, false);
	expect_at_hand(t, &w, (struct piece){fits, (uint16_t)(total - fits), false});
	neighbour_answer(t);
	expect_there(t, &w, (struct piece){0, fits, true});
}

#define BY_TC (ON_XDP_TC | ON_TC_INGRESS)
#define DSR                                                                                        \
	{                                                                                          \
		.more_flags = FL_TUNNEL                                                            \
	}

static const struct test tests[] = {
	{"D3: fragments that wait arrive where the neighbour is not known yet",
	 CHECK(those_that_wait_arrive), .undo = end, .hooks = BY_TC, .networks = IN(AT_UNRESOLVED)},
	{"... also those that are too big", CHECK(large_ones_that_wait_arrive), .undo = end,
	 .families = ONLY_IPV4, .hooks = BY_TC, .networks = IN(AT_UNRESOLVED)},
	{"D9: so do the fragments of a packet that is too big", CHECK(parts_arrive), .undo = end,
	 .families = ONLY_IPV4, .hooks = BY_TC, .networks = IN(AT_UNRESOLVED)},
};

static const struct test dsr_tests[] = {
	{"D3: DSR, fragments that wait arrive where the neighbour is not known yet",
	 CHECK(those_that_wait_arrive), .undo = end, .hooks = BY_TC, .networks = IN(AT_UNRESOLVED),
	 .scene = DSR},
	{"... also those that are too big", CHECK(large_ones_that_wait_arrive), .undo = end,
	 .families = ONLY_IPV4, .hooks = BY_TC, .networks = IN(AT_UNRESOLVED), .scene = DSR},
	{"D4: so do the fragments of a packet that is too big", CHECK(parts_arrive), .undo = end,
	 .families = ONLY_IPV4, .hooks = BY_TC, .networks = IN(AT_UNRESOLVED), .scene = DSR},
};

const struct topic cold_topic = {"cold ways", TESTS(tests)};
const struct topic cold_dsr_topic = {"cold ways by DSR", TESTS(dsr_tests)};
const struct topic cold_geneve_topic = {"cold ways by Geneve", TESTS(dsr_tests),
					.plane = PLANE_GENEVE};
