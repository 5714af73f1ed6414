/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What plain scalars mean: the words of YAML 1.1, and numbers. */
#include <string.h>

#include "lb/base/yaml_plain.h"

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

static size_t digits(const char *text, const char *end)
{
	const char *p = text;

	while (p < end && *p >= '0' && *p <= '9')
		p++;
	return (size_t)(p - text);
}

static const char *skip_sign(const char *text, const char *end)
{
	return text + (text < end && (*text == '-' || *text == '+'));
}

/*
 * Integers are decimal and without leading zeros. Octal (030080), hexadecimal and base 60 readings
 * of a port number would surprise, so such text stays a string and is refused where a number is
 * wanted.
 */
static enum fl_value_type number_type(const char *text, const char *end)
{
	enum fl_value_type type = FL_VALUE_INT;
	size_t whole, part = 0;

	text = skip_sign(text, end);
	whole = digits(text, end);
	if (whole > 1 && text[0] == '0')
		return FL_VALUE_STRING;
	text += whole;
	if (text < end && *text == '.') {
		part = digits(text + 1, end);
		text += part + 1;
		type = FL_VALUE_FLOAT;
	}
	if (!whole && !part)
		return FL_VALUE_STRING;
	if (text < end && (*text == 'e' || *text == 'E')) {
		text = skip_sign(text + 1, end);
		part = digits(text, end);
		if (!part)
			return FL_VALUE_STRING;
		text += part;
		type = FL_VALUE_FLOAT;
	}
	return text < end ? FL_VALUE_STRING : type;
}

static enum fl_value_type word_type(const char *text, size_t len)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (!strncmp(text, words[i].text, len) && !words[i].text[len])
			return words[i].type;
	return FL_VALUE_STRING;
}

enum fl_value_type fl_yaml_plain_type(const char *text, size_t len)
{
	const char first = len ? *text : '~';

	if ((first >= '0' && first <= '9') || first == '+' || first == '-' || first == '.')
		return number_type(text, text + len);
	/* most of what is in a manifest begins like none of the words */
	return len <= 5 && strchr("~nNtTfFyYoO", first) ? word_type(text, len) : FL_VALUE_STRING;
}
