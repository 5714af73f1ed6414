/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Many files at once, as at a start: read and decoded by all processors. */
#pragma once

#include <pthread.h>
#include <stddef.h>

#include "lb/source/reading.h"

#define FL_READINGS_MAX 128
#define FL_READINGS_THREADS 3 /* besides the caller's */

struct fl_readings {
	struct fl_reading *list[FL_READINGS_MAX]; /* somebody else's */
	size_t n;
	size_t next; /* atomic: the first that no thread has taken yet */
	pthread_t threads[FL_READINGS_THREADS];
	size_t n_threads;
};

/* fl_reading_run() for each of r->list, by threads that go on while the caller does something else.
 * *r stays where it is until fl_readings_end(). */
void fl_readings_begin(struct fl_readings *r);

/* Returns when all are done; the caller's thread takes its share. */
void fl_readings_end(struct fl_readings *r);
