/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The words that stand for an enum's values: one table, read in both directions. */
#pragma once

#include <stdbool.h>

/* A table ends with a NULL word. */
struct fl_word {
	const char *word;
	int value;
};

/* "?" for a value that has no word. */
const char *fl_word_of(const struct fl_word *words, int value);
/* False for a word that is not in the table. */
bool fl_word_value(const struct fl_word *words, const char *word, int *ret_value);
