/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* "Did you mean ...?": the known word that a mistyped one is nearest to. */
#pragma once

#include <stddef.h>

#define FL_SUGGESTION_STRLEN 96

/* Set `typed`, the rest to zero; then offer each known word. */
struct fl_suggestion {
	const char *typed;
	const char *best; /* borrowed from the caller of fl_suggestion_offer() */
	size_t distance;  /* of the best */
};

void fl_suggestion_offer(struct fl_suggestion *suggestion, const char *word);
/* " (did you mean PREFIXword?)", or "" when no word is near. Returns buf. */
const char *fl_suggestion_format(const struct fl_suggestion *suggestion, const char *prefix,
				 char buf[static FL_SUGGESTION_STRLEN]);
