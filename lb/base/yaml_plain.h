/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * YAML as manifests have it nearly always, read several times as fast as by libyaml: printable
 * ASCII, block maps and lists, scalars and flow collections that end in their line. Whatever else
 * there is, and whatever would be refused, is left to libyaml.
 */
#pragma once

#include "lb/base/doc.h"

/* What a scalar without quotes and tag means. */
enum fl_value_type fl_yaml_plain_type(const char *text, size_t len);

/*
 * Give fn the documents at the beginning of `text` that are plain. *ret_used: the bytes in front of
 * the first one that is not, `len` when all are; *ret_lines: the lines these have. The document is
 * empty afterwards if fn was not called. 0, fn's first non-zero, or -ENOMEM.
 */
int fl_yaml_plain_each(struct fl_doc *doc, const char *text, size_t len, fl_doc_fn fn, void *arg,
		       size_t *ret_used, unsigned int *ret_lines);
