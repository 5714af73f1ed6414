/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bytes are looked at once. Runs of them that belong together are copied in one go, so that cutting
 * costs little beside parsing.
 */
#include "lb/kube/split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"

static int append(struct fl_split_buffer *buffer, size_t max, const char *data, size_t len)
{
	if (len > max - buffer->len)
		return -E2BIG;
	if (FL_ARRAY_ROOM(buffer->text, buffer->room, buffer->len + len + 1))
		return -ENOMEM;
	memcpy(buffer->text + buffer->len, data, len);
	buffer->len += len;
	buffer->text[buffer->len] = '\0';
	return 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Of those JSON knows only blanks, and none in a string (RFC 8259). */
static bool is_control(char c)
{
	return (unsigned char)c < ' ';
}

/* A byte of a string, whose end is at a quote that is not escaped. False: no JSON has it there. */
static bool in_string(struct fl_split *s, char c)
{
	if (is_control(c))
		return false;
	if (s->escaped)
		s->escaped = false;
	else if (c == '\\')
		s->escaped = true;
	else if (c == '"')
		s->string = false;
	return true;
}

/*
 * A byte outside of strings. False: no JSON has it there. Of what the parser would find too, that
 * is what makes an object end in another place, or never: a watch whose damaged event went on for
 * ever would be silent.
 */
static bool outside_string(struct fl_split *s, char c)
{
	const bool opens = c == '"' || c == '{' || c == '[';

	if (is_blank(c))
		return true;
	if (is_control(c) || (opens && s->depth && !memchr("{[:,", s->inner, 4)))
		return false;
	s->inner = c;
	if (c == '"')
		s->string = true;
	else if (opens)
		s->depth++;
	else if (c == '}' || c == ']')
		s->depth--;
	return true;
}

/* The next byte of a string that may be more than itself. */
static size_t skip_plain(const char *data, size_t len, size_t i)
{
	while (i < len && !is_control(data[i]) && data[i] != '"' && data[i] != '\\')
		i++;
	return i;
}

/* How far the text goes inside of strings and brackets; stops behind the end of depth `until`.
 * 1: that was reached, and data[*pos - 1] is its bracket. 0: not yet. -EINVAL: no JSON. */
static int skip_nested(struct fl_split *s, const char *data, size_t len, unsigned int until,
		       size_t *pos)
{
	size_t i = *pos;
	int r = 0;

	while (i < len && !r) {
		char c;

		if (s->string && !s->escaped)
			i = skip_plain(data, len, i);
		if (i == len)
			break;
		c = data[i++];
		if (s->string ? !in_string(s, c) : !outside_string(s, c))
			r = -EINVAL;
		else if (s->depth == until && !s->string)
			r = 1;
	}
	*pos = i;
	return r;
}

/* The object under way, to its end or to that of the data. `outer`: the depth around it. */
static int take_part(struct fl_split *s, const char *data, size_t len, unsigned int outer,
		     size_t *pos, fl_split_fn fn, void *arg)
{
	const size_t begin = *pos;
	const int done = skip_nested(s, data, len, outer, pos);
	const char *text = data + begin;
	size_t n = *pos - begin;
	int r;

	if (done < 0)
		return done;
	/* what lies in the data as a whole need not be copied */
	if (!done || s->part.len) {
		r = append(&s->part, FL_SPLIT_MAX_BYTES, text, n);
		if (r || !done)
			return r;
		text = s->part.text;
		n = s->part.len;
	} else if (n > FL_SPLIT_MAX_BYTES) {
		return -E2BIG;
	}
	s->in_part = false;
	s->before = '}';
	r = fn(text, n, arg);
	s->part.len = 0;
	return r;
}

static int begin_part(struct fl_split *s)
{
	s->in_part = true;
	s->part.len = 0;
	s->inner = ','; /* as good as any byte that a value may follow */
	return 0;
}

static int feed_stream(struct fl_split *s, const char *data, size_t len, fl_split_fn fn, void *arg)
{
	int r = 0;

	for (size_t pos = 0; pos < len && !r;) {
		if (s->in_part) {
			r = take_part(s, data, len, 0, &pos, fn, arg);
		} else if (is_blank(data[pos])) {
			pos++;
		} else if (data[pos] == '{') {
			r = begin_part(s);
		} else {
			return -EINVAL;
		}
	}
	return r;
}

/* Between the items of a list, at what is neither a blank nor the end of them. */
static int between_items(struct fl_split *s, char c, size_t *pos)
{
	if (c == '{' && s->before != '}')
		return begin_part(s);
	if (c != ',' || s->before != '}')
		return -EINVAL;
	s->before = ',';
	(*pos)++;
	return 0;
}

/* One byte of the list itself, outside of strings; it has been put into the rest. */
static int list_byte(struct fl_split *s, char c)
{
	static const char items[] = "\"items\"";
	const size_t n = sizeof(items) - 1;

	if (!s->depth && (c != '{' || s->begun))
		return -EINVAL;
	switch (c) {
	case '"':
		s->string = true;
		if (s->depth == 1 && (s->before == '{' || s->before == ','))
			s->key = s->rest.len - 1;
		break;
	case '[':
		s->in_items = s->depth == 1 && s->before == ':' && s->rest.len > s->key + n &&
			      !memcmp(s->rest.text + s->key, items, n);
		s->depth++;
		break;
	case '{':
		s->begun = true;
		s->depth++;
		break;
	case ']':
	case '}':
		s->depth--;
		break;
	default:
		break;
	}
	s->before = c;
	return 0;
}

static int feed_rest(struct fl_split *s, char c)
{
	int r = append(&s->rest, FL_SPLIT_MAX_REST_BYTES, &c, 1);

	if (r)
		return r;
	if (s->string)
		return in_string(s, c) ? 0 : -EINVAL;
	return is_blank(c) ? 0 : list_byte(s, c);
}

static int feed_list(struct fl_split *s, const char *data, size_t len, fl_split_fn fn, void *arg)
{
	int r = 0;

	for (size_t pos = 0; pos < len && !r;) {
		if (s->in_part)
			r = take_part(s, data, len, 2, &pos, fn, arg);
		else if (!s->in_items)
			r = feed_rest(s, data[pos++]);
		else if (is_blank(data[pos]))
			pos++;
		else if (data[pos] == ']' && s->before != ',') {
			s->in_items = false;
			r = feed_rest(s, data[pos++]);
		} else
			r = between_items(s, data[pos], &pos);
	}
	return r;
}

int fl_split_feed(struct fl_split *split, const char *data, size_t len, fl_split_fn fn, void *arg)
{
	return split->form == FL_SPLIT_LIST ? feed_list(split, data, len, fn, arg)
					    : feed_stream(split, data, len, fn, arg);
}

bool fl_split_is_whole(const struct fl_split *split)
{
	return !split->in_part && !split->in_items && !split->string && !split->depth &&
	       (split->form == FL_SPLIT_STREAM || split->begun);
}

void fl_split_reset(struct fl_split *split, enum fl_split_form form)
{
	fl_split_fini(split);
	split->form = form;
}

void fl_split_fini(struct fl_split *split)
{
	free(split->part.text);
	free(split->rest.text);
	*split = (struct fl_split){0};
}
