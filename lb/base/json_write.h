/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Writing JSON into a growing buffer. A failure (no memory) sticks: later calls do nothing and
 * fl_json_text() gives NULL, so callers check once, at the end. Every function accepts a NULL
 * writer for the same reason. A value without a key in an object, or a key outside one, is a bug
 * (assert).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fl_json;

#define FL_JSON_MAX_DEPTH 32

/* pretty: two blanks per level and a line per member. NULL when there is no memory. */
struct fl_json *fl_json_new(bool pretty);
void fl_json_free(struct fl_json **json);

void fl_json_object_begin(struct fl_json *json);
void fl_json_object_end(struct fl_json *json);
void fl_json_array_begin(struct fl_json *json);
void fl_json_array_end(struct fl_json *json);
void fl_json_key(struct fl_json *json, const char *key);
/* Bytes that are not UTF-8 are written as U+FFFD. NULL writes null. */
void fl_json_string(struct fl_json *json, const char *text);
void fl_json_stringf(struct fl_json *json, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void fl_json_int(struct fl_json *json, int64_t value);
void fl_json_uint(struct fl_json *json, uint64_t value);
void fl_json_double(struct fl_json *json,
		    double value); /* infinities and NaN are written as null */
void fl_json_bool(struct fl_json *json, bool value);
void fl_json_null(struct fl_json *json);

/* The text so far, NUL-terminated and borrowed until the next call; NULL after a failure. ret_len
 * may be NULL. */
const char *fl_json_text(const struct fl_json *json, size_t *ret_len);

/* A key and its value. */
static inline void fl_json_member_string(struct fl_json *json, const char *key, const char *text)
{
	fl_json_key(json, key);
	fl_json_string(json, text);
}

static inline void fl_json_member_int(struct fl_json *json, const char *key, int64_t value)
{
	fl_json_key(json, key);
	fl_json_int(json, value);
}

static inline void fl_json_member_uint(struct fl_json *json, const char *key, uint64_t value)
{
	fl_json_key(json, key);
	fl_json_uint(json, value);
}

static inline void fl_json_member_bool(struct fl_json *json, const char *key, bool value)
{
	fl_json_key(json, key);
	fl_json_bool(json, value);
}
