/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Freeing an entry that changed since it was copied (robustness B11), each interleaving played by
 * hand: what the datapath does between the sweeper's look and its exchange.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conntrack/entry.h"
#include "tests/unit/conntrack/table_fixture.h"

#define TIMEOUT 100

struct state {
	struct fixture f;
	struct fl_entry entry, twin;
	uint32_t word, twin_word;
};

/* An idle pair in slots 3 and 17, copied as a sweeper does. */
static void begin(struct state *s)
{
	fixture_init(&s->f);
	fixture_pair(&s->f, &(struct pair){FL_IPV4, 3, 17, IPPROTO_UDP, FL_FLOW_REPLIED,
					   NOW - 2 * TIMEOUT, NOW - 2 * TIMEOUT, 0});
	assert_true(fl_entry_read(&s->f.table, FL_IPV4, 3, &s->entry));
	assert_true(fl_entry_twin(&s->f.table, FL_IPV4, 3, &s->entry, &s->twin));
	s->word = s->entry.head.word;
	s->twin_word = s->twin.head.word;
}

static bool free_pair(struct state *s)
{
	return fl_entry_free(&s->f.table, FL_IPV4, 3, &s->entry, &s->twin, NOW, TIMEOUT);
}

static void assert_words(struct state *s, uint32_t word, uint32_t twin_word)
{
	assert_int_equal(fixture_head(&s->f, FL_IPV4, 3)->word, word);
	assert_int_equal(fixture_head(&s->f, FL_IPV4, 17)->word, twin_word);
}

static void test_idle_pair_goes(void **state)
{
	struct state s;

	begin(&s);
	assert_true(free_pair(&s));
	assert_int_equal(fixture_state(&s.f, FL_IPV4, 3), FL_FLOW_FREE);
	assert_int_equal(fixture_state(&s.f, FL_IPV4, 17), FL_FLOW_FREE);
	assert_false(free_pair(&s)); /* the copy is old: the slots are free, or another flow's */
}

static void test_refreshed_in_between_is_put_back_unchanged(void **state)
{
	for (uint32_t slot = 3; slot <= 17; slot += 14) {
		struct fl_entry again, twin;
		struct state s;

		begin(&s);
		fixture_head(&s.f, FL_IPV4, slot)->last_seen = NOW;
		assert_false(free_pair(&s));
		assert_words(&s, s.word, s.twin_word);
		assert_true(fl_entry_read(&s.f.table, FL_IPV4, 3, &again));
		assert_true(fl_entry_twin(&s.f.table, FL_IPV4, 3, &again, &twin));
	}
}

static void test_state_changed_in_between_keeps_both(void **state)
{
	struct state s;

	begin(&s);
	fixture_head(&s.f, FL_IPV4, 3)->word += FL_FLOW_ESTABLISHED - FL_FLOW_REPLIED;
	assert_false(free_pair(&s));
	assert_words(&s, s.word + FL_FLOW_ESTABLISHED - FL_FLOW_REPLIED, s.twin_word);

	begin(&s);
	fixture_head(&s.f, FL_IPV4, 17)->word += FL_FLOW_ESTABLISHED - FL_FLOW_REPLIED;
	assert_false(free_pair(&s));
	assert_words(&s, s.word, s.twin_word + FL_FLOW_ESTABLISHED - FL_FLOW_REPLIED);
}

static void test_stranger_that_took_the_slot_stays(void **state)
{
	struct state s;
	uint32_t word;

	begin(&s);
	fixture_pair(&s.f, &(struct pair){FL_IPV4, 3, 9, IPPROTO_UDP, FL_FLOW_REPLIED,
					  NOW - 2 * TIMEOUT, NOW - 2 * TIMEOUT, 0});
	word = fixture_head(&s.f, FL_IPV4, 3)->word;
	assert_int_not_equal(word, s.word);
	assert_false(free_pair(&s));
	assert_words(&s, word, s.twin_word);
}

static void test_flushing_asks_for_no_idle_time(void **state)
{
	struct state s;

	begin(&s);
	fixture_head(&s.f, FL_IPV4, 3)->last_seen = NOW;
	assert_true(fl_entry_free(&s.f.table, FL_IPV4, 3, &s.entry, &s.twin, NOW, FL_NO_TIMEOUT));
	assert_int_equal(fixture_state(&s.f, FL_IPV4, 17), FL_FLOW_FREE);
}

static void test_flags_are_changed_of_the_flow_that_was_read(void **state)
{
	struct fl_flow_head *head, other;
	struct state s;

	begin(&s);
	head = fixture_head(&s.f, FL_IPV4, 3);
	/* its state may be another by now, and the twin be made again */
	head->word = fl_flow_word(fl_flow_generation(s.word), FL_FLOW_ESTABLISHED);
	head->twin_generation++;
	assert_true(fl_entry_change_flags(head, s.word, FL_FLOW_STALE | FL_FLOW_RST, 0));
	assert_int_equal(head->flags, s.entry.head.flags | FL_FLOW_STALE | FL_FLOW_RST);
	assert_true(fl_entry_change_flags(head, s.word, FL_FLOW_FIN, FL_FLOW_RST));
	assert_int_equal(head->flags, s.entry.head.flags | FL_FLOW_STALE | FL_FLOW_FIN);
	/* another flow has the entry */
	head->word = fl_flow_word(fl_flow_generation(s.word) + 1, FL_FLOW_NEW);
	other = *head;
	assert_false(fl_entry_change_flags(head, s.word, FL_FLOW_RST, FL_FLOW_STALE));
	assert_memory_equal(head, &other, sizeof(other));
}

static void test_twins_must_name_each_other_and_differ_in_direction(void **state)
{
	struct fl_entry entry, twin;
	struct state s;

	begin(&s);
	fixture_head(&s.f, FL_IPV4, 17)->twin = 4;
	assert_false(fl_entry_twin(&s.f.table, FL_IPV4, 3, &s.entry, &twin));
	begin(&s);
	fixture_head(&s.f, FL_IPV4, 17)->flags &= ~FL_FLOW_IS_REPLY;
	assert_false(fl_entry_twin(&s.f.table, FL_IPV4, 3, &s.entry, &twin));
	begin(&s);
	fixture_head(&s.f, FL_IPV4, 3)->twin = 3; /* its own twin */
	assert_true(fl_entry_read(&s.f.table, FL_IPV4, 3, &entry));
	assert_false(fl_entry_twin(&s.f.table, FL_IPV4, 3, &entry, &twin));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_pair_goes),
		cmocka_unit_test(test_refreshed_in_between_is_put_back_unchanged),
		cmocka_unit_test(test_state_changed_in_between_keeps_both),
		cmocka_unit_test(test_stranger_that_took_the_slot_stays),
		cmocka_unit_test(test_flushing_asks_for_no_idle_time),
		cmocka_unit_test(test_flags_are_changed_of_the_flow_that_was_read),
		cmocka_unit_test(test_twins_must_name_each_other_and_differ_in_direction),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
