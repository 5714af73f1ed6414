/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing JSON: a buffer that doubles, and a stack of what is open. */
#include "lb/base/json_write.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/utf8.h"

struct level {
	char close;  /* '}' or ']' */
	bool filled; /* has a member already */
};

struct fl_json {
	char *text;
	size_t len, room; /* room counts the final NUL */
	struct level open[FL_JSON_MAX_DEPTH];
	unsigned int depth;
	bool pretty, after_key, failed;
};

struct fl_json *fl_json_new(bool pretty)
{
	struct fl_json *json = calloc(1, sizeof(*json));

	if (json)
		json->pretty = pretty;
	return json;
}

void fl_json_free(struct fl_json **json)
{
	if (!*json)
		return;
	free((*json)->text);
	free(*json);
	*json = NULL;
}

static bool reserve(struct fl_json *json, size_t more)
{
	if (!json->failed && FL_ARRAY_ROOM(json->text, json->room, json->len + more + 1))
		json->failed = true;
	return !json->failed;
}

static void put(struct fl_json *json, const char *bytes, size_t len)
{
	if (!reserve(json, len))
		return;
	memcpy(json->text + json->len, bytes, len);
	json->len += len;
	json->text[json->len] = '\0';
}

static void new_line(struct fl_json *json)
{
	if (!json->pretty)
		return;
	put(json, "\n", 1);
	for (unsigned int i = 0; i < json->depth; i++)
		put(json, "  ", 2);
}

/* What stands before a member: the comma and the line break. */
static void separate(struct fl_json *json)
{
	struct level *level = &json->open[json->depth - 1];

	if (level->filled)
		put(json, ",", 1);
	level->filled = true;
	new_line(json);
}

/* Before any value. */
static void begin_value(struct fl_json *json)
{
	if (json->after_key) {
		json->after_key = false;
		return;
	}
	if (!json->depth) {
		assert(!json->len || json->failed); /* one value is a document */
		return;
	}
	assert(json->open[json->depth - 1].close == ']');
	separate(json);
}

static void put_escaped(struct fl_json *json, const char *text)
{
	static const char short_form[] = {['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r',
					  ['\t'] = 't', ['"'] = '"',  ['\\'] = '\\'};
	size_t len = strlen(text), from = 0;

	put(json, "\"", 1);
	for (size_t i = 0; i < len;) {
		unsigned char c = (unsigned char)text[i];
		size_t n = fl_utf8_length(text + i, len - i);
		char escape[8];
		int written;

		if (n && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
			i += n;
			continue;
		}
		put(json, text + from, i - from);
		if (!n)
			written = snprintf(escape, sizeof(escape), "\xef\xbf\xbd");
		else if (c < sizeof(short_form) && short_form[c])
			written = snprintf(escape, sizeof(escape), "\\%c", short_form[c]);
		else
			written = snprintf(escape, sizeof(escape), "\\u%04x", c);
		put(json, escape, (size_t)written);
		from = ++i;
	}
	put(json, text + from, len - from);
	put(json, "\"", 1);
}

static void begin(struct fl_json *json, char open, char close)
{
	if (!json)
		return;
	begin_value(json);
	assert(json->depth < FL_JSON_MAX_DEPTH);
	json->open[json->depth++] = (struct level){.close = close};
	put(json, &open, 1);
}

static void end(struct fl_json *json, char close)
{
	bool filled;

	if (!json)
		return;
	assert(json->depth && json->open[json->depth - 1].close == close && !json->after_key);
	filled = json->open[--json->depth].filled;
	if (filled)
		new_line(json);
	put(json, &close, 1);
}

void fl_json_object_begin(struct fl_json *json)
{
	begin(json, '{', '}');
}

void fl_json_object_end(struct fl_json *json)
{
	end(json, '}');
}

void fl_json_array_begin(struct fl_json *json)
{
	begin(json, '[', ']');
}

void fl_json_array_end(struct fl_json *json)
{
	end(json, ']');
}

void fl_json_key(struct fl_json *json, const char *key)
{
	if (!json)
		return;
	assert(json->depth && json->open[json->depth - 1].close == '}' && !json->after_key);
	separate(json);
	put_escaped(json, key);
	put(json, ": ", json->pretty ? 2 : 1);
	json->after_key = true;
}

void fl_json_string(struct fl_json *json, const char *text)
{
	if (!json)
		return;
	begin_value(json);
	if (text)
		put_escaped(json, text);
	else
		put(json, "null", 4);
}

void fl_json_stringf(struct fl_json *json, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	va_list ap;
	int n;

	if (!json)
		return;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0) {
		text = NULL; /* vasprintf leaves it undefined */
		json->failed = true;
	}
	fl_json_string(json, text);
}

static void put_number(struct fl_json *json, const char *fmt, ...)
{
	char text[40];
	va_list ap;
	int n;

	begin_value(json);
	va_start(ap, fmt);
	n = vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put(json, text, (size_t)n);
}

void fl_json_int(struct fl_json *json, int64_t value)
{
	if (json)
		put_number(json, "%" PRId64, value);
}

void fl_json_uint(struct fl_json *json, uint64_t value)
{
	if (json)
		put_number(json, "%" PRIu64, value);
}

void fl_json_double(struct fl_json *json, double value)
{
	if (!json)
		return;
	if (isfinite(value))
		put_number(json, "%.15g", value);
	else
		fl_json_null(json);
}

void fl_json_bool(struct fl_json *json, bool value)
{
	if (!json)
		return;
	begin_value(json);
	put(json, value ? "true" : "false", value ? 4 : 5);
}

void fl_json_null(struct fl_json *json)
{
	if (!json)
		return;
	begin_value(json);
	put(json, "null", 4);
}

const char *fl_json_text(const struct fl_json *json, size_t *ret_len)
{
	if (!json || json->failed)
		return NULL;
	if (ret_len)
		*ret_len = json->len;
	return json->text ? json->text : "";
}
