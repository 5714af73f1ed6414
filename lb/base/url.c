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

static bool is_port(const char *text, size_t len)
{
	unsigned int port = 0;

	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9' || port > 65535)
			return false;
		port = port * 10 + (unsigned int)(text[i] - '0');
	}
	return port && port <= 65535;
}

/* HOST[:PORT], or [ADDRESS][:PORT], behind USER@ where there is one. */
static bool is_authority(const char *text, size_t len)
{
	const char *at = memrchr(text, '@', len), *end = text + len;
	size_t host;

	if (at)
		text = at + 1;
	len = (size_t)(end - text);
	if (len && *text == '[') {
		const char *close = memchr(text, ']', len);

		if (!close || close == text + 1)
			return false;
		host = (size_t)(close + 1 - text);
	} else {
		const char *colon = memchr(text, ':', len);

		host = colon ? (size_t)(colon - text) : len;
	}
	if (!host)
		return false;
	return host == len || (text[host] == ':' && is_port(text + host + 1, len - host - 1));
}

bool fl_url_is_base(const char *text, const char *const *schemes)
{
	for (; *schemes; schemes++) {
		const size_t len = strlen(*schemes);

		if (!strncmp(text, *schemes, len))
			return strcspn(text, " \t\r\n?#") == strlen(text) &&
			       is_authority(text + len, strcspn(text + len, "/"));
	}
	return false;
}
