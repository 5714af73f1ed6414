/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The words that stand for an enum's values: one table, read in both directions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A table ends with a NULL word. */
struct fl_word {
	const char *word;
	int value;
};

/* "?" for a value that has no word. */
const char *fl_word_of(const struct fl_word *words, int value);
/* False for a word that is not in the table. */
bool fl_word_value(const struct fl_word *words, const char *word, int *ret_value);
/* The same for what people type: in any case. */
bool fl_word_value_typed(const struct fl_word *words, const char *word, int *ret_value);
/* All of them, as "a, b or c". Returns buf; what does not fit is cut. */
const char *fl_words_format(const struct fl_word *words, char *buf, size_t size);
