// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * /proc/self/mountinfo: "36 35 98:0 /root /point options optional... - type source superoptions",
 * with blanks, tabs, newlines and backslashes in names written as \ooo (proc(5)).
 */
#include "lb/dp/mountinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/exists.h"

#define MOUNTINFO "/proc/self/mountinfo"

static bool octal(char c)
{
	return c >= '0' && c <= '7';
}

/* A copy of text[0..len) with its escapes undone. */
static char *unescape(const char *text, size_t len)
{
	char *out = malloc(len + 1), *p = out;

	if (!out)
		return NULL;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\\' && i + 3 < len && octal(text[i + 1]) && octal(text[i + 2]) &&
		    octal(text[i + 3])) {
			*p++ = (char)((text[i + 1] - '0') << 6 | (text[i + 2] - '0') << 3 |
				      (text[i + 3] - '0'));
			i += 3;
		} else {
			*p++ = text[i];
		}
	}
	*p = '\0';
	return out;
}

/* The next word of *cursor, which moves behind it; its length in *ret_len, 0 at the end. */
static const char *next_word(const char **cursor, size_t *ret_len)
{
	const char *start = *cursor + strspn(*cursor, " \n");

	*ret_len = strcspn(start, " \n");
	*cursor = start + *ret_len;
	return start;
}

int fl_mount_parse(const char *line, struct fl_mount *ret_mount)
{
	_cleanup_(fl_mount_fini) struct fl_mount m = {0};
	const char *cursor = line, *word;
	size_t len;

	for (int i = 0;; i++) {
		word = next_word(&cursor, &len);
		if (!len)
			return -EINVAL;
		if (i == 3 && !(m.root = unescape(word, len)))
			return -ENOMEM;
		if (i == 4 && !(m.point = unescape(word, len)))
			return -ENOMEM;
		if (i > 5 && len == 1 && *word == '-')
			break;
	}
	word = next_word(&cursor, &len);
	if (!len)
		return -EINVAL;
	m.type = unescape(word, len);
	word = next_word(&cursor, &len);
	m.source = unescape(word, len);
	if (!m.type || !m.source)
		return -ENOMEM;
	*ret_mount = m;
	m = (struct fl_mount){0};
	return 0;
}

void fl_mount_fini(struct fl_mount *mount)
{
	free(mount->root);
	free(mount->point);
	free(mount->type);
	free(mount->source);
	*mount = (struct fl_mount){0};
}

bool fl_mount_is_cgroup_root(const char *path)
{
	_cleanup_close_ int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	/* every cgroup but the root has this file, the root of a cgroup namespace too */
	return fd >= 0 && !fl_exists(fd, "cgroup.type") && errno == ENOENT;
}

int fl_mount_each(int (*fn)(const struct fl_mount *mount, void *arg), void *arg)
{
	_cleanup_fclose_ FILE *f = fopen(MOUNTINFO, "re");
	_cleanup_free_ char *line = NULL;
	size_t size = 0;
	int r = 0;

	if (!f)
		return -errno;
	while (!r && getline(&line, &size, f) > 0) {
		_cleanup_(fl_mount_fini) struct fl_mount m = {0};

		if (!fl_mount_parse(line, &m))
			r = fn(&m, arg);
	}
	return r;
}

/* Of the mounts of a hierarchy: the first of the whole, and the first of a part. */
struct cgroup_mounts {
	char *whole, *part;
};

static int note_cgroup2(const struct fl_mount *m, void *arg)
{
	struct cgroup_mounts *found = arg;
	char **where = strcmp(m->root, "/") ? &found->part : &found->whole;

	if (!strcmp(m->type, "cgroup2") && !*where) {
		*where = strdup(m->point);
		if (!*where)
			return -ENOMEM;
	}
	return 0;
}

int fl_mount_find_cgroup2(char **ret_path, struct fl_err *err)
{
	struct cgroup_mounts found = {0};
	int r = fl_mount_each(note_cgroup2, &found);

	if (!r && !found.whole && !found.part)
		r = fl_err_set(err, -ENOENT,
			       "cgroup v2 is not mounted anywhere (give --cgroup DIR)");
	else if (r)
		fl_err_set(err, r, "cannot read %s: %s", MOUNTINFO, strerror(-r));
	if (!r)
		*ret_path = found.whole ? TAKE_PTR(found.whole) : TAKE_PTR(found.part);
	free(found.whole);
	free(found.part);
	return r;
}

struct source {
	const char *point, *name;
	bool is; /* of the last mount there */
};

static int note_source(const struct fl_mount *m, void *arg)
{
	struct source *s = arg;

	if (!strcmp(m->point, s->point))
		s->is = !strcmp(m->source, s->name);
	return 0;
}

bool fl_mount_source_is(const char *path, const char *source)
{
	_cleanup_free_ char *real = realpath(path, NULL);
	struct source s = {.point = real, .name = source};

	return real && !fl_mount_each(note_source, &s) && s.is;
}
