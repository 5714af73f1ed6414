/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Giving the flows of the table to others (`fairlead cleanup --hand-over`). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "conntrack/hand_over.h"
#include "tests/unit/conntrack/table_fixture.h"

/* Others, which take flows unless they are to refuse the one of a port. */
struct others {
	struct fixture *f;
	size_t given;
	uint16_t refuse_port;
	struct fl_flow last;
};

/* There is nothing to wait for. */
static void no_wait(void)
{
}

static int take(const struct fl_flow *flow, void *arg)
{
	struct others *others = arg;

	assert_false(fixture_head(others->f, flow->family, flow->slot)->flags & FL_FLOW_TO_STACK);
	if (flow->client_port == others->refuse_port)
		return -ENOSPC;
	others->given++;
	others->last = *flow;
	return 0;
}

static struct fl_handed_over hand_over(struct others *others)
{
	const struct fl_hand_over over = {.give = take, .wait = no_wait, .arg = others};
	struct fl_handed_over handed;

	fl_flow_hand_over(&others->f->table, &over, NOW, &handed);
	return handed;
}

static struct fl_flow_head *add(struct fixture *f, uint32_t bucket, enum fl_flow_state state)
{
	fixture_pair(f, &(struct pair){FL_IPV4, SLOT(bucket, 0), SLOT(bucket, 1), .state = state,
				       .last_seen = NOW, .reply_last_seen = NOW,
				       .client_port = (uint16_t)(40000 + bucket)});
	return fixture_head(f, FL_IPV4, SLOT(bucket, 0));
}

static void test_living_flows_are_given_and_leave_the_table(void **state)
{
	struct fixture f;
	struct others others = {.f = &f};
	struct fl_handed_over handed;

	fixture_init(&f);
	add(&f, 0, FL_FLOW_ESTABLISHED)->flags |= FL_FLOW_TO_STACK;
	add(&f, 1, FL_FLOW_NEW);
	add(&f, 2, FL_FLOW_HALF_CLOSED);
	fixture_pair(&f, &(struct pair){FL_IPV6, 5, 2, .proto = IPPROTO_UDP,
					.state = FL_FLOW_REPLIED, .client_port = 9});
	handed = hand_over(&others);
	assert_int_equal(handed.flows, 4);
	assert_int_equal(handed.failed, 0);
	assert_int_equal(others.given, 4);
	assert_int_equal(fixture_state(&f, FL_IPV4, SLOT(0, 0)), FL_FLOW_FREE);
	assert_int_equal(fixture_state(&f, FL_IPV4, SLOT(0, 1)), FL_FLOW_FREE);
	assert_int_equal(fixture_state(&f, FL_IPV6, 5), FL_FLOW_FREE);
	assert_int_equal(others.last.client_port, 9);
	assert_int_equal(others.last.frontend_port, 80);
	assert_int_equal(others.last.backend_port, 8080);
	assert_int_equal(others.last.source_port, 9);
}

static void test_what_is_over_or_with_the_kernel_stays(void **state)
{
	struct fixture f;
	struct others others = {.f = &f};

	fixture_init(&f);
	add(&f, 0, FL_FLOW_CLOSING);
	add(&f, 1, FL_FLOW_ESTABLISHED)->flags |= FL_FLOW_STALE;
	add(&f, 2, FL_FLOW_ESTABLISHED)->flags |= FL_FLOW_KERNEL | FL_FLOW_TO_STACK;
	/* half of a handshake */
	add(&f, 3, FL_FLOW_REPLIED);
	fixture_head(&f, FL_IPV4, SLOT(3, 1))->word = 0;
	assert_int_equal(hand_over(&others).flows, 0);
	assert_int_equal(others.given, 0);
	/* its packets are the kernel's, as before */
	assert_true(fixture_head(&f, FL_IPV4, SLOT(2, 0))->flags & FL_FLOW_TO_STACK);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_not_equal(fixture_state(&f, FL_IPV4, SLOT(i, 0)), FL_FLOW_FREE);
}

static void test_one_that_is_refused_goes_on(void **state)
{
	struct fixture f;
	struct others others = {.f = &f, .refuse_port = 40001};
	struct fl_handed_over handed;

	fixture_init(&f);
	add(&f, 0, FL_FLOW_ESTABLISHED);
	add(&f, 1, FL_FLOW_ESTABLISHED);
	add(&f, 2, FL_FLOW_ESTABLISHED);
	handed = hand_over(&others);
	assert_int_equal(handed.flows, 2);
	assert_int_equal(handed.failed, 1);
	assert_int_equal(handed.error, -ENOSPC);
	assert_int_equal(fixture_state(&f, FL_IPV4, SLOT(1, 0)), FL_FLOW_ESTABLISHED);
	assert_int_equal(fixture_state(&f, FL_IPV4, SLOT(1, 1)), FL_FLOW_ESTABLISHED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_living_flows_are_given_and_leave_the_table),
		cmocka_unit_test(test_what_is_over_or_with_the_kernel_stays),
		cmocka_unit_test(test_one_that_is_refused_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
