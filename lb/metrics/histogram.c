/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bounds, and finding the bucket. */
#include "lb/metrics/histogram.h"

#include <assert.h>

static const double sync_bounds[] = {0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128,
				     0.256, 0.512, 1.024, 2.048, 4.096, 8.192, 16.384};
static const double programming_bounds[] = {
	0.25, 0.5, 1,  2,  3,  4,   5,	 6,   7,   8,	9,   10,  11,  12,  13,	 14,
	15,   16,  17, 18, 19, 20,  21,	 22,  23,  24,	25,  26,  27,  28,  29,	 30,
	31,   32,  33, 34, 35, 36,  37,	 38,  39,  40,	41,  42,  43,  44,  45,	 46,
	47,   48,  49, 50, 51, 52,  53,	 54,  55,  56,	57,  58,  59,  60,  65,	 70,
	75,   80,  85, 90, 95, 100, 105, 110, 115, 120, 150, 180, 210, 240, 270, 300};

#define HISTOGRAM(b) ((struct fl_histogram){.bounds = (b), .n_bounds = sizeof(b) / sizeof((b)[0])})
static_assert(sizeof(programming_bounds) / sizeof(programming_bounds[0]) <= FL_HISTOGRAM_BOUNDS_MAX,
	      "bounds");

struct fl_histogram fl_histogram_sync(void)
{
	return HISTOGRAM(sync_bounds);
}

struct fl_histogram fl_histogram_programming(void)
{
	return HISTOGRAM(programming_bounds);
}

void fl_histogram_observe(struct fl_histogram *histogram, double seconds)
{
	size_t i = 0;

	while (i < histogram->n_bounds && seconds > histogram->bounds[i])
		i++;
	histogram->counts[i]++;
	histogram->sum += seconds;
}
