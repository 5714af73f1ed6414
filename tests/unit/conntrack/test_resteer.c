/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* 7.1 to 7.3: UDP flows and sockets of a Service leave an endpoint that it has lost, and no others
 * do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>
#include <cmocka.h>

#include "conntrack/resteer.h"
#include "conntrack/sockets.h"
#include "tests/unit/conntrack/table_fixture.h"

#define OURS 4	/* the service port of 10.96.0.1:80 and fd96::1:80 */
#define OTHER 5 /* has the same backend, and keeps it */

static size_t asked;

static uint32_t service_at(const struct fl_addr *addr, __be16 port, void *arg)
{
	struct fl_addr ours4 = {.w = {0, 0, htonl(0xffff), htonl(0x0a600001)}};
	const struct fl_addr ours6 = v6("fd96::1");

	asked++;
	if (port != htons(80))
		return 0;
	return !memcmp(addr, &ours4, sizeof(ours4)) || !memcmp(addr, &ours6, sizeof(ours6)) ? OURS
											    : OTHER;
}

static struct fl_lost_backends backends;
static const struct fl_lost lost = {&backends, service_at, NULL};

static int setup(void **state)
{
	asked = 0;
	fl_lost_backends_clear(&backends);
	return 0;
}

static int teardown(void **state)
{
	fl_lost_backends_clear(&backends);
	return 0;
}

static void lose(uint32_t service_id, uint32_t backend, uint16_t generation)
{
	struct fl_lost_backend one = {service_id, backend, generation};

	assert_int_equal(fl_lost_backends_add(&backends, &one), 0);
}

static void test_7_3_udp_flows_leave_a_lost_backend(void **state)
{
	struct fixture f;

	lose(OURS, 7, 3);
	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 0, 9, IPPROTO_UDP, FL_FLOW_ESTABLISHED, NOW, NOW,
					.client_port = 1});
	fixture_pair(&f, &(struct pair){FL_IPV6, 4, 2, IPPROTO_UDP, FL_FLOW_NEW, NOW, NOW,
					.client_port = 2});
	fixture_pair(&f, &(struct pair){FL_IPV4, 3, 1, IPPROTO_TCP, FL_FLOW_ESTABLISHED, NOW, NOW,
					.client_port = 3});
	assert_int_equal(fl_flow_resteer(&f.table, NOW, &lost), 2);
	/* the client's next packet chooses again */
	assert_true(fixture_head(&f, FL_IPV4, 0)->flags & FL_FLOW_STALE);
	assert_true(fixture_head(&f, FL_IPV6, 4)->flags & FL_FLOW_STALE);
	/* a reply that is under way still gets home */
	assert_false(fixture_head(&f, FL_IPV4, 9)->flags & FL_FLOW_STALE);
	assert_int_equal(fixture_state(&f, FL_IPV4, 0), FL_FLOW_ESTABLISHED);
	/* 7.8: TCP stays */
	assert_false(fixture_head(&f, FL_IPV4, 3)->flags & FL_FLOW_STALE);
	assert_int_equal(fl_flow_resteer(&f.table, NOW, &lost), 0);
}

static void test_7_3_other_services_keep_the_backend(void **state)
{
	struct fixture f;

	lose(OTHER, 7, 3);
	fixture_init(&f);
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 0, 9, IPPROTO_UDP, FL_FLOW_ESTABLISHED, NOW, NOW, 0});
	assert_int_equal(fl_flow_resteer(&f.table, NOW, &lost), 0);
	assert_int_equal(asked, 1);
}

static void test_7_3_flows_of_other_backends_stay(void **state)
{
	struct fixture f;

	lose(OURS, 6, 3);
	lose(OURS, 8, 3);
	fixture_init(&f);
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 0, 9, IPPROTO_UDP, FL_FLOW_ESTABLISHED, NOW, NOW, 0});
	assert_int_equal(fl_flow_resteer(&f.table, NOW, &lost), 0);
	assert_int_equal(asked, 0); /* the frontend is looked up for the few that matter only */
}

static void test_many_service_ports_lose_many_backends(void **state)
{
	const struct fl_addr ours = v6("fd96::1"), theirs = v6("fd96::2");

	for (uint32_t i = 300; i > 0; i--) {
		lose(i % 2 ? OURS : OTHER, i / 2, 3);
		lose(100 + i, i / 2, 3);
	}
	for (uint32_t i = 1; i < 150; i++) {
		assert_true(fl_lost_has(&lost, i, 3, &ours, htons(80)));
		assert_true(fl_lost_has(&lost, i, 3, &theirs, htons(80)));
		assert_true(fl_lost_has(&lost, i, 0, &ours, htons(80)));
		assert_false(fl_lost_has(&lost, i, 4, &ours, htons(80)));
		assert_false(fl_lost_has(&lost, i, 3, &ours, htons(81)));
	}
	assert_true(fl_lost_has(&lost, 0, 3, &ours, htons(80)));
	assert_false(fl_lost_has(&lost, 0, 3, &theirs, htons(80)));
	assert_false(fl_lost_has(&lost, 151, 3, &ours, htons(80)));
	lose(OURS, 151, 3);
	assert_true(fl_lost_has(&lost, 151, 3, &ours, htons(80)));
}

static struct fl_socket_key socket_key(uint64_t cookie, uint8_t proto, uint8_t direction)
{
	struct fl_socket_key key = {.cookie = cookie,
				    .addr = v6("fd96::1"),
				    .port = htons(80),
				    .proto = proto,
				    .direction = direction};

	return key;
}

static const struct {
	uint8_t proto, direction;
	uint32_t backend;
	uint16_t generation;
	bool leaves;
} sockets[] = {
	{IPPROTO_UDP, FL_SOCKET_FORWARD, 7, 3, true},
	{IPPROTO_UDP, FL_SOCKET_REVERSE, 7, 3, false},
	{IPPROTO_TCP, FL_SOCKET_FORWARD, 7, 3, false},
	{IPPROTO_UDP, FL_SOCKET_FORWARD, 7, 4, false},
	{IPPROTO_UDP, FL_SOCKET_FORWARD, 8, 3, false},
};

#define N_SOCKETS (sizeof(sockets) / sizeof(sockets[0]))

static void test_only_what_unconnected_sockets_keep_is_forgotten(void **state)
{
	lose(OURS, 7, 3);
	for (size_t i = 0; i < N_SOCKETS; i++) {
		struct fl_socket_key key = socket_key(1, sockets[i].proto, sockets[i].direction);
		struct fl_socket_peer peer = {.backend = sockets[i].backend,
					      .generation = sockets[i].generation};

		assert_int_equal(fl_socket_wants(&key, &peer, &lost), sockets[i].leaves);
	}
}

static void test_sockets_in_a_map_of_the_kernel(void **state)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_LRU_HASH, "fl_test", sizeof(struct fl_socket_key),
				sizeof(struct fl_socket_peer), 32768, NULL);
	const uint64_t each = 1000; /* more than one batch */
	size_t n;

	if (fd < 0 && errno == EPERM) {
		print_message("SKIP: making BPF maps needs CAP_BPF\n");
		skip();
	}
	assert_true(fd >= 0);
	lose(OURS, 7, 3);
	for (uint64_t i = 0; i < each * N_SOCKETS; i++) {
		struct fl_socket_key key = socket_key(i, sockets[i % N_SOCKETS].proto,
						      sockets[i % N_SOCKETS].direction);
		struct fl_socket_peer peer = {.backend = sockets[i % N_SOCKETS].backend,
					      .generation = sockets[i % N_SOCKETS].generation};

		assert_int_equal(bpf_map_update_elem(fd, &key, &peer, 0), 0);
	}
	assert_int_equal(fl_sockets_resteer(fd, &lost, &n), 0);
	assert_int_equal(n, each);
	for (uint64_t i = 0; i < each * N_SOCKETS; i++) {
		struct fl_socket_key key = socket_key(i, sockets[i % N_SOCKETS].proto,
						      sockets[i % N_SOCKETS].direction);
		struct fl_socket_peer peer;

		assert_int_equal(bpf_map_lookup_elem(fd, &key, &peer) != 0,
				 sockets[i % N_SOCKETS].leaves);
	}
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_7_3_udp_flows_leave_a_lost_backend, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_7_3_other_services_keep_the_backend, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_7_3_flows_of_other_backends_stay, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_many_service_ports_lose_many_backends, setup,
						teardown),
		cmocka_unit_test_setup_teardown(
			test_only_what_unconnected_sockets_keep_is_forgotten, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sockets_in_a_map_of_the_kernel, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
