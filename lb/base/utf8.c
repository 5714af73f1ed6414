/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* UTF-8: one sequence at a time. */
#include "lb/base/utf8.h"

size_t fl_utf8_length(const char *text, size_t len)
{
	/*
	 * the first continuation byte's range closes out overlong forms, surrogates and U+110000 up
	 */
	static const struct {
		unsigned char lead_min, lead_max, next_min, next_max, length;
	} forms[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
		{0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	const unsigned char *s = (const unsigned char *)text;

	if (!len)
		return 0;
	if (s[0] < 0x80)
		return 1;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (s[0] < forms[i].lead_min || s[0] > forms[i].lead_max)
			continue;
		if (len < forms[i].length || s[1] < forms[i].next_min || s[1] > forms[i].next_max)
			return 0;
		for (size_t k = 2; k < forms[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return forms[i].length;
	}
	return 0;
}

size_t fl_utf8_put(unsigned int code, char buf[static 4])
{
	static const unsigned char lead[] = {0, 0, 0xc0, 0xe0, 0xf0};
	size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

	for (size_t i = n; i > 1; i--) {
		buf[i - 1] = (char)(0x80 | (code & 0x3f));
		code >>= 6;
	}
	buf[0] = (char)(n == 1 ? code : lead[n] | code);
	return n;
}
