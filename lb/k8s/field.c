/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Typed fields, and words for what is wrong with them. */
#include "lb/k8s/field.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/suggest.h"
#include "lb/model/names.h"

static int report(struct fl_decoding *d, enum fl_problem_level level, unsigned int line,
		  const char *reason)
{
	char object[64 + FL_NAME_MAX * 2];
	struct fl_problem problem = {
		.level = level,
		.file = d->file,
		.line = line ? line : d->line,
		.object = object,
		.reason = reason,
		.kind = d->kind,
		.ns = d->ns,
		.name = d->name,
		.foreign = d->foreign,
	};

	if (d->name && d->ns && *d->ns)
		snprintf(object, sizeof(object), "%s %s/%s", d->kind_name, d->ns, d->name);
	else
		snprintf(object, sizeof(object), "%s%s%s", d->kind_name ? d->kind_name : "",
			 d->name ? " " : "", d->name ? d->name : "");
	return d->sink->problem(&problem, d->sink->arg);
}

/* "spec.ports[2].port: " and the words. */
static void compose(const struct fl_decoding *d, const char *key, char *buf, size_t size,
		    const char *fmt, va_list ap)
{
	int n = snprintf(buf, size, "%s%s%s%s", d->path, d->path_len && key ? "." : "",
			 key ? key : "", d->path_len || key ? ": " : "");

	if (n >= 0 && (size_t)n < size)
		vsnprintf(buf + n, size - (size_t)n, fmt, ap);
}

int fl_field_error(struct fl_decoding *d, const struct fl_value *value, const char *key,
		   const char *fmt, ...)
{
	char reason[512];
	va_list ap;
	int rc;

	va_start(ap, fmt);
	compose(d, key, reason, sizeof(reason), fmt, ap);
	va_end(ap);
	rc = report(d, FL_PROBLEM_ERROR, fl_value_line(value), reason);
	return rc ? rc : -EINVAL;
}

int fl_field_warn(struct fl_decoding *d, const struct fl_value *value, const char *key,
		  const char *fmt, ...)
{
	char reason[512];
	va_list ap;

	if (++d->n_warnings > FL_FIELD_MAX_WARNINGS)
		return 0;
	va_start(ap, fmt);
	compose(d, key, reason, sizeof(reason), fmt, ap);
	va_end(ap);
	return report(d, FL_PROBLEM_WARNING, fl_value_line(value), reason);
}

int fl_field_note(struct fl_decoding *d, const struct fl_value *value, const char *fmt, ...)
{
	char reason[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(reason, sizeof(reason), fmt, ap);
	va_end(ap);
	return report(d, FL_PROBLEM_NOTE, fl_value_line(value), reason);
}

int fl_field_flush(struct fl_decoding *d)
{
	char reason[64];

	if (d->n_warnings <= FL_FIELD_MAX_WARNINGS)
		return 0;
	snprintf(reason, sizeof(reason), "%u more warnings about this object",
		 d->n_warnings - FL_FIELD_MAX_WARNINGS);
	return report(d, FL_PROBLEM_WARNING, 0, reason);
}

/* A path too long for the buffer is cut, which only a message would show. */
static void add_to_path(struct fl_decoding *d, const char *text)
{
	const size_t room = sizeof(d->path) - 1 - d->path_len, len = strnlen(text, room);

	memcpy(d->path + d->path_len, text, len);
	d->path_len += len;
	d->path[d->path_len] = '\0';
}

static size_t enter(struct fl_decoding *d, const char *key, const char *index)
{
	const size_t mark = d->path_len;

	if (mark)
		add_to_path(d, ".");
	add_to_path(d, key);
	add_to_path(d, index);
	return mark;
}

size_t fl_field_enter(struct fl_decoding *d, const char *key)
{
	return enter(d, key, "");
}

size_t fl_field_enter_item(struct fl_decoding *d, const char *key, size_t index)
{
	char text[24], *p = text + sizeof(text) - 1;

	/* for each endpoint, where printf() shows */
	*p = '\0';
	*--p = ']';
	do
		*--p = (char)('0' + index % 10);
	while (index /= 10);
	*--p = '[';
	return enter(d, key, p);
}

void fl_field_leave(struct fl_decoding *d, size_t mark)
{
	d->path_len = mark;
	d->path[mark] = '\0';
}

const struct fl_value *fl_field_enter_annotations(struct fl_decoding *d,
						  const struct fl_value *root, size_t *ret_mark)
{
	const struct fl_value *meta = fl_value_get(root, "metadata"), *annotations;

	*ret_mark = fl_field_enter(d, "metadata");
	annotations = fl_field_get(d, meta, "annotations");
	fl_field_enter(d, "annotations");
	return fl_value_type(annotations) == FL_VALUE_MAP ? annotations : NULL;
}

static int wrong_type(struct fl_decoding *d, const struct fl_value *value, const char *key,
		      const char *wanted)
{
	return fl_field_error(d, value, key, "expected %s, found %s", wanted,
			      fl_value_type_name(fl_value_type(value)));
}

static void looked_at(struct fl_decoding *d, const char *key)
{
	char path[sizeof(d->path) + 64];

	if (!d->sink->field)
		return;
	snprintf(path, sizeof(path), "%s%s%s", d->path, d->path_len ? "." : "", key);
	d->sink->field(d->kind_name ? d->kind_name : "", path, d->sink->arg);
}

const struct fl_value *fl_field_get(struct fl_decoding *d, const struct fl_value *map,
				    const char *key)
{
	looked_at(d, key);
	return fl_value_get(map, key);
}

bool fl_field_is_present(struct fl_decoding *d, const struct fl_value *map, const char *key)
{
	looked_at(d, key);
	if (fl_value_type(map) != FL_VALUE_MAP)
		return false;
	FL_VALUE_EACH(member, map)
	{
		if (fl_key_is(fl_value_key(member), key))
			return true;
	}
	return false;
}

static bool is_key(const struct fl_field_key *keys, const char *name)
{
	for (const struct fl_field_key *k = keys; k->name; k++)
		if (fl_key_is(k->name, name))
			return true;
	return false;
}

int fl_field_check_keys(struct fl_decoding *d, const struct fl_value *map,
			const struct fl_field_key *keys)
{
	if (fl_value_type(map) != FL_VALUE_MAP)
		return 0;
	FL_VALUE_EACH(member, map)
	{
		struct fl_suggestion suggestion = {.typed = fl_value_key(member)};
		char hint[FL_SUGGESTION_STRLEN];
		int rc;

		if (is_key(keys, fl_value_key(member)))
			continue;
		for (const struct fl_field_key *k = keys; k->name; k++)
			if (k->read && !fl_value_get(map, k->name))
				fl_suggestion_offer(&suggestion, k->name);
		if (!suggestion.best)
			continue;
		rc = fl_field_warn(d, member, NULL, "unknown field \"%.60s\"%s, ignored",
				   suggestion.typed, fl_suggestion_format(&suggestion, "", hint));
		if (rc)
			return rc;
	}
	return 0;
}

int fl_field_map(struct fl_decoding *d, const struct fl_value *map, const char *key,
		 const struct fl_value **ret_value)
{
	const struct fl_value *value = fl_field_get(d, map, key);

	if (value && fl_value_type(value) != FL_VALUE_MAP)
		return wrong_type(d, value, key, "a map");
	*ret_value = value;
	return 0;
}

int fl_field_list(struct fl_decoding *d, const struct fl_value *map, const char *key, size_t max,
		  const struct fl_value **ret_value)
{
	const struct fl_value *value = fl_field_get(d, map, key);

	if (value && fl_value_type(value) != FL_VALUE_LIST)
		return wrong_type(d, value, key, "a list");
	if (fl_value_count(value) > max)
		return fl_field_error(d, value, key, "%zu entries are more than the limit of %zu",
				      fl_value_count(value), max);
	*ret_value = value;
	return 0;
}

void *fl_field_room(struct fl_decoding *d, const struct fl_value *map, const char *key, size_t max,
		    size_t size, int *ret_rc)
{
	const struct fl_value *list = NULL;
	void *room;

	*ret_rc = fl_field_list(d, map, key, max, &list);
	if (*ret_rc || !fl_value_count(list))
		return NULL;
	room = calloc(fl_value_count(list), size);
	*ret_rc = room ? 0 : -ENOMEM;
	return room;
}

int fl_field_each(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  fl_field_item_fn fn, void *arg)
{
	size_t i = 0;

	FL_VALUE_EACH(item, fl_value_get(map, key))
	{
		size_t mark = fl_field_enter_item(d, key, i++);
		int rc = fn(d, item, arg);

		if (rc)
			return rc;
		fl_field_leave(d, mark);
	}
	return 0;
}

int fl_field_item_map(struct fl_decoding *d, const struct fl_value *item)
{
	return fl_value_type(item) == FL_VALUE_MAP ? 0 : wrong_type(d, item, NULL, "a map");
}

int fl_field_item_string(struct fl_decoding *d, const struct fl_value *item, const char **ret_text)
{
	const char *text = fl_value_string(item);

	if (!text)
		return wrong_type(d, item, NULL, "a string");
	*ret_text = text;
	return 0;
}

int fl_field_string(struct fl_decoding *d, const struct fl_value *map, const char *key,
		    const char **ret_text)
{
	const struct fl_value *value = fl_field_get(d, map, key);
	const char *text = value ? fl_value_string(value) : "";

	if (!text)
		return wrong_type(d, value, key, "a string");
	*ret_text = text;
	return 0;
}

int fl_field_int(struct fl_decoding *d, const struct fl_value *map, const char *key, int64_t min,
		 int64_t max, int64_t absent, int64_t *ret_number)
{
	const struct fl_value *value = fl_field_get(d, map, key);
	int64_t number = absent;

	if (value && fl_value_type(value) != FL_VALUE_INT)
		return wrong_type(d, value, key, "an integer");
	if (value && (!fl_value_int(value, &number) || number < min || number > max))
		return fl_field_error(d, value, key, "%.40s is not between %lld and %lld",
				      fl_value_text(value), (long long)min, (long long)max);
	*ret_number = number;
	return 0;
}

int fl_field_bool(struct fl_decoding *d, const struct fl_value *map, const char *key, bool absent,
		  bool *ret_flag)
{
	const struct fl_value *value = fl_field_get(d, map, key);
	bool flag = absent;

	if (value && !fl_value_bool(value, &flag))
		return wrong_type(d, value, key, "true or false");
	*ret_flag = flag;
	return 0;
}

int fl_field_word(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  const struct fl_word *words, int absent, int *ret_value)
{
	char all[160] = "";
	const char *text = "";
	size_t len = 0;
	int rc = fl_field_string(d, map, key, &text);

	if (rc)
		return rc;
	if (!*text) {
		*ret_value = absent;
		return 0;
	}
	if (fl_word_value(words, text, ret_value))
		return 0;
	for (const struct fl_word *w = words; w->word && len < sizeof(all); w++)
		len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "",
					w->word);
	return fl_field_error(d, fl_value_get(map, key), key, "\"%.60s\" is none of %s", text, all);
}

static bool valid_name(const char *text)
{
	static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-.";
	size_t len = strlen(text);

	return len && len <= FL_NAME_MAX && strspn(text, inner) == len && !strchr("-.", text[0]) &&
	       !strchr("-.", text[len - 1]);
}

int fl_field_name(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  const char **ret_name)
{
	const char *text = "";
	int rc = fl_field_string(d, map, key, &text);

	if (rc)
		return rc;
	if (*text && !valid_name(text))
		return fl_field_error(d, fl_value_get(map, key), key,
				      "\"%.60s\" is not a valid name", text);
	*ret_name = text;
	return 0;
}

static int copy(const char *text, char **ret_text)
{
	char *dup = strdup(text);

	if (!dup)
		return -ENOMEM;
	*ret_text = dup;
	return 0;
}

int fl_field_name_copy(struct fl_decoding *d, const struct fl_value *map, const char *key,
		       char **ret_name)
{
	const char *name = "";
	int rc = fl_field_name(d, map, key, &name);

	return rc ? rc : copy(name, ret_name);
}

int fl_field_text(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  const char **ret_text)
{
	const char *text = "";
	int rc = fl_field_string(d, map, key, &text);

	if (rc)
		return rc;
	if (strlen(text) > FL_NAME_MAX)
		return fl_field_error(d, fl_value_get(map, key), key, "longer than %d bytes",
				      FL_NAME_MAX);
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return fl_field_error(d, fl_value_get(map, key), key,
					      "a control character (0x%02x)", (unsigned char)*c);
	*ret_text = text;
	return 0;
}

int fl_field_text_copy(struct fl_decoding *d, const struct fl_value *map, const char *key,
		       char **ret_text)
{
	const char *text = "";
	int rc = fl_field_text(d, map, key, &text);

	return rc ? rc : copy(text, ret_text);
}

int fl_field_proto(struct fl_decoding *d, const struct fl_value *map, uint8_t *ret_proto)
{
	int proto, rc = fl_field_word(d, map, "protocol", fl_proto_words, IPPROTO_TCP, &proto);

	if (!rc)
		*ret_proto = (uint8_t)proto;
	return rc;
}

const char *fl_field_forbidden(const struct fl_ip *ip)
{
	static const struct {
		bool (*is)(const struct fl_ip *ip);
		const char *what;
	} classes[] = {
		{fl_ip_is_loopback, "a loopback address"},
		{fl_ip_is_link_local, "a link-local address"},
		{fl_ip_is_multicast, "a multicast or broadcast address"},
		{fl_ip_is_unspecified, "an unspecified address"},
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (classes[i].is(ip))
			return classes[i].what;
	return NULL;
}
