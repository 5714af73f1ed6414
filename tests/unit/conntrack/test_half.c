// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Flows on their way from one table to another: read by the description of a layout, placed in
 * ours beside what programs have made there meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conntrack/entry.h"
#include "conntrack/half.h"
#include "lb/dp/layout.h"
#include "tests/unit/conntrack/table_fixture.h"

struct move {
	struct fixture from, to;
	struct fl_overflow overflow[FL_FAMILIES][BUCKETS];
	struct fl_meta meta;
	struct fl_old_flows old, new; /* how the two are read */
};

static struct fl_old_flows readable(const struct fixture *f)
{
	return (struct fl_old_flows){
		.layout = fl_layout_ours,
		.mem = {f->b4, f->b6},
		.n = {f->table.n_flows4, f->table.n_flows6},
	};
}

static void move_init(struct move *m)
{
	memset(m, 0, sizeof(*m));
	fixture_init(&m->from);
	fixture_init(&m->to);
	m->meta.flow_seed[0] = 0x0123456789abcdef;
	m->to.table.overflow4 = m->overflow[FL_IPV4];
	m->to.table.overflow6 = m->overflow[FL_IPV6];
	m->to.table.meta = &m->meta;
	m->old = readable(&m->from);
	m->new = readable(&m->to);
}

static const struct pair usual[FL_FAMILIES] = {
	{FL_IPV4, SLOT(1, 2), SLOT(6, 0), IPPROTO_TCP, FL_FLOW_REPLIED, NOW, NOW - 1, 0},
	{FL_IPV6, SLOT(1, 2), SLOT(6, 0), IPPROTO_TCP, FL_FLOW_REPLIED, NOW, NOW - 1, 0},
};

static bool read_pair(struct move *m, const struct pair *pair, struct fl_half half[2])
{
	return fl_half_read_pair(&m->old, pair->family, pair->slot, &half[0], &half[1]);
}

static enum fl_migrate_end bring(struct move *m, const struct pair *pair)
{
	struct fl_half half[2];

	assert_true(read_pair(m, pair, half));
	return fl_half_place_pair(&m->to.table, pair->family, &half[0], &half[1]);
}

/* How many flows the new table has; the last of them. */
static size_t placed(struct move *m, enum fl_family family, struct fl_half half[2])
{
	size_t n = 0;

	for (size_t slot = 0; slot < m->new.n[family] * FL_FLOW_WAYS; slot++) {
		struct fl_half found[2];

		if (!fl_half_read_pair(&m->new, family, slot, &found[0], &found[1]))
			continue;
		memcpy(half, found, sizeof(found));
		n++;
	}
	return n;
}

static void test_a_flow_is_read_with_all_it_has(void **state)
{
	static struct move m;
	struct fl_half half[2];

	(void)state;
	for (int v = 0; v < FL_FAMILIES; v++) {
		move_init(&m);
		fixture_pair(&m.from, &usual[v]);
		assert_true(read_pair(&m, &usual[v], half));
		assert_int_equal(half[0].state, FL_FLOW_REPLIED);
		assert_int_equal(half[0].proto, IPPROTO_TCP);
		assert_int_equal(half[0].flags, FL_FLOW_SNAT);
		assert_int_equal(half[1].flags, FL_FLOW_SNAT | FL_FLOW_IS_REPLY);
		assert_true(half[0].has_backend && half[1].has_backend);
		assert_int_equal(half[0].last_seen, NOW);
		assert_int_equal(half[1].bytes, 4000);
		assert_int_equal(half[0].key.sport, htons(40000));
		assert_int_equal(half[0].rewrite.dport, htons(8080));
		assert_memory_equal(&half[0].rewrite.daddr, &half[1].key.saddr,
				    sizeof(half[0].key.saddr));
		assert_memory_equal(&half[0].key.daddr, &half[1].rewrite.saddr,
				    sizeof(half[0].key.saddr));
	}
}

/* What a reader may find when programs are at work, or memory is damaged. */
static void test_only_pairs_are_read(void **state)
{
	static struct move m;
	struct fl_half half[2];
	struct fl_flow_head *reply;

	(void)state;
	move_init(&m);
	fixture_pair(&m.from, &usual[FL_IPV4]);
	reply = fixture_head(&m.from, FL_IPV4, usual[FL_IPV4].reply_slot);
	/* the slot of the reply is none of an original */
	assert_false(
		fl_half_read_pair(&m.old, FL_IPV4, usual[FL_IPV4].reply_slot, &half[0], &half[1]));
	reply->word += 1U << FL_FLOW_GENERATION_SHIFT; /* another flow's by now */
	assert_false(read_pair(&m, &usual[FL_IPV4], half));
	reply->word -= 1U << FL_FLOW_GENERATION_SHIFT;
	assert_true(read_pair(&m, &usual[FL_IPV4], half));
	reply->word = fl_flow_word(fl_flow_generation(reply->word), FL_FLOW_BUSY);
	assert_false(read_pair(&m, &usual[FL_IPV4], half));
	fixture_head(&m.from, FL_IPV4, usual[FL_IPV4].slot)->twin = UINT32_MAX;
	assert_false(read_pair(&m, &usual[FL_IPV4], half));
	assert_false(
		fl_half_read_pair(&m.old, FL_IPV4, BUCKETS * FL_FLOW_WAYS, &half[0], &half[1]));
}

static void test_numbers_are_read_as_described(void **state)
{
	static struct move m;
	struct fl_half half[2];
	struct fl_layout_place *seq, *ack, swap;

	(void)state;
	move_init(&m);
	fixture_pair(&m.from, &usual[FL_IPV4]);
	fixture_head(&m.from, FL_IPV4, usual[FL_IPV4].slot)->seq = 1111;
	fixture_head(&m.from, FL_IPV4, usual[FL_IPV4].slot)->ack = 2222;
	m.old.layout.state[FL_LAYOUT_REPLIED] = FL_FLOW_ESTABLISHED;
	m.old.layout.state[FL_LAYOUT_ESTABLISHED] = FL_FLOW_REPLIED;
	m.old.layout.flag[FL_LAYOUT_SNAT] = FL_FLOW_LOCAL;
	m.old.layout.flag[FL_LAYOUT_LOCAL] = FL_FLOW_SNAT;
	seq = &m.old.layout.family[FL_IPV4].field[FL_LAYOUT_SEQ];
	ack = &m.old.layout.family[FL_IPV4].field[FL_LAYOUT_ACK];
	swap = *seq;
	*seq = *ack;
	*ack = swap;
	assert_true(read_pair(&m, &usual[FL_IPV4], half));
	assert_int_equal(half[0].state, FL_FLOW_ESTABLISHED);
	assert_int_equal(half[0].flags, FL_FLOW_LOCAL);
	assert_int_equal(half[0].seq, 2222);
	assert_int_equal(half[0].ack, 1111);
}

static void test_a_flow_is_placed_once_and_brought_up_to_date(void **state)
{
	static struct move m;
	struct fl_half half[2];

	(void)state;
	for (int v = 0; v < FL_FAMILIES; v++) {
		struct pair later = usual[v];

		move_init(&m);
		fixture_pair(&m.from, &usual[v]);
		assert_int_equal(bring(&m, &usual[v]), FL_PLACED_MOVED);
		assert_int_equal(placed(&m, v, half), 1);
		assert_int_equal(half[0].state, FL_FLOW_REPLIED);
		assert_int_equal(half[0].key.sport, htons(40000));

		later.state = FL_FLOW_ESTABLISHED;
		later.last_seen = NOW + HZ;
		fixture_pair(&m.from, &later);
		assert_int_equal(bring(&m, &later), FL_PLACED_RENEWED);
		assert_int_equal(placed(&m, v, half), 1);
		assert_int_equal(half[0].state, FL_FLOW_ESTABLISHED);
		assert_int_equal(half[0].last_seen, NOW + HZ);

		/* what is here is further on: nothing goes back */
		fixture_pair(&m.from, &usual[v]);
		assert_int_equal(bring(&m, &usual[v]), FL_PLACED_RENEWED);
		assert_int_equal(placed(&m, v, half), 1);
		assert_int_equal(half[0].state, FL_FLOW_ESTABLISHED);
		assert_int_equal(half[0].last_seen, NOW + HZ);
	}
}

/* The same client port, sent elsewhere: the later of the two stays. */
static void test_the_later_of_two_flows_of_a_key_stays(void **state)
{
	static struct move m;
	struct fl_half half[2], other[2];

	(void)state;
	for (int ours_is_later = 0; ours_is_later < 2; ours_is_later++) {
		move_init(&m);
		fixture_pair(&m.from, &usual[FL_IPV4]);
		assert_true(read_pair(&m, &usual[FL_IPV4], half));
		memcpy(other, half, sizeof(other));
		other[0].rewrite.daddr.w[3] = other[1].key.saddr.w[3] = htonl(0x0a010008);
		for (int i = 0; i < 2; i++)
			other[i].last_seen += ours_is_later ? HZ : -HZ;
		assert_int_equal(fl_half_place_pair(&m.to.table, FL_IPV4, &other[0], &other[1]),
				 FL_PLACED_MOVED);
		assert_int_equal(bring(&m, &usual[FL_IPV4]),
				 ours_is_later ? FL_PLACED_KEPT : FL_PLACED_MOVED);
		assert_int_equal(placed(&m, FL_IPV4, half), 1);
		assert_int_equal(half[0].rewrite.daddr.w[3],
				 htonl(ours_is_later ? 0x0a010008 : 0x0a010009));
	}
}

/* A program has claimed one of the keys, and still looks for others. */
static void test_a_flow_that_a_program_is_making_stays_its(void **state)
{
	static struct move m;
	struct fl_half half[2];

	(void)state;
	for (int which = 0; which < 2; which++) {
		struct fl_flow_head *claimed = NULL;
		uint32_t claim;

		move_init(&m);
		fixture_pair(&m.from, &usual[FL_IPV4]);
		assert_int_equal(bring(&m, &usual[FL_IPV4]), FL_PLACED_MOVED);
		for (uint32_t slot = 0; slot < BUCKETS * FL_FLOW_WAYS; slot++) {
			struct fl_flow_head *head = fixture_head(&m.to, FL_IPV4, slot);

			if (fl_flow_state(head->word) < FL_FLOW_NEW)
				continue;
			if (!!(head->flags & FL_FLOW_IS_REPLY) == which) {
				claimed = head;
				head->word =
					fl_flow_word(fl_flow_generation(head->word), FL_FLOW_BUSY);
			} else {
				head->word = fl_flow_word(fl_flow_generation(head->word) + 1,
							  FL_FLOW_FREE);
			}
		}
		assert_non_null(claimed);
		claim = fl_entry_claim(claimed);
		assert_int_equal(bring(&m, &usual[FL_IPV4]), FL_PLACED_KEPT);
		assert_int_equal(placed(&m, FL_IPV4, half), 0);
		assert_int_equal(claimed->word, claim);
		fl_entry_withdraw(claimed, claim);
		assert_int_equal(bring(&m, &usual[FL_IPV4]), FL_PLACED_MOVED);
	}
}

static void test_a_full_table_is_left_as_it_was(void **state)
{
	static struct move m;
	struct fl_half half[2];
	struct pair pair = usual[FL_IPV4];

	(void)state;
	move_init(&m);
	m.to.table.n_flows4 = 1;
	m.new.n[FL_IPV4] = 1;
	for (uint16_t i = 0; i < 4; i++) {
		pair.client_port = (uint16_t)(1000 + i);
		fixture_pair(&m.from, &pair);
		assert_int_equal(bring(&m, &pair), i < 2 ? FL_PLACED_MOVED : FL_PLACED_NO_ROOM);
		assert_int_equal(placed(&m, FL_IPV4, half), i < 2 ? i + 1 : 2);
	}
	for (uint32_t slot = 0; slot < FL_FLOW_WAYS; slot++)
		assert_int_equal(fixture_state(&m.to, FL_IPV4, slot), FL_FLOW_REPLIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_flow_is_read_with_all_it_has),
		cmocka_unit_test(test_only_pairs_are_read),
		cmocka_unit_test(test_numbers_are_read_as_described),
		cmocka_unit_test(test_a_flow_is_placed_once_and_brought_up_to_date),
		cmocka_unit_test(test_the_later_of_two_flows_of_a_key_stays),
		cmocka_unit_test(test_a_flow_that_a_program_is_making_stays_its),
		cmocka_unit_test(test_a_full_table_is_left_as_it_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
