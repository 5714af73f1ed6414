// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Readers beside the writer of the table of frontends: they find old or new, whole, and never
 * nothing where there was something all the time; also when the writer is killed at any
 * instruction (robustness A2).
 */
#include "tests/unit/dp/frontend_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINES 128
#define STAY_MAX 24
#define MOVE_MAX 40
#define NEVER 1000 /* keys from this number on are never put */
#define READERS 2
#define LOOKS 300000
#define KILLS 150

/* Keys that stay, though what is said of them changes, and keys that come and go. */
struct crowd {
	struct fl_frontend_key stay[STAY_MAX], move[MOVE_MAX];
	uint32_t n_stay, n_move;
};

static struct crowd scattered(const struct fl_frontend_table *t)
{
	struct crowd crowd = {.n_stay = 24, .n_move = MOVE_MAX};

	for (uint32_t i = 0; i < crowd.n_stay; i++)
		crowd.stay[i] = key_of(i);
	for (uint32_t i = 0; i < crowd.n_move; i++)
		crowd.move[i] = key_of(crowd.n_stay + i);
	return crowd;
}

/* All of one home, so that the way to a key is long. */
static struct crowd of_one_home(const struct fl_frontend_table *t)
{
	struct crowd crowd = {.n_stay = 10, .n_move = 5};
	uint32_t n = 2 * NEVER;

	for (uint32_t i = 0; i < crowd.n_stay; i++)
		crowd.stay[i] = key_with_home(t, 100, &n);
	for (uint32_t i = 0; i < crowd.n_move; i++)
		crowd.move[i] = key_with_home(t, 100, &n);
	return crowd;
}

/* The places of a home are those of strangers, who give way when keys of it come. */
static struct crowd in_the_way(const struct fl_frontend_table *t)
{
	struct crowd crowd = {.n_stay = FL_FRONTEND_PLACES, .n_move = 8};
	uint32_t n;

	for (uint32_t i = 0; i < crowd.n_stay; i++) {
		n = 2 * NEVER;
		crowd.stay[i] = key_with_home(t, fl_frontend_place(50, i, t->mask), &n);
	}
	n = 2 * NEVER + 5000;
	for (uint32_t i = 0; i < crowd.n_move; i++)
		crowd.move[i] = key_with_home(t, 50, &n);
	return crowd;
}

static struct crowd (*const crowds[])(const struct fl_frontend_table *t) = {scattered, of_one_home,
									    in_the_way};
#define CROWDS (sizeof(crowds) / sizeof(crowds[0]))

static int put(struct fl_frontend_table *t, const struct fl_frontend_key *key, uint32_t n)
{
	const struct fl_frontend value = value_of(n);

	return fl_frontend_table_put(t, key, &value);
}

static struct fl_frontend_table table_with(struct crowd *ret_crowd, size_t which)
{
	struct fl_frontend_table t = table_new(LINES);

	*ret_crowd = crowds[which](&t);
	for (uint32_t i = 0; i < ret_crowd->n_stay; i++)
		assert_int_equal(put(&t, &ret_crowd->stay[i], i), 0);
	return t;
}

/* One change of each kind. */
static void write_some(struct fl_frontend_table *t, const struct crowd *crowd, uint32_t i)
{
	const struct fl_frontend_key *key = &crowd->move[(uint32_t)rand() % crowd->n_move];

	put(t, &crowd->stay[(uint32_t)rand() % crowd->n_stay], i);
	if (rand() % 2)
		put(t, key, i);
	else
		fl_frontend_table_remove(t, key);
}

struct reader {
	const struct fl_frontend_table *table;
	const struct crowd *crowd;
	pthread_t thread;
	uint32_t missed, mixed, ghosts; /* what must not be */
	atomic_bool ended;
};

static void *read_on(void *arg)
{
	struct reader *reader = arg;
	const struct crowd *crowd = reader->crowd;

	for (uint32_t i = 0; i < LOOKS; i++) {
		const struct fl_frontend_key never = key_of(NEVER + i % 97);
		struct fl_frontend value;

		if (!fl_frontend_table_get(reader->table, &crowd->stay[i % crowd->n_stay], &value))
			reader->missed++;
		else if (!is_whole(&value))
			reader->mixed++;
		if (fl_frontend_table_get(reader->table, &crowd->move[i % crowd->n_move], &value))
			reader->mixed += !is_whole(&value);
		reader->ghosts += fl_frontend_table_get(reader->table, &never, &value);
	}
	atomic_store(&reader->ended, true);
	return NULL;
}

static void read_and_write(size_t which)
{
	struct crowd crowd;
	struct fl_frontend_table t = table_with(&crowd, which);
	struct reader readers[READERS] = {0};
	bool ended = false;

	for (int i = 0; i < READERS; i++) {
		readers[i].table = &t;
		readers[i].crowd = &crowd;
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_on, &readers[i]), 0);
	}
	srand(1);
	for (uint32_t i = 1; !ended; i++) {
		write_some(&t, &crowd, i);
		ended = true;
		for (int k = 0; k < READERS; k++)
			ended &= atomic_load(&readers[k].ended);
	}
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i].thread, NULL);
	for (int i = 0; i < READERS; i++) {
		assert_int_equal(readers[i].missed, 0);
		assert_int_equal(readers[i].mixed, 0);
		assert_int_equal(readers[i].ghosts, 0);
	}
	table_check(&t);
	table_free(&t);
}

static void test_readers_beside_the_writer(void **state)
{
	for (size_t which = 0; which < CROWDS; which++)
		read_and_write(which);
}

/* Lists change in place, each side at once, whatever the other does. */
static void test_a_side_is_never_half(void **state)
{
	struct fl_frontend_table t = table_new(16);
	const struct fl_frontend_key key = key_of(1);
	struct fl_frontend value = value_of(1), got;
	const uint32_t generation = t.lines[home_of_key(&t, &key)].word;

	assert_int_equal(fl_frontend_table_put(&t, &key, &value), 0);
	for (uint32_t n = 2; n < 100; n++) {
		for (uint32_t side = 0; side < FL_SIDES; side++)
			value.list[side].slab = value.list[side].count = n;
		assert_int_equal(fl_frontend_table_put(&t, &key, &value), 0);
		assert_true(fl_frontend_table_get(&t, &key, &got));
		assert_memory_equal(&got, &value, sizeof(got));
	}
	assert_int_equal(t.lines[home_of_key(&t, &key)].word, generation | FL_FRONTEND_LIVE);
	table_free(&t);
}

/* Writes without end, and counts, so that one knows when it has begun. */
static void write_until_killed(struct fl_frontend_table *t, const struct crowd *crowd,
			       atomic_uint *progress, uint32_t seed)
{
	srand(seed);
	for (uint32_t i = 1;; i++) {
		write_some(t, crowd, i);
		atomic_store(progress, i);
	}
}

static void write_and_kill(struct fl_frontend_table *t, const struct crowd *crowd,
			   atomic_uint *progress, uint32_t round)
{
	pid_t pid, died = 0;
	int status;

	atomic_store(progress, 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid)
		write_until_killed(t, crowd, progress, round);
	while (atomic_load(progress) < 20 + round && !died) {
		died = waitpid(pid, &status, WNOHANG);
		sched_yield();
	}
	assert_int_equal(died, 0); /* of itself */
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

static void stay_is_there(const struct fl_frontend_table *t, const struct crowd *crowd)
{
	for (uint32_t i = 0; i < crowd->n_stay; i++) {
		struct fl_frontend value;

		assert_true(fl_frontend_table_get(t, &crowd->stay[i], &value));
		assert_true(is_whole(&value));
	}
}

static void test_writer_is_killed_anywhere(void **state)
{
	atomic_uint *progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(progress, MAP_FAILED);
	for (size_t which = 0; which < CROWDS; which++) {
		struct crowd crowd;
		struct fl_frontend_table t = table_with(&crowd, which);

		for (uint32_t round = 0; round < KILLS / CROWDS; round++) {
			write_and_kill(&t, &crowd, progress, round);
			/* before anybody has tidied up, and after */
			stay_is_there(&t, &crowd);
			fl_frontend_table_tidy(&t);
			table_check(&t);
			stay_is_there(&t, &crowd);
		}
		table_free(&t);
	}
	munmap(progress, sizeof(*progress));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_readers_beside_the_writer),
		cmocka_unit_test(test_a_side_is_never_half),
		cmocka_unit_test(test_writer_is_killed_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
