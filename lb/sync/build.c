// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Making the tables of a batch. A single change needs one or two, which take microseconds; the
 * first sync of a large cluster needs thousands, which take most of its time and have nothing to do
 * with each other: they are made by a few threads that are gone when the batch goes on. The rest of
 * the agent has one thread.
 */
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "lb/sync/internal.h"

#define THREADS_MAX 4
#define SETS_PER_THREAD 64 /* fewer are not worth a thread */

struct job {
	struct fl_sync *sync;
	const uint32_t *sets;
	uint32_t n;
	uint32_t next;	/* atomic: the first set nobody took yet */
	uint32_t built; /* atomic */
};

static void work(struct job *job, struct fl_set_builder *builder)
{
	uint32_t i, built = 0;

	while ((i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->n)
		built += !fl_set_build(job->sync, builder, job->sets[i]);
	__atomic_fetch_add(&job->built, built, __ATOMIC_RELAXED);
}

static void *thread_main(void *arg)
{
	struct fl_set_builder builder = {0};

	work(arg, &builder);
	fl_set_builder_fini(&builder);
	return NULL;
}

/* Signals are for the thread that runs the agent's loop. */
static bool thread_start(pthread_t *thread, struct job *job)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(thread, NULL, thread_main, job);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return !rc;
}

static void list_unbuilt(struct fl_sync *sync, const struct fl_state *want, uint32_t *n)
{
	for (int list = 0; list < FL_LISTS; list++) {
		struct fl_set *set = &sync->sets.all[want->set[list]];

		if (!want->set[list] || !set->unbuilt || set->listed)
			continue;
		/* what does not fit into the list is made later, one by one */
		if (fl_grow(&sync->scratch, &sync->cap_scratch, *n + 1ULL, sizeof(*sync->scratch)))
			continue;
		set->listed = true;
		sync->scratch[(*n)++] = want->set[list];
	}
}

void fl_sets_build_pending(struct fl_sync *sync)
{
	struct job job = {.sync = sync};
	pthread_t threads[THREADS_MAX - 1];
	uint32_t n_threads = 0, max;
	long cpus;

	for (uint32_t i = 0; i < sync->n_pending; i++)
		if (sync->pending[i]->want && !sync->pending[i]->remove)
			list_unbuilt(sync, sync->pending[i]->want, &job.n);
	job.sets = sync->scratch;
	max = job.n / SETS_PER_THREAD;
	if (max > 1) {
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
		max = max < THREADS_MAX ? max : THREADS_MAX;
		max = cpus > 0 && (uint32_t)cpus < max ? (uint32_t)cpus : max;
	}
	while (n_threads + 1 < max && thread_start(&threads[n_threads], &job))
		n_threads++;
	work(&job, &sync->sets.builder);
	while (n_threads)
		pthread_join(threads[--n_threads], NULL);
	for (uint32_t i = 0; i < job.n; i++)
		sync->sets.all[sync->scratch[i]].listed = false;
	sync->map_writes += job.built;
}
