/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What decoding a text brings: objects, and problems as lines. To include after cmocka.h. */
#pragma once

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/decode.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* What came out of one text. */
struct result {
	struct fl_object objects[16];
	size_t n;
	bool pods;	     /* are asked for */
	char problems[8192]; /* "level line object: reason\n" */
};

static int on_object(struct fl_object *object, unsigned int line, void *arg)
{
	struct result *r = arg;

	assert_true(r->n < N(r->objects));
	assert_true(line > 0);
	r->objects[r->n++] = *object;
	return 0;
}

static int on_problem(const struct fl_problem *p, void *arg)
{
	struct result *r = arg;
	size_t len = strlen(r->problems);

	assert_string_equal(p->file, "test.yaml");
	snprintf(r->problems + len, sizeof(r->problems) - len, "%s %u %s: %s\n",
		 fl_problem_level_name(p->level), p->line, p->object, p->reason);
	return 0;
}

static int on_document(const struct fl_doc *doc, void *arg)
{
	const struct fl_decode_sink sink = {.object = on_object,
					    .problem = on_problem,
					    .arg = arg,
					    .pods = ((const struct result *)arg)->pods};

	return fl_decode(doc, "test.yaml", &sink);
}

static void result_fini(struct result *r)
{
	for (size_t i = 0; i < r->n; i++)
		fl_object_free(&r->objects[i]);
}

#define _cleanup_result_ _cleanup_(result_fini)

static inline void decode(struct result *r, const char *text)
{
	struct fl_err err = {.text = ""};

	if (fl_doc_each(text, strlen(text), FL_DOC_YAML, on_document, r, NULL, &err))
		fail_msg("%s", err.text);
}

static inline void assert_ip(const struct fl_ip *ip, const char *text)
{
	char buf[FL_IP_STRLEN];

	assert_string_equal(fl_ip_format(ip, buf), text);
}
