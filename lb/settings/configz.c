/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A member per key of the table; those of a group follow each other there and become one object. */
#include "lb/settings/configz.h"

#include <string.h>

#include "lb/base/json_write.h"
#include "lb/settings/settings.h"

static void write_strings(const struct fl_strings *strings, struct fl_json *json)
{
	fl_json_array_begin(json);
	for (size_t i = 0; i < strings->n; i++)
		fl_json_string(json, strings->items[i]);
	fl_json_array_end(json);
}

static void write_value(const struct fl_setting *setting, const void *field, struct fl_json *json)
{
	switch (setting->type) {
	case FL_SETTING_FLAG:
		fl_json_bool(json, *(const bool *)field);
		return;
	case FL_SETTING_STRING:
		fl_json_string(json, *(char *const *)field);
		return;
	case FL_SETTING_STRINGS:
	case FL_SETTING_ADDRESSES:
	case FL_SETTING_SERVERS:
		write_strings(field, json);
		return;
	case FL_SETTING_NUMBER:
		fl_json_uint(json, *(const uint32_t *)field);
		return;
	case FL_SETTING_SECONDS:
		fl_json_stringf(json, "%us", *(const uint32_t *)field);
		return;
	case FL_SETTING_MILLISECONDS:
		fl_json_stringf(json, "%ums", *(const uint32_t *)field);
		return;
	case FL_SETTING_WORD:
		fl_json_string(json,
			       fl_word_of(setting->option.words, (int)*(const uint32_t *)field));
		return;
	}
}

/* The part of a key before its dot; 0: it is in no group. */
static size_t group_len(const char *key)
{
	const char *dot = strchr(key, '.');

	return dot ? (size_t)(dot - key) : 0;
}

static void enter(struct fl_json *json, const char *group, size_t len)
{
	char name[64] = "";

	memcpy(name, group, len < sizeof(name) ? len : sizeof(name) - 1);
	fl_json_key(json, name);
	fl_json_object_begin(json);
}

void fl_settings_json(const struct fl_settings *settings, struct fl_json *json)
{
	const char *group = "";
	size_t len = 0;

	fl_json_key(json, "fairlead.dev");
	fl_json_object_begin(json);
	fl_json_member_string(json, "apiVersion", "fairlead.dev/v1");
	fl_json_member_string(json, "kind", "FairleadConfiguration");
	for (size_t i = 0; i < fl_setting_count; i++) {
		const struct fl_setting *setting = &fl_setting_table[i];
		const char *key = setting->key;
		size_t n = key ? group_len(key) : 0;

		if (!key)
			continue;
		if (n != len || strncmp(key, group, len)) {
			if (len)
				fl_json_object_end(json);
			if (n)
				enter(json, key, n);
			group = key;
			len = n;
		}
		fl_json_key(json, n ? key + n + 1 : key);
		write_value(setting, (const char *)settings + setting->offset, json);
	}
	if (len)
		fl_json_object_end(json);
	fl_json_object_end(json);
}
