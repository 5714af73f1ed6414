/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading settings again: which of them differ, and which of these take effect. */
#include "lb/settings/reread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lb/base/cleanup.h"
#include "lb/settings/options.h"

static const size_t followed[] = {
	offsetof(struct fl_settings, cluster_cidr),
	offsetof(struct fl_settings, masquerade_addresses),
	offsetof(struct fl_settings, node_port_range),
	offsetof(struct fl_settings, log_level),
};

/* A file that is not there is none of any other. */
static struct fl_config_stamp stamp_of(const char *path)
{
	struct stat st;

	if (stat(path, &st))
		return (struct fl_config_stamp){0};
	return (struct fl_config_stamp){st.st_dev, st.st_ino, (uint64_t)st.st_size,
					st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec};
}

int fl_reread_init(struct fl_reread *reread, int argc, char **argv,
		   const struct fl_settings *settings)
{
	const size_t n = settings->config.n;

	*reread = (struct fl_reread){.argc = argc, .argv = argv};
	reread->stamps = calloc(n + 1, sizeof(*reread->stamps));
	if (!reread->stamps)
		return -ENOMEM;
	reread->n_stamps = n;
	for (size_t i = 0; i < n; i++)
		reread->stamps[i] = stamp_of(settings->config.items[i]);
	return 0;
}

void fl_reread_fini(struct fl_reread *reread)
{
	free(reread->stamps);
	*reread = (struct fl_reread){0};
}

bool fl_reread_is_due(struct fl_reread *reread, const struct fl_settings *settings)
{
	bool due = false;

	for (size_t i = 0; i < reread->n_stamps; i++) {
		const struct fl_config_stamp now = stamp_of(settings->config.items[i]);

		due |= memcmp(&now, &reread->stamps[i], sizeof(now)) != 0;
		reread->stamps[i] = now;
	}
	return due;
}

static bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static bool same_texts(const struct fl_strings *a, const struct fl_strings *b)
{
	for (size_t i = 0; a->n == b->n && i < a->n; i++)
		if (strcmp(a->items[i], b->items[i]))
			return false;
	return a->n == b->n;
}

static bool is_same(const void *a, const void *b, enum fl_setting_type type)
{
	switch (type) {
	case FL_SETTING_FLAG:
		return *(const bool *)a == *(const bool *)b;
	case FL_SETTING_STRING:
		return same_text(*(char *const *)a, *(char *const *)b);
	case FL_SETTING_STRINGS:
	case FL_SETTING_ADDRESSES:
	case FL_SETTING_SERVERS:
		return same_texts(a, b);
	case FL_SETTING_NUMBER:
	case FL_SETTING_SECONDS:
	case FL_SETTING_MILLISECONDS:
	case FL_SETTING_WORD:
		return *(const uint32_t *)a == *(const uint32_t *)b;
	}
	return true;
}

static size_t size_of(enum fl_setting_type type)
{
	switch (type) {
	case FL_SETTING_FLAG:
		return sizeof(bool);
	case FL_SETTING_STRING:
		return sizeof(char *);
	case FL_SETTING_STRINGS:
	case FL_SETTING_ADDRESSES:
	case FL_SETTING_SERVERS:
		return sizeof(struct fl_strings);
	default:
		return sizeof(uint32_t);
	}
}

/* What the fresh ones had becomes ours, and ours is freed with them. */
static void swap(void *a, void *b, enum fl_setting_type type)
{
	char kept[sizeof(struct fl_strings)];
	const size_t size = size_of(type);

	memcpy(kept, a, size);
	memcpy(a, b, size);
	memcpy(b, kept, size);
}

static bool is_followed(const struct fl_setting *setting)
{
	for (size_t i = 0; i < sizeof(followed) / sizeof(followed[0]); i++)
		if (setting->offset == followed[i])
			return true;
	return false;
}

static int add_key(char **keys, const struct fl_setting *setting)
{
	const char *key = setting->key ? setting->key : setting->option.name;
	char *text;

	if (asprintf(&text, "%s%s%s", *keys, **keys ? ", " : "", key) < 0)
		return -ENOMEM;
	free(*keys);
	*keys = text;
	return 0;
}

int fl_reread_settings(const struct fl_reread *reread, struct fl_settings *settings,
		       bool *ret_changed, char **ret_waiting, struct fl_err *err)
{
	_cleanup_(fl_settings_fini) struct fl_settings fresh;
	_cleanup_free_ char *waiting = strdup("");
	bool changed = false;
	int r = fl_settings_init(&fresh);

	if (r || !waiting)
		return fl_err_set(err, -ENOMEM, "out of memory");
	r = fl_settings_read_args(reread->argc, reread->argv, &fresh, NULL, NULL, err);
	for (size_t i = 0; i < fl_setting_count && !r; i++) {
		const struct fl_setting *setting = &fl_setting_table[i];
		void *ours = fl_setting_field(settings, setting),
		     *theirs = fl_setting_field(&fresh, setting);

		if (is_same(ours, theirs, setting->type))
			continue;
		if (!is_followed(setting)) {
			r = add_key(&waiting, setting);
			continue;
		}
		swap(ours, theirs, setting->type);
		changed = true;
	}
	if (r)
		return r;
	*ret_changed = changed;
	*ret_waiting = TAKE_PTR(waiting);
	return 0;
}
