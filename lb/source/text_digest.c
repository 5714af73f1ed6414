/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Digests of lines. */
#include "lb/source/text_digest.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "lb/base/array.h"

int fl_text_digest_read(struct fl_text_digest *lines, const char *text, size_t len)
{
	const char *end = text + len;

	lines->n = 0;
	lines->open_end = false;
	while (text < end) {
		const char *eol = memchr(text, '\n', (size_t)(end - text));

		if (!eol) {
			lines->open_end = true;
			break;
		}
		if (FL_ARRAY_ROOM(lines->digest, lines->room, lines->n + 1))
			return -ENOMEM;
		lines->digest[lines->n++] = (uint8_t)XXH3_64bits(text, (size_t)(eol - text));
		text = eol + 1;
	}
	return 0;
}

void fl_text_digest_fini(struct fl_text_digest *lines)
{
	free(lines->digest);
	*lines = (struct fl_text_digest){0};
}

bool fl_text_is_cut(const struct fl_text_digest *now, const struct fl_text_digest *before)
{
	/* without a whole line there is nothing to tell by */
	return now->n && now->n < before->n && !memcmp(now->digest, before->digest, now->n);
}
