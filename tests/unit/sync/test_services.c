// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The stages of a service port: which event leads where, and what cannot happen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lb/sync/services.h"

static void test_a_plan_counts_in_every_stage(void **state)
{
	static const enum fl_stage expected[] = {
		[FL_EVENT_PLANNED] = FL_STAGE_READY,
		[FL_EVENT_SAME] = FL_STAGE_IN_FORCE,
		[FL_EVENT_NO_ROOM] = FL_STAGE_NO_ROOM,
		[FL_EVENT_DROPPED] = FL_STAGE_LEAVING,
	};

	for (int stage = 0; stage < FL_STAGES; stage++)
		for (int event = FL_EVENT_PLANNED; event <= FL_EVENT_DROPPED; event++)
			assert_int_equal(fl_stage_after(stage, event), expected[event]);
}

static void test_a_commit_touches_only_what_is_ready(void **state)
{
	for (int stage = 0; stage < FL_STAGES; stage++) {
		const bool ready = stage == FL_STAGE_READY;

		assert_int_equal(fl_stage_after(stage, FL_EVENT_WRITTEN),
				 ready ? FL_STAGE_IN_FORCE : FL_STAGES);
		assert_int_equal(fl_stage_after(stage, FL_EVENT_REFUSED),
				 ready ? FL_STAGE_REFUSED : FL_STAGES);
	}
}

static void test_only_what_waits_is_tried_again(void **state)
{
	for (int stage = 0; stage < FL_STAGES; stage++)
		assert_int_equal(fl_stage_after(stage, FL_EVENT_RETRIED),
				 fl_stage_waits(stage) ? FL_STAGE_READY : FL_STAGES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_plan_counts_in_every_stage),
		cmocka_unit_test(test_a_commit_touches_only_what_is_ready),
		cmocka_unit_test(test_only_what_waits_is_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
