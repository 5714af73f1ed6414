/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Words and values. The tables have a handful of rows, so a walk is fine. */
#include "lb/base/words.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *fl_word_of(const struct fl_word *words, int value)
{
	for (const struct fl_word *w = words; w->word; w++)
		if (w->value == value)
			return w->word;
	return "?";
}

static bool find(const struct fl_word *words, const char *word,
		 int (*cmp)(const char *a, const char *b), int *ret_value)
{
	for (const struct fl_word *w = words; w->word; w++) {
		if (cmp(w->word, word))
			continue;
		*ret_value = w->value;
		return true;
	}
	return false;
}

bool fl_word_value(const struct fl_word *words, const char *word, int *ret_value)
{
	return find(words, word, strcmp, ret_value);
}

bool fl_word_value_typed(const struct fl_word *words, const char *word, int *ret_value)
{
	return find(words, word, strcasecmp, ret_value);
}

const char *fl_words_format(const struct fl_word *words, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; words[i].word && len < size; i++) {
		const char *between = !i ? "" : words[i + 1].word ? ", " : " or ";

		len += (size_t)snprintf(buf + len, size - len, "%s%s", between, words[i].word);
	}
	return buf;
}
