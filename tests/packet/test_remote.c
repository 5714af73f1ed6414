// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Backends on other nodes: both addresses rewritten, sent on by the device that leads there, and
 * the way back. */
#include "nodeport/next_hop.h"
#include "tests/packet/packet.h"

#include <string.h>

/* What the backend's node gets: source one of ours, a port we may use, one hop less, the next hop's
 * MACs. */
static struct spec forwarded(const struct plane *p, const struct spec *in, enum place place,
			     enum dev dev)
{
	struct fl_flow flow = expect_flow(p, in);
	struct fl_ip ours = addr(in->family, (enum place)dev, 1),
		     backend = addr(in->family, place, 1);
	struct spec out = translated(in, &flow);

	assert_true(fl_ip_equal(&flow.source, &ours));
	assert_true(fl_ip_equal(&flow.backend, &backend));
	assert_int_equal(flow.backend_port, BACKEND_PORT);
	assert_true(plane_may_use_port(p, flow.source_port));
	assert_true(flow.flags & FL_FLOW_SNAT && flow.reply_flags & FL_FLOW_SNAT);
	assert_false((flow.flags | flow.reply_flags) & FL_FLOW_TO_STACK);
	out.ttl = in->ttl - 1;
	out.dst_mac = p->net->gateway_mac[place];
	out.src_mac = p->net->mac[dev];
	return out;
}

struct way {
	enum place place;
	enum dev dev;
	int xdp_verdict;
};

static const struct way ways[] = {
	{AT_TX, DEV_EXT0, XDP_TX},
	{AT_REDIRECT, DEV_EXT1, XDP_REDIRECT},
};

static void test_request_is_sent_on(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t w = 0; w < N(ways); w++) {
			const struct scene scene = scene_of(&kinds[k], ways[w].place);
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];

			plane_reset(p);
			scene_set(p, &scene, fe);
			for (int i = 0; i < SCENE_FRONTENDS; i++) {
				struct spec s = client_spec(p, scene.family, scene.proto, 10, 4000,
							    &fe[i]),
					    out;
				struct result r;

				s.payload = (uint16_t)(100 + i);
				s.ttl = (uint8_t)(2 + i * 84); /* 2 .. 254 */
				assert_int_equal(xdp(p, &s, &r), ways[w].xdp_verdict);
				out = forwarded(p, &s, ways[w].place, ways[w].dev);
				expect_packet(&r, &out, "request");
			}
		}
}

/* The same by the tc program, where the device has no XDP. */
static void test_request_is_sent_on_by_tc(void **state)
{
	static const struct way tc_ways[] = {
		{AT_TX, DEV_EXT0, 0}, {AT_REDIRECT, DEV_EXT1, 0}, {AT_TC, DEV_EXT2, 0}};

	for (int k = 0; k < KINDS; k++)
		for (size_t w = 0; w < N(tc_ways); w++) {
			const struct scene scene = scene_of(&kinds[k], tc_ways[w].place);
			struct frontend fe[SCENE_FRONTENDS];
			struct spec s, out;
			struct result r;
			struct frame in;

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			s = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &fe[2]);
			frame_build(&s, &in);
			run_tc(USUAL(state), PROG_TC_INGRESS, DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, TC_ACT_REDIRECT);
			out = forwarded(USUAL(state), &s, tc_ways[w].place, tc_ways[w].dev);
			expect_packet(&r, &out, "request by tc");
		}
}

/* Back at this node: client and frontend again, towards the client's next hop. */
static void test_reply_goes_to_the_client(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t w = 0; w < N(ways); w++) {
			const struct scene scene = scene_of(&kinds[k], ways[w].place);
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];

			plane_reset(p);
			scene_set(p, &scene, fe);
			for (int i = 0; i < SCENE_FRONTENDS; i++) {
				struct talk t = talk_begin(p, &scene, &fe[i], 10, 4000);
				struct result r;
				struct spec want;

				talk_send(&t, SYN, &r);
				t.inner.ttl = 63;
				t.inner.payload = 200;
				assert_int_equal(talk_reply(&t, SYN | ACK, &r),
						 ways[w].dev == DEV_EXT0 ? XDP_TX : XDP_REDIRECT);
				want = spec_reverse(&t.client);
				want.flags = SYN | ACK;
				want.payload = 200;
				want.ttl = 62;
				want.dst_mac = p->net->gateway_mac[AT_OUTSIDE];
				want.src_mac = p->net->mac[DEV_EXT0];
				expect_packet(&r, &want, "reply");
			}
		}
}

/* Established: the same bytes out, one flow, and the kernel's tables asked once per direction. */
static void test_conversation_asks_the_way_once(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_REDIRECT);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct talk t;

		plane_reset(p);
		scene_set(p, &scene, fe);
		t = talk_begin(p, &scene, &fe[3], 10, 4000);
		talk_establish(&t);
		for (uint16_t i = 0; i < 50; i++) {
			struct spec out;
			struct result r;

			t.client.payload = (uint16_t)(i * 29);
			assert_int_equal(talk_send(&t, ACK | PSH, &r), XDP_REDIRECT);
			out = forwarded(p, &t.client, AT_REDIRECT, DEV_EXT1);
			expect_packet(&r, &out, "established");
			assert_int_equal(talk_reply(&t, ACK, &r), XDP_REDIRECT);
		}
		assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_NEW), 1);
		assert_int_equal(plane_counter(p, FL_COUNTER_FIB_LOOKUP), 2);
	}
}

/* The agent raises the epoch when routes change: remembered ways are asked for again, and flows
 * live on. */
static void test_epoch_makes_ways_be_asked_again(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct talk t;

		plane_reset(p);
		scene_set(p, &scene, fe);
		t = talk_begin(p, &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		assert_int_equal(plane_counter(p, FL_COUNTER_FIB_LOOKUP), 2);
		fl_next_hops_forget(p->maps.meta, p->maps.next_hops, p->maps.n_next_hops);
		for (int i = 0; i < 3; i++) {
			struct spec out;

			assert_int_equal(talk_send(&t, ACK, &r), XDP_TX);
			out = forwarded(p, &t.client, AT_TX, DEV_EXT0);
			expect_packet(&r, &out, "after the epoch");
		}
		assert_int_equal(plane_counter(p, FL_COUNTER_FIB_LOOKUP), 3);
		assert_int_equal(talk_reply(&t, ACK, &r), XDP_TX);
		assert_int_equal(plane_counter(p, FL_COUNTER_FIB_LOOKUP), 4);
	}
}

/* A remembered place that was given to another next hop is never used by those who remember the old
 * one. */
static void test_next_hop_of_a_stranger_is_not_used(void **state)
{
	const struct scene scene = {.proto = IPPROTO_TCP, .place = AT_TX};
	struct plane *p = USUAL(state);
	struct frontend fe[SCENE_FRONTENDS];
	struct result r;
	struct spec out;
	struct talk t;

	scene_set(p, &scene, fe);
	t = talk_begin(p, &scene, &fe[0], 10, 4000);
	talk_establish(&t);
	for (size_t i = 0; i < p->maps.n_next_hops; i++) {
		struct fl_next_hop *nh = &p->maps.next_hops[i];

		if (!nh->word)
			continue;
		nh->word += 2;
		memset(nh->dst_mac, 0xee, sizeof(nh->dst_mac));
	}
	assert_int_equal(talk_send(&t, ACK, &r), XDP_TX);
	out = forwarded(p, &t.client, AT_TX, DEV_EXT0);
	expect_packet(&r, &out, "asked again");
}

/* Devices that cannot take frames from XDP: unchanged to tc, with a mark and nothing recorded yet.
 */
static void test_handed_to_tc(void **state)
{
	static const enum place places[] = {AT_TC, AT_UNRESOLVED};

	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(places); i++) {
			const struct scene scene = scene_of(&kinds[k], places[i]);
			struct frontend fe[SCENE_FRONTENDS];
			struct result r;
			struct frame in;
			struct spec s;

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			s = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &fe[0]);
			frame_build(&s, &in);
			assert_int_equal(xdp(USUAL(state), &s, &r), XDP_PASS);
			assert_int_equal(r.mark, MARK_FOR_TC);
			frame_expect(&r.out, &in, "unchanged");
			expect_no_flow(USUAL(state), &s);
			assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_TO_TC), 1);

			/* what tc then does */
			run_tc(USUAL(state), PROG_TC_INGRESS, DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, TC_ACT_REDIRECT);
			expect_flow(USUAL(state), &s);

			/* and the next packet takes the same way: known, but still tc's */
			s.flags = ACK;
			assert_int_equal(xdp(USUAL(state), &s, &r), XDP_PASS);
			assert_int_equal(r.mark, MARK_FOR_TC);
			assert_int_equal(expect_flow(USUAL(state), &s).packets, 1);
		}
}

/* A packet that no XDP program marked is none of fl_tc_from_xdp's business. */
static void test_second_stage_wants_the_mark(void **state)
{
	const struct scene scene = {.proto = IPPROTO_TCP, .place = AT_TC};
	struct frontend fe[SCENE_FRONTENDS];
	struct result r;
	struct frame in;
	struct spec s;

	scene_set(USUAL(state), &scene, fe);
	s = client_spec(USUAL(state), FL_IPV4, IPPROTO_TCP, 10, 4000, &fe[0]);
	frame_build(&s, &in);
	run_tc(USUAL(state), PROG_TC_FROM_XDP, DEV_EXT0, &in, &r);
	assert_int_equal(r.verdict, TC_ACT_UNSPEC);
	expect_untouched(&r, &in, "no mark");
	expect_no_flow(USUAL(state), &s);
}

int remote_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request_is_sent_on),
		cmocka_unit_test(test_request_is_sent_on_by_tc),
		cmocka_unit_test(test_reply_goes_to_the_client),
		cmocka_unit_test(test_conversation_asks_the_way_once),
		cmocka_unit_test(test_epoch_makes_ways_be_asked_again),
		cmocka_unit_test(test_next_hop_of_a_stranger_is_not_used),
		cmocka_unit_test(test_handed_to_tc),
		cmocka_unit_test(test_second_stage_wants_the_mark),
	};

	return run_topic("remote backends", tests, N(tests), world);
}
