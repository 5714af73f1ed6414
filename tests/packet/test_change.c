// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What becomes of flows when their service changes under them: rules 5.7.3, 7.1 to 7.3, 7.8, design
 * section 4. */
#include "tests/packet/packet.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

/* Give every frontend of the scene the one backend `id`; 0: none, which rejects. */
static void move_service(struct plane *p, const struct scene *scene, const struct frontend *fe,
			 uint32_t id)
{
	const struct fl_ip none = {.b = {0}};

	for (int i = 0; i < SCENE_FRONTENDS; i++) {
		bool node_port = fe[i].type == FL_FRONTEND_NODE_PORT;

		service_add(p, &(struct service){
				       .id = 1,
				       .type = fe[i].type,
				       .family = scene->family,
				       .ip = node_port ? none : fe[i].ip,
				       .port = fe[i].port,
				       .proto = scene->proto,
				       .flags = MASQUERADE_ALL,
				       .ids = {{id}, {id}},
			       });
	}
}

static void delete_node_port(struct plane *p, const struct scene *scene)
{
	struct fl_frontend_key key = {.port = htons(NODE_PORT), .proto = scene->proto};

	if (scene->family == FL_IPV4)
		key.addr.w[2] = htonl(0xffff);
	assert_int_equal(bpf_map_delete_elem(p->maps.frontends_fd, &key), 0);
}

static const enum place places[] = {AT_POD, AT_TX};

/* The endpoint goes, the service has another: datagrams move at once, streams stay. */
static void test_backend_goes(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(places); i++) {
			struct scene scene = scene_of(&kinds[k], places[i]);
			bool udp = scene.proto == IPPROTO_UDP;
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct fl_flow flow;
			struct result r;
			struct talk t;
			uint32_t old;

			scene.backends = 2;
			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[0], 10, 4000);
			talk_establish(&t);
			old = expect_flow(p, &t.client).backend_id;
			backend_remove(p, old);
			move_service(p, &scene, fe, 3 - old);
			talk_send(&t, ACK, &r);
			flow = expect_flow(p, &t.client);
			assert_int_equal(flow.backend_id, udp ? 3 - old : old);
			assert_int_equal(flow.state, udp ? FL_FLOW_NEW : FL_FLOW_ESTABLISHED);
			assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_RESTEERED), udp);
			assert_int_equal(plane_count(p, scene.family), 1);
			talk_send(&t, ACK, &r);
			assert_int_equal(plane_counter(p, FL_COUNTER_FLOW_RESTEERED), udp);
		}
}

/* The id was given to another endpoint: who remembers the old generation does not get the new
 * one's. */
static void test_id_is_given_to_another(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (size_t i = 0; i < N(places); i++) {
			const struct scene scene = scene_of(&kinds[k], places[i]);
			struct fl_ip other = addr(scene.family, places[i], 7);
			bool udp = scene.proto == IPPROTO_UDP;
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct fl_ip before;
			struct result r;
			struct talk t;

			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[0], 10, 4000);
			talk_establish(&t);
			before = t.inner.dst;
			backend_add(p, 1, &other, BACKEND_PORT, scene.proto,
				    places[i] == AT_POD ? FL_BACKEND_LOCAL : 0);
			talk_send(&t, ACK, &r);
			assert_true(fl_ip_equal(&t.inner.dst, udp ? &other : &before));
		}
}

/* Replies of an endpoint that is gone still find their way: it may finish what it was asked. */
static void test_reply_of_a_removed_backend(void **state)
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
		backend_remove(p, 1);
		assert_int_equal(talk_reply(&t, ACK, &r), XDP_TX);
		assert_int_equal(talk_state(&t), FL_FLOW_ESTABLISHED);
	}
}

/* 5.7.3: verdicts are for new flows; what is open goes on. */
static void test_last_backend_goes(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (int deleted = 0; deleted < 2; deleted++) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			bool udp = scene.proto == IPPROTO_UDP;
			struct plane *p = USUAL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct frame want;
			struct result r;
			struct talk t;

			plane_reset(p);
			scene_set(p, &scene, fe);
			t = talk_begin(p, &scene, &fe[3], 10, 4000);
			talk_establish(&t);
			backend_remove(p, 1);
			move_service(p, &scene, fe, 0);
			if (deleted)
				delete_node_port(p, &scene);
			talk_send(&t, ACK, &r);
			if (!udp) {
				assert_int_equal(r.verdict, XDP_TX);
				assert_int_equal(talk_state(&t), FL_FLOW_ESTABLISHED);
				continue;
			}
			expect_no_flow(p, &t.client);
			assert_int_equal(r.verdict, deleted ? XDP_PASS : XDP_TX);
			if (deleted)
				frame_build(&t.client, &want);
			else
				frame_build_icmp(&t.client, ICMP_PORT_UNREACHABLE, 0, &want);
			frame_expect(&r.out, &want, "no flow any more");
		}
}

/* 5.1.2: the choice sticks whatever the list becomes, as long as its backend is there. */
static void test_more_backends_move_nobody(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_ip before[40];
		struct result r;
		struct talk t[N(before)];

		scene.backends = 2;
		plane_reset(p);
		scene_set(p, &scene, fe);
		for (size_t i = 0; i < N(t); i++) {
			t[i] = talk_begin(p, &scene, &fe[0], 10, (uint16_t)(4000 + i));
			talk_establish(&t[i]);
			before[i] = t[i].inner.dst;
		}
		for (uint32_t id = 3; id < MAX_IDS; id++) {
			struct fl_ip ip = addr(scene.family, AT_TX, id);

			backend_add(p, id, &ip, BACKEND_PORT, scene.proto, 0);
		}
		service_add(p, &(struct service){
				       .id = 1,
				       .type = FL_FRONTEND_CLUSTER_IP,
				       .ip = fe[0].ip,
				       .port = fe[0].port,
				       .proto = scene.proto,
				       .flags = MASQUERADE_ALL,
				       .ids = {{7, 6, 5, 4, 3, 2, 1}, {7, 6, 5, 4, 3, 2, 1}}});
		for (size_t i = 0; i < N(t); i++) {
			talk_send(&t[i], ACK, &r);
			assert_true(fl_ip_equal(&t[i].inner.dst, &before[i]));
		}
	}
}

/* 5.1.1: new flows spread over all backends. */
static void test_flows_spread(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		unsigned int hits[6] = {0};

		scene.backends = 5;
		plane_reset(p);
		scene_set(p, &scene, fe);
		for (uint16_t i = 0; i < 500; i++) {
			struct spec s = client_spec(p, scene.family, scene.proto, 10 + i % 7,
						    (uint16_t)(4000 + i), &fe[0]);
			struct result r;

			xdp(p, &s, &r);
			hits[expect_flow(p, &s).backend_id]++;
		}
		for (int i = 1; i <= 5; i++)
			assert_in_range(hits[i], 60, 140);
	}
}

int change_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backend_goes),
		cmocka_unit_test(test_id_is_given_to_another),
		cmocka_unit_test(test_reply_of_a_removed_backend),
		cmocka_unit_test(test_last_backend_goes),
		cmocka_unit_test(test_more_backends_move_nobody),
		cmocka_unit_test(test_flows_spread),
	};

	return run_topic("changes of a service", tests, N(tests), world);
}
