// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets of ours that cannot be sent on: each under its name, none silently, none recorded. */
#include "nodeport/next_hop.h"
#include "tests/packet/packet.h"

#include <bpf/bpf.h>

struct row {
	enum place place;
	uint8_t ttl;
	int verdict;
	enum fl_reason reason;
};

static const struct row rows[] = {
	{AT_TX, 1, XDP_DROP, FL_REASON_TTL_EXCEEDED},
	{AT_REDIRECT, 1, XDP_DROP, FL_REASON_TTL_EXCEEDED},
	{AT_TC, 1, XDP_DROP, FL_REASON_TTL_EXCEEDED},
	{AT_TX, 0, XDP_DROP, FL_REASON_TTL_EXCEEDED},
	{AT_NOWHERE, 64, XDP_DROP, FL_REASON_NO_ROUTE},
	{AT_TX, 2, XDP_TX, FL_REASON_NONE},
	{AT_POD, 1, XDP_PASS, FL_REASON_NONE}, /* the stack counts it down, not we */
};

static void set_ttl(struct frame *f, enum fl_family family, uint8_t ttl)
{
	if (family == FL_IPV6) {
		f->b[ETH_HLEN + 7] = ttl;
		return;
	}
	f->b[ETH_HLEN + 8] = ttl;
	f->b[ETH_HLEN + 10] = f->b[ETH_HLEN + 11] = 0;
	uint16_t sum = (uint16_t)~sum16(0, f->b + ETH_HLEN, 20);

	f->b[ETH_HLEN + 10] = sum >> 8;
	f->b[ETH_HLEN + 11] = (uint8_t)sum;
}

static void test_new_flows(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(rows); i++) {
			const struct scene scene = scene_of(&kinds[k], rows[i].place);
			struct frontend fe[SCENE_FRONTENDS];
			struct result r;
			struct frame in;
			struct spec s;

			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			s = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &fe[0]);
			frame_build(&s, &in);
			set_ttl(&in, scene.family, rows[i].ttl);
			run_xdp(USUAL(state), DEV_EXT0, &in, &r);
			assert_int_equal(r.verdict, rows[i].verdict);
			if (rows[i].verdict != XDP_DROP)
				continue;
			expect_no_flow(USUAL(state), &s);
			assert_int_equal(plane_counter(USUAL(state), rows[i].reason), 1);
		}
}

/* Established flows too, in both directions. */
static void test_ttl_of_known_flows(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct talk t;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		t.client.ttl = 1;
		assert_int_equal(talk_send(&t, ACK, &r), XDP_DROP);
		t.inner.ttl = 1;
		assert_int_equal(talk_reply(&t, ACK, &r), XDP_DROP);
		assert_int_equal(plane_counter(USUAL(state), FL_REASON_TTL_EXCEEDED), 2);
		t.client.ttl = 2;
		assert_int_equal(talk_send(&t, ACK, &r), XDP_TX);
	}
}

/* The route of a flow goes while it lives. */
static void test_route_of_a_known_flow_goes(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_NOWHERE);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_device device = {.flags = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL};
		struct fl_flow flow;
		struct result r;
		struct spec s;

		plane_reset(p);
		scene_set(p, &scene, fe);
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		/* as if there had been a route: the backend remembers a way */
		p->maps.next_hops[1] = (struct fl_next_hop){
			.word = 2,
			.epoch = p->maps.meta->next_hop_epoch + 1,
			.stamp = plane_now(p),
			.ifindex = p->net->ifindex[DEV_EXT0],
			.mtu = 1500,
			.flags = (uint16_t)device.flags,
		};
		p->maps.backends[1].next_hop = 1;
		p->maps.backends[1].next_hop_generation = 1;
		assert_int_equal(xdp(p, &s, &r), XDP_TX);
		flow = expect_flow(p, &s);
		assert_int_equal(flow.state, FL_FLOW_NEW);
		fl_next_hops_forget(p->maps.meta, p->maps.next_hops, p->maps.n_next_hops);
		assert_int_equal(xdp(p, &s, &r), XDP_DROP);
		assert_int_equal(plane_counter(p, FL_REASON_NO_ROUTE), 1);
	}
}

static void test_no_address_to_masquerade_with(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = SMALL(state); /* has no node address to fall back on */
		struct fl_device device = {.flags = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL,
					   .mtu = 1500};
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct spec s;

		plane_reset(p);
		scene_set(p, &scene, fe);
		assert_int_equal(bpf_map_update_elem(p->maps.devices_fd, &p->net->ifindex[DEV_EXT0],
						     &device, 0),
				 0);
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		assert_int_equal(xdp(p, &s, &r), XDP_DROP);
		assert_int_equal(plane_counter(p, FL_REASON_NO_MASQUERADE_ADDRESS), 1);
		expect_no_flow(p, &s);
	}
}

/* Too big for the way out: answered from the frontend's address with the MTU of the route. */
static void test_too_big_is_answered(void **state)
{
	static const struct {
		uint16_t over; /* bytes above the MTU */
		bool answered;
	} sizes[] = {{0, false}, {1, true}, {90, true}};

	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(sizes); i++) {
			const struct scene scene = scene_of(&kinds[k], AT_NARROW);
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct frame want;
			struct result r;
			struct spec s;

			plane_reset(p);
			scene_set(p, &scene, fe);
			s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[3]);
			s.payload = 0;
			s.payload =
				(uint16_t)(NARROW_MTU + sizes[i].over - (frame_len(&s) - ETH_HLEN));
			xdp(p, &s, &r);
			if (!sizes[i].answered) {
				assert_int_equal(r.verdict, XDP_REDIRECT);
				assert_int_equal(plane_counter(p, FL_REASON_TOO_BIG), 0);
				continue;
			}
			assert_int_equal(r.verdict, XDP_TX);
			frame_build_icmp(&s, ICMP_PACKET_TOO_BIG, NARROW_MTU, &want);
			frame_expect(&r.out, &want, "too big");
			assert_int_equal(plane_counter(p, FL_REASON_TOO_BIG), 1);
			expect_no_flow(p, &s);

			/* the same by tc */
			frame_build(&s, &want);
			run_tc(p, PROG_TC_INGRESS, DEV_EXT0, &want, &r);
			assert_int_equal(r.verdict, TC_ACT_REDIRECT);
			frame_build_icmp(&s, ICMP_PACKET_TOO_BIG, NARROW_MTU, &want);
			frame_expect(&r.out, &want, "too big, by tc");

			/* small again: the flow is made */
			s.payload = 100;
			assert_int_equal(xdp(p, &s, &r), XDP_REDIRECT);
			expect_flow(p, &s);
		}
}

/* Known flows are held to the MTU as well; where it is not checked (GRO), big packets go on. */
static void test_too_big_on_known_flows(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (int checked = 0; checked < 2; checked++) {
			const struct scene scene = scene_of(&kinds[k], AT_NARROW);
			struct plane *p = checked ? USUAL(state) : SMALL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct frame want;
			struct result r;
			struct talk t;

			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[0], 10, 4000);
			t.back = DEV_EXT1;
			talk_establish(&t);
			t.client.payload = 1440;
			talk_send(&t, ACK, &r);
			if (checked) {
				assert_int_equal(r.verdict, XDP_TX);
				frame_build_icmp(&t.client, ICMP_PACKET_TOO_BIG, NARROW_MTU, &want);
				frame_expect(&r.out, &want, "too big");
			} else {
				assert_int_equal(r.verdict, XDP_REDIRECT);
			}
			assert_int_equal(talk_state(&t), FL_FLOW_ESTABLISHED);
		}
}

int unroutable_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_flows),
		cmocka_unit_test(test_ttl_of_known_flows),
		cmocka_unit_test(test_route_of_a_known_flow_goes),
		cmocka_unit_test(test_no_address_to_masquerade_with),
		cmocka_unit_test(test_too_big_is_answered),
		cmocka_unit_test(test_too_big_on_known_flows),
	};

	return run_topic("unroutable", tests, N(tests), world);
}
