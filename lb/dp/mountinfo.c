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
	return fd >= 0 && faccessat(fd, "cgroup.type", F_OK, 0) && errno == ENOENT;
}

int fl_mount_find_cgroup2(char **ret_path, struct fl_err *err)
{
	_cleanup_fclose_ FILE *f = fopen(MOUNTINFO, "re");
	_cleanup_free_ char *line = NULL, *part = NULL;
	size_t size = 0;

	if (!f)
		return fl_err_set(err, -errno, "cannot read %s: %s", MOUNTINFO, strerror(errno));
	while (getline(&line, &size, f) > 0) {
		_cleanup_(fl_mount_fini) struct fl_mount m = {0};

		if (fl_mount_parse(line, &m) || strcmp(m.type, "cgroup2"))
			continue;
		if (!strcmp(m.root, "/")) {
			*ret_path = TAKE_PTR(m.point);
			return 0;
		}
		if (!part)
			part = TAKE_PTR(m.point);
	}
	if (!part)
		return fl_err_set(err, -ENOENT,
				  "cgroup v2 is not mounted anywhere (give --cgroup DIR)");
	*ret_path = TAKE_PTR(part);
	return 0;
}

bool fl_mount_source_is(const char *path, const char *source)
{
	_cleanup_fclose_ FILE *f = fopen(MOUNTINFO, "re");
	_cleanup_free_ char *line = NULL, *real = realpath(path, NULL);
	bool is = false;
	size_t size = 0;

	if (!f || !real)
		return false;
	while (getline(&line, &size, f) > 0) {
		_cleanup_(fl_mount_fini) struct fl_mount m = {0};

		if (!fl_mount_parse(line, &m) && !strcmp(m.point, real))
			is = !strcmp(m.source, source);
	}
	return is;
}
