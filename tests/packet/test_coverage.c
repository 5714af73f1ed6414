// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Promise 4 from the other side: every name that a drop can have, and every counter, was reached by
 * some test. */
#include "tests/packet/packet.h"

static const char *const names[FL_COUNTER_MAX] = {
#define X(name, token, text) [FL_REASON_##name] = token,
	FL_REASONS(X)
#undef X
#define X(name, token, text) [FL_COUNTER_##name] = token,
		FL_COUNTERS(X)
#undef X
};

/* Not to be reached: */
static bool unreachable(uint32_t counter)
{
	switch (counter) {
	case FL_REASON_NONE:	       /* is no drop */
	case FL_REASON_REWRITE_FAILED: /* the kernel refuses no change of a packet that was parsed
					*/
		return true;
	default:
		return false;
	}
}

static void test_every_name_was_reached(void **state)
{
	int missing = 0;

	for (uint32_t c = 0; c < FL_COUNTER_MAX; c++) {
		uint64_t total = 0;

		for (int i = 0; i < PLANES; i++)
			total += plane_total(&WORLD(state)->plane[i], c);
		if (unreachable(c)) {
			assert_int_equal(total, 0);
		} else if (!total) {
			print_error("no test has reached %s\n", names[c]);
			missing++;
		}
	}
	assert_int_equal(missing, 0);
}

int coverage_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_name_was_reached),
	};

	return run_topic("coverage", tests, N(tests), world);
}
