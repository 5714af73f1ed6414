// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Shares: proportions, limits, and that the order of the weights does not matter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lb/maglev/maglev.h"
#include "lb/maglev/shares.h"

#define N_MAX 2000

static void test_shares_are_the_smallest_numbers(void **state)
{
	static const struct {
		uint16_t weights[4];
		uint32_t shares[4], sum;
	} rows[] = {
		{{1, 1, 1, 1}, {1, 1, 1, 1}, 4},
		{{50, 100, 0, 0}, {1, 2, 0, 0}, 3},
		{{1000, 1000, 1000, 1}, {1000, 1000, 1000, 1}, 3001},
		{{6, 10, 15, 0}, {6, 10, 15, 0}, 31},
		{{0, 0, 0, 0}, {0, 0, 0, 0}, 0},
		{{0, 7, 0, 0}, {0, 1, 0, 0}, 1},
	};

	for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
		uint32_t shares[4];

		assert_int_equal(fl_maglev_shares(rows[r].weights, 4, 65535, shares), rows[r].sum);
		assert_memory_equal(shares, rows[r].shares, sizeof(shares));
	}
}

static uint16_t random_weight(unsigned *seed)
{
	return (uint16_t)((unsigned)rand_r(seed) % 1001);
}

/*
 * Scaled or not: nobody with a weight has nothing, the sum keeps to its limit, and no share is
 * farther from its proportion than rounding down and the room for the small ones make it.
 */
static void test_shares_keep_proportions(void **state)
{
	static const uint32_t limits[] = {125, 509, 4096, 65535};
	uint16_t weights[N_MAX];
	uint32_t shares[N_MAX];
	unsigned seed = 7;

	for (int round = 0; round < 400; round++) {
		const size_t n = 1 + (unsigned)rand_r(&seed) % N_MAX;
		const uint32_t most = limits[round % 4];
		uint64_t sum = 0;
		uint32_t total, positive = 0;

		for (size_t i = 0; i < n; i++) {
			weights[i] = random_weight(&seed);
			sum += weights[i];
			positive += weights[i] > 0;
		}
		total = fl_maglev_shares(weights, n, most, shares);
		assert_true(total <= (most > positive ? most : positive));
		for (size_t i = 0; i < n; i++) {
			const double exact = sum ? (double)weights[i] * total / (double)sum : 0;

			assert_int_equal(shares[i] > 0, weights[i] > 0);
			if (positive * 10 < total)
				assert_true(shares[i] > exact * 0.9 - 1.01 &&
					    shares[i] < exact * 1.1 + 1.01);
		}
	}
}

static void test_order_does_not_matter(void **state)
{
	uint16_t weights[N_MAX], turned[N_MAX];
	uint32_t shares[N_MAX], others[N_MAX];
	unsigned seed = 11;

	for (size_t i = 0; i < N_MAX; i++)
		weights[i] = turned[N_MAX - 1 - i] = random_weight(&seed);
	for (uint32_t most = 3000; most < 65536; most *= 4) {
		assert_int_equal(fl_maglev_shares(weights, N_MAX, most, shares),
				 fl_maglev_shares(turned, N_MAX, most, others));
		for (size_t i = 0; i < N_MAX; i++)
			assert_int_equal(shares[i], others[N_MAX - 1 - i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shares_are_the_smallest_numbers),
		cmocka_unit_test(test_shares_keep_proportions),
		cmocka_unit_test(test_order_does_not_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
