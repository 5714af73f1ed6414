// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frontends in the memory that programs read, instead of the fixture's: a full table is named and
 * harms nobody (robustness B4), damage is noticed and repaired, and a restart adopts what is there.
 */
#include "lb/dp/filter.h"
#include "tests/unit/sync/sync_fixture.h"

#define LINES 32
#define ROOM (LINES / 2)
#define SERVICES 5

/* The fixture, and the real ops for frontends. */
struct mapped {
	struct fake *fake;
	struct fl_sync_target target;
	uint32_t writes; /* to frontends */
};

static int mapped_update(void *ctx, enum fl_sync_map map, const void *keys, const void *values,
			 uint32_t *count)
{
	struct mapped *m = ctx;
	int rc;

	if (map != FL_SYNC_FRONTENDS)
		return fake_update(m->fake, map, keys, values, count);
	rc = fl_sync_kernel_ops.update(&m->target, map, keys, values, count);
	m->writes += *count;
	return rc;
}

static int mapped_remove(void *ctx, enum fl_sync_map map, const void *keys, uint32_t *count)
{
	struct mapped *m = ctx;

	if (map != FL_SYNC_FRONTENDS)
		return fake_remove(m->fake, map, keys, count);
	m->writes += *count;
	return fl_sync_kernel_ops.remove(&m->target, map, keys, count);
}

static int mapped_dump(void *ctx, enum fl_sync_map map,
		       int (*fn)(const void *key, const void *value, void *arg), void *arg)
{
	struct mapped *m = ctx;

	return map == FL_SYNC_FRONTENDS ? fl_sync_kernel_ops.dump(&m->target, map, fn, arg)
					: fake_dump(m->fake, map, fn, arg);
}

static uint32_t mapped_capacity(void *ctx, enum fl_sync_map map)
{
	struct mapped *m = ctx;

	return map == FL_SYNC_FRONTENDS ? fl_sync_kernel_ops.capacity(&m->target, map)
					: fake_capacity(m->fake, map);
}

static const struct fl_sync_ops mapped_ops = {
	.update = mapped_update,
	.remove = mapped_remove,
	.dump = mapped_dump,
	.capacity = mapped_capacity,
};

/* An agent on the maps as they are. */
static void start(struct mapped *m)
{
	struct fake *fake = m->fake;

	fl_sync_free(&fake->sync);
	m->target = fl_sync_target_of(&fake->maps);
	assert_int_equal(fl_sync_new_with(&fake->maps, &fake->options, &mapped_ops, m, &fake->sync,
					  &fake->err),
			 0);
}

static int setup(void **state)
{
	struct mapped *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	assert_int_equal(fake_setup((void **)&m->fake), 0);
	m->fake->maps.n_frontends = LINES;
	m->fake->maps.frontends = calloc(LINES, sizeof(struct fl_frontend_line));
	assert_non_null(m->fake->maps.frontends);
	m->fake->maps.meta->flow_seed[1] = 42;
	m->fake->maps.filter = calloc(FL_FILTER_WORDS, sizeof(*m->fake->maps.filter));
	m->fake->maps.n_filter = FL_FILTER_WORDS;
	m->fake->maps.n_own_ports = FL_OWN_PORT_WORDS;
	m->fake->maps.own_ports = calloc(FL_OWN_PORT_WORDS, sizeof(*m->fake->maps.own_ports));
	assert_true(m->fake->maps.filter && m->fake->maps.own_ports);
	start(m);
	assert_int_equal(fl_sync_settle(m->fake->sync, &m->fake->err), 0);
	*state = m;
	return 0;
}

static int teardown(void **state)
{
	struct mapped *m = *state;
	struct fake *fake = m->fake;

	free(fake->maps.own_ports);
	free(fake->maps.filter);
	free(fake->maps.frontends);
	fake_teardown((void **)&fake);
	free(m);
	return 0;
}

/* Service i: three frontends, of which one is the entry of its address. */
static int sync_one(struct mapped *m, int i, const char *endpoint)
{
	char name[16], ip[32];

	snprintf(name, sizeof(name), "svc-%d", i);
	snprintf(ip, sizeof(ip), "10.96.0.%d", i + 1);
	return SYNC(
		m->fake, name,
		{.cluster_ip = ip, .node_port = (uint16_t)(30000 + i), .endpoints = {endpoint}});
}

static bool found(struct mapped *m, const char *ip, uint16_t port, uint8_t proto,
		  struct fl_frontend *ret_value)
{
	const struct fl_frontend_table table = fl_frontend_table_of(&m->fake->maps);
	const struct fl_frontend_key key = {
		.addr = fake_addr(ip), .port = htons(port), .proto = proto};

	return fl_frontend_table_get(&table, &key, ret_value);
}

/* How many of the three frontends of service i are there, those with ports on this endpoint. */
static int frontends_of(struct mapped *m, int i, const char *endpoint)
{
	struct fl_frontend f;
	char ip[32], text[64];
	int n = 0;

	snprintf(ip, sizeof(ip), "10.96.0.%d", i + 1);
	n += found(m, ip, 0, 0, &f);
	if (found(m, ip, 80, IPPROTO_TCP, &f))
		n += !strcmp(fake_list(m->fake, &f.list[0], text, sizeof(text)), endpoint);
	if (found(m, "0.0.0.0", (uint16_t)(30000 + i), IPPROTO_TCP, &f))
		n += !strcmp(fake_list(m->fake, &f.list[1], text, sizeof(text)), endpoint);
	return n;
}

static void sync_all(struct mapped *m)
{
	for (int i = 0; i < SERVICES; i++)
		assert_int_equal(sync_one(m, i, "10.1.0.1"), 0);
}

static void expect_all(struct mapped *m)
{
	for (int i = 0; i < SERVICES; i++)
		assert_int_equal(frontends_of(m, i, "10.1.0.1"), 3);
	assert_int_equal(fl_sync_verify(m->fake->sync, NULL, NULL), 0);
}

/* 16 have room, five services take 15: the sixth is refused as a whole, whichever of its frontends
 * came first, and comes in as a whole when another goes. */
static void test_a_service_that_does_not_fit_is_refused_whole(void **state)
{
	struct mapped *m = *state;
	struct fl_sync_stats stats;

	sync_all(m);
	assert_int_equal(fl_sync_gauge(m->fake->sync, FL_SYNC_FRONTENDS).capacity, ROOM);
	assert_int_equal(fl_sync_gauge(m->fake->sync, FL_SYNC_FRONTENDS).used, 3 * SERVICES);
	assert_int_equal(sync_one(m, SERVICES, "10.1.0.2"), -ENOSPC);
	assert_non_null(strstr(m->fake->err.text, "default/svc-5"));
	assert_non_null(strstr(m->fake->err.text, "map frontends: full"));
	assert_int_equal(frontends_of(m, SERVICES, "10.1.0.2"), 0);
	fl_sync_stats(m->fake->sync, &stats);
	assert_int_equal(stats.failed_ports, 1);
	expect_all(m);

	/* what is there can change all the same */
	assert_int_equal(sync_one(m, 2, "10.1.0.3"), 0);
	assert_int_equal(frontends_of(m, 2, "10.1.0.3"), 3);

	GONE(m->fake, "svc-4");
	assert_int_equal(frontends_of(m, 4, "10.1.0.1"), 0);
	fl_sync_revive(m->fake->sync);
	assert_int_equal(frontends_of(m, SERVICES, "10.1.0.2"), 3);
	fl_sync_stats(m->fake->sync, &stats);
	assert_int_equal(stats.failed_ports, 0);
	assert_int_equal(fl_sync_verify(m->fake->sync, NULL, NULL), 0);
}

/* A restart writes nothing that is as it should be. */
static void test_a_restart_adopts_what_is_there(void **state)
{
	struct mapped *m = *state;
	struct fl_frontend_line *before = calloc(LINES, sizeof(*before));

	sync_all(m);
	assert_non_null(before);
	memcpy(before, m->fake->maps.frontends, LINES * sizeof(*before));
	start(m);
	m->writes = 0;
	sync_all(m);
	assert_int_equal(fl_sync_settle(m->fake->sync, &m->fake->err), 0);
	assert_int_equal(m->writes, 0);
	assert_memory_equal(before, m->fake->maps.frontends, LINES * sizeof(*before));
	expect_all(m);
	free(before);
}

static bool has_backend_bit(const struct mapped *m, const char *ip)
{
	const struct fl_maps *maps = &m->fake->maps;
	const struct fl_addr addr = fake_addr(ip);
	const uint32_t bit =
		fl_filter_backend(fl_filter_hash(false, &addr, maps->meta->flow_seed[1]));

	return maps->filter[bit / 64].half[maps->meta->filter_half] >> (bit & 63) & 1;
}

/* The bits were made anew while it was away; its record is as it was. */
static void test_a_backend_that_comes_back_has_its_bit(void **state)
{
	struct mapped *m = *state;

	assert_int_equal(sync_one(m, 0, "10.1.0.1"), 0);
	assert_true(has_backend_bit(m, "10.1.0.1"));
	assert_int_equal(sync_one(m, 0, "10.1.0.2"), 0);
	fl_filter_clear(&m->fake->maps, 0);
	fl_filter_clear(&m->fake->maps, 1);
	assert_int_equal(sync_one(m, 0, "10.1.0.1"), 0);
	assert_true(has_backend_bit(m, "10.1.0.1"));
}

/* A writer that was killed between filling a line and leading readers to it. */
static void leave_half(struct mapped *m)
{
	struct fl_frontend_line *line = m->fake->maps.frontends;

	while (line->word & FL_FRONTEND_LIVE)
		line++;
	line->key.addr = fake_addr("10.96.9.9");
	line->key.port = htons(80);
	line->key.proto = IPPROTO_TCP;
	line->word |= FL_FRONTEND_LIVE;
}

static void test_a_restart_tidies_up(void **state)
{
	struct mapped *m = *state;
	uint32_t live = 0;

	sync_all(m);
	leave_half(m);
	start(m);
	sync_all(m);
	assert_int_equal(fl_sync_settle(m->fake->sync, &m->fake->err), 0);
	expect_all(m);
	for (uint32_t i = 0; i < LINES; i++)
		live += m->fake->maps.frontends[i].word & FL_FRONTEND_LIVE;
	assert_int_equal(live, 3 * SERVICES);
	assert_int_equal(m->target.frontends.used, 3 * SERVICES);
}

static void line_dies(struct fl_frontend_line *line)
{
	line->word++;
}

static void line_is_anothers(struct fl_frontend_line *line)
{
	line->key.port ^= 0x5555;
}

static void line_is_not_of_here(struct fl_frontend_line *line)
{
	memset(&line->key, 0xa5, sizeof(line->key));
}

static void service_is_another(struct fl_frontend_line *line)
{
	line->frontend.service_id ^= 1;
}

static void list_is_another(struct fl_frontend_line *line)
{
	line->frontend.side[FL_SIDE_EXTERNAL] += 1;
}

static void verdict_is_another(struct fl_frontend_line *line)
{
	line->frontend.side[FL_SIDE_INTERNAL] ^= 3ULL << FL_SIDE_VERDICT_SHIFT;
}

static void all_is_gone(struct fl_frontend_line *line)
{
	memset(line, 0, sizeof(*line));
}

static void (*const damages[])(struct fl_frontend_line *line) = {
	line_dies,	 line_is_anothers,   line_is_not_of_here, service_is_another,
	list_is_another, verdict_is_another, all_is_gone,
};

static void show(const char *difference, void *arg)
{
	assert_non_null(strstr(difference, "frontends: "));
	++*(uint32_t *)arg;
}

/* Each live line is damaged in each way; and all at once. */
static void test_damage_is_noticed_and_repaired(void **state)
{
	struct mapped *m = *state;
	struct fl_frontend_line *lines = m->fake->maps.frontends;

	sync_all(m);
	for (size_t how = 0; how < sizeof(damages) / sizeof(damages[0]); how++) {
		for (uint32_t i = 0; i <= LINES; i++) {
			uint32_t shown = 0;

			if (i < LINES && !(lines[i].word & FL_FRONTEND_LIVE))
				continue;
			for (uint32_t k = 0; k < LINES; k++)
				if ((k == i || i == LINES) && lines[k].word & FL_FRONTEND_LIVE)
					damages[how](&lines[k]);
			assert_true(fl_sync_verify(m->fake->sync, show, &shown) > 0);
			assert_true(shown > 0);
			assert_int_equal(fl_sync_retry(m->fake->sync, &m->fake->err), 0);
			expect_all(m);
			assert_int_equal(m->target.frontends.used, 3 * SERVICES);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_service_that_does_not_fit_is_refused_whole,
						setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_restart_adopts_what_is_there, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_backend_that_comes_back_has_its_bit, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_a_restart_tidies_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_noticed_and_repaired, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
