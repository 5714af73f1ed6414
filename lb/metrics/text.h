/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writing Prometheus' text format into a growing buffer. A failure (no memory) sticks: later calls
 * do nothing and fl_metrics_text_take() gives NULL. Samples come in the order of the table; help
 * and type are written with a metric's first one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "lb/metrics/histogram.h"
#include "lb/metrics/table.h"

struct fl_metrics_text {
	char *text; /* owned */
	size_t len, room;
	int failed;
	int begun; /* metrics whose help was written: 1 + the last one's id; 0 none */
};
void fl_metrics_text_fini(struct fl_metrics_text *text);

/* One sample; `labels` are the values of the labels that the table names, in its order, or NULL. */
void fl_metric_put(struct fl_metrics_text *text, enum fl_metric metric, const char *const *labels,
		   double value);
/* The same without loss for whole numbers. */
void fl_metric_put_uint(struct fl_metrics_text *text, enum fl_metric metric,
			const char *const *labels, uint64_t value);
void fl_metric_put_histogram(struct fl_metrics_text *text, enum fl_metric metric,
			     const char *const *labels, const struct fl_histogram *histogram);
#define FL_LABELS(...) ((const char *const[]){__VA_ARGS__})

/* The text, which is the caller's; NULL: no memory. */
char *fl_metrics_text_take(struct fl_metrics_text *text);

struct fl_metric_about {
	const char *name, *type, *labels, *help;
};
const struct fl_metric_about *fl_metric_about(enum fl_metric metric);
