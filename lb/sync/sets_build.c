// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Building the tables of a batch. A single change needs one or two, which take microseconds; the
 * first sync of a large cluster needs thousands, which take most of its time and are independent of
 * each other: a few threads build them and are gone when the batch goes on. The rest of the agent
 * has one thread.
 */
#include <unistd.h>

#include "lb/base/thread.h"
#include "lb/sync/sets.h"

#define THREADS_MAX 4
#define SETS_PER_THREAD 64 /* fewer are not worth a thread */

struct job {
	struct fl_sets *sets;
	const uint32_t *list;
	uint32_t n;
	uint32_t next;	/* atomic: the first set that no thread has taken yet */
	uint32_t built; /* atomic */
};

static void work(struct job *job, struct fl_set_builder *builder)
{
	uint32_t i, built = 0;

	while ((i = __atomic_fetch_add(&job->next, 1, __ATOMIC_RELAXED)) < job->n)
		built += !fl_set_build(job->sets, builder, job->list[i]);
	__atomic_fetch_add(&job->built, built, __ATOMIC_RELAXED);
}

static void *thread_main(void *arg)
{
	struct fl_set_builder builder = {0};

	work(arg, &builder);
	fl_set_builder_fini(&builder);
	return NULL;
}

void fl_sets_build(struct fl_sets *sets, const uint32_t *list, uint32_t n)
{
	struct job job = {.sets = sets, .list = list, .n = n};
	pthread_t threads[THREADS_MAX - 1];
	uint32_t n_threads = 0, max = n / SETS_PER_THREAD;
	long cpus;

	if (max > 1) {
		cpus = sysconf(_SC_NPROCESSORS_ONLN);
		max = max < THREADS_MAX ? max : THREADS_MAX;
		max = cpus > 0 && (uint32_t)cpus < max ? (uint32_t)cpus : max;
	}
	while (n_threads + 1 < max && fl_thread_start(&threads[n_threads], thread_main, &job))
		n_threads++;
	work(&job, &sets->builder);
	while (n_threads)
		pthread_join(threads[--n_threads], NULL);
	sets->writes += job.built;
}
