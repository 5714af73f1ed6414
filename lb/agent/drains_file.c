/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Drained backends as lines of a file: {"address":"10.1.2.3:80/TCP","since":1700000000}. */
#include "lb/agent/drains_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/source/kept.h"

/* Of no API server, so that neither kind of file is taken for the other. */
#define OF_WHOM "none: drained backends"

static void json_freep(struct fl_json **json)
{
	fl_json_free(json);
}

static void drains_finip(struct fl_drains *drains)
{
	fl_drains_fini(drains);
}

static char *path_of(const char *dir)
{
	char *path;

	return asprintf(&path, "%s/drains", dir) < 0 ? NULL : path;
}

static int read_one(const struct fl_value *object, void *arg)
{
	const char *text = fl_value_string(fl_value_get(object, "address"));
	struct fl_drain drain;
	int64_t since;
	int r;

	if (!text || fl_drain_parse(text, &drain, NULL) ||
	    !fl_value_int(fl_value_get(object, "since"), &since))
		return -EBADMSG;
	drain.since_unix_s = since;
	r = fl_drains_add(arg, &drain);
	return r > 0 ? 0 : r;
}

int fl_drains_read(const char *dir, const char *node, struct fl_drains *ret_drains,
		   struct fl_err *err)
{
	const struct fl_kept_owner owner = {node, OF_WHOM};
	_cleanup_(drains_finip) struct fl_drains drains = {0};
	_cleanup_free_ char *path = path_of(dir);
	int64_t written;
	int r;

	if (!path)
		return fl_err_set(err, -ENOMEM, "out of memory");
	r = fl_kept_read(path, &owner, read_one, &drains, &written, err);
	if (r && !*err->text)
		fl_err_set(err, r, "%s has what is no backend", path);
	if (r)
		return r;
	*ret_drains = drains;
	drains = (struct fl_drains){0};
	return 0;
}

static int write_one(struct fl_kept_writer *writer, const struct fl_drain *drain,
		     struct fl_err *err)
{
	_cleanup_(json_freep) struct fl_json *json = fl_json_new(false);
	char buf[FL_DRAIN_STRLEN];
	const char *text;
	bool wrote;
	size_t len;

	fl_json_object_begin(json);
	fl_json_member_string(json, "address", fl_drain_format(drain, buf));
	fl_json_member_int(json, "since", drain->since_unix_s);
	fl_json_object_end(json);
	text = fl_json_text(json, &len);
	return text ? fl_kept_writer_add(writer, text, len, &wrote, err)
		    : fl_err_set(err, -ENOMEM, "out of memory");
}

int fl_drains_write(const char *dir, const char *node, const struct fl_drains *drains,
		    int64_t unix_s, struct fl_err *err)
{
	const struct fl_kept_owner owner = {node, OF_WHOM};
	_cleanup_(fl_kept_writer_free) struct fl_kept_writer *writer = NULL;
	_cleanup_free_ char *path = path_of(dir);
	int64_t bytes;
	int r;

	if (!path)
		return fl_err_set(err, -ENOMEM, "out of memory");
	/* mkdir(2) is no system call of an agent that serves */
	if (mkdirat(AT_FDCWD, dir, 0700) && errno != EEXIST)
		return fl_err_set(err, -errno, "cannot make %s: %s", dir, strerror(errno));
	r = fl_kept_writer_new(path, &owner, unix_s, &writer, err);
	for (size_t i = 0; i < drains->n && !r; i++)
		r = write_one(writer, &drains->v[i], err);
	if (r)
		return r;
	bytes = fl_kept_writer_commit(writer, err);
	return bytes < 0 ? (int)bytes : 0;
}
