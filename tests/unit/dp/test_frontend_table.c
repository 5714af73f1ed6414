// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table of frontends: what it holds after any sequence of writes, and when it is full. */
#include "tests/unit/dp/frontend_fixture.h"

#define KEYS 200
#define WRITES 200000

static void test_a_table_has_room_for_what_is_asked(void **state)
{
	assert_int_equal(fl_frontend_lines_for(0), 0);
	for (uint32_t n = 1; n < 1U << 20; n = n * 3 / 2 + 1) {
		const uint32_t lines = fl_frontend_lines_for(n);
		struct fl_frontend_line line;

		assert_true(lines >= 2 * n && !(lines & (lines - 1)));
		assert_true(fl_frontend_table_over(&line, lines, SEED).room >= n);
	}
	assert_int_equal(fl_frontend_lines_for(UINT32_MAX), 1U << 30);
}

static void test_a_table_without_lines_is_empty_and_full(void **state)
{
	struct fl_frontend_table t = {0};

	assert_false(table_has(&t, 1));
	assert_int_equal(table_put(&t, 1, 1), -E2BIG);
	table_remove(&t, 1);
	fl_frontend_table_tidy(&t);
	assert_int_equal(fl_frontend_table_each(&t, NULL, NULL), 0);
}

static void test_places_of_a_home_are_different_lines(void **state)
{
	for (uint32_t lines = FL_FRONTEND_PLACES; lines <= 1U << 17; lines <<= 1) {
		for (uint32_t home = 0; home < lines; home += 1 + lines / 97) {
			uint32_t at[FL_FRONTEND_PLACES];

			for (uint32_t i = 0; i < FL_FRONTEND_PLACES; i++) {
				at[i] = fl_frontend_place(home, i, lines - 1);
				assert_true(at[i] < lines);
				for (uint32_t k = 0; k < i; k++)
					assert_int_not_equal(at[i], at[k]);
			}
			assert_int_equal(at[0], home);
			assert_int_equal(at[1], home ^ 1);
		}
	}
}

/* All that a record can say comes back: the widest list, every verdict. */
static void test_what_is_put_comes_back(void **state)
{
	struct fl_frontend_table t = table_new(16);
	const struct fl_frontend_key key = key_of(3);
	struct fl_frontend value = {
		.service_id = 0x7fffffff,
		.flags = UINT16_MAX,
		.type = FL_FRONTEND_NODE_PORT,
		.verdict = {FL_VERDICT_REJECT, FL_VERDICT_DROP},
		.affinity_timeout = UINT32_MAX,
		.list = {{.slab = (1U << FL_SIDE_SLAB_BITS) - 1,
			  .lut_len = 131071,
			  .count = (1U << FL_SIDE_COUNT_BITS) - 1,
			  .id = 0x7fffffff * 2U + 1},
			 {.id = 0x7fffffff * 2U}},
	};
	struct fl_frontend got;

	assert_int_equal(fl_frontend_table_put(&t, &key, &value), 0);
	assert_true(fl_frontend_table_get(&t, &key, &got));
	assert_memory_equal(&got, &value, sizeof(got));
	table_free(&t);
}

static int count_whole(const void *key, const void *value, void *arg)
{
	assert_true(is_whole(value));
	++*(uint32_t *)arg;
	return 0;
}

static int stop_at_once(const void *key, const void *value, void *arg)
{
	++*(uint32_t *)arg;
	return 7;
}

/* Beside a plain list of what should be there; tables in which all keys crowd, and roomy ones. */
static void test_any_sequence_of_writes(void **state)
{
	for (uint32_t lines = 16; lines <= 1024; lines <<= 1) {
		struct fl_frontend_table t = table_new(lines);
		uint32_t has[KEYS] = {0}, used = 0, seen = 0, refused = 0;

		srand(lines);
		for (uint32_t i = 1; i <= WRITES / 8; i++) {
			const uint32_t n = (uint32_t)rand() % KEYS;
			int rc = 0;

			if (rand() % 3) {
				rc = table_put(&t, n, i);
				/* refused only where it is full, and only what is new */
				assert_int_equal(rc, !has[n] && used == t.room ? -E2BIG : 0);
				refused += rc != 0;
				used += !rc && !has[n];
				has[n] = rc ? has[n] : i;
			} else {
				table_remove(&t, n);
				used -= has[n] != 0;
				has[n] = 0;
			}
			assert_int_equal(table_has(&t, n), has[n] != 0);
			if (i % 1024)
				continue;
			table_check(&t);
			for (uint32_t k = 0; k < KEYS; k++)
				assert_int_equal(table_has(&t, k), has[k] != 0);
		}
		assert_int_equal(refused != 0, KEYS > t.room);
		assert_int_equal(fl_frontend_table_each(&t, count_whole, &seen), 0);
		assert_int_equal(seen, used);
		seen = 0;
		assert_int_equal(fl_frontend_table_each(&t, stop_at_once, &seen), 7);
		assert_int_equal(seen, 1);
		table_free(&t);
	}
}

static void test_a_full_table_changes_what_it_has(void **state)
{
	struct fl_frontend_table t = table_new(64);

	for (uint32_t n = 0; n < t.room; n++)
		assert_int_equal(table_put(&t, n, n), 0);
	for (uint32_t n = 0; n < t.room; n++) {
		assert_int_equal(table_put(&t, 1000 + n, 1), -E2BIG);
		assert_int_equal(table_put(&t, n, 77 + n), 0);
		assert_true(table_has(&t, n));
	}
	assert_false(table_has(&t, 1000));
	table_check(&t);
	table_remove(&t, 5);
	assert_int_equal(table_put(&t, 1000, 1), 0);
	assert_int_equal(table_put(&t, 5, 1), -E2BIG);
	table_check(&t);
	table_free(&t);
}

/* As many as a home has places are found, one more is refused and harms nobody. */
static void test_keys_that_share_a_home(void **state)
{
	struct fl_frontend_table t = table_new(1024);
	struct fl_frontend_key keys[FL_FRONTEND_PLACES + 1];
	struct fl_frontend value = value_of(1), got;
	uint32_t n = 0;

	for (uint32_t i = 0; i <= FL_FRONTEND_PLACES; i++) {
		keys[i] = key_with_home(&t, 333, &n);
		assert_int_equal(fl_frontend_table_put(&t, &keys[i], &value),
				 i < FL_FRONTEND_PLACES ? 0 : -E2BIG);
	}
	for (uint32_t i = 0; i <= FL_FRONTEND_PLACES; i++)
		assert_int_equal(fl_frontend_table_get(&t, &keys[i], &got), i < FL_FRONTEND_PLACES);
	table_check(&t);
	/* lists change in place, all else needs a place to go to */
	value.list[0].slab++;
	assert_int_equal(fl_frontend_table_put(&t, &keys[7], &value), 0);
	assert_true(fl_frontend_table_get(&t, &keys[7], &got));
	assert_memory_equal(&got, &value, sizeof(got));
	value.flags++;
	assert_int_equal(fl_frontend_table_put(&t, &keys[7], &value), -E2BIG);
	table_check(&t);
	fl_frontend_table_remove(&t, &keys[0]);
	assert_int_equal(fl_frontend_table_put(&t, &keys[7], &value), 0);
	assert_int_equal(fl_frontend_table_put(&t, &keys[FL_FRONTEND_PLACES], &value), 0);
	assert_false(fl_frontend_table_get(&t, &keys[0], &got));
	table_check(&t);
	table_free(&t);
}

/* Those that are in a newcomer's way and have places elsewhere go there. */
static void test_strangers_make_room(void **state)
{
	struct fl_frontend_table t = table_new(1024);
	const uint32_t home = 500;
	struct fl_frontend_key strangers[FL_FRONTEND_PLACES], key;
	const struct fl_frontend value = value_of(1);
	struct fl_frontend got;
	uint32_t n = 0;

	for (uint32_t i = 0; i < FL_FRONTEND_PLACES; i++) {
		n = 0;
		strangers[i] = key_with_home(&t, fl_frontend_place(home, i, t.mask), &n);
		if (i)
			assert_int_equal(fl_frontend_table_put(&t, &strangers[i], &value), 0);
	}
	n = 0;
	key = key_with_home(&t, home, &n);
	assert_int_equal(fl_frontend_table_put(&t, &key, &value), 0);
	assert_memory_equal(&t.lines[home].key, &key, sizeof(key));
	/* now all the places are taken, one of them by a key of this home */
	key = key_with_home(&t, home, &n);
	assert_int_equal(fl_frontend_table_put(&t, &key, &value), 0);
	assert_true(fl_frontend_table_get(&t, &key, &got));
	for (uint32_t i = 1; i < FL_FRONTEND_PLACES; i++)
		assert_true(fl_frontend_table_get(&t, &strangers[i], &got));
	table_check(&t);
	table_free(&t);
}

/* Damage: a stranger has written to the memory. */
enum damage {
	LINE_DIES,
	LINE_IS_ANOTHERS,
	CHAIN_IS_EMPTY,
	CHAIN_IS_FULL,
	DAMAGES,
};

static void damage(struct fl_frontend_table *t, enum damage how, uint32_t n)
{
	const struct fl_frontend_key key = key_of(n);
	struct fl_frontend_line *line = &t->lines[home_of_key(t, &key)];

	switch (how) {
	case LINE_DIES:
		line->word ^= FL_FRONTEND_LIVE;
		break;
	case LINE_IS_ANOTHERS:
		line->key = key_of(99999);
		line->word |= FL_FRONTEND_LIVE;
		break;
	case CHAIN_IS_EMPTY:
		line->chain = 0;
		break;
	default:
		line->chain = UINT64_MAX;
		break;
	}
}

static void test_damage_is_put_right(void **state)
{
	for (int how = 0; how < DAMAGES; how++) {
		struct fl_frontend_table t = table_new(256);

		for (uint32_t n = 0; n < t.room; n++)
			assert_int_equal(table_put(&t, n, n), 0);
		for (uint32_t n = 0; n < t.room; n += 8)
			damage(&t, how, n);
		fl_frontend_table_tidy(&t);
		table_check(&t);
		for (uint32_t n = 0; n < t.room; n++)
			assert_int_equal(table_put(&t, n, n), 0);
		table_check(&t);
		assert_int_equal(t.used, t.room);
		table_free(&t);
	}
}

/* Whatever the memory holds, a look-up ends, and a table comes out that works. */
static void test_memory_full_of_anything(void **state)
{
	for (uint32_t round = 0; round < 50; round++) {
		struct fl_frontend_table t = table_new(256);
		uint32_t *words = (uint32_t *)t.lines, seen = 0;
		const size_t size = (t.mask + 1ULL) * sizeof(*t.lines);
		struct fl_frontend value;

		srand(round);
		for (size_t i = 0; i < size / sizeof(*words); i++)
			words[i] = (uint32_t)rand() << 16 ^ (uint32_t)rand();
		/* keys that lie somewhere, so that more than the noise of homes is met */
		for (uint32_t n = 0; n < 256; n++)
			t.lines[(uint32_t)rand() & t.mask].key = key_of(n % 64);
		for (uint32_t n = 0; n < 64; n++) {
			const struct fl_frontend_key key = key_of(n);

			fl_frontend_table_get(&t, &key, &value);
		}
		fl_frontend_table_tidy(&t);
		table_check(&t);
		for (uint32_t i = 0; i <= t.mask; i++) {
			const struct fl_frontend_key key = t.lines[i].key;

			if (t.lines[i].word & FL_FRONTEND_LIVE)
				fl_frontend_table_remove(&t, &key);
		}
		table_check(&t);
		assert_int_equal(t.used, 0);
		for (uint32_t n = 0; n < t.room; n++)
			assert_int_equal(table_put(&t, n, n), 0);
		assert_int_equal(fl_frontend_table_each(&t, count_whole, &seen), 0);
		assert_int_equal(seen, t.room);
		table_free(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_table_has_room_for_what_is_asked),
		cmocka_unit_test(test_a_table_without_lines_is_empty_and_full),
		cmocka_unit_test(test_places_of_a_home_are_different_lines),
		cmocka_unit_test(test_what_is_put_comes_back),
		cmocka_unit_test(test_any_sequence_of_writes),
		cmocka_unit_test(test_a_full_table_changes_what_it_has),
		cmocka_unit_test(test_keys_that_share_a_home),
		cmocka_unit_test(test_strangers_make_room),
		cmocka_unit_test(test_damage_is_put_right),
		cmocka_unit_test(test_memory_full_of_anything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
