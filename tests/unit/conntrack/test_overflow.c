/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rebuilding the overflow bits: what is needed stays readable at every moment, what is not goes.
 * The datapath's part is played by hand: bits in both halves first, then the entry.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "bpf/abi/hash.h"
#include "conntrack/table.h"

#define BUCKETS 64
#define MASK (BUCKETS - 1)
#define WORDS (BUCKETS / FL_OVERFLOW_BUCKETS)
#define HZ 250
#define SLICE 5 /* buckets a call */

struct fixture {
	struct fl_bucket4 b4[BUCKETS];
	struct fl_bucket6 b6[BUCKETS];
	struct fl_overflow overflow[FL_FAMILIES][WORDS];
	struct fl_meta meta;
	struct fl_flow_table table;
	struct fl_rebuild rebuild;
	uint64_t now;
};

static void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->meta.flow_seed[0] = 0x0123456789abcdef;
	f->now = 0xffffff00; /* jiffies wrap soon */
	f->table = (struct fl_flow_table){
		.flows4 = f->b4,
		.n_flows4 = BUCKETS,
		.flows6 = f->b6,
		.n_flows6 = BUCKETS,
		.overflow4 = f->overflow[FL_IPV4],
		.overflow6 = f->overflow[FL_IPV6],
		.meta = &f->meta,
	};
}

/* A key and where it would be. */
struct place {
	enum fl_family family;
	struct fl_tuple6 key;
	uint64_t hash;
	uint32_t choice;
	uint16_t way;
};

static struct place place_of(struct fixture *f, enum fl_family family, uint16_t sport,
			     uint32_t choice)
{
	struct place p = {.family = family, .choice = choice, .way = sport % FL_FLOW_WAYS};

	p.key = (struct fl_tuple6){.sport = sport, .dport = 80};
	p.key.saddr.w[3] = 7;
	p.key.daddr.w[3] = 9;
	if (family == FL_IPV6)
		p.key.saddr.w[0] = 0xfd;
	p.hash = fl_hash_tuple(family == FL_IPV6, &p.key, IPPROTO_TCP, f->meta.flow_seed[0]);
	return p;
}

static struct fl_flow_head *head_of(struct fixture *f, const struct place *p)
{
	uint32_t bucket = fl_hash_bucket(p->hash, p->choice, MASK);

	return p->family == FL_IPV4 ? &f->b4[bucket].way[p->way].head
				    : &f->b6[bucket].way[p->way].head;
}

static __u64 *word_of(struct fixture *f, const struct place *p, uint32_t half, __u64 *ret_bit)
{
	uint32_t first = fl_hash_bucket(p->hash, 0, MASK);

	*ret_bit = 1ULL << (first % FL_OVERFLOW_BUCKETS * (FL_FLOW_CHOICES - 1) + p->choice - 1);
	return &f->overflow[p->family][first / FL_OVERFLOW_BUCKETS].half[half];
}

static bool bit_in(struct fixture *f, const struct place *p, uint32_t half)
{
	__u64 bit, *word = word_of(f, p, half, &bit);

	return __atomic_load_n(word, __ATOMIC_SEQ_CST) & bit;
}

/* As the datapath looks. */
static bool is_found(struct fixture *f, const struct place *p)
{
	return bit_in(f, p, __atomic_load_n(&f->meta.overflow_half, __ATOMIC_SEQ_CST) & 1);
}

/* Take the entry and set the bits; returns the word to publish. */
static uint32_t put_begin(struct fixture *f, const struct place *p)
{
	struct fl_flow_head *head = head_of(f, p);
	uint32_t word = ((head->word >> FL_FLOW_GENERATION_SHIFT) + 1) << FL_FLOW_GENERATION_SHIFT;

	__atomic_store_n(&head->word, word | FL_FLOW_BUSY, __ATOMIC_SEQ_CST);
	for (uint32_t half = 0; half < 2 && p->choice; half++) {
		__u64 bit, *bits = word_of(f, p, half, &bit);

		if (!(__atomic_load_n(bits, __ATOMIC_RELAXED) & bit))
			__atomic_fetch_or(bits, bit, __ATOMIC_SEQ_CST);
	}
	return word | FL_FLOW_ESTABLISHED;
}

static void put_end(struct fixture *f, const struct place *p, uint32_t word)
{
	struct fl_flow_head *head = head_of(f, p);

	head->proto = IPPROTO_TCP;
	if (p->family == FL_IPV4)
		((struct fl_flow4 *)head)->key = (struct fl_tuple4){
			p->key.saddr.w[3], p->key.daddr.w[3], p->key.sport, p->key.dport};
	else
		((struct fl_flow6 *)head)->key = p->key;
	__atomic_store_n(&head->word, word, __ATOMIC_SEQ_CST);
}

static void put(struct fixture *f, const struct place *p)
{
	put_end(f, p, put_begin(f, p));
}

static void take_away(struct fixture *f, const struct place *p)
{
	__atomic_and_fetch(&head_of(f, p)->word, ~FL_FLOW_STATE_MASK, __ATOMIC_SEQ_CST);
}

static void step(struct fixture *f, uint32_t jiffies)
{
	f->now += jiffies;
	fl_overflow_rebuild(&f->table, &f->rebuild, f->now, HZ, SLICE);
}

static void step_to(struct fixture *f, enum fl_rebuild_phase phase)
{
	for (int i = 0; f->rebuild.phase != phase; i++) {
		assert_true(i < 1000);
		step(f, HZ / 10);
	}
}

static void one_round(struct fixture *f)
{
	uint32_t half = f->meta.overflow_half;

	step_to(f, FL_REBUILD_SCAN);
	step_to(f, FL_REBUILD_REST);
	assert_int_not_equal(f->meta.overflow_half, half);
}

static void test_what_is_gone_goes_and_the_rest_stays(void **state)
{
	struct fixture f;

	fixture_init(&f);
	for (int round = 0; round < 4; round++) {
		struct place places[FL_FAMILIES][FL_FLOW_CHOICES];
		unsigned int bits = 0;

		for (enum fl_family v = FL_IPV4; v < FL_FAMILIES; v++)
			for (uint32_t c = 0; c < FL_FLOW_CHOICES; c++) {
				places[v][c] = place_of(&f, v, (uint16_t)(100 * round + 7 * c), c);
				put(&f, &places[v][c]);
			}
		one_round(&f);
		for (enum fl_family v = FL_IPV4; v < FL_FAMILIES; v++) {
			for (uint32_t c = 1; c < FL_FLOW_CHOICES; c++)
				assert_true(is_found(&f, &places[v][c]));
			for (int i = 0; i < WORDS; i++)
				bits += (unsigned int)__builtin_popcountll(
					f.overflow[v][i].half[f.meta.overflow_half]);
			for (uint32_t c = 0; c < FL_FLOW_CHOICES; c++)
				take_away(&f, &places[v][c]);
		}
		/* those of the last round's keys are gone */
		assert_int_equal(bits, FL_FAMILIES * (FL_FLOW_CHOICES - 1));
	}
}

static void test_nothing_to_do_nothing_done(void **state)
{
	struct place p;
	struct fixture f;

	fixture_init(&f);
	p = place_of(&f, FL_IPV4, 40, 0);
	put(&f, &p);
	for (int i = 0; i < 2000; i++)
		step(&f, HZ / 10);
	assert_int_equal(f.rebuild.phase, FL_REBUILD_REST);
	assert_int_equal(f.meta.overflow_half, 0);
	/* however long that lasts: jiffies wrap */
	for (int i = 0; i < 300; i++)
		step(&f, 1U << 24);
	p.choice = 1;
	put(&f, &p);
	one_round(&f);
}

/* A reader may have read the number of the old half just before the change: it stays right. */
static void test_the_old_half_is_left_alone_for_a_while(void **state)
{
	struct place p;
	struct fixture f;

	fixture_init(&f);
	p = place_of(&f, FL_IPV4, 40, 3);
	put(&f, &p);
	one_round(&f);
	for (int i = 0; i < 30 * 10; i++) {
		assert_true(bit_in(&f, &p, 0) && bit_in(&f, &p, 1));
		step(&f, HZ / 10);
	}
	step(&f, HZ);
	assert_int_equal(f.rebuild.phase, FL_REBUILD_CLEARED);
	assert_true(is_found(&f, &p));
}

/* The clearing wipes out the bit of an entry in the making: it gets it back. */
static void test_an_entry_that_is_being_made_is_not_forgotten(void **state)
{
	struct place other, p;
	struct fixture f;
	uint32_t word;

	fixture_init(&f);
	other = place_of(&f, FL_IPV4, 40, 1);
	put(&f, &other);
	p = place_of(&f, FL_IPV4, 41, 2);
	word = put_begin(&f, &p);
	step_to(&f, FL_REBUILD_CLEARED);
	assert_false(bit_in(&f, &p, 1));
	step(&f, 100 * HZ); /* the clearing took that long */
	for (int i = 0; i < 10; i++)
		step(&f, HZ / 10);
	put_end(&f, &p, word);
	for (int i = 0; i < 100; i++) {
		assert_true(is_found(&f, &p));
		step(&f, HZ / 10);
	}
	assert_int_equal(f.meta.overflow_half, 1);
}

/* Another agent, or this one started again, may have changed halves a moment ago. */
static void test_begins_with_a_rest(void **state)
{
	struct place p;
	struct fixture f;

	fixture_init(&f);
	p = place_of(&f, FL_IPV6, 40, 1);
	put(&f, &p);
	step(&f, 0x10000000);
	for (int i = 0; i < 30 * 10; i++) {
		step(&f, HZ / 10);
		assert_int_equal(f.rebuild.phase, FL_REBUILD_REST);
	}
}

static void test_maps_that_are_absent(void **state)
{
	struct fl_rebuild rebuild = {0};
	struct fl_flow_table table = {0};

	for (int i = 0; i < 100; i++)
		fl_overflow_rebuild(&table, &rebuild, (uint64_t)(i * 100) * HZ, HZ, SLICE);
	assert_int_equal(rebuild.phase, FL_REBUILD_BEGIN);
}

/*
 * A datapath that puts entries and takes them away, and looks for those that are there, against an
 * agent that goes round and round. The clock runs on by a second only when the datapath has passed
 * from one packet to the next, which is what the waits are for.
 */
#define RACE_ROUNDS 300
#define RACE_KEYS 16

struct race {
	struct fixture f;
	uint64_t packets;
	size_t lost;
	bool over;
};

static void *race_datapath(void *arg)
{
	struct race *race = arg;
	bool there[RACE_KEYS] = {false};
	struct place places[RACE_KEYS];
	uint64_t seed = 1;

	for (uint16_t n = 0, sport = 1; n < RACE_KEYS; sport++) {
		bool taken = false;

		places[n] = place_of(&race->f, n & 1 ? FL_IPV6 : FL_IPV4, sport,
				     1 + n % (FL_FLOW_CHOICES - 1));
		for (int i = 0; i < n; i++)
			taken |= head_of(&race->f, &places[i]) == head_of(&race->f, &places[n]);
		n += !taken;
	}
	while (!__atomic_load_n(&race->over, __ATOMIC_SEQ_CST)) {
		unsigned int i;

		seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
		i = (unsigned int)(seed >> 40) % RACE_KEYS;
		if (!there[i]) {
			put(&race->f, &places[i]);
			there[i] = true;
		} else if (seed >> 33 & 1) {
			take_away(&race->f, &places[i]);
			there[i] = false;
		}
		race->lost += there[i] && !is_found(&race->f, &places[i]);
		__atomic_add_fetch(&race->packets, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void test_nothing_is_lost_at_any_moment(void **state)
{
	static struct race race;
	unsigned int rounds = 0;
	pthread_t thread;

	fixture_init(&race.f);
	assert_int_equal(pthread_create(&thread, NULL, race_datapath, &race), 0);
	while (rounds < RACE_ROUNDS) {
		uint64_t packets = __atomic_load_n(&race.packets, __ATOMIC_SEQ_CST);
		uint32_t half = race.f.meta.overflow_half;
		bool scanning = race.f.rebuild.phase == FL_REBUILD_SCAN;

		/* two ends of packets: the one that ran now is over */
		while (!scanning && __atomic_load_n(&race.packets, __ATOMIC_SEQ_CST) < packets + 2)
			sched_yield();
		step(&race.f, scanning ? 1 : 31 * HZ);
		rounds += race.f.meta.overflow_half != half;
	}
	__atomic_store_n(&race.over, true, __ATOMIC_SEQ_CST);
	pthread_join(thread, NULL);
	assert_int_equal(race.lost, 0);
	assert_true(race.packets > RACE_ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_gone_goes_and_the_rest_stays),
		cmocka_unit_test(test_nothing_to_do_nothing_done),
		cmocka_unit_test(test_the_old_half_is_left_alone_for_a_while),
		cmocka_unit_test(test_an_entry_that_is_being_made_is_not_forgotten),
		cmocka_unit_test(test_begins_with_a_rest),
		cmocka_unit_test(test_maps_that_are_absent),
		cmocka_unit_test(test_nothing_is_lost_at_any_moment),
	};

	return cmocka_run_group_tests_name("overflow bits", tests, NULL, NULL);
}
