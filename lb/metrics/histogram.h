/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Observations sorted into buckets, with kube-proxy's bounds (rule 8: B1 and B2 of its table). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define FL_HISTOGRAM_BOUNDS_MAX 96

struct fl_histogram {
	const double *bounds; /* upper ones, rising, in seconds */
	size_t n_bounds;
	uint64_t
		counts[FL_HISTOGRAM_BOUNDS_MAX + 1]; /* of each bucket alone; the last: above all */
	double sum;
};

/* 1 ms to 16 s, each bound twice the one before. */
struct fl_histogram fl_histogram_sync(void);
/* 250 ms to 5 minutes, in steps that grow from half a second to 30 seconds. */
struct fl_histogram fl_histogram_programming(void);
void fl_histogram_observe(struct fl_histogram *histogram, double seconds);
