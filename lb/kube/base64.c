/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Base64 (RFC 4648, 4): strict but for blanks. */
#include "lb/kube/base64.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

static int value_of(char c)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *found = c ? strchr(digits, c) : NULL;

	return found ? (int)(found - digits) : -1;
}

int fl_base64_decode(const char *text, char **ret_data, size_t *ret_len)
{
	_cleanup_free_ char *data = malloc(strlen(text) / 4 * 3 + 4);
	size_t len = 0, n = 0, padding = 0;
	uint32_t bits = 0;

	if (!data)
		return -ENOMEM;
	for (; *text; text++) {
		int value;

		if (strchr(" \t\r\n", *text))
			continue;
		value = *text == '=' ? 0 : value_of(*text);
		if (value < 0 || (padding && *text != '='))
			return -EINVAL;
		padding += *text == '=';
		bits = bits << 6 | (uint32_t)value;
		if (++n % 4)
			continue;
		data[len++] = (char)(bits >> 16);
		data[len++] = (char)(bits >> 8);
		data[len++] = (char)bits;
	}
	if (n % 4 || padding > 2 || padding > n)
		return -EINVAL;
	len -= padding;
	data[len] = '\0';
	*ret_data = TAKE_PTR(data);
	*ret_len = len;
	return 0;
}
