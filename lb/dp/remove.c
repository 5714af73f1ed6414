// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Removing the datapath: everything that the directory names is detached, then the names go, then
 * the directory. It needs no agent, and not the agent's settings either.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/mountinfo.h"
#include "lb/dp/netns.h"
#include "lb/dp/orphans.h"
#include "lb/dp/state.h"

struct cleanup {
	struct fl_bpffs *fs;
	const char *sub;
	size_t removed;
	int first_error;
	struct fl_err *err;
};

static void note(struct cleanup *c, int r, const char *what, const char *name)
{
	if (!r || c->first_error)
		return;
	c->first_error = r;
	fl_err_set(c->err, r, "cannot %s %s/%s/%s: %s", what, c->fs->path, c->sub, name,
		   strerror(-r));
}

static int remove_link(const char *name, void *arg)
{
	struct cleanup *c = arg;
	unsigned int ifindex;
	bool ingress;
	int fd, r;

	if (fl_clsact_parse(name, &ifindex, &ingress)) {
		r = fl_clsact_detach(c->fs, name);
		c->removed += !r;
		note(c, r, "detach", name);
		return 0;
	}
	fd = fl_bpffs_get(c->fs, "links", name, false);
	if (fd >= 0) {
		/* detaches even while others hold the link; the device may be gone already */
		r = bpf_link_detach(fd) ? -errno : 0;
		close(fd);
		if (r != -ENOLINK && r != -ENODEV && r != -EOPNOTSUPP)
			note(c, r, "detach", name);
	}
	r = fl_bpffs_unpin(c->fs, "links", name);
	c->removed += !r;
	note(c, r, "remove", name);
	return 0;
}

static int remove_pin(const char *name, void *arg)
{
	struct cleanup *c = arg;
	int r = fl_bpffs_unpin(c->fs, c->sub, name);

	c->removed += !r && !strcmp(c->sub, "maps");
	note(c, r, "remove", name);
	return 0;
}

int fl_dp_cleanup(const char *dir, size_t *ret_removed, struct fl_err *err)
{
	_cleanup_(fl_bpffs_close) struct fl_bpffs fs = FL_BPFFS_INIT;
	struct cleanup c = {.fs = &fs, .err = err};
	int r = fl_bpffs_open(dir, FL_BPFFS_LOCK, &fs, err);

	*ret_removed = 0;
	if (r)
		return r;
	c.sub = "links";
	fl_bpffs_each(&fs, c.sub, remove_link, &c);
	c.sub = "programs";
	fl_bpffs_each(&fs, c.sub, remove_pin, &c);
	/* fl_meta makes a datapath of the rest; without it nothing is adopted, in whatever order
	 * the others go */
	c.sub = "maps";
	fl_bpffs_unpin(&fs, c.sub, "meta");
	fl_bpffs_each(&fs, c.sub, remove_pin, &c);
	for (size_t i = 0; i < FL_OLD_FLOWS_MAX; i++) {
		char sub[16];

		fl_old_flows_name(i, sub);
		c.sub = sub;
		fl_bpffs_each(&fs, sub, remove_pin, &c);
		note(&c, fl_old_flows_unpin(&fs, sub), "remove", "");
	}
	*ret_removed = c.removed;
	if (c.first_error)
		return c.first_error;
	return fl_bpffs_remove(&fs, err);
}

static int open_cgroup(const char *path)
{
	_cleanup_free_ char *root = NULL;

	if (!path && !fl_mount_find_cgroup2(&root, NULL))
		path = root;
	return path && *path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
}

/* 1: removed, 0: it is gone already, or -errno. */
static int remove_orphan(const struct fl_orphan *o)
{
	unsigned int ifindex;
	bool ingress;
	int r;

	if (o->placed.filter && fl_clsact_parse(o->placed.pin, &ifindex, &ingress))
		r = o->dir ? fl_clsact_remove(ifindex, ingress)
			   : fl_clsact_remove_lost(ifindex, ingress);
	else
		r = bpf_link_detach(o->link_fd) ? -errno : 0;
	return r == -ENOLINK || r == -ENODEV || r == -ENOENT ? 0 : r ? r : 1;
}

int fl_dp_cleanup_orphans(const char *cgroup, size_t *ret_removed, struct fl_err *err)
{
	const struct fl_bpffs none = FL_BPFFS_INIT;
	_cleanup_(fl_orphans_fini) struct fl_orphans orphans = {0};
	_cleanup_close_ int lock = -1, cgroup_fd = -1;
	int r = fl_netns_lock(&lock, err), error = 0;

	*ret_removed = 0;
	if (r)
		return r;
	cgroup_fd = open_cgroup(cgroup);
	r = fl_orphans_find(&none, cgroup_fd, &orphans, err);
	if (r)
		return r;
	if (fl_orphans_have_agent(&orphans, lock))
		return fl_err_set(err, -EBUSY,
				  "an agent of another user serves this network namespace");
	for (size_t i = 0; i < orphans.n; i++) {
		const struct fl_orphan *o = &orphans.items[i];
		size_t n = 0;

		/* the directory, if there is one, has more than this; it may be gone by now */
		r = o->dir ? fl_dp_cleanup(o->dir, &n, error ? NULL : err) : 0;
		*ret_removed += n;
		if (r && r != -ENOENT && !error)
			error = r;
		r = remove_orphan(o);
		*ret_removed += r > 0;
		if (r < 0 && !error)
			error = fl_err_set(err, r, "cannot detach %s: %s", o->placed.pin,
					   strerror(-r));
	}
	if (!error && err)
		err->text[0] = '\0';
	return error;
}
