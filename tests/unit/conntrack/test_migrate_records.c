// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Records of session affinity and of the node's own UDP flows on their way to maps that are laid
 * out otherwise, and in which services and backends have other numbers (robustness A4, 5.5.5).
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "conntrack/migrate_records.h"

#define LINES 64
#define BACKENDS 8

/* A datapath of another layout: everything lies elsewhere. */
struct their_line {
	uint32_t service;
	uint16_t port;
	uint8_t pad, proto;
	uint32_t word, other;
	struct fl_addr addr;
};

struct their_backend {
	uint16_t generation, port;
	uint8_t proto, pad[3];
	struct fl_addr addr;
};

struct their_client {
	uint32_t service;
	struct fl_addr client;
};

struct their_sticky {
	uint32_t last, other, backend;
	uint16_t pad, generation;
};

struct their_own {
	uint16_t sport, dport;
	struct fl_addr daddr, saddr;
};

#define PLACE(type, member)                                                                        \
	{                                                                                          \
		offsetof(type, member), sizeof(((type *)0)->member)                                \
	}

static const struct fl_records_layout theirs = {
	.version = FL_RECORDS_VERSION,
	.frontend_live = 0x80,
	.map = {[FL_RECORDS_AFFINITY] =
			{sizeof(struct their_client),
			 sizeof(struct their_sticky),
			 {PLACE(struct their_client, client),
			  PLACE(struct their_client, service),
			  {sizeof(struct their_client) + offsetof(struct their_sticky, backend), 4},
			  {sizeof(struct their_client) + offsetof(struct their_sticky, generation),
			   2},
			  {sizeof(struct their_client) + offsetof(struct their_sticky, last), 4}}},
		[FL_RECORDS_OWN_FLOWS] = {sizeof(struct their_own),
					  8,
					  {PLACE(struct their_own, saddr),
					   PLACE(struct their_own, daddr),
					   PLACE(struct their_own, sport),
					   PLACE(struct their_own, dport),
					   {sizeof(struct their_own) + 4, 4}}},
		[FL_RECORDS_FRONTENDS] = {4,
					  sizeof(struct their_line),
					  {PLACE(struct their_line, word),
					   PLACE(struct their_line, addr),
					   PLACE(struct their_line, port),
					   PLACE(struct their_line, proto),
					   PLACE(struct their_line, service)}},
		[FL_RECORDS_BACKENDS] = {4,
					 sizeof(struct their_backend),
					 {PLACE(struct their_backend, addr),
					  PLACE(struct their_backend, port),
					  PLACE(struct their_backend, proto),
					  PLACE(struct their_backend, generation)}}},
};

static const uint32_t their_sizes[FL_RECORDS_MAPS][2] = {
	{sizeof(struct their_client), sizeof(struct their_sticky)},
	{sizeof(struct their_own), 8},
	{4, sizeof(struct their_line)},
	{4, sizeof(struct their_backend)},
};

struct scene {
	struct their_line lines[LINES];
	struct their_backend backends[BACKENDS];
	struct fl_old_records old;
	struct fl_frontend_line our_lines[LINES];
	struct fl_frontend_table frontends;
	struct fl_backend our_backends[BACKENDS];
	struct fl_backend_ids backend_ids;
	struct fl_service_numbers services;
	struct fl_record_source source;
};

static struct fl_addr addr4(const char *text)
{
	struct fl_addr addr = {.w = {0, 0, htonl(0xffff), 0}};

	inet_pton(AF_INET, text, &addr.w[3]);
	return addr;
}

static void their_frontend(struct scene *s, int line, const char *addr, uint32_t service)
{
	s->lines[line] =
		(struct their_line){service, htons(80), 0, IPPROTO_TCP, 0x80, 0, addr4(addr)};
}

static void our_frontend(struct scene *s, const char *addr, uint32_t service)
{
	const struct fl_frontend_key key = {addr4(addr), htons(80), IPPROTO_TCP, 0};
	const struct fl_frontend value = {.service_id = service, .type = FL_FRONTEND_CLUSTER_IP};

	assert_int_equal(fl_frontend_table_put(&s->frontends, &key, &value), 0);
}

/* Service 7 of theirs is 30 of ours, backend 3 (10.1.0.3) is 5. */
static struct scene *setup(void)
{
	static struct scene s;

	memset(&s, 0, sizeof(s));
	s.frontends = fl_frontend_table_over(s.our_lines, LINES, 1);
	their_frontend(&s, 9, "10.96.0.7", 7);
	their_frontend(&s, 10, "192.0.2.7", 7);
	their_frontend(&s, 11, "10.96.0.8", 8);
	their_frontend(&s, 12, "10.96.0.9", 9);
	s.lines[12].word = 1; /* not in use */
	our_frontend(&s, "10.96.0.7", 30);
	our_frontend(&s, "192.0.2.7", 30);
	our_frontend(&s, "10.96.0.9", 31);
	s.backends[3] = (struct their_backend){2, htons(8080), IPPROTO_TCP, {0}, addr4("10.1.0.3")};
	s.backends[4] = (struct their_backend){1, htons(8080), IPPROTO_TCP, {0}, addr4("10.1.0.4")};
	s.our_backends[5] = (struct fl_backend){.addr = addr4("10.1.0.3"),
						.port = htons(8080),
						.generation = 9,
						.proto = IPPROTO_TCP,
						.flags = FL_BACKEND_LIVE};
	s.old = (struct fl_old_records){
		.there = true,
		.layout = theirs,
		.mem = {[FL_RECORDS_FRONTENDS] = s.lines, [FL_RECORDS_BACKENDS] = s.backends},
		.n = {[FL_RECORDS_FRONTENDS] = LINES, [FL_RECORDS_BACKENDS] = BACKENDS},
	};
	assert_int_equal(fl_backend_ids_init(&s.backend_ids, s.our_backends, BACKENDS), 0);
	assert_int_equal(fl_service_numbers_init(&s.services, &s.old, &s.frontends), 0);
	s.source = (struct fl_record_source){&s.old, s.our_backends, &s.backend_ids, &s.services};
	return &s;
}

static void finish(struct scene *s)
{
	fl_backend_ids_fini(&s->backend_ids);
	fl_service_numbers_fini(&s->services);
}

static bool bring(const struct scene *s, uint32_t service, uint32_t backend, uint16_t generation,
		  struct fl_affinity_key *ret_key, struct fl_affinity *ret_value)
{
	const struct their_client key = {service, addr4("203.0.113.1")};
	const struct their_sticky value = {4711, 0, backend, 0, generation};

	return fl_affinity_bring(&s->source, &key, &value, ret_key, ret_value);
}

static void test_a_client_keeps_its_backend(void **state)
{
	struct scene *s = setup();
	const struct fl_addr client = addr4("203.0.113.1");
	struct fl_affinity_key key;
	struct fl_affinity value;

	assert_true(bring(s, 7, 3, 2, &key, &value));
	assert_int_equal(key.service_id, 30);
	assert_memory_equal(&key.client, &client, sizeof(client));
	assert_int_equal(value.backend, 5);
	assert_int_equal(value.generation, 9);
	assert_int_equal(value.last, 4711);
	finish(s);
}

static void test_what_is_gone_is_left_behind(void **state)
{
	static const struct {
		const char *what;
		uint32_t service, backend;
		uint16_t generation;
	} rows[] = {
		{"a service without frontends here", 8, 3, 2},
		{"a frontend that was not in use there", 9, 3, 2},
		{"a service that is none", 0, 3, 2},
		{"a service that never was", 12345, 3, 2},
		{"a backend that is none here", 7, 4, 1},
		{"a number that is another backend's by now", 7, 3, 1},
		{"no backend", 7, 0, 0},
		{"a number beyond all backends", 7, BACKENDS, 2},
		{"a number far beyond them", 7, UINT32_MAX, 2},
	};
	struct scene *s = setup();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fl_affinity_key key;
		struct fl_affinity value;

		if (bring(s, rows[i].service, rows[i].backend, rows[i].generation, &key, &value))
			fail_msg("%s is brought over", rows[i].what);
	}
	finish(s);
}

static void test_a_service_is_known_by_any_frontend(void **state)
{
	struct scene *s = setup();
	const struct fl_frontend_key gone = {addr4("10.96.0.7"), htons(80), IPPROTO_TCP, 0};
	struct fl_affinity_key key;
	struct fl_affinity value;

	fl_service_numbers_fini(&s->services);
	fl_frontend_table_remove(&s->frontends, &gone);
	assert_int_equal(fl_service_numbers_init(&s->services, &s->old, &s->frontends), 0);
	assert_true(bring(s, 7, 3, 2, &key, &value));
	assert_int_equal(key.service_id, 30);
	finish(s);
}

static void test_an_own_flow_is_read_as_described(void **state)
{
	struct scene *s = setup();
	const struct their_own key = {htons(53), htons(30053), addr4("10.0.0.1"),
				      addr4("10.0.0.53")};
	const uint32_t value[2] = {1, 4712};
	const struct fl_own_key wanted = {
		.tuple = {addr4("10.0.0.53"), addr4("10.0.0.1"), htons(53), htons(30053)}};
	struct fl_own_key ours;
	uint32_t last;

	fl_own_flow_bring(&s->old, &key, value, &ours, &last);
	assert_memory_equal(&ours, &wanted, sizeof(ours));
	assert_int_equal(last, 4712);
	finish(s);
}

static void test_only_a_description_that_fits_is_believed(void **state)
{
	uint32_t sizes[FL_RECORDS_MAPS][2];

	assert_true(fl_records_check(&theirs, their_sizes));
	for (int map = 0; map < FL_RECORDS_MAPS; map++) {
		sizes[map][0] = fl_records_ours.map[map].key_size;
		sizes[map][1] = fl_records_ours.map[map].value_size;
	}
	assert_true(fl_records_check(&fl_records_ours, sizes));
	for (int map = 0; map < FL_RECORDS_MAPS; map++) {
		struct fl_records_layout l = theirs;

		for (int i = 0; i < 2; i++) {
			memcpy(sizes, their_sizes, sizeof(sizes));
			sizes[map][i] += 8;
			assert_false(fl_records_check(&theirs, sizes));
		}
		for (int field = 0; l.map[map].field[field].size; field++) {
			l = theirs;
			l.map[map].field[field].offset = 1000;
			assert_false(fl_records_check(&l, their_sizes));
			l = theirs;
			l.map[map].field[field].size++;
			assert_false(fl_records_check(&l, their_sizes));
		}
	}
	{
		struct fl_records_layout l = theirs;

		l.version++;
		assert_false(fl_records_check(&l, their_sizes));
		l = theirs;
		l.map[FL_RECORDS_FRONTENDS].field[FL_RECORD_FRONTEND_WORD].offset++;
		assert_false(fl_records_check(&l, their_sizes));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_client_keeps_its_backend),
		cmocka_unit_test(test_what_is_gone_is_left_behind),
		cmocka_unit_test(test_a_service_is_known_by_any_frontend),
		cmocka_unit_test(test_an_own_flow_is_read_as_described),
		cmocka_unit_test(test_only_a_description_that_fits_is_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
