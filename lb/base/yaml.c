/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * YAML by libyaml's events, document by document. Plain scalars mean what they mean to Kubernetes'
 * own reader (YAML 1.1 words for true and false among them). Aliases are copies within a budget, so
 * that a few lines cannot stand for a billion values.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc_build.h"

struct anchor {
	char *name;
	const struct fl_value *value;
};

struct reader {
	struct fl_doc *doc;
	struct fl_err *err;
	struct anchor anchors[FL_DOC_MAX_ANCHORS];
	size_t n_anchors;
	fl_doc_fn fn;
	fl_doc_fault_fn fault; /* NULL: a fault ends the stream */
	void *arg;
	bool skipping; /* the rest of a document at fault, which `why` tells */
	struct fl_err why;
};

static const struct {
	const char *text;
	enum fl_value_type type;
} words[] = {
	{"", FL_VALUE_NULL},	  {"~", FL_VALUE_NULL},	    {"null", FL_VALUE_NULL},
	{"Null", FL_VALUE_NULL},  {"NULL", FL_VALUE_NULL},  {"true", FL_VALUE_BOOL},
	{"True", FL_VALUE_BOOL},  {"TRUE", FL_VALUE_BOOL},  {"false", FL_VALUE_BOOL},
	{"False", FL_VALUE_BOOL}, {"FALSE", FL_VALUE_BOOL}, {"yes", FL_VALUE_BOOL},
	{"Yes", FL_VALUE_BOOL},	  {"YES", FL_VALUE_BOOL},   {"no", FL_VALUE_BOOL},
	{"No", FL_VALUE_BOOL},	  {"NO", FL_VALUE_BOOL},    {"on", FL_VALUE_BOOL},
	{"On", FL_VALUE_BOOL},	  {"ON", FL_VALUE_BOOL},    {"off", FL_VALUE_BOOL},
	{"Off", FL_VALUE_BOOL},	  {"OFF", FL_VALUE_BOOL},
};

/*
 * Integers are decimal and without leading zeros. Octal (030080), hexadecimal and base 60 readings
 * of a port number would surprise, so such text stays a string and is refused where a number is
 * wanted.
 */
static enum fl_value_type number_type(const char *text)
{
	enum fl_value_type type = FL_VALUE_INT;
	size_t whole, part = 0;

	text += *text == '-' || *text == '+';
	whole = strspn(text, "0123456789");
	if (whole > 1 && text[0] == '0')
		return FL_VALUE_STRING;
	text += whole;
	if (*text == '.') {
		part = strspn(text + 1, "0123456789");
		text += part + 1;
		type = FL_VALUE_FLOAT;
	}
	if (!whole && !part)
		return FL_VALUE_STRING;
	if (*text == 'e' || *text == 'E') {
		text++;
		text += *text == '-' || *text == '+';
		part = strspn(text, "0123456789");
		if (!part)
			return FL_VALUE_STRING;
		text += part;
		type = FL_VALUE_FLOAT;
	}
	return *text ? FL_VALUE_STRING : type;
}

static enum fl_value_type plain_type(const char *text, size_t len)
{
	if (len <= 5)
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
			if (!strcmp(text, words[i].text))
				return words[i].type;
	return number_type(text);
}

static unsigned int line_of(const yaml_mark_t *mark)
{
	return (unsigned int)mark->line + 1;
}

/* An explicit tag must be one of the core ones and fit what is there. */
static int tagged_type(struct reader *r, const yaml_event_t *event, enum fl_value_type *type)
{
	static const struct {
		const char *name;
		enum fl_value_type type;
	} tags[] = {
		{"str", FL_VALUE_STRING},
		{"int", FL_VALUE_INT},
		{"bool", FL_VALUE_BOOL},
		{"null", FL_VALUE_NULL},
		{"float", FL_VALUE_FLOAT},
		/* text as far as we are concerned: other people's objects have them */
		{"binary", FL_VALUE_STRING},
		{"timestamp", FL_VALUE_STRING},
	};
	static const char prefix[] = "tag:yaml.org,2002:";
	const char *tag = (const char *)event->data.scalar.tag;
	const char *text = (const char *)event->data.scalar.value;
	enum fl_value_type plain = plain_type(text, event->data.scalar.length);

	for (size_t i = 0;
	     !strncmp(tag, prefix, sizeof(prefix) - 1) && i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (strcmp(tag + sizeof(prefix) - 1, tags[i].name))
			continue;
		if (tags[i].type != FL_VALUE_STRING && tags[i].type != plain &&
		    !(tags[i].type == FL_VALUE_FLOAT && plain == FL_VALUE_INT))
			break;
		*type = tags[i].type;
		return 0;
	}
	return fl_doc_error(r->doc, -EINVAL, line_of(&event->start_mark), r->err,
			    "tag \"%.60s\" does not fit \"%.40s\"", tag, text);
}

static int add_anchor(struct reader *r, const yaml_char_t *name, unsigned int line)
{
	struct anchor *anchor = NULL;

	if (!name)
		return 0;
	/* the same name again replaces the earlier one, as YAML has it */
	for (size_t i = 0; i < r->n_anchors; i++)
		if (!strcmp(r->anchors[i].name, (const char *)name))
			anchor = &r->anchors[i];
	if (!anchor) {
		char *copy;

		if (r->n_anchors == FL_DOC_MAX_ANCHORS)
			return fl_doc_error(r->doc, -E2BIG, line, r->err, "more than %d anchors",
					    FL_DOC_MAX_ANCHORS);
		copy = strdup((const char *)name);
		if (!copy)
			return fl_doc_error(r->doc, -ENOMEM, 0, r->err, "out of memory");
		anchor = &r->anchors[r->n_anchors++];
		anchor->name = copy;
	}
	anchor->value = fl_doc_latest(r->doc);
	return 0;
}

static void clear_anchors(struct reader *r)
{
	for (size_t i = 0; i < r->n_anchors; i++)
		free(r->anchors[i].name);
	r->n_anchors = 0;
}

static int on_alias(struct reader *r, const yaml_event_t *event)
{
	const char *name = (const char *)event->data.alias.anchor;
	unsigned int line = line_of(&event->start_mark);

	if (fl_doc_wants_key(r->doc))
		return fl_doc_error(r->doc, -EINVAL, line, r->err, "an alias as a key");
	for (size_t i = 0; i < r->n_anchors; i++) {
		if (strcmp(r->anchors[i].name, name))
			continue;
		if (!fl_doc_is_complete(r->doc, r->anchors[i].value))
			return fl_doc_error(r->doc, -EINVAL, line, r->err,
					    "alias \"%.60s\" inside of what it stands for", name);
		return fl_doc_copy(r->doc, r->anchors[i].value, line, r->err);
	}
	return fl_doc_error(r->doc, -EINVAL, line, r->err, "alias \"%.60s\" without an anchor",
			    name);
}

static int on_scalar(struct reader *r, const yaml_event_t *event)
{
	const char *text = (const char *)event->data.scalar.value;
	const char *tag = (const char *)event->data.scalar.tag;
	size_t len = event->data.scalar.length;
	bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
	unsigned int line = line_of(&event->start_mark);
	enum fl_value_type type = FL_VALUE_NULL;
	int rc;

	if (memchr(text, '\0', len))
		return fl_doc_error(r->doc, -EINVAL, line, r->err, "a NUL character in a string");
	if (fl_doc_wants_key(r->doc)) {
		if (event->data.scalar.anchor)
			return fl_doc_error(r->doc, -EINVAL, line, r->err, "an anchor on a key");
		if (plain && !strcmp(text, "<<")) {
			fl_doc_merge_key(r->doc, line);
			return 0;
		}
		return fl_doc_key(r->doc, text, len, line, r->err);
	}
	if (tag && strcmp(tag, "!")) {
		rc = tagged_type(r, event, &type);
		if (rc)
			return rc;
	} else {
		type = plain && !tag ? plain_type(text, len) : FL_VALUE_STRING;
	}
	rc = fl_doc_scalar(r->doc, type, text, len, line, r->err);
	return rc ? rc : add_anchor(r, event->data.scalar.anchor, line);
}

static int on_begin(struct reader *r, const yaml_event_t *event)
{
	bool map = event->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *anchor =
		map ? event->data.mapping_start.anchor : event->data.sequence_start.anchor;
	unsigned int line = line_of(&event->start_mark);
	int rc;

	if (fl_doc_wants_key(r->doc))
		return fl_doc_error(r->doc, -EINVAL, line, r->err, "%s as a key",
				    map ? "a map" : "a list");
	rc = fl_doc_begin(r->doc, map ? FL_VALUE_MAP : FL_VALUE_LIST, line, r->err);
	return rc ? rc : add_anchor(r, anchor, line);
}

static int on_document_end(struct reader *r)
{
	if (!r->skipping)
		return r->fn(r->doc, r->arg);
	r->skipping = false;
	return r->fault(r->doc->error_line, r->why.text, r->arg);
}

static int on_content(struct reader *r, const yaml_event_t *event)
{
	switch (event->type) {
	case YAML_ALIAS_EVENT:
		return on_alias(r, event);
	case YAML_SCALAR_EVENT:
		return on_scalar(r, event);
	case YAML_SEQUENCE_START_EVENT:
	case YAML_MAPPING_START_EVENT:
		return on_begin(r, event);
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		return fl_doc_end(r->doc, r->err);
	default:
		return 0;
	}
}

static int on_event(struct reader *r, const yaml_event_t *event)
{
	int rc;

	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		clear_anchors(r);
		fl_doc_reset(r->doc);
		return 0;
	case YAML_DOCUMENT_END_EVENT:
		return on_document_end(r);
	default:
		rc = r->skipping ? 0 : on_content(r, event);
		/* beyond a limit there is no going on: libyaml takes time by the square of the
		 * depth */
		if (!r->fault || !rc || rc == -ENOMEM || rc == -E2BIG)
			return rc;
		r->skipping = true;
		r->why = *r->err;
		return 0;
	}
}

static int parser_error(struct reader *r, const yaml_parser_t *parser)
{
	const char *problem = parser->problem ? parser->problem : "not YAML";
	unsigned int line = line_of(&parser->problem_mark);

	if (parser->error == YAML_MEMORY_ERROR)
		return fl_doc_error(r->doc, -ENOMEM, 0, r->err, "out of memory");
	if (parser->error == YAML_READER_ERROR) /* the mark is of the scanner, not of the reader */
		line = line_of(&parser->mark);
	if (parser->context)
		return fl_doc_error(r->doc, -EINVAL, line, r->err, "%s %s", problem,
				    parser->context);
	return fl_doc_error(r->doc, -EINVAL, line, r->err, "%s", problem);
}

int fl_yaml_each(struct fl_doc *doc, const char *text, size_t len, fl_doc_fn fn,
		 fl_doc_fault_fn fault, void *arg, struct fl_err *err)
{
	struct fl_err none = {""};
	struct reader r = {
		.doc = doc, .err = err ? err : &none, .fn = fn, .fault = fault, .arg = arg};
	yaml_parser_t parser;
	bool done = false;
	int rc = 0;

	if (!yaml_parser_initialize(&parser))
		return fl_doc_error(doc, -ENOMEM, 0, r.err, "out of memory");
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
	while (!rc && !done) {
		yaml_event_t event;

		if (!yaml_parser_parse(&parser, &event)) {
			rc = parser_error(&r, &parser);
			break;
		}
		done = event.type == YAML_STREAM_END_EVENT;
		rc = on_event(&r, &event);
		yaml_event_delete(&event);
	}
	clear_anchors(&r);
	yaml_parser_delete(&parser);
	return rc;
}
