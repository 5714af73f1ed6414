/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A few threads, each of which takes the next reading; they are gone when all are done. */
#include "lb/source/readings.h"

#include <unistd.h>

#include "lb/base/thread.h"

#define THREADS_MAX 4
#define READINGS_PER_THREAD 16 /* fewer are not worth a thread */

struct reading_queue {
	struct fl_reading *const *list;
	size_t n, next; /* next: atomic, the first that no thread has taken yet */
};

static void *work(void *arg)
{
	struct reading_queue *queue = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&queue->next, 1, __ATOMIC_RELAXED)) < queue->n)
		fl_reading_run(queue->list[i]);
	return NULL;
}

void fl_readings_run(struct fl_reading *const *list, size_t n)
{
	struct reading_queue queue = {.list = list, .n = n};
	pthread_t threads[THREADS_MAX - 1];
	size_t n_threads = 0, max = n / READINGS_PER_THREAD;
	const long cpus = max > 1 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;

	max = max < THREADS_MAX ? max : THREADS_MAX;
	while (n_threads + 1 < max && (long)n_threads + 1 < cpus &&
	       fl_thread_start(&threads[n_threads], work, &queue))
		n_threads++;
	work(&queue);
	while (n_threads)
		pthread_join(threads[--n_threads], NULL);
}
