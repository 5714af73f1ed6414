/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Building the path and query of a request. A failure sticks, so that callers check once, at the
 * end: a request that lost a part of its query on the way must never be sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define FL_URL_MAX 8192

/* Zero-initialise. */
struct fl_url {
	char text[FL_URL_MAX];
	size_t len;
	bool query;    /* it has one */
	bool too_long; /* something did not fit */
};

/* One that is complete. */
#define FL_URL(literal)                                                                            \
	{                                                                                          \
		.text = literal, .len = sizeof(literal) - 1                                        \
	}

/* Append as it is: "/v1/flows". */
void fl_url_path(struct fl_url *url, const char *path);
/* Append "?key=value" or "&key=value", the value percent-encoded. */
void fl_url_arg(struct fl_url *url, const char *key, const char *value);
/*
 * Whether the text is SCHEME://[USER@]HOST[:PORT][/PATH] without a query, and SCHEME:// one of
 * `schemes`, which ends with NULL. HOST is any word, or anything in brackets.
 */
bool fl_url_is_base(const char *text, const char *const *schemes);
/* NULL: it is too long. */
const char *fl_url_text(const struct fl_url *url);
