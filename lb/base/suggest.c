/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Nearness is the number of letters to insert, remove, replace, or swap with their neighbour
 * (optimal string alignment distance). A word that begins with what was typed is one step away.
 */
#include "lb/base/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MAX_LEN 32

static size_t smallest(size_t a, size_t b, size_t c)
{
	size_t min = a < b ? a : b;

	return min < c ? min : c;
}

static bool same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	size_t d[MAX_LEN + 1][MAX_LEN + 1];

	for (size_t i = 0; i <= a_len; i++)
		d[i][0] = i;
	for (size_t j = 0; j <= b_len; j++)
		d[0][j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		for (size_t j = 1; j <= b_len; j++) {
			d[i][j] = smallest(d[i - 1][j] + 1, d[i][j - 1] + 1,
					   d[i - 1][j - 1] + !same(a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && d[i - 2][j - 2] + 1 < d[i][j])
				d[i][j] = d[i - 2][j - 2] + 1;
		}
	}
	return d[a_len][b_len];
}

void fl_suggestion_offer(struct fl_suggestion *suggestion, const char *word)
{
	size_t typed_len = strlen(suggestion->typed), len = strlen(word), steps;

	if (!typed_len || typed_len > MAX_LEN || len > MAX_LEN)
		return;
	steps = strncasecmp(word, suggestion->typed, typed_len)
			? distance(suggestion->typed, typed_len, word, len)
			: 1;
	/* one letter in three may be wrong, and one in a short word */
	if (steps > 1 && steps * 3 > len)
		return;
	if (suggestion->best && suggestion->distance <= steps)
		return;
	suggestion->best = word;
	suggestion->distance = steps;
}

const char *fl_suggestion_format(const struct fl_suggestion *suggestion, const char *prefix,
				 char buf[static FL_SUGGESTION_STRLEN])
{
	buf[0] = '\0';
	if (suggestion->best)
		snprintf(buf, FL_SUGGESTION_STRLEN, " (did you mean %s%s?)", prefix,
			 suggestion->best);
	return buf;
}
