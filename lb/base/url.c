/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Paths and queries. */
#include "lb/base/url.h"

#include <stdio.h>
#include <string.h>

static void append(struct fl_url *url, const char *text, size_t len)
{
	if (url->too_long || len >= sizeof(url->text) - url->len) {
		url->too_long = true;
		return;
	}
	memcpy(url->text + url->len, text, len);
	url->len += len;
	url->text[url->len] = '\0';
}

static void append_encoded(struct fl_url *url, const char *text)
{
	/* RFC 3986, 2.3: what never needs encoding */
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	char code[4];

	for (; *text; text++) {
		if (strchr(plain, *text)) {
			append(url, text, 1);
			continue;
		}
		snprintf(code, sizeof(code), "%%%02X", (unsigned char)*text);
		append(url, code, 3);
	}
}

void fl_url_path(struct fl_url *url, const char *path)
{
	append(url, path, strlen(path));
}

void fl_url_arg(struct fl_url *url, const char *key, const char *value)
{
	append(url, url->query ? "&" : "?", 1);
	append(url, key, strlen(key));
	append(url, "=", 1);
	append_encoded(url, value);
	url->query = true;
}

const char *fl_url_text(const struct fl_url *url)
{
	return url->too_long ? NULL : url->text;
}
