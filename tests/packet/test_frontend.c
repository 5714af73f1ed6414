// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which address and port is a service's: rules 2.1 to 2.6, 2.19, 2.20, 2.22. */
#include "tests/packet/packet.h"

#include <string.h>

static void test_frontends_of_each_type_forward(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		for (int i = 0; i < SCENE_FRONTENDS; i++) {
			struct spec s = client_spec(USUAL(state), scene.family, scene.proto, 10,
						    (uint16_t)(4000 + i), &fe[i]);
			struct result r;

			assert_int_equal(xdp(USUAL(state), &s, &r), XDP_TX);
			expect_flow(USUAL(state), &s);
		}
		assert_int_equal(plane_count(USUAL(state), scene.family), SCENE_FRONTENDS);
		assert_int_equal(plane_counter(USUAL(state), FL_COUNTER_FLOW_NEW), SCENE_FRONTENDS);
	}
}

/* 2.9, 2.12: every address of the node that the agent lists, and no other. */
static void test_node_port_on_each_local_address(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct {
			struct fl_ip ip;
			uint32_t flags;
			int verdict;
		} rows[] = {
			{addr(scene.family, AT_EXT0, 1), FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS,
			 XDP_TX},
			{addr(scene.family, AT_EXT1, 1), FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS,
			 XDP_TX},
			{addr(scene.family, AT_VIP, 99), FL_LOCAL_NODE, XDP_PASS},
			{addr(scene.family, AT_EXT0, 2), 0, XDP_PASS}, /* another node's, 2.20 */
		};

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		for (size_t i = 0; i < N(rows); i++) {
			struct frontend to = {FL_FRONTEND_NODE_PORT, rows[i].ip, NODE_PORT};
			struct spec s =
				client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &to);
			struct result r;

			if (rows[i].flags)
				local_add(USUAL(state), &rows[i].ip, rows[i].flags);
			assert_int_equal(xdp(USUAL(state), &s, &r), rows[i].verdict);
			if (rows[i].verdict == XDP_PASS)
				expect_packet(&r, &s, "not a node port address");
		}
	}
}

/* 2.19: an external IP that is the node's own address, at the number of a node port. */
static void test_service_address_beats_node_port(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct fl_ip other = addr(scene.family, AT_TX, 7);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_flow flow;
		struct result r;
		struct spec s;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		backend_add(USUAL(state), 7, &other, 9, scene.proto, 0);
		service_add(USUAL(state), &(struct service){
						  .id = 2,
						  .type = FL_FRONTEND_EXTERNAL_IP,
						  .ip = fe[3].ip,
						  .port = NODE_PORT,
						  .proto = scene.proto,
						  .flags = MASQUERADE_ALL,
						  .ids = {{7}, {7}},
					  });
		s = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &fe[3]);
		assert_int_equal(xdp(USUAL(state), &s, &r), XDP_TX);
		flow = expect_flow(USUAL(state), &s);
		assert_true(fl_ip_equal(&flow.backend, &other));
		assert_int_equal(flow.backend_port, 9);
	}
}

struct unknown {
	const char *what;
	enum place place;
	unsigned int host;
	uint16_t port;
	uint8_t flags;
	int verdict;
};

/* 2.22, and what stays alone: only packets that begin a flow are answered. */
static void test_unknown_ports(void **state)
{
	static const struct unknown rows[] = {
		{"cluster IP, SYN", AT_SERVICE, 10, 81, SYN, XDP_TX},
		{"cluster IP, ACK", AT_SERVICE, 10, 81, ACK, XDP_PASS},
		{"cluster IP, SYN and ACK", AT_SERVICE, 10, 81, SYN | ACK, XDP_PASS},
		{"cluster IP, RST", AT_SERVICE, 10, 81, RST, XDP_PASS},
		{"node port", AT_EXT0, 1, 30081, SYN, XDP_PASS},
		{"service port of the node's address", AT_EXT0, 1, SERVICE_PORT, SYN, XDP_PASS},
		{"address of no service", AT_SERVICE, 11, SERVICE_PORT, SYN, XDP_PASS},
		{"foreign address", AT_FOREIGN, 1, SERVICE_PORT, SYN, XDP_PASS},
	};

	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, NULL);
		for (size_t i = 0; i < N(rows); i++) {
			const struct unknown *row = &rows[i];
			struct frontend to = {.ip = addr(scene.family, row->place, row->host),
					      .port = row->port};
			struct spec s =
				client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &to);
			struct frame want;
			struct result r;

			if (scene.proto == IPPROTO_UDP && row->flags != SYN)
				continue;
			s.flags = row->flags;
			assert_int_equal(xdp(USUAL(state), &s, &r), row->verdict);
			if (row->verdict == XDP_PASS)
				frame_build(&s, &want);
			else
				frame_build_icmp(&s, ICMP_PORT_UNREACHABLE, 0, &want);
			frame_expect(&r.out, &want, row->what);
		}
		assert_int_equal(plane_counter(USUAL(state), FL_REASON_REJECT_UNKNOWN_PORT), 1);
		assert_int_equal(plane_count(USUAL(state), scene.family), 0);
	}
}

/* 2.22 switched off: as iptables mode does. */
static void test_unknown_port_passes_when_not_rejecting(void **state)
{
	const struct scene scene = {.proto = IPPROTO_TCP, .place = AT_POD};
	struct frontend to = {.ip = addr(FL_IPV4, AT_SERVICE, 10), .port = 81};
	struct spec s = client_spec(SMALL(state), FL_IPV4, IPPROTO_TCP, 10, 4000, &to);
	struct result r;

	scene_set(SMALL(state), &scene, NULL);
	assert_int_equal(xdp(SMALL(state), &s, &r), XDP_PASS);
	expect_packet(&r, &s, "not rejected");
}

/* 1.10: TCP and UDP at one port are two services. */
static void test_protocols_are_told_apart(void **state)
{
	const struct scene scene = {.proto = IPPROTO_TCP, .place = AT_TX};
	struct frontend fe[SCENE_FRONTENDS];
	struct result r;

	scene_set(USUAL(state), &scene, fe);
	for (int i = 0; i < SCENE_FRONTENDS; i++) {
		struct spec s = client_spec(USUAL(state), FL_IPV4, IPPROTO_UDP, 10, 4000, &fe[i]);
		bool node_port = fe[i].type == FL_FRONTEND_NODE_PORT;

		assert_int_equal(xdp(USUAL(state), &s, &r), node_port ? XDP_PASS : XDP_TX);
	}
	assert_int_equal(plane_counter(USUAL(state), FL_REASON_REJECT_UNKNOWN_PORT), 3);
}

/* A frontend without a live choice in its table: the agent and the datapath disagree. */
static void test_backend_that_is_not_there_is_a_named_drop(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct spec s;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		memset(&USUAL(state)->maps.backends[1], 0, sizeof(struct fl_backend));
		s = client_spec(USUAL(state), scene.family, scene.proto, 10, 4000, &fe[0]);
		assert_int_equal(xdp(USUAL(state), &s, &r), XDP_DROP);
		assert_int_equal(plane_counter(USUAL(state), FL_REASON_NO_BACKEND), 1);
		expect_no_flow(USUAL(state), &s);
	}
}

int frontend_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frontends_of_each_type_forward),
		cmocka_unit_test(test_node_port_on_each_local_address),
		cmocka_unit_test(test_service_address_beats_node_port),
		cmocka_unit_test(test_unknown_ports),
		cmocka_unit_test(test_unknown_port_passes_when_not_rejecting),
		cmocka_unit_test(test_protocols_are_told_apart),
		cmocka_unit_test(test_backend_that_is_not_there_is_a_named_drop),
	};

	return run_topic("frontends", tests, N(tests), world);
}
