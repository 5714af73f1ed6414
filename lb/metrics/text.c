/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Lines of the text format. */
#include "lb/metrics/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"

#define TYPE_GAUGE "gauge"
#define TYPE_COUNTER "counter"
#define TYPE_HISTOGRAM "histogram"
static const struct fl_metric_about abouts[] = {
#define X(id, name, type, labels, help) [FL_METRIC_##id] = {name, TYPE_##type, labels, help},
	FL_METRICS(X)
#undef X
};

const struct fl_metric_about *fl_metric_about(enum fl_metric metric)
{
	return &abouts[metric];
}

void fl_metrics_text_fini(struct fl_metrics_text *text)
{
	free(text->text);
	*text = (struct fl_metrics_text){0};
}

char *fl_metrics_text_take(struct fl_metrics_text *text)
{
	return text->failed ? NULL : TAKE_PTR(text->text);
}

static void add(struct fl_metrics_text *text, const char *bytes, size_t len)
{
	text->failed = text->failed || FL_ARRAY_ROOM(text->text, text->room, text->len + len + 1);
	if (text->failed)
		return;
	memcpy(text->text + text->len, bytes, len);
	text->len += len;
	text->text[text->len] = '\0';
}

static void add_text(struct fl_metrics_text *text, const char *words)
{
	add(text, words, strlen(words));
}

/* Of numbers and names, which are short. */
static void __attribute__((format(printf, 2, 3)))
addf(struct fl_metrics_text *text, const char *format, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(line, sizeof(line), format, ap);
	va_end(ap);
	assert(n >= 0 && (size_t)n < sizeof(line));
	add(text, line, (size_t)n);
}

static void begin(struct fl_metrics_text *text, enum fl_metric metric)
{
	const struct fl_metric_about *about = &abouts[metric];

	if (text->begun == 1 + (int)metric)
		return;
	assert(text->begun < 1 + (int)metric);
	text->begun = 1 + (int)metric;
	add_text(text, "# HELP ");
	add_text(text, about->name);
	add_text(text, " ");
	add_text(text, about->help);
	addf(text, "\n# TYPE %s %s\n", about->name, about->type);
}

static void add_value_of_label(struct fl_metrics_text *text, const char *value)
{
	for (; *value; value++)
		if (*value == '\n')
			add_text(text, "\\n");
		else if (*value == '"' || *value == '\\')
			addf(text, "\\%c", *value);
		else
			add(text, value, 1);
}

/* "{a="x",b="y",le="1"}"; `le` NULL: without. */
static void add_labels(struct fl_metrics_text *text, enum fl_metric metric,
		       const char *const *labels, const char *le)
{
	const char *names = abouts[metric].labels, *separator = "{";

	for (size_t i = 0; *names; i++) {
		const size_t len = strcspn(names, " ");

		add_text(text, separator);
		add(text, names, len);
		add_text(text, "=\"");
		add_value_of_label(text, labels[i]);
		add_text(text, "\"");
		separator = ",";
		names += len + (names[len] == ' ');
	}
	if (le) {
		addf(text, "%sle=\"%s\"", separator, le);
		separator = ",";
	}
	if (*separator == ',')
		add_text(text, "}");
}

static void sample(struct fl_metrics_text *text, enum fl_metric metric, const char *suffix,
		   const char *const *labels, const char *le)
{
	addf(text, "%s%s", abouts[metric].name, suffix);
	add_labels(text, metric, labels, le);
}

void fl_metric_put(struct fl_metrics_text *text, enum fl_metric metric, const char *const *labels,
		   double value)
{
	begin(text, metric);
	sample(text, metric, "", labels, NULL);
	addf(text, " %.15g\n", value);
}

void fl_metric_put_uint(struct fl_metrics_text *text, enum fl_metric metric,
			const char *const *labels, uint64_t value)
{
	begin(text, metric);
	sample(text, metric, "", labels, NULL);
	addf(text, " %" PRIu64 "\n", value);
}

void fl_metric_put_histogram(struct fl_metrics_text *text, enum fl_metric metric,
			     const char *const *labels, const struct fl_histogram *histogram)
{
	uint64_t total = 0;

	begin(text, metric);
	for (size_t i = 0; i <= histogram->n_bounds; i++) {
		char le[32] = "+Inf";

		if (i < histogram->n_bounds)
			snprintf(le, sizeof(le), "%g", histogram->bounds[i]);
		total += histogram->counts[i];
		sample(text, metric, "_bucket", labels, le);
		addf(text, " %" PRIu64 "\n", total);
	}
	sample(text, metric, "_sum", labels, NULL);
	addf(text, " %.9g\n", histogram->sum);
	sample(text, metric, "_count", labels, NULL);
	addf(text, " %" PRIu64 "\n", total);
}
