/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the formats share: finding one by name, walking paths, and the cells that several nouns
 * have. */
#include "tools/output.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/doc.h"
#include "lb/base/words.h"

static const struct fl_output *const outputs[] = {
	&fl_output_table, &fl_output_wide, &fl_output_json, &fl_output_yaml, &fl_output_name,
};

const struct fl_word fl_output_words[] = {
	{"table", 0}, {"wide", 1}, {"json", 2}, {"yaml", 3}, {"name", 4}, {NULL, 0},
};

static const struct {
	const char *word, *color;
} word_colors[] = {
	{"forward", "\033[32m"},     {"live", "\033[32m"},     {"healthy", "\033[32m"},
	{"established", "\033[32m"}, {"drop", "\033[31m"},     {"unhealthy", "\033[31m"},
	{"unreachable", "\033[31m"}, {"reject", "\033[33m"},   {"gone", "\033[33m"},
	{"closing", "\033[33m"},     {"unserved", "\033[31m"},
};

const struct fl_output *fl_output_find(const char *name)
{
	int i = 0;

	fl_word_value_typed(fl_output_words, name, &i);
	return outputs[i];
}

const char *fl_word_color(const char *word)
{
	for (size_t i = 0; i < sizeof(word_colors) / sizeof(word_colors[0]); i++) {
		if (!strcmp(word_colors[i].word, word))
			return word_colors[i].color;
	}
	return NULL;
}

const struct fl_value *fl_value_path(const struct fl_value *value, const char *path)
{
	char key[64];

	while (value && *path) {
		size_t len = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)len, path);
		value = fl_value_get(value, key);
		path += len + (path[len] == '.');
	}
	return value;
}

int64_t fl_value_number(const struct fl_value *value, const char *path)
{
	int64_t number = 0;

	fl_value_int(fl_value_path(value, path), &number);
	return number;
}

char *fl_cell_text(void (*cell)(const struct fl_value *value, FILE *out),
		   const struct fl_value *value)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	cell(value, out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

void fl_text_put(const char *text, FILE *out)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
		if (*p < 0x20 || *p == 0x7f)
			fprintf(out, "\\x%02x", *p);
		else if (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0)
			/* the control characters U+0080 to U+009F: some terminals obey them */
			fprintf(out, "\\x%02x", *++p);
		else
			putc(*p, out);
	}
}

static void put_scalar(const struct fl_value *value, FILE *out)
{
	const char *text = fl_value_text(value);
	bool flag;

	if (fl_value_type(value) == FL_VALUE_BOOL && fl_value_bool(value, &flag))
		fputs(flag ? "yes" : "no", out);
	else if (fl_value_type(value) == FL_VALUE_NULL || !text || !*text)
		putc('-', out);
	else
		fl_text_put(text, out);
}

void fl_cell_put(const struct fl_value *value, FILE *out)
{
	const char *comma = "";

	if (fl_value_type(value) != FL_VALUE_LIST) {
		put_scalar(value, out);
		return;
	}
	if (!fl_value_count(value))
		putc('-', out);
	FL_VALUE_EACH(member, value)
	{
		fputs(comma, out);
		put_scalar(member, out);
		comma = ",";
	}
}

void fl_cell_duration(const struct fl_value *value, FILE *out)
{
	static const struct {
		int64_t seconds;
		char letter;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	int64_t seconds;

	if (!fl_value_int(value, &seconds) || seconds < 0) {
		putc('-', out);
		return;
	}
	/* the two largest units: "4d1h" */
	for (size_t i = 0; i < 4; i++) {
		int64_t rest;

		if (seconds < units[i].seconds && i < 3)
			continue;
		fprintf(out, "%" PRId64 "%c", seconds / units[i].seconds, units[i].letter);
		rest = seconds % units[i].seconds;
		if (i < 3 && rest / units[i + 1].seconds)
			fprintf(out, "%" PRId64 "%c", rest / units[i + 1].seconds,
				units[i + 1].letter);
		return;
	}
}

void fl_cell_count(const struct fl_value *value, FILE *out)
{
	if (fl_value_type(value) == FL_VALUE_NULL)
		putc('-', out);
	else
		fprintf(out, "%zu", fl_value_count(value));
}

void fl_name_service_port(const struct fl_value *item, FILE *out)
{
	const char *ns = fl_value_string(fl_value_get(item, "namespace"));
	const char *name = fl_value_string(fl_value_get(item, "name"));
	const char *port = fl_value_string(fl_value_get(item, "port"));

	if (ns && *ns) {
		fl_text_put(ns, out);
		putc('/', out);
	}
	fl_text_put(name ? name : "-", out);
	if (port && *port) {
		putc(':', out);
		fl_text_put(port, out);
	}
}

static void put_frontends(const struct fl_value *list, bool typed, FILE *out)
{
	const char *comma = "";

	if (!fl_value_count(list))
		putc('-', out);
	FL_VALUE_EACH(frontend, list)
	{
		const char *ip = fl_value_string(fl_value_get(frontend, "ip"));
		bool v6 = ip && strchr(ip, ':');

		fputs(comma, out);
		if (typed) {
			put_scalar(fl_value_get(frontend, "type"), out);
			putc('/', out);
		}
		fputs(v6 ? "[" : "", out);
		fl_text_put(ip ? ip : "-", out);
		fputs(v6 ? "]:" : ":", out);
		put_scalar(fl_value_get(frontend, "port"), out);
		comma = ",";
	}
}

void fl_cell_frontends(const struct fl_value *value, FILE *out)
{
	put_frontends(value, false, out);
}

void fl_cell_frontends_typed(const struct fl_value *value, FILE *out)
{
	put_frontends(value, true, out);
}
