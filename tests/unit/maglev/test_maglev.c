// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Maglev tables: length, balance, how little moves when a backend goes (robustness finding 4),
 * weights, limits, independence of input order, and known answers, because all nodes and versions
 * must agree.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lb/base/cleanup.h"
#include "lb/maglev/maglev.h"

#define SEED 0x5eed5eed12345678ULL

struct fixture {
	struct fl_maglev_scratch scratch;
	struct fl_maglev_backend *backends;
	uint16_t *a, *b;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->backends = calloc(FL_MAGLEV_BACKENDS_MAX + 1, sizeof(*f->backends));
	f->a = calloc(FL_MAGLEV_LENGTH_MAX, sizeof(*f->a));
	f->b = calloc(FL_MAGLEV_LENGTH_MAX, sizeof(*f->b));
	assert_true(f->backends && f->a && f->b);
	for (unsigned i = 0; i <= FL_MAGLEV_BACKENDS_MAX; i++) {
		struct fl_maglev_backend *backend = &f->backends[i];

		backend->ip =
			fl_ip_from_ipv4((const uint8_t[]){10, 1, (uint8_t)(i >> 8), (uint8_t)i});
		backend->port = 8080;
		backend->proto = 6;
		backend->weight = 1;
	}
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	fl_maglev_scratch_fini(&f->scratch);
	free(f->backends);
	free(f->a);
	free(f->b);
	free(f);
	return 0;
}

static void build(struct fixture *f, size_t n, uint32_t length, uint16_t *table)
{
	assert_int_equal(fl_maglev_build(f->backends, n, SEED, length, &f->scratch, table), 0);
}

static void test_length_is_smallest_prime_that_fits(void **state)
{
	assert_int_equal(fl_maglev_length(0, 0), 0);
	assert_int_equal(fl_maglev_length(1, 0), 251);
	assert_int_equal(fl_maglev_length(2, 200), 509);
	assert_int_equal(fl_maglev_length(3, 200), 1021);
	assert_int_equal(fl_maglev_length(251, 1), 251);
	assert_int_equal(fl_maglev_length(252, 1), 509);
	assert_int_equal(fl_maglev_length(100, 200), 32749);
	assert_int_equal(fl_maglev_length(655, 200), 131071);
	assert_int_equal(fl_maglev_length(656, 200), 131071);
	assert_int_equal(fl_maglev_length(65535, UINT32_MAX), 131071);
}

static void test_length_configured_must_be_prime(void **state)
{
	assert_true(fl_maglev_length_valid(16381));
	assert_true(fl_maglev_length_valid(65537));
	assert_true(fl_maglev_length_valid(131071));
	assert_false(fl_maglev_length_valid(16384));
	assert_false(fl_maglev_length_valid(251 * 509));
	assert_false(fl_maglev_length_valid(2));
	assert_false(fl_maglev_length_valid(131101)); /* a prime, but too long */
}

static void test_share_differs_by_one_slot_at_most(void **state)
{
	static const struct {
		size_t n;
		uint32_t length;
	} rows[] = {{1, 251},	  {2, 509},	{3, 1021},    {7, 2039},
		    {100, 32749}, {250, 16381}, {1000, 65521}};
	struct fixture *f = *state;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		uint32_t count[1000] = {0}, min = UINT32_MAX, max = 0;

		build(f, rows[r].n, rows[r].length, f->a);
		for (uint32_t s = 0; s < rows[r].length; s++) {
			assert_true(f->a[s] < rows[r].n);
			count[f->a[s]]++;
		}
		for (size_t i = 0; i < rows[r].n; i++) {
			min = count[i] < min ? count[i] : min;
			max = count[i] > max ? count[i] : max;
		}
		assert_true(max - min <= 1);
	}
}

/* Slots that change hands though their backend is still there, in hundredths of a percent. */
static unsigned needless_moves(struct fixture *f, size_t n, uint32_t length, size_t gone)
{
	struct fl_maglev_backend *rest = calloc(n, sizeof(*rest));
	unsigned moves = 0;

	assert_non_null(rest);
	build(f, n, length, f->a);
	memcpy(rest, f->backends, gone * sizeof(*rest));
	memcpy(rest + gone, f->backends + gone + 1, (n - gone - 1) * sizeof(*rest));
	assert_int_equal(fl_maglev_build(rest, n - 1, SEED, length, &f->scratch, f->b), 0);
	for (uint32_t s = 0; s < length; s++) {
		const size_t now = f->b[s] + (f->b[s] >= gone);

		if (f->a[s] != gone && f->a[s] != now)
			moves++;
	}
	free(rest);
	return moves * 10000U / length;
}

/* Robustness finding 4 gives the figures; each limit leaves a third more. */
static void test_removal_moves_little_else(void **state)
{
	static const struct {
		size_t n;
		uint32_t length;
		unsigned limit;
	} rows[] = {{3, 1021, 200},   {10, 2039, 300},	{100, 16381, 190}, {250, 16381, 220},
		    {100, 65521, 80}, {250, 65521, 90}, {1000, 65521, 80}};
	struct fixture *f = *state;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		unsigned sum = 0;

		for (size_t k = 0; k < 3; k++)
			sum += needless_moves(f, rows[r].n, rows[r].length, k * rows[r].n / 3);
		if (sum / 3 > rows[r].limit)
			fail_msg("%zu backends, %u slots: %u/10000 moved needlessly", rows[r].n,
				 rows[r].length, sum / 3);
	}
}

static void test_order_of_input_does_not_matter(void **state)
{
	static const size_t sizes[] = {3, 17, 100};
	struct fixture *f = *state;

	for (size_t k = 0; k < 3; k++) {
		const size_t n = sizes[k];
		const uint32_t length = fl_maglev_length(n, 0);
		struct fl_maglev_backend *turned = calloc(n, sizeof(*turned));

		assert_non_null(turned);
		for (size_t i = 0; i < n; i++)
			turned[i] = f->backends[n - 1 - i];
		build(f, n, length, f->a);
		assert_int_equal(fl_maglev_build(turned, n, SEED, length, &f->scratch, f->b), 0);
		for (uint32_t s = 0; s < length; s++)
			assert_int_equal(f->a[s], n - 1 - f->b[s]);
		free(turned);
	}
}

static void test_seed_port_and_protocol_are_part_of_identity(void **state)
{
	struct fixture *f = *state;
	uint32_t length = 1021;

	build(f, 3, length, f->a);
	assert_int_equal(fl_maglev_build(f->backends, 3, SEED + 1, length, &f->scratch, f->b), 0);
	assert_memory_not_equal(f->a, f->b, length * 2);
	f->backends[0].port++;
	build(f, 3, length, f->b);
	assert_memory_not_equal(f->a, f->b, length * 2);
	f->backends[0].port--;
	f->backends[0].proto = 17;
	build(f, 3, length, f->b);
	assert_memory_not_equal(f->a, f->b, length * 2);
}

static void test_slots_follow_weights(void **state)
{
	struct fixture *f = *state;
	uint32_t count[4] = {0};

	f->backends[0].weight = 1;
	f->backends[1].weight = 2;
	f->backends[2].weight = 5;
	f->backends[3].weight = 0;
	build(f, 4, 8191, f->a);
	for (uint32_t s = 0; s < 8191; s++)
		count[f->a[s]]++;
	assert_in_range(count[0], 1020, 1028);
	assert_in_range(count[1], 2040, 2056);
	assert_in_range(count[2], 5108, 5131);
	assert_int_equal(count[3], 0);
}

/* Weight 0 is drain: the others stand as if the backend were not there. */
static void test_weight_zero_equals_absence(void **state)
{
	struct fixture *f = *state;

	build(f, 9, 2039, f->a);
	f->backends[9].weight = 0;
	build(f, 10, 2039, f->b);
	assert_memory_equal(f->a, f->b, 2039 * 2);
}

static void random_weights(struct fixture *f, size_t n, uint16_t max, unsigned *seed)
{
	for (size_t i = 0; i < n; i++)
		f->backends[i].weight = (uint16_t)(1 + (unsigned)rand_r(seed) % max);
}

/* Turns are due by credit, so a share is off by what one round hands out beside the exact part. */
static void test_shares_are_those_of_the_weights(void **state)
{
	static const struct {
		size_t n;
		uint16_t max;
		uint32_t length;
	} rows[] = {{2, 3, 509},    {3, 10, 4093},    {10, 100, 32749},
		    {50, 7, 16381}, {100, 20, 65521}, {100, 1000, 131071}};
	struct fixture *f = *state;
	unsigned seed = 3;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		uint32_t count[100] = {0}, sum = 0;

		random_weights(f, rows[r].n, rows[r].max, &seed);
		build(f, rows[r].n, rows[r].length, f->a);
		for (uint32_t s = 0; s < rows[r].length; s++)
			count[f->a[s]]++;
		for (size_t i = 0; i < rows[r].n; i++)
			sum += f->backends[i].weight;
		for (size_t i = 0; i < rows[r].n; i++) {
			const double exact = (double)rows[r].length * f->backends[i].weight / sum;

			if (count[i] < exact - 2 || count[i] > exact + 2)
				fail_msg("row %zu: weight %u has %u slots, not %.1f", r,
					 f->backends[i].weight, count[i], exact);
		}
	}
}

/* Slots whose backend is another one, without those that the changed one has won or lost. */
static unsigned moves_beside(const struct fixture *f, uint32_t length, size_t changed)
{
	unsigned moves = 0;

	for (uint32_t s = 0; s < length; s++)
		moves += f->a[s] != f->b[s] && f->a[s] != changed && f->b[s] != changed;
	return moves * 10000U / length;
}

/*
 * One weight changes: what the others have between themselves stays, but for a few slots. To drain
 * is the end of this, and what test_removal_moves_little_else() says holds.
 */
static void test_change_of_a_weight_moves_little_else(void **state)
{
	static const struct {
		uint16_t from, to;
		unsigned limit; /* in hundredths of a percent */
	} rows[] = {{10, 11, 40}, {10, 20, 75}, {20, 10, 75}, {10, 0, 80}, {0, 10, 80}};
	struct fixture *f = *state;
	const size_t n = 20;
	const uint32_t length = 16381;

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		unsigned sum = 0;

		for (size_t k = 0; k < n; k += 4) {
			for (size_t i = 0; i < n; i++)
				f->backends[i].weight = 20;
			f->backends[k + 1].weight = 10;
			f->backends[k].weight = rows[r].from;
			build(f, n, length, f->a);
			f->backends[k].weight = rows[r].to;
			build(f, n, length, f->b);
			sum += moves_beside(f, length, k);
		}
		print_message("weight %u to %u: %u/10000 of the slots moved between others\n",
			      rows[r].from, rows[r].to, sum / 5);
		if (sum / 5 > rows[r].limit)
			fail_msg("weight %u to %u: %u/10000 moved", rows[r].from, rows[r].to,
				 sum / 5);
	}
}

static void test_weighted_order_of_input_does_not_matter(void **state)
{
	struct fixture *f = *state;
	const size_t n = 100;
	const uint32_t length = 32749;
	struct fl_maglev_backend *turned = calloc(n, sizeof(*turned));
	unsigned seed = 5;

	assert_non_null(turned);
	random_weights(f, n, 100, &seed);
	for (size_t i = 0; i < n; i++)
		turned[i] = f->backends[n - 1 - i];
	build(f, n, length, f->a);
	assert_int_equal(fl_maglev_build(turned, n, SEED, length, &f->scratch, f->b), 0);
	for (uint32_t s = 0; s < length; s++)
		assert_int_equal(f->a[s], n - 1 - f->b[s]);
	free(turned);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	const size_t max = FL_MAGLEV_BACKENDS_MAX;

	build(f, 1, 251, f->a);
	for (uint32_t s = 0; s < 251; s++)
		assert_int_equal(f->a[s], 0);
	build(f, max, 131071, f->a);
	for (uint32_t s = 0; s < 131071; s++)
		assert_true(f->a[s] < max);
	assert_int_equal(fl_maglev_build(f->backends, max + 1, SEED, 131071, &f->scratch, f->a),
			 -E2BIG);
	assert_int_equal(fl_maglev_build(f->backends, 0, SEED, 251, &f->scratch, f->a), -EINVAL);
	assert_int_equal(fl_maglev_build(f->backends, 1, SEED, 0, &f->scratch, f->a), -EINVAL);
	f->backends[0].weight = 0;
	assert_int_equal(fl_maglev_build(f->backends, 1, SEED, 251, &f->scratch, f->a), -EINVAL);
}

/* More backends than slots: nobody gets two. */
static void test_more_backends_than_slots(void **state)
{
	struct fixture *f = *state;
	uint8_t seen[1000] = {0};

	build(f, 1000, 251, f->a);
	for (uint32_t s = 0; s < 251; s++)
		assert_int_equal(seen[f->a[s]]++, 0);
}

static uint32_t table_sum(const uint16_t *table, uint32_t length)
{
	uint32_t sum = 2166136261U; /* FNV-1a */

	for (uint32_t i = 0; i < length; i++) {
		sum = (sum ^ (table[i] & 0xff)) * 16777619U;
		sum = (sum ^ (table[i] >> 8)) * 16777619U;
	}
	return sum;
}

/* If this fails, nodes of two versions would send one flow to different backends. */
static void test_known_answers(void **state)
{
	static const uint16_t small[] = {2, 2, 2, 0, 1, 1, 1, 0, 1, 0, 0, 0, 2};
	struct fixture *f = *state;

	build(f, 3, 13, f->a);
	assert_memory_equal(f->a, small, sizeof(small));
	build(f, 3, 1021, f->a);
	assert_int_equal(table_sum(f->a, 1021), 0xfa8a27b5);
	build(f, 100, 32749, f->a);
	assert_int_equal(table_sum(f->a, 32749), 0x77b3dbf8);
	f->backends[0].weight = 3;
	build(f, 5, 1021, f->a);
	assert_int_equal(table_sum(f->a, 1021), 0x1ee3fefc);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_length_is_smallest_prime_that_fits),
		cmocka_unit_test(test_length_configured_must_be_prime),
		TEST(test_share_differs_by_one_slot_at_most),
		TEST(test_removal_moves_little_else),
		TEST(test_order_of_input_does_not_matter),
		TEST(test_seed_port_and_protocol_are_part_of_identity),
		TEST(test_slots_follow_weights),
		TEST(test_weight_zero_equals_absence),
		TEST(test_shares_are_those_of_the_weights),
		TEST(test_change_of_a_weight_moves_little_else),
		TEST(test_weighted_order_of_input_does_not_matter),
		TEST(test_limits),
		TEST(test_more_backends_than_slots),
		TEST(test_known_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
