// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Source ports for masqueraded flows (design section 6, rule 5.3.4): from the allowed ranges only,
 * none twice towards one backend, none that a socket of this node has, and every one of them before
 * a refusal.
 */
#include "tests/packet/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bind a socket to our address and port; TCP ones listen. Returns its descriptor. */
static int bind_socket(const struct kind *kind, const struct fl_ip *ip, uint16_t port)
{
	int type = kind->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, r;
	int fd = socket(kind->family == FL_IPV4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memcpy(&sin.sin_addr, ip->b + 12, 4);
	memcpy(&sin6.sin6_addr, ip->b, 16);
	r = kind->family == FL_IPV4 ? bind(fd, (struct sockaddr *)&sin, sizeof(sin))
				    : bind(fd, (struct sockaddr *)&sin6, sizeof(sin6));
	if (fd < 0 || r || (kind->proto == IPPROTO_TCP && listen(fd, 1)))
		fail_msg("cannot bind port %u: %s", port, strerror(errno));
	return fd;
}

/* Both directions get a state. */
static void set_state(struct plane *p, const struct fl_flow *flow, enum fl_flow_state state)
{
	const uint32_t slots[] = {flow->slot, flow->reply_slot};

	for (size_t i = 0; i < N(slots); i++) {
		struct fl_flow_head *head = plane_head(p, flow->family, slots[i]);

		head->word = (head->word & ~FL_FLOW_STATE_MASK) | state;
	}
}

/* Establish flows from many clients until one is refused; returns how many there are. */
static unsigned int exhaust(struct plane *p, const struct kind *kind, const struct frontend *fe,
			    unsigned int host, bool seen[65536])
{
	unsigned int n = 0;

	for (; n < 2 * SMALL_PORTS; n++) {
		struct spec s = client_spec(p, kind->family, kind->proto, host + n % 5,
					    (uint16_t)(1000 + n * 31 + host), fe);
		struct fl_flow flow;
		struct result r;

		if (xdp(p, &s, &r) == XDP_DROP) {
			assert_int_equal(plane_counter(p, FL_REASON_NO_SOURCE_PORT), 1);
			expect_no_flow(p, &s);
			return n;
		}
		assert_int_equal(r.verdict, XDP_TX);
		flow = expect_flow(p, &s);
		assert_true(plane_may_use_port(p, flow.source_port));
		assert_false(seen[flow.source_port]);
		seen[flow.source_port] = true;
		set_state(p, &flow, FL_FLOW_ESTABLISHED);
	}
	fail_msg("more flows than ports");
	return 0;
}

static void test_nearly_all_ports_are_used_before_a_refusal(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (unsigned int host = 1; host < 200; host += 20) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct frontend fe[SCENE_FRONTENDS];
			bool seen[65536] = {false};
			unsigned int n;

			plane_reset(SMALL(state));
			scene_set(SMALL(state), &scene, fe);
			n = exhaust(SMALL(state), &kinds[k], &fe[0], host, seen);
			assert_in_range(n, SMALL_PORTS * 95 / 100, SMALL_PORTS);
		}
}

/* All ports taken towards one backend are free towards another. */
static void test_ports_are_counted_per_backend(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct fl_ip other = addr(scene.family, AT_TX, 2);
		struct plane *p = SMALL(state);
		struct frontend fe[SCENE_FRONTENDS];
		bool seen[65536] = {false};
		struct result r;
		struct spec s;

		plane_reset(p);
		scene_set(p, &scene, fe);
		exhaust(p, &kinds[k], &fe[0], 1, seen);
		backend_add(p, 2, &other, BACKEND_PORT, scene.proto, 0);
		service_add(p, &(struct service){.id = 2,
						 .type = FL_FRONTEND_CLUSTER_IP,
						 .ip = addr(scene.family, AT_SERVICE, 12),
						 .port = SERVICE_PORT,
						 .proto = scene.proto,
						 .flags = MASQUERADE_ALL,
						 .ids = {{2}, {2}}});
		fe[0].ip = addr(scene.family, AT_SERVICE, 12);
		s = client_spec(p, scene.family, scene.proto, 10, 999, &fe[0]);
		assert_int_equal(xdp(p, &s, &r), XDP_TX);
	}
}

/* A flow that is over gives its port back, without anybody sweeping. */
static void test_expired_flows_give_their_ports_back(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = SMALL(state);
		struct frontend fe[SCENE_FRONTENDS];
		bool seen[65536] = {false};
		struct talk t;
		uint32_t then;

		plane_reset(p);
		scene_set(p, &scene, fe);
		exhaust(p, &kinds[k], &fe[0], 1, seen);
		then = plane_now(p) - 86401 * p->config.hz;
		for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++)
			plane_head(p, scene.family, slot)->last_seen = then;
		for (uint16_t i = 0; i < 20; i++) {
			t = talk_begin(p, &scene, &fe[0], 200, (uint16_t)(5000 + i));
			talk_establish(&t);
		}
	}
}

/* The same client port at all frontends of a service, one backend: all of them work. */
static void test_collisions_get_other_ports(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = SMALL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct talk t[SCENE_FRONTENDS];

		plane_reset(p);
		scene_set(p, &scene, fe);
		for (int i = 0; i < SCENE_FRONTENDS; i++) {
			t[i] = talk_begin(p, &scene, &fe[i], 10, 4000);
			talk_establish(&t[i]);
			for (int j = 0; j < i; j++)
				assert_int_not_equal(t[i].inner.sport, t[j].inner.sport);
		}
		for (int i = 0; i < SCENE_FRONTENDS; i++) {
			struct result r;
			struct spec want;

			talk_reply(&t[i], ACK, &r);
			want = spec_reverse(&t[i].client);
			want.flags = ACK;
			want.ttl--;
			want.dst_mac = p->net->gateway_mac[AT_OUTSIDE];
			want.src_mac = p->net->mac[DEV_EXT0];
			expect_packet(&r, &want, "own frontend");
		}
	}
}

/* The first candidate is a function of the tuple: lost and made again, with others in between, it
 * is the same. */
static void test_first_candidate_is_the_same_again(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct frontend fe[SCENE_FRONTENDS];
		uint16_t ports[30];

		for (int round = 0; round < 2; round++) {
			plane_reset(USUAL(state));
			scene_set(USUAL(state), &scene, fe);
			for (uint16_t i = 0; i < N(ports); i++) {
				uint16_t n = (uint16_t)(round ? N(ports) - 1 - i : i);
				struct spec s = client_spec(USUAL(state), scene.family, scene.proto,
							    10, (uint16_t)(4000 + n), &fe[0]);
				struct fl_flow flow;
				struct result r;

				xdp(USUAL(state), &s, &r);
				flow = expect_flow(USUAL(state), &s);
				if (round && flow.source_port != ports[n])
					fail_msg("port %u, before it was %u", flow.source_port,
						 ports[n]);
				ports[n] = flow.source_port;
			}
		}
	}
}

static void test_ports_of_sockets_are_not_used(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = SMALL(state);
		const struct fl_port_range *range = &p->config.snat[0];
		struct fl_ip ours = addr(scene.family, AT_EXT0, 1);
		struct frontend fe[SCENE_FRONTENDS];
		bool seen[65536] = {false};
		int fds[SMALL_PORTS];
		unsigned int n;

		assert_true(range->count < N(fds));
		for (uint16_t i = 0; i < range->count; i++)
			fds[i] = bind_socket(&kinds[k], &ours, (uint16_t)(range->first + i));
		plane_reset(p);
		scene_set(p, &scene, fe);
		n = exhaust(p, &kinds[k], &fe[0], 1, seen);
		assert_in_range(n, (SMALL_PORTS - range->count) * 95 / 100,
				SMALL_PORTS - range->count);
		for (uint16_t i = 0; i < range->count; i++) {
			assert_false(seen[range->first + i]);
			close(fds[i]);
		}
	}
}

/*
 * While the agent says that the bind hooks see every socket, only ports they have seen are looked
 * at: a socket on one of those keeps it, one that they have not seen is not looked for. When it has
 * not said so for a while, every port is.
 */
static void test_only_bound_ports_are_looked_at(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (int way = 0; way < 4; way++) {
			bool seen_by_hook = way & 1, believed = way & 2;
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct plane *p = SMALL(state);
			const struct fl_port_range *range = &p->config.snat[0];
			struct fl_ip ours = addr(scene.family, AT_EXT0, 1);
			struct frontend fe[SCENE_FRONTENDS];
			bool seen[65536] = {false};
			uint16_t port = range->first;
			int fd = bind_socket(&kinds[k], &ours, port);

			plane_reset(p);
			scene_set(p, &scene, fe);
			p->maps.meta->bound_ports_stamp =
				plane_now(p) -
				(believed ? 0 : (FL_BOUND_PORTS_S + 1) * p->config.hz);
			if (seen_by_hook)
				p->maps.bound_ports[FL_BOUND_WORD(scene.proto, port)] |=
					1ULL << (port & 63);
			/* of a port without a socket the bit says nothing */
			p->maps.bound_ports[FL_BOUND_WORD(scene.proto, port + 1)] |=
				1ULL << ((port + 1) & 63);
			exhaust(p, &kinds[k], &fe[0], 1, seen);
			assert_int_equal(seen[port], believed && !seen_by_hook);
			assert_true(seen[port + 1]);
			close(fd);
		}
}

/* A local backend's client keeps its own address, so sockets of this node are nothing to it. */
static void test_unmasqueraded_flows_ignore_sockets(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_POD);
		struct fl_ip ours = addr(scene.family, AT_EXT0, 1);
		struct frontend fe[SCENE_FRONTENDS];
		struct result r;
		struct talk t;
		int fd = bind_socket(&kinds[k], &ours, 4000);

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		t = talk_begin(USUAL(state), &scene, &fe[0], 10, 4000);
		talk_send(&t, SYN, &r);
		assert_int_equal(t.inner.sport, 4000);
		close(fd);
	}
}

int snat_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nearly_all_ports_are_used_before_a_refusal),
		cmocka_unit_test(test_ports_are_counted_per_backend),
		cmocka_unit_test(test_expired_flows_give_their_ports_back),
		cmocka_unit_test(test_collisions_get_other_ports),
		cmocka_unit_test(test_first_candidate_is_the_same_again),
		cmocka_unit_test(test_ports_of_sockets_are_not_used),
		cmocka_unit_test(test_only_bound_ports_are_looked_at),
		cmocka_unit_test(test_unmasqueraded_flows_ignore_sockets),
	};

	return run_topic("source ports", tests, N(tests), world);
}
