/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How text becomes each kind of value. Command line and configuration file both come here, so that
 * a value means the same wherever it is written.
 */
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/url.h"
#include "lb/settings/settings.h"

/* Add the words between commas, without the blanks around them. */
static int strings_split(struct fl_strings *strings, const char *text, struct fl_err *err)
{
	while (1) {
		size_t len = strcspn(text, ","), trimmed = len;
		const char *word = text;
		int r;

		for (; trimmed && isspace((unsigned char)*word); trimmed--)
			word++;
		while (trimmed && isspace((unsigned char)word[trimmed - 1]))
			trimmed--;
		if (!trimmed)
			return fl_err_set(err, -EINVAL, "an empty word in a list");
		r = fl_strings_add(strings, strndup(word, trimmed));
		if (r)
			return r;
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

int fl_duration_parse(const char *text, uint32_t unit_ms, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1}, {"us", 1e-3}, {"ns", 1e-6}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}};
	double total = 0;
	bool any = false;

	while (*text) {
		double number;
		char *end;
		size_t i;

		if (!isdigit((unsigned char)*text) && *text != '.')
			return -EINVAL;
		/* strtod() would also read hexadecimal and exponents, which are no durations */
		if (text[strspn(text, "0123456789.")] == 'x' ||
		    text[strspn(text, "0123456789.")] == 'e')
			return -EINVAL;
		number = strtod(text, &end);
		if (end == text)
			return -EINVAL;
		if (!*end && !any) {
			total = number * unit_ms;
			any = true;
			break;
		}
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (!strncmp(end, units[i].name, strlen(units[i].name)))
				break;
		if (i == sizeof(units) / sizeof(units[0]))
			return -EINVAL;
		total += number * units[i].ms;
		text = end + strlen(units[i].name);
		any = true;
	}
	if (!any || !(total < 1e15))
		return -EINVAL;
	*ret_ms = (uint64_t)llround(total);
	return 0;
}

static int set_number(const char *text, uint32_t *ret_number, struct fl_err *err)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || n > UINT32_MAX)
		return fl_err_set(err, -EINVAL, "\"%s\" is not a number from 0 to %u", text,
				  UINT32_MAX);
	*ret_number = (uint32_t)n;
	return 0;
}

static int set_duration(const char *text, uint32_t unit_ms, uint32_t *ret_units, struct fl_err *err)
{
	uint64_t ms;

	if (fl_duration_parse(text, unit_ms, &ms) || ms / unit_ms > UINT32_MAX)
		return fl_err_set(err, -EINVAL, "\"%s\" is not a duration like 90s, 15m or 24h",
				  text);
	/* a fraction counts as a whole: 0 would mean the default */
	*ret_units = (uint32_t)((ms + unit_ms - 1) / unit_ms);
	return 0;
}

static int set_flag(const char *text, bool *ret_flag, struct fl_err *err)
{
	if (strcmp(text, "true") && strcmp(text, "false"))
		return fl_err_set(err, -EINVAL, "\"%s\" is neither true nor false", text);
	*ret_flag = !strcmp(text, "true");
	return 0;
}

static int set_string(const char *text, char **ret_string)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*ret_string);
	*ret_string = copy;
	return 0;
}

static int set_word(const struct fl_word *words, const char *text, uint32_t *ret_value,
		    struct fl_err *err)
{
	char list[80];
	int value;

	if (!fl_word_value(words, text, &value))
		return fl_err_set(err, -EINVAL, "\"%s\" is not %s", text,
				  fl_words_format(words, list, sizeof(list)));
	*ret_value = (uint32_t)value;
	return 0;
}

static int set_addresses(struct fl_strings *list, const char *text, struct fl_err *err)
{
	const size_t n = list->n;
	struct fl_ip ip;
	int r = strings_split(list, text, err);

	for (size_t i = n; !r && i < list->n; i++)
		if (fl_ip_parse(list->items[i], &ip))
			r = fl_err_set(err, -EINVAL, "\"%s\" is not an address", list->items[i]);
	return r;
}

/* Without TLS whoever is there would get our credentials. */
static int set_servers(struct fl_strings *list, const char *text, struct fl_err *err)
{
	static const char *const schemes[] = {"https://", NULL};
	const size_t n = list->n;
	int r = strings_split(list, text, err);

	for (size_t i = n; !r && i < list->n; i++)
		if (!fl_url_is_base(list->items[i], schemes) || strchr(list->items[i], '@'))
			r = fl_err_set(err, -EINVAL, "\"%s\" is not https://HOST[:PORT]",
				       list->items[i]);
	return r;
}

int fl_setting_set(struct fl_settings *settings, const struct fl_setting *setting, const char *text,
		   struct fl_err *err)
{
	void *at = fl_setting_field(settings, setting);

	switch (setting->type) {
	case FL_SETTING_FLAG:
		return set_flag(text, at, err);
	case FL_SETTING_STRING:
		return set_string(text, at);
	case FL_SETTING_STRINGS:
		return strings_split(at, text, err);
	case FL_SETTING_ADDRESSES:
		return set_addresses(at, text, err);
	case FL_SETTING_SERVERS:
		return set_servers(at, text, err);
	case FL_SETTING_NUMBER:
		return set_number(text, at, err);
	case FL_SETTING_SECONDS:
		return set_duration(text, 1000, at, err);
	case FL_SETTING_MILLISECONDS:
		return set_duration(text, 1, at, err);
	case FL_SETTING_WORD:
		return set_word(setting->option.words, text, at, err);
	}
	return -EINVAL;
}
