/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records of sockets, counted once each for the Service that was asked for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <string.h>

#include "lb/agent/socket_traffic.h"
#include "tests/unit/conntrack/table_fixture.h"

#define SOCKET_BUCKETS 8

struct scene {
	struct fl_socket_bucket buckets[SOCKET_BUCKETS];
	struct fl_socket_table table;
	struct fl_service_series *series;
	struct fl_socket_traffic *traffic;
	bool node_port; /* Service web has the port on every address instead */
	uint64_t activity;
};

static bool service_of(const struct fl_frontend_key *key, const char **ret_ns,
		       const char **ret_name, void *arg)
{
	const struct scene *s = arg;
	struct fl_addr addr = s->node_port ? v6("::ffff:0.0.0.0") : v6("::ffff:10.96.0.1");

	if (key->port != htons(80) || key->proto != IPPROTO_TCP ||
	    memcmp(&key->addr, &addr, sizeof(addr)))
		return false;
	*ret_ns = "default";
	*ret_name = "web";
	return true;
}

static void start(struct scene *s, bool begun)
{
	*s = (struct scene){.table.n = SOCKET_BUCKETS};
	s->table.buckets = s->buckets;
	s->series = fl_service_series_new(10);
	s->traffic =
		fl_socket_traffic_new(&(struct fl_socket_traffic_options){.table = s->table,
									  .series = s->series,
									  .begun = begun,
									  .service = service_of,
									  .arg = s});
	assert_non_null(s->traffic);
}

static void end(struct scene *s)
{
	fl_socket_traffic_free(&s->traffic);
	fl_service_series_free(&s->series);
}

/* A hook writes a record; those before in its place are gone. */
static void put(struct scene *s, size_t slot, enum fl_socket_kind kind, const char *frontend)
{
	struct fl_socket_record *record = fl_socket_at(&s->table, slot);
	const uint32_t word = fl_socket_word(record->word, FL_SOCKET_BUSY);

	*record = (struct fl_socket_record){.word = fl_socket_word(word, FL_SOCKET_USED),
					    .kind = kind,
					    .frontend = v6(frontend),
					    .frontend_port = htons(80),
					    .proto = IPPROTO_TCP};
	s->activity++;
}

/* How many connections of the Service were counted, after a look. */
static uint64_t counted(struct scene *s)
{
	fl_socket_traffic_look(s->traffic, s->activity);
	return fl_service_series_at(s->series, fl_service_series_get(s->series, "default", "web"))
		->socket_connections;
}

static void test_each_record_counts_once(void **state)
{
	struct scene s;

	start(&s, false);
	put(&s, 0, FL_SOCKET_CONNECTED, "::ffff:10.96.0.1");
	put(&s, 5, FL_SOCKET_SENDS, "::ffff:10.96.0.1");
	put(&s, 6, FL_SOCKET_SHOWS, "::ffff:10.96.0.1");
	put(&s, 7, FL_SOCKET_CONNECTED, "::ffff:10.96.0.2"); /* nobody's */
	assert_int_equal(counted(&s), 2);
	s.activity++;
	assert_int_equal(counted(&s), 2);
	/* another one in the place of the first, and one that connects again */
	put(&s, 0, FL_SOCKET_CONNECTED, "::ffff:10.96.0.1");
	put(&s, 5, FL_SOCKET_SENDS, "::ffff:10.96.0.1");
	assert_int_equal(counted(&s), 4);
	end(&s);
}

static void test_what_is_free_or_being_written(void **state)
{
	struct scene s;
	struct fl_socket_record *record;

	start(&s, false);
	put(&s, 3, FL_SOCKET_CONNECTED, "::ffff:10.96.0.1");
	record = fl_socket_at(&s.table, 3);
	record->word = fl_socket_word(record->word, FL_SOCKET_BUSY);
	assert_int_equal(counted(&s), 0);
	record->word = fl_socket_word(record->word, FL_SOCKET_USED);
	s.activity++;
	assert_int_equal(counted(&s), 1);
	record->word = fl_socket_word(record->word, FL_SOCKET_FREE);
	s.activity++;
	assert_int_equal(counted(&s), 1);
	end(&s);
}

/* 2.6: a node port is asked for at any address of the node. */
static void test_node_port(void **state)
{
	struct scene s;

	start(&s, false);
	s.node_port = true;
	put(&s, 1, FL_SOCKET_CONNECTED, "::ffff:172.18.0.11");
	assert_int_equal(counted(&s), 1);
	end(&s);
}

/* What an earlier agent has counted is not counted again; and nothing is looked at in vain. */
static void test_what_was_there_before(void **state)
{
	struct scene s;

	start(&s, true);
	put(&s, 1, FL_SOCKET_CONNECTED, "::ffff:10.96.0.1");
	assert_int_equal(counted(&s), 0);
	put(&s, 2, FL_SOCKET_CONNECTED, "::ffff:10.96.0.1");
	s.activity--; /* no hook has done anything */
	assert_int_equal(counted(&s), 0);
	s.activity++;
	assert_int_equal(counted(&s), 1);
	end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_record_counts_once),
		cmocka_unit_test(test_what_is_free_or_being_written),
		cmocka_unit_test(test_node_port),
		cmocka_unit_test(test_what_was_there_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
