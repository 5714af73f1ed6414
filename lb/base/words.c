/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Words and values. The tables have a handful of rows, so a walk is fine. */
#include "lb/base/words.h"

#include <string.h>

const char *fl_word_of(const struct fl_word *words, int value)
{
	for (const struct fl_word *w = words; w->word; w++)
		if (w->value == value)
			return w->word;
	return "?";
}

bool fl_word_value(const struct fl_word *words, const char *word, int *ret_value)
{
	for (const struct fl_word *w = words; w->word; w++) {
		if (strcmp(w->word, word))
			continue;
		*ret_value = w->value;
		return true;
	}
	return false;
}
