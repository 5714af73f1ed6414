/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Line by line, by recursion over the columns in which blocks begin. The rule is to give up at the
 * first doubt: what is taken here means the same to libyaml, which the tests compare.
 */
#include "lb/base/yaml_plain.h"

#include <errno.h>
#include <string.h>

#include "lb/base/doc_build.h"

#define NOT_PLAIN 1  /* beside 0 and -errno */
#define KEY_MAX 256  /* to libyaml a key is one within 1,024 characters */
#define NO_LINE (-1) /* the column where a document ends */

struct plain {
	struct fl_doc *doc;
	const char *end;
	/* the line at hand: the first character that is no blank, and the end of the line */
	const char *at, *stop;
	const char *start; /* of the line */
	int column;	   /* of `at`; NO_LINE: the document has ended */
	unsigned int line; /* from 1 */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_key_char(char c)
{
	return is_word(c) || c == '.' || c == '/' || c == '-';
}

/* Printable ASCII in lines that end as Unix has it. */
static bool is_printable(const char *text, size_t len)
{
	unsigned int odd = 0;

	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)text[i];

		odd |= (unsigned int)(c != '\n') & (unsigned int)((unsigned char)(c - 0x20) > 0x5e);
	}
	return !odd;
}

static const char *skip_blanks(const char *p, const char *stop)
{
	while (p < stop && *p == ' ')
		p++;
	return p;
}

/* Whether nothing but blanks and a comment is left of a line. */
static bool is_rest(const char *p, const char *stop)
{
	const char *q = skip_blanks(p, stop);

	return q == stop || (*q == '#' && q > p);
}

/* "---" as a word of its own at the beginning of a line. */
static bool is_marker(const struct plain *s)
{
	return s->at == s->start && s->stop - s->at >= 3 && !memcmp(s->at, "---", 3) &&
	       (s->stop - s->at == 3 || s->at[3] == ' ');
}

static void set_line(struct plain *s, const char *start)
{
	s->start = start;
	s->stop = memchr(start, '\n', (size_t)(s->end - start));
	if (!s->stop)
		s->stop = s->end;
	s->at = skip_blanks(start, s->stop);
	s->column = (int)(s->at - start);
}

static const char *behind(const struct plain *s)
{
	return s->stop < s->end ? s->stop + 1 : s->end;
}

/* On to the next line with something in it, from the one that begins at `start`. */
static void find_line(struct plain *s, const char *start)
{
	for (; start < s->end; start = behind(s), s->line++) {
		set_line(s, start);
		if (s->at == s->stop || *s->at == '#')
			continue;
		if (is_marker(s))
			s->column = NO_LINE;
		return;
	}
	s->start = s->at = s->stop = s->end;
	s->column = NO_LINE;
}

static void next_line(struct plain *s)
{
	s->line++;
	find_line(s, behind(s));
}

/* What cannot be built is left to libyaml, which says why. */
static int built(int rc)
{
	return rc && rc != -ENOMEM ? NOT_PLAIN : rc;
}

/* The length of a key with its colon behind it, 0: there is none. */
static size_t key_at(const char *p, const char *stop)
{
	const char *q = p;

	if (p == stop || !is_word(*p))
		return 0;
	while (q < stop && is_key_char(*q))
		q++;
	if (q == stop || *q != ':' || q - p > KEY_MAX || (q + 1 < stop && q[1] != ' '))
		return 0;
	return (size_t)(q - p);
}

static bool is_dash(const char *p, const char *stop)
{
	return p < stop && *p == '-' && (p + 1 == stop || p[1] == ' ');
}

static int add_scalar(struct plain *s, const char *text, size_t len)
{
	return built(
		fl_doc_scalar(s->doc, fl_yaml_plain_type(text, len), text, len, s->line, NULL));
}

/* A string in quotes without any escapes; *p is moved behind it. */
static int read_quoted(struct plain *s, const char **p)
{
	const char *text = *p + 1, *end = memchr(text, **p, (size_t)(s->stop - text));

	if (!end || (**p == '"' ? !!memchr(text, '\\', (size_t)(end - text))
				: end + 1 < s->stop && end[1] == '\''))
		return NOT_PLAIN;
	*p = end + 1;
	return built(
		fl_doc_scalar(s->doc, FL_VALUE_STRING, text, (size_t)(end - text), s->line, NULL));
}

/* A scalar without quotes to the end of the line. */
static int read_plain(struct plain *s, const char *text)
{
	const char *p = text;

	if (!is_word(*p) && !strchr("./+~", *p) && (*p != '-' || p + 1 == s->stop || p[1] == ' '))
		return NOT_PLAIN;
	for (; p < s->stop && (*p != '#' || p[-1] != ' '); p++)
		if (*p == ':' && (p + 1 == s->stop || p[1] == ' '))
			return NOT_PLAIN;
	while (p[-1] == ' ')
		p--;
	return add_scalar(s, text, (size_t)(p - text));
}

/* The same in a flow collection: one word. */
static int read_word(struct plain *s, const char **p)
{
	const char *text = *p, *q = text;

	if (q < s->stop && (*q == '+' || *q == '-'))
		q++;
	if (q == s->stop || (!is_word(*q) && *q != '.' && *q != '/'))
		return NOT_PLAIN;
	while (q < s->stop && (is_key_char(*q) ||
			       (*q == ':' && q + 1 < s->stop && (is_word(q[1]) || q[1] == ':'))))
		q++;
	*p = q;
	return add_scalar(s, text, (size_t)(q - text));
}

static int read_flow(struct plain *s, const char **p);

static int read_flow_value(struct plain *s, const char **p)
{
	if (*p == s->stop)
		return NOT_PLAIN;
	switch (**p) {
	case '"':
	case '\'':
		return read_quoted(s, p);
	case '{':
	case '[':
		return read_flow(s, p);
	default:
		return read_word(s, p);
	}
}

static int read_flow_member(struct plain *s, bool is_map, const char **p)
{
	size_t len;
	int rc;

	if (is_map) {
		len = key_at(*p, s->stop);
		if (!len)
			return NOT_PLAIN;
		rc = built(fl_doc_key(s->doc, *p, len, s->line, NULL));
		if (rc)
			return rc;
		*p = skip_blanks(*p + len + 1, s->stop);
	}
	return read_flow_value(s, p);
}

/* A map or list in braces or brackets; *p is moved behind it. */
static int read_flow(struct plain *s, const char **p)
{
	const bool is_map = **p == '{';
	const char close = is_map ? '}' : ']';
	int rc = built(fl_doc_begin(s->doc, is_map ? FL_VALUE_MAP : FL_VALUE_LIST, s->line, NULL));

	if (rc)
		return rc;
	*p = skip_blanks(*p + 1, s->stop);
	if (*p < s->stop && **p == close) {
		++*p;
		return built(fl_doc_end(s->doc, NULL));
	}
	for (;;) {
		rc = read_flow_member(s, is_map, p);
		if (rc)
			return rc;
		*p = skip_blanks(*p, s->stop);
		if (*p == s->stop || (**p != ',' && **p != close))
			return NOT_PLAIN;
		if (*(*p)++ == close)
			return built(fl_doc_end(s->doc, NULL));
		*p = skip_blanks(*p, s->stop);
	}
}

/* A value that fills the rest of the line, which is done then. */
static int read_rest(struct plain *s, const char *p)
{
	int rc;

	switch (*p) {
	case '"':
	case '\'':
		rc = read_quoted(s, &p);
		break;
	case '{':
	case '[':
		rc = read_flow(s, &p);
		break;
	default:
		rc = read_plain(s, p);
		p = s->stop;
	}
	if (!rc && !is_rest(p, s->stop))
		rc = NOT_PLAIN;
	next_line(s);
	return rc;
}

static int read_block(struct plain *s);

/* The value of a key that has nothing behind it in its line. */
static int read_below(struct plain *s, int column)
{
	const unsigned int line = s->line;

	next_line(s);
	/* lists may begin in their key's column */
	if (s->column > column || (s->column == column && is_dash(s->at, s->stop)))
		return read_block(s);
	return built(fl_doc_scalar(s->doc, FL_VALUE_NULL, "", 0, line, NULL));
}

static int read_map(struct plain *s)
{
	const int column = s->column;
	int rc = built(fl_doc_begin(s->doc, FL_VALUE_MAP, s->line, NULL));

	while (!rc && s->column == column) {
		const size_t len = key_at(s->at, s->stop);
		const char *p = s->at + len + 1;

		if (!len)
			return NOT_PLAIN;
		rc = built(fl_doc_key(s->doc, s->at, len, s->line, NULL));
		if (!rc && is_rest(p, s->stop))
			rc = read_below(s, column);
		else if (!rc)
			rc = read_rest(s, skip_blanks(p, s->stop));
	}
	if (!rc && s->column > column)
		return NOT_PLAIN;
	return rc ? rc : built(fl_doc_end(s->doc, NULL));
}

static int read_item(struct plain *s)
{
	const char *p = skip_blanks(s->at + 1, s->stop);

	if (p == s->stop || *p == '#')
		return NOT_PLAIN;
	s->column += (int)(p - s->at);
	s->at = p;
	return is_dash(p, s->stop) || key_at(p, s->stop) ? read_block(s) : read_rest(s, p);
}

static int read_list(struct plain *s)
{
	const int column = s->column;
	int rc = built(fl_doc_begin(s->doc, FL_VALUE_LIST, s->line, NULL));

	while (!rc && s->column == column && is_dash(s->at, s->stop))
		rc = read_item(s);
	if (!rc && s->column > column)
		return NOT_PLAIN;
	return rc ? rc : built(fl_doc_end(s->doc, NULL));
}

/* Ends at a line that is further left, or that does not go on with the list. */
static int read_block(struct plain *s)
{
	return is_dash(s->at, s->stop) ? read_list(s) : read_map(s);
}

static int read_document(struct plain *s)
{
	int rc;

	fl_doc_reset(s->doc);
	if (s->column == NO_LINE && s->start < s->end) {
		if (skip_blanks(s->at + 3, s->stop) < s->stop)
			return NOT_PLAIN;
		next_line(s);
	}
	if (s->column == NO_LINE)
		return NOT_PLAIN;
	rc = read_block(s);
	return !rc && s->column != NO_LINE ? NOT_PLAIN : rc;
}

int fl_yaml_plain_each(struct fl_doc *doc, const char *text, size_t len, fl_doc_fn fn, void *arg,
		       size_t *ret_used, unsigned int *ret_lines)
{
	struct plain s = {.doc = doc, .end = text + len, .line = 1};
	int rc;

	*ret_used = *ret_lines = 0;
	if (!is_printable(text, len))
		return 0;
	find_line(&s, text);
	while (s.start < s.end) {
		rc = read_document(&s);
		if (rc) {
			fl_doc_reset(doc);
			return rc == NOT_PLAIN ? 0 : rc;
		}
		*ret_used = (size_t)(s.start - text);
		*ret_lines = s.line - 1;
		rc = fn(doc, arg);
		if (rc)
			return rc;
	}
	return 0;
}
