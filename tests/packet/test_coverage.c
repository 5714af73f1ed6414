// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* No drop without a name, from the other side: every name that a drop can have, and every counter,
 * was reached by some test. */
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
	case FL_REASON_REWRITE_FAILED: /* the kernel lets parsed packets be changed */
		return true;
	default:
		return false;
	}
}

static void every_name_was_reached(struct trial *t)
{
	int missing = 0;

	if (!t->world->everything) {
		print_error("SKIP: only some tests were selected\n");
		skip();
	}
	for (uint32_t c = 0; c < FL_COUNTER_MAX; c++) {
		uint64_t total = 0;

		for (int i = 0; i < PLANES; i++)
			total += plane_total(&t->world->plane[i], c);
		if (unreachable(c)) {
			assert_int_equal(total, 0);
		} else if (!total) {
			print_error("no test has reached %s\n", names[c]);
			missing++;
		}
	}
	assert_int_equal(missing, 0);
}

static const struct test tests[] = {
	{"every name was reached by some test", CHECK(every_name_was_reached),
	 .families = ONLY_IPV4, .protos = ONLY_TCP, .no_service = true},
};

const struct topic coverage_topic = {"coverage", TESTS(tests)};
