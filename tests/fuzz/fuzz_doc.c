/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fuzzing the YAML and JSON parsers: no crash, no read out of bounds, and every tree keeps its
 * promises. The first byte chooses the syntax. Build and run from the top of the tree:
 *
 *   clang-14 -std=gnu17 -g -O1 -D_GNU_SOURCE -I. -fsanitize=fuzzer,address,undefined \
 *       tests/fuzz/fuzz_doc.c lb/base/[adejuy]*.c -lyaml -lm -o build/fuzz_doc && build/fuzz_doc
 * -max_len=4096
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/doc.h"
#include "lb/base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text)
{
	for (size_t i = 0, len = strlen(text); i < len;) {
		size_t n = fl_utf8_length(text + i, len - i);

		assert(n);
		i += n;
	}
}

static void check(const struct fl_value *value, int depth)
{
	size_t n = 0;

	assert(depth <= FL_DOC_MAX_DEPTH);
	if (fl_value_text(value))
		check_text(fl_value_text(value));
	FL_VALUE_EACH(member, value)
	{
		assert(!fl_value_key(member) == (fl_value_type(value) == FL_VALUE_LIST));
		assert(fl_value_line(member) > 0);
		if (fl_value_key(member)) {
			const struct fl_value *found = fl_value_get(value, fl_value_key(member));

			check_text(fl_value_key(member));
			/*
			 * keys are unique, so looking one up finds itself (or nothing for a null)
			 */
			assert(found == member ||
			       (!found && fl_value_type(member) == FL_VALUE_NULL));
		}
		check(member, depth + 1);
		n++;
	}
	assert(n == fl_value_count(value));
}

static int on_document(const struct fl_doc *doc, void *arg)
{
	if (fl_doc_root(doc))
		check(fl_doc_root(doc), 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fl_err err = {.text = ""};
	unsigned int line = 0;
	int rc;

	if (!size)
		return 0;
	rc = fl_doc_each((const char *)data + 1, size - 1, data[0] & 1 ? FL_DOC_JSON : FL_DOC_YAML,
			 on_document, NULL, &line, &err);
	assert(!rc || *err.text);
	return 0;
}
