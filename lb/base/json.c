/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * JSON by jsmn. Its tokens only propose where things begin and end: strict as it can be set, it
 * lets through {"a":1,}, [1 2], tru and bad escapes, and its token sizes cannot be relied upon. So
 * the walk below follows the text itself, byte by byte, and takes a token only where one must
 * begin.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc_build.h"
#include "lb/base/utf8.h"

#define JSMN_STATIC
#define JSMN_STRICT
#define JSMN_PARENT_LINKS
#include <jsmn.h>

#define COUNTED_FROM (64u * 1024) /* bytes of text */

struct walk {
	struct fl_doc *doc;
	const char *text;
	size_t len, pos;
	unsigned int line; /* of pos */
	const jsmntok_t *tokens;
	size_t n_tokens, next;
	char *scratch; /* strings without their escapes */
	struct fl_err *err;
};

static int unexpected(struct walk *w, const char *wanted)
{
	unsigned char c;

	if (w->pos >= w->len)
		return fl_doc_error(w->doc, -EINVAL, w->line, w->err,
				    "the text ends where %s was expected", wanted);
	c = (unsigned char)w->text[w->pos];
	if (c > 0x20 && c < 0x7f)
		return fl_doc_error(w->doc, -EINVAL, w->line, w->err, "'%c' where %s was expected",
				    c, wanted);
	return fl_doc_error(w->doc, -EINVAL, w->line, w->err, "byte 0x%02x where %s was expected",
			    c, wanted);
}

static void skip_blanks(struct walk *w)
{
	for (; w->pos < w->len; w->pos++) {
		char c = w->text[w->pos];

		if (c == '\n')
			w->line++;
		else if (c != ' ' && c != '\t' && c != '\r')
			return;
	}
}

static bool at(const struct walk *w, char c)
{
	return w->pos < w->len && w->text[w->pos] == c;
}

static int read_hex4(const char *text, size_t len, unsigned int *ret_code)
{
	unsigned int code = 0;

	if (len < 4)
		return -EINVAL;
	for (size_t i = 0; i < 4; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			code = code << 4 | (unsigned int)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			code = code << 4 | (unsigned int)((c | 0x20) - 'a' + 10);
		else
			return -EINVAL;
	}
	*ret_code = code;
	return 0;
}

/* Read what follows "\u"; returns the number of bytes used, 0 when it is no character. */
static size_t read_unicode(const char *text, size_t len, unsigned int *ret_code)
{
	unsigned int code, low;

	if (read_hex4(text, len, &code))
		return 0;
	if (code < 0xd800 || code > 0xdfff) {
		*ret_code = code;
		return 4;
	}
	/* half of a pair alone is no character */
	if (code > 0xdbff || len < 10 || text[4] != '\\' || text[5] != 'u' ||
	    read_hex4(text + 6, len - 6, &low) || low < 0xdc00 || low > 0xdfff)
		return 0;
	*ret_code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	return 10;
}

/* Decode one escape at text[0] == '\\' into out; returns the bytes used, 0 for a bad one. */
static size_t read_escape(const char *text, size_t len, char out[static 4], size_t *ret_out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *found;
	unsigned int code;
	size_t used;

	if (len < 2)
		return 0;
	if (text[1] != 'u') {
		found = text[1] ? strchr(from, text[1]) : NULL;
		if (!found)
			return 0;
		out[0] = to[found - from];
		*ret_out = 1;
		return 2;
	}
	used = read_unicode(text + 2, len - 2, &code);
	if (!used || !code) /* NUL would end the string early */
		return 0;
	*ret_out = fl_utf8_put(code, out);
	return used + 2;
}

/* Nearly all strings stand in the text as they are meant. */
static bool is_verbatim(const char *text, size_t len)
{
	unsigned int odd = 0;

	for (size_t i = 0; i < len; i++) {
		const unsigned char c = (unsigned char)text[i];

		odd |= (unsigned int)(c == '\\') | (unsigned int)(c < 0x20) | (c & 0x80U);
	}
	return !odd;
}

/* Check the string of a token and give its plain text, valid until the next call. */
static int read_string(struct walk *w, const jsmntok_t *token, const char **ret_text,
		       size_t *ret_len)
{
	const char *text = w->text + token->start;
	size_t len = (size_t)(token->end - token->start), out = 0, n;

	if (is_verbatim(text, len)) {
		*ret_text = text;
		*ret_len = len;
		return 0;
	}
	for (size_t i = 0; i < len; i += n) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\\') {
			size_t written = 0;

			n = read_escape(text + i, len - i, w->scratch + out, &written);
			if (!n)
				return fl_doc_error(w->doc, -EINVAL, w->line, w->err,
						    "a bad escape in a string");
			out += written;
			continue;
		}
		if (c < 0x20)
			return fl_doc_error(w->doc, -EINVAL, w->line, w->err,
					    "a control character (0x%02x) in a string", c);
		n = fl_utf8_length(text + i, len - i);
		if (!n)
			return fl_doc_error(w->doc, -EINVAL, w->line, w->err,
					    "a string is not valid UTF-8 (0x%02x)", c);
		memcpy(w->scratch + out, text + i, n);
		out += n;
	}
	*ret_text = w->scratch;
	*ret_len = out;
	return 0;
}

static size_t digits(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= '0' && text[n] <= '9')
		n++;
	return n;
}

/* RFC 8259, 6. Returns the type, or FL_VALUE_NULL for what is no number. */
static enum fl_value_type number_type(const char *text, size_t len)
{
	enum fl_value_type type = FL_VALUE_INT;
	size_t i = len && text[0] == '-', n = digits(text + i, len - i);

	if (!n || (n > 1 && text[i] == '0'))
		return FL_VALUE_NULL;
	i += n;
	if (i < len && text[i] == '.') {
		n = digits(text + i + 1, len - i - 1);
		if (!n)
			return FL_VALUE_NULL;
		i += n + 1;
		type = FL_VALUE_FLOAT;
	}
	if (i < len && (text[i] | 0x20) == 'e') {
		i++;
		i += i < len && (text[i] == '+' || text[i] == '-');
		n = digits(text + i, len - i);
		if (!n)
			return FL_VALUE_NULL;
		i += n;
		type = FL_VALUE_FLOAT;
	}
	return i == len ? type : FL_VALUE_NULL;
}

static int add_primitive(struct walk *w, const jsmntok_t *token)
{
	static const struct {
		const char *text;
		enum fl_value_type type;
	} words[] = {
		{"true", FL_VALUE_BOOL},
		{"false", FL_VALUE_BOOL},
		{"null", FL_VALUE_NULL},
	};
	const char *text = w->text + token->start;
	size_t len = (size_t)(token->end - token->start);
	enum fl_value_type type;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (len == strlen(words[i].text) && !memcmp(text, words[i].text, len))
			return fl_doc_scalar(w->doc, words[i].type, text, len, w->line, w->err);
	type = number_type(text, len);
	if (type == FL_VALUE_NULL)
		return fl_doc_error(w->doc, -EINVAL, w->line, w->err, "\"%.*s\" is no value",
				    (int)(len > 40 ? 40 : len), text);
	return fl_doc_scalar(w->doc, type, text, len, w->line, w->err);
}

/* The token that begins here, or NULL. */
static const jsmntok_t *token_here(struct walk *w)
{
	const jsmntok_t *token = w->next < w->n_tokens ? &w->tokens[w->next] : NULL;
	size_t quote;

	if (!token || w->pos >= w->len || token->start < 0 || token->end < token->start ||
	    (size_t)token->end > w->len)
		return NULL;
	quote = token->type == JSMN_STRING;
	if ((size_t)token->start != w->pos + quote || (quote && w->text[w->pos] != '"'))
		return NULL;
	w->next++;
	return token;
}

static int walk_value(struct walk *w)
{
	const jsmntok_t *token;
	const char *text;
	size_t len;
	int rc;

	skip_blanks(w);
	token = token_here(w);
	if (!token)
		return unexpected(w, "a value");
	switch (token->type) {
	case JSMN_OBJECT:
	case JSMN_ARRAY:
		w->pos++;
		return fl_doc_begin(w->doc,
				    token->type == JSMN_OBJECT ? FL_VALUE_MAP : FL_VALUE_LIST,
				    w->line, w->err);
	case JSMN_STRING:
		rc = read_string(w, token, &text, &len);
		w->pos = (size_t)token->end + 1;
		return rc ? rc : fl_doc_scalar(w->doc, FL_VALUE_STRING, text, len, w->line, w->err);
	case JSMN_PRIMITIVE:
		w->pos = (size_t)token->end;
		return add_primitive(w, token);
	default:
		return unexpected(w, "a value");
	}
}

static int walk_key(struct walk *w)
{
	const jsmntok_t *token;
	const char *text;
	size_t len;
	int rc;

	skip_blanks(w);
	token = at(w, '"') ? token_here(w) : NULL;
	if (!token || token->type != JSMN_STRING)
		return unexpected(w, "a key");
	rc = read_string(w, token, &text, &len);
	if (!rc)
		rc = fl_doc_key(w->doc, text, len, w->line, w->err);
	if (rc)
		return rc;
	w->pos = (size_t)token->end + 1;
	skip_blanks(w);
	if (!at(w, ':'))
		return unexpected(w, "':'");
	w->pos++;
	return 0;
}

static int walk_document(struct walk *w)
{
	int rc = 0;

	if (!at(w, '{') && !at(w, '['))
		return unexpected(w, "an object or an array");
	rc = walk_value(w);
	while (!rc && w->doc->depth) {
		const struct fl_value *open = w->doc->open[w->doc->depth - 1].value;
		bool map = open->type == FL_VALUE_MAP;

		skip_blanks(w);
		if (at(w, map ? '}' : ']')) {
			w->pos++;
			rc = fl_doc_end(w->doc, w->err);
			continue;
		}
		if (open->count) {
			if (!at(w, ','))
				return unexpected(w, map ? "',' or '}'" : "',' or ']'");
			w->pos++;
		}
		rc = map ? walk_key(w) : 0;
		if (!rc)
			rc = walk_value(w);
	}
	return rc;
}

/* One document behind the other, as `kubectl get -o json` leaves them in a file. */
static int walk_documents(struct walk *w, fl_doc_fn fn, void *arg)
{
	int rc;

	skip_blanks(w);
	do {
		fl_doc_reset(w->doc);
		rc = walk_document(w);
		if (!rc)
			rc = fn(w->doc, arg);
		skip_blanks(w);
	} while (!rc && w->pos < w->len);
	return rc;
}

static unsigned int line_at(const char *text, size_t pos)
{
	unsigned int line = 1;

	for (size_t i = 0; i < pos; i++)
		line += text[i] == '\n';
	return line;
}

/* What jsmn refused by itself. */
static int tokenizer_error(struct walk *w, int code, size_t pos)
{
	if (pos > w->len)
		pos = w->len;
	if (code == JSMN_ERROR_PART) {
		/* where the text ends, not where its last, unfinished token begins */
		w->pos = w->len;
		w->line = line_at(w->text, w->len);
		return fl_doc_error(w->doc, -EINVAL, w->line, w->err,
				    "the text ends inside an object, array or string");
	}
	w->pos = pos;
	w->line = line_at(w->text, pos);
	if (at(w, '"'))
		return fl_doc_error(w->doc, -EINVAL, w->line, w->err, "a bad escape in a string");
	return unexpected(w, "a value, ',' or a closing bracket");
}

/*
 * Checked before jsmn runs, since its time grows with the square of the depth. *ret_most: no more
 * tokens than that, if the text is well formed: a map or list is one, and whatever is in it comes
 * behind its beginning, a comma or a colon.
 */
static int check_depth(struct walk *w, size_t *ret_most)
{
	size_t depth = 0, most = 0;
	bool string = false;

	for (size_t i = 0; i < w->len; i++) {
		char c = w->text[i];

		most += !string && (c == ',' || c == ':' ? 1 : c == '[' || c == '{' ? 2 : 0);
		if (string && c == '\\')
			i++;
		else if (c == '"')
			string = !string;
		else if (!string && (c == '[' || c == '{') && ++depth > FL_DOC_MAX_DEPTH)
			return fl_doc_error(w->doc, -E2BIG, line_at(w->text, i), w->err,
					    "nested deeper than %d levels", FL_DOC_MAX_DEPTH);
		else if (!string && (c == ']' || c == '}') && depth)
			depth--;
	}
	*ret_most = most;
	return 0;
}

/* Their number, or what jsmn says. */
static int tokenize(const struct walk *w, size_t room, jsmntok_t **tokens, jsmn_parser *parser)
{
	free(*tokens);
	*tokens = calloc(room + 1, sizeof(**tokens));
	jsmn_init(parser);
	return *tokens ? jsmn_parse(parser, w->text, w->len, *tokens, (unsigned int)room + 1) : 0;
}

int fl_json_each(struct fl_doc *doc, const char *text, size_t len, fl_doc_fn fn, void *arg,
		 struct fl_err *err)
{
	struct walk w = {.doc = doc, .text = text, .len = len, .line = 1, .err = err};
	_cleanup_free_ jsmntok_t *tokens = NULL;
	_cleanup_free_ char *scratch = NULL;
	const char *nul = memchr(text, '\0', len);
	jsmn_parser parser;
	size_t most = 0;
	int n, rc;

	fl_doc_reset(doc);
	if (nul)
		return fl_doc_error(doc, -EINVAL, line_at(text, (size_t)(nul - text)), err,
				    "a NUL byte");
	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) { /* a byte order mark */
		w.text = text += 3;
		w.len = len -= 3;
	}
	rc = check_depth(&w, &most);
	if (rc)
		return rc;
	scratch = malloc(len + 4);
	/* to count tokens takes as long as to get them: where the text is small, there is room for
	 * more than it has */
	n = len <= COUNTED_FROM ? tokenize(&w, most, &tokens, &parser) : JSMN_ERROR_NOMEM;
	if (n == JSMN_ERROR_NOMEM) {
		jsmn_init(&parser);
		n = jsmn_parse(&parser, text, len, NULL, 0);
		if (n > 0 && (size_t)n > 2 * (size_t)FL_DOC_MAX_VALUES) /* a key is one too */
			return fl_doc_error(doc, -E2BIG, 1, err,
					    "more than %u values in one document",
					    FL_DOC_MAX_VALUES);
		if (n >= 0)
			n = tokenize(&w, (size_t)n, &tokens, &parser);
	}
	if (n < 0)
		return tokenizer_error(&w, n, parser.pos);
	if (!tokens || !scratch)
		return fl_doc_error(doc, -ENOMEM, 0, err, "out of memory");
	w.tokens = tokens;
	w.n_tokens = (size_t)n;
	w.scratch = scratch;
	return walk_documents(&w, fn, arg);
}
