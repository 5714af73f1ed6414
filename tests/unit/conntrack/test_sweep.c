/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Expiry: both directions idle past the timeout of their state,
 * pairs die together, a refreshed flow stays, whatever races with the sweep.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "tests/unit/conntrack/table_fixture.h"

static size_t sweep_all(struct fixture *f, uint64_t now)
{
	return fl_flow_sweep(&f->table, &f->sweep, now, HZ, BUCKETS);
}

static void test_timeout_by_protocol_and_state(void **state)
{
	static const struct {
		uint8_t proto;
		enum fl_flow_state state;
		enum fl_timeout timeout;
	} rows[] = {
		{IPPROTO_TCP, FL_FLOW_NEW, FL_TIMEOUT_TCP_EMBRYONIC},
		{IPPROTO_TCP, FL_FLOW_REPLIED, FL_TIMEOUT_TCP_EMBRYONIC},
		{IPPROTO_TCP, FL_FLOW_ESTABLISHED, FL_TIMEOUT_TCP_ESTABLISHED},
		{IPPROTO_TCP, FL_FLOW_HALF_CLOSED, FL_TIMEOUT_TCP_CLOSE_WAIT},
		{IPPROTO_TCP, FL_FLOW_TIME_WAIT, FL_TIMEOUT_TCP_TIME_WAIT},
		{IPPROTO_TCP, FL_FLOW_CLOSING, FL_TIMEOUT_TCP_CLOSING},
		{IPPROTO_UDP, FL_FLOW_NEW, FL_TIMEOUT_UDP_EMBRYONIC},
		{IPPROTO_UDP, FL_FLOW_REPLIED, FL_TIMEOUT_UDP_ESTABLISHED},
		{IPPROTO_UDP, FL_FLOW_ESTABLISHED, FL_TIMEOUT_UDP_ESTABLISHED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
			struct fixture f;
			uint32_t timeout;

			fixture_init(&f);
			timeout = f.sweep.timeout[rows[i].timeout];
			fixture_pair(&f, &(struct pair){family, 3, 17, rows[i].proto, rows[i].state,
							NOW - timeout, NOW - timeout, 0});
			assert_int_equal(sweep_all(&f, NOW), 0);
			assert_int_equal(fixture_state(&f, family, 3), rows[i].state);
			assert_int_equal(sweep_all(&f, NOW + 1), 1);
			assert_int_equal(fixture_state(&f, family, 3), FL_FLOW_FREE);
			assert_int_equal(fixture_state(&f, family, 17), FL_FLOW_FREE);
			/* the next generation, so that nobody mistakes the next tenant for the old
			 * one */
			assert_int_equal(fixture_generation(&f, family, 3), 2);
			assert_int_equal(fixture_generation(&f, family, 17), 2);
		}
	}
}

static void test_either_direction_keeps_the_flow(void **state)
{
	uint32_t old = NOW - 2000 * HZ;

	for (int reply_fresh = 0; reply_fresh < 2; reply_fresh++) {
		struct fixture f;

		fixture_init(&f);
		fixture_pair(&f, &(struct pair){FL_IPV4, 3, 17, .state = FL_FLOW_ESTABLISHED,
						.last_seen = reply_fresh ? old : NOW,
						.reply_last_seen = reply_fresh ? NOW : old});
		assert_int_equal(sweep_all(&f, NOW), 0);
		assert_int_equal(fixture_state(&f, FL_IPV4, 3), FL_FLOW_ESTABLISHED);
		assert_int_equal(fixture_state(&f, FL_IPV4, 17), FL_FLOW_ESTABLISHED);
	}
}

static void test_jiffies_wrap_at_32_bits(void **state)
{
	struct fixture f;
	uint32_t seen = UINT32_MAX - 100;

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 3, 17, IPPROTO_UDP, FL_FLOW_NEW, seen, seen, 0});
	assert_int_equal(sweep_all(&f, 0x100000000ULL + 10), 0); /* 111 jiffies later */
	assert_int_equal(sweep_all(&f, 0x100000000ULL + 30 * HZ), 1);
}

static void test_time_of_the_future_is_fresh(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 3, 17, IPPROTO_UDP, FL_FLOW_NEW, NOW + 50,
					NOW + 50, 0});
	assert_int_equal(sweep_all(&f, NOW), 0);
}

static void test_lone_entries_go_after_a_second(void **state)
{
	struct fixture f;

	for (uint32_t gone = 0; gone < 2; gone++) {
		fixture_init(&f);
		fixture_pair(&f, &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_ESTABLISHED,
						.last_seen = NOW, .reply_last_seen = NOW});
		f.b4[0].way[gone].head.word = 5 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_FREE;
		assert_int_equal(sweep_all(&f, NOW + HZ), 0); /* it may be a flow in the making */
		assert_int_equal(sweep_all(&f, NOW + HZ + 1), 1);
		assert_int_equal(fixture_state(&f, FL_IPV4, 1 - gone), FL_FLOW_FREE);
		/* the slot of the missing one is another flow's by now */
		assert_int_equal(fixture_generation(&f, FL_IPV4, gone), 5);
	}
}

static void test_stranger_in_the_twins_slot_is_left_alone(void **state)
{
	struct fixture f;

	fixture_init(&f);
	fixture_pair(&f, &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_NEW, .last_seen = NOW,
					.reply_last_seen = NOW});
	/* the reply is evicted by another flow, which takes its slot */
	fixture_pair(&f,
		     &(struct pair){FL_IPV4, 8, 1, .state = FL_FLOW_ESTABLISHED,
				    .last_seen = NOW + 2 * HZ, .reply_last_seen = NOW + 2 * HZ});
	assert_int_equal(sweep_all(&f, NOW + 2 * HZ), 1);
	assert_int_equal(fixture_state(&f, FL_IPV4, 0), FL_FLOW_FREE);
	assert_int_equal(fixture_state(&f, FL_IPV4, 1), FL_FLOW_ESTABLISHED);
	assert_int_equal(fixture_state(&f, FL_IPV4, 8), FL_FLOW_ESTABLISHED);
}

static void test_busy_entries_are_left_alone(void **state)
{
	struct fixture f;

	fixture_init(&f);
	f.b4[2].way[1].head.word = 4 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_BUSY;
	assert_int_equal(sweep_all(&f, NOW), 0);
	assert_int_equal(fixture_state(&f, FL_IPV4, SLOT(2, 1)), FL_FLOW_BUSY);
}

static void test_slices_cover_the_table(void **state)
{
	struct fixture f;
	size_t freed = 0;

	fixture_init(&f);
	for (uint32_t i = 0; i < BUCKETS; i++)
		fixture_pair(&f, &(struct pair){FL_IPV4, SLOT(i, 0), SLOT((i + 3) % BUCKETS, 1),
						.state = FL_FLOW_CLOSING});
	for (int call = 0; call < 3; call++) {
		freed += fl_flow_sweep(&f.table, &f.sweep, NOW, HZ, 3);
		assert_int_equal(freed, call == 0 ? 3 : call == 1 ? 6 : 8);
	}
	assert_int_equal(f.sweep.next4,
			 1); /* three slices of three: one bucket into the next round */
}

static void test_generation_wraps(void **state)
{
	struct fixture f;

	fixture_init(&f);
	f.b4[0].way[0].head.word = 0xfffffeU << FL_FLOW_GENERATION_SHIFT;
	fixture_pair(&f, &(struct pair){FL_IPV4, 0, 1, .state = FL_FLOW_CLOSING});
	assert_int_equal(fixture_generation(&f, FL_IPV4, 0), 0xffffff);
	assert_int_equal(sweep_all(&f, NOW), 1);
	assert_int_equal(f.b4[0].way[0].head.word, FL_FLOW_FREE);
}

/* What a whole pass met, in however many slices, is how full the table of each family is. */
static void test_a_pass_tells_how_full_the_table_is(void **state)
{
	for (size_t slice = 1; slice <= BUCKETS; slice++) {
		const struct fl_flow_tally *tally;
		struct fixture f;

		fixture_init(&f);
		fixture_pair(&f, &(struct pair){FL_IPV4, SLOT(0, 0), SLOT(7, 3), IPPROTO_TCP,
						FL_FLOW_ESTABLISHED, NOW, NOW, 0});
		fixture_pair(&f, &(struct pair){FL_IPV4, SLOT(1, 0), SLOT(2, 0), IPPROTO_TCP,
						FL_FLOW_NEW, NOW, NOW, 0});
		fixture_pair(&f, &(struct pair){FL_IPV4, SLOT(3, 0), SLOT(4, 0), IPPROTO_UDP,
						FL_FLOW_NEW, NOW, NOW, 0});
		fixture_pair(&f, &(struct pair){FL_IPV6, SLOT(5, 0), SLOT(6, 0), IPPROTO_TCP,
						FL_FLOW_CLOSING, NOW, NOW, 0});
		assert_int_equal(f.sweep.tally[FL_IPV4].slots, 0);
		for (int pass = 0; pass < 2; pass++)
			for (size_t done = 0; done < BUCKETS; done += slice)
				fl_flow_sweep(&f.table, &f.sweep, NOW, HZ,
					      done + slice > BUCKETS ? BUCKETS - done : slice);
		tally = &f.sweep.tally[FL_IPV4];
		assert_int_equal(tally->slots, BUCKETS * FL_FLOW_WAYS);
		assert_int_equal(tally->used, 6);
		assert_int_equal(tally->proven, 2);
		assert_int_equal(tally->unanswered, 1);
		assert_int_equal(tally->flows[FL_FLOW_NEW], 2);
		assert_int_equal(tally->flows[FL_FLOW_ESTABLISHED], 1);
		assert_int_equal(tally->flows[FL_FLOW_CLOSING], 0);
		tally = &f.sweep.tally[FL_IPV6];
		assert_int_equal(tally->slots, BUCKETS * FL_FLOW_WAYS);
		assert_int_equal(tally->used, 2);
		assert_int_equal(tally->proven, 0); /* it may make room for another */
		assert_int_equal(tally->unanswered, 0);
		assert_int_equal(tally->flows[FL_FLOW_CLOSING], 1);
	}
}

/*
 * A sweeper with a running clock against a datapath that refreshes a flow now and then. Once the
 * datapath knows that its refresh counts (the word is the same behind it), no sweep that begins
 * afterwards may free the flow before the timeout is over.
 */
#define RACE_PASSES 300000
#define RACE_TIMEOUT 3

struct race {
	struct fixture f;
	uint64_t passes; /* sweeps finished */
	uint32_t clock;	 /* the time that the running or last sweep was given */
	size_t freed;
	uint32_t freed_at; /* the time of the last sweep that freed something */
	bool done;
};

static void *race_sweeper(void *arg)
{
	struct race *race = arg;

	for (int i = 0; i < RACE_PASSES; i++) {
		uint32_t now = __atomic_add_fetch(&race->clock, 1, __ATOMIC_SEQ_CST);
		size_t freed = fl_flow_sweep(&race->f.table, &race->f.sweep, now, 1, BUCKETS);

		if (freed)
			__atomic_store_n(&race->freed_at, now, __ATOMIC_SEQ_CST);
		race->freed += freed;
		__atomic_add_fetch(&race->passes, 1, __ATOMIC_SEQ_CST);
		if (i % 64 == 0)
			sched_yield();
	}
	__atomic_store_n(&race->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool race_over(struct race *race)
{
	return __atomic_load_n(&race->done, __ATOMIC_SEQ_CST);
}

/* Wait until no sweep that was running is still running. */
static void race_settle(struct race *race)
{
	uint64_t passes = __atomic_load_n(&race->passes, __ATOMIC_SEQ_CST);

	while (!race_over(race) && __atomic_load_n(&race->passes, __ATOMIC_SEQ_CST) < passes + 1)
		sched_yield();
}

static void test_refresh_and_sweep_race(void **state)
{
	static struct race race;
	struct fl_flow_head *head, *reply;
	size_t made = 0, early = 0, half = 0;
	pthread_t thread;

	fixture_init(&race.f);
	for (int i = 0; i < FL_TIMEOUTS; i++)
		race.f.sweep.timeout[i] = RACE_TIMEOUT;
	head = fixture_head(&race.f, FL_IPV4, SLOT(1, 0));
	reply = fixture_head(&race.f, FL_IPV4, SLOT(5, 3));
	assert_int_equal(pthread_create(&thread, NULL, race_sweeper, &race), 0);
	while (!race_over(&race)) {
		uint32_t t = __atomic_load_n(&race.clock, __ATOMIC_SEQ_CST), word, reply_word,
			 confirmed = t, running = t;

		fixture_pair(&race.f, &(struct pair){FL_IPV4, SLOT(1, 0), SLOT(5, 3), IPPROTO_UDP,
						     FL_FLOW_ESTABLISHED, t, t, 0});
		made++;
		word = __atomic_load_n(&head->word, __ATOMIC_SEQ_CST);
		reply_word = __atomic_load_n(&reply->word, __ATOMIC_SEQ_CST);
		while (!race_over(&race)) {
			struct fl_flow_head *dir = made & 1 ? head : reply;
			uint32_t dir_word = made & 1 ? word : reply_word;

			if ((__atomic_load_n(&dir->word, __ATOMIC_SEQ_CST)) == dir_word) {
				t = __atomic_load_n(&race.clock, __ATOMIC_SEQ_CST);
				__atomic_store_n(&dir->last_seen, t, __ATOMIC_SEQ_CST);
				if (__atomic_load_n(&dir->word, __ATOMIC_SEQ_CST) == dir_word) {
					confirmed = t;
					running = __atomic_load_n(&race.clock, __ATOMIC_SEQ_CST);
				}
				if (made % 3 == 0)
					race_settle(&race);
				continue;
			}
			/* freed, and it stays so */
			race_settle(&race);
			assert_int_not_equal(__atomic_load_n(&head->word, __ATOMIC_SEQ_CST), word);
			t = __atomic_load_n(&race.freed_at, __ATOMIC_SEQ_CST);
			early += t > running && t - confirmed <= RACE_TIMEOUT;
			half += __atomic_load_n(&reply->word, __ATOMIC_SEQ_CST) == reply_word;
			break;
		}
	}
	pthread_join(thread, NULL);
	assert_int_equal(early, 0);
	assert_int_equal(half, 0);
	assert_true(made > 0);
	assert_true(race.freed >= made - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timeout_by_protocol_and_state),
		cmocka_unit_test(test_either_direction_keeps_the_flow),
		cmocka_unit_test(test_jiffies_wrap_at_32_bits),
		cmocka_unit_test(test_time_of_the_future_is_fresh),
		cmocka_unit_test(test_lone_entries_go_after_a_second),
		cmocka_unit_test(test_stranger_in_the_twins_slot_is_left_alone),
		cmocka_unit_test(test_busy_entries_are_left_alone),
		cmocka_unit_test(test_slices_cover_the_table),
		cmocka_unit_test(test_generation_wraps),
		cmocka_unit_test(test_a_pass_tells_how_full_the_table_is),
		cmocka_unit_test(test_refresh_and_sweep_race),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
