/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A few threads, each of which takes the next reading; they are gone when all are done. */
#include "lb/source/readings.h"

#include <unistd.h>

#include "lb/base/thread.h"

#define READINGS_PER_THREAD 16 /* fewer are not worth a thread */

static void *work(void *arg)
{
	struct fl_readings *r = arg;
	size_t i;

	while ((i = __atomic_fetch_add(&r->next, 1, __ATOMIC_RELAXED)) < r->n)
		fl_reading_run(r->list[i]);
	return NULL;
}

void fl_readings_begin(struct fl_readings *r)
{
	const size_t shares = r->n / READINGS_PER_THREAD;
	const long cpus = shares > 1 ? sysconf(_SC_NPROCESSORS_ONLN) : 1;

	r->next = r->n_threads = 0;
	while (r->n_threads < FL_READINGS_THREADS && r->n_threads + 1 < shares &&
	       (long)r->n_threads + 1 < cpus && fl_thread_start(&r->threads[r->n_threads], work, r))
		r->n_threads++;
}

void fl_readings_end(struct fl_readings *r)
{
	work(r);
	while (r->n_threads)
		pthread_join(r->threads[--r->n_threads], NULL);
	r->n = 0;
}
