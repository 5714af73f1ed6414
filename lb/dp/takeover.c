// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Making orphans ours. Their links are pinned in our directory, under the names that our own would
 * have: then attaching replaces the programs in place, and what is not attached to is pruned, as
 * with the links of an earlier agent of the same directory. If there are no maps yet, theirs are
 * pinned as well, so that the flows go on. A directory that has lost all to ours is removed.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/link.h"
#include "lb/dp/orphans.h"
#include "lb/dp/state.h"

struct fl_takeover {
	struct fl_orphans orphans;
	struct fl_bpffs *dirs; /* where they are pinned; locked */
	size_t n_dirs;
	struct fl_dp_takeover report;
};

void fl_takeover_free(struct fl_takeover **takeover)
{
	struct fl_takeover *t = TAKE_PTR(*takeover);

	if (!t)
		return;
	for (size_t i = 0; i < t->n_dirs; i++)
		fl_bpffs_close(&t->dirs[i]);
	free(t->dirs);
	fl_orphans_fini(&t->orphans);
	free(t);
}

static int find(struct fl_dp *dp, struct fl_orphans *ret_orphans, struct fl_err *err)
{
	_cleanup_close_ int cgroup_fd = -1;

	if (*dp->cgroup)
		cgroup_fd = open(dp->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fl_orphans_find(&dp->fs, cgroup_fd, ret_orphans, err);
}

/* Lock the directories, so that nobody else works with them. -EBUSY while an agent does. */
static int open_dirs(struct fl_takeover *t, struct fl_err *err)
{
	t->dirs = calloc(t->orphans.n + 1, sizeof(*t->dirs));
	if (!t->dirs)
		return fl_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < t->orphans.n; i++) {
		const char *dir = t->orphans.items[i].dir;
		bool have = !dir;
		int r;

		for (size_t k = 0; k < t->n_dirs && !have; k++)
			have = !strcmp(t->dirs[k].path, dir);
		if (have)
			continue;
		t->dirs[t->n_dirs] = (struct fl_bpffs)FL_BPFFS_INIT;
		r = fl_bpffs_open(dir, FL_BPFFS_LOCK, &t->dirs[t->n_dirs], err);
		if (r == -EBUSY)
			return r;
		/* not ours to empty: the links can be taken all the same */
		if (!r)
			t->n_dirs++;
	}
	if (err)
		err->text[0] = '\0';
	return 0;
}

/* Links */

/* Whether our directory has a link of that name that is attached to something. */
static bool holds_place(const struct fl_dp *dp, const char *name)
{
	_cleanup_close_ int fd = fl_bpffs_get(&dp->fs, "links", name, false);
	struct fl_link_info info;

	return fd >= 0 && !fl_link_info_get(fd, &info) && (info.ifindex || info.cgroup_id);
}

static int take_link(struct fl_dp *dp, struct fl_takeover *t, const char *name, int fd,
		     struct fl_err *err)
{
	if (holds_place(dp, name)) {
		/* both serve the same packets: ours is the one that is kept up to date */
		bpf_link_detach(fd);
		t->report.detached++;
		return 0;
	}
	t->report.taken++;
	return fl_bpffs_pin(&dp->fs, "links", name, fd, err);
}

struct move {
	struct fl_dp *dp;
	struct fl_takeover *t;
	const struct fl_bpffs *from;
	struct fl_err *err;
};

static int move_link(const char *name, void *arg)
{
	const struct move *m = arg;
	_cleanup_close_ int fd = fl_bpffs_get(m->from, "links", name, false);
	struct fl_link_info own, theirs;
	_cleanup_close_ int ours = fl_bpffs_get(&m->dp->fs, "links", name, false);

	if (fd < 0)
		return 0;
	/* a record of a filter is a program; the filter itself has its place for a name */
	if (fl_clsact_parse(name, &(unsigned int){0}, &(bool){false}))
		return ours < 0 ? fl_bpffs_pin(&m->dp->fs, "links", name, fd, m->err) : 0;
	if (ours >= 0 && !fl_link_info_get(ours, &own) && !fl_link_info_get(fd, &theirs) &&
	    own.id == theirs.id)
		return 0;
	return take_link(m->dp, m->t, name, fd, m->err);
}

/* Marks of qdiscs that were made, and what the programs need that are attached until ours are; the
 * clock and the namespace's record are each directory's own. */
static int move_program(const char *name, void *arg)
{
	const struct move *m = arg;
	_cleanup_close_ int fd = -1;

	if (!fl_clsact_parse(name, &(unsigned int){0}, &(bool){false}) && !fl_dp_slow_is_pin(name))
		return 0;
	fd = fl_bpffs_get(m->from, "programs", name, false);
	return fd < 0 ? 0 : fl_bpffs_pin(&m->dp->fs, "programs", name, fd, m->err);
}

static int take_links(struct fl_dp *dp, struct fl_takeover *t, struct fl_err *err)
{
	int r = 0;

	for (size_t i = 0; i < t->orphans.n && !r; i++) {
		const struct fl_orphan *o = &t->orphans.items[i];

		if (o->link_fd >= 0)
			r = take_link(dp, t, o->placed.pin, o->link_fd, err);
	}
	/* those of other places: another cgroup, devices that the kernel did not list */
	for (size_t i = 0; i < t->n_dirs && !r; i++) {
		struct move m = {dp, t, &t->dirs[i], err};

		r = fl_bpffs_each(m.from, "links", move_link, &m);
		if (!r)
			r = fl_bpffs_each(m.from, "programs", move_program, &m);
	}
	return r;
}

/* Maps */

/* Sockets that are not served need no map; so there may be none, and an empty one will do. */
static int make_sockets_map(const uint32_t sizes[FL_MAPS])
{
	const struct fl_map_desc *d = &fl_map_descs[FL_MAP_sockets];
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = d->flags);
	uint32_t n = sizes[FL_MAP_sockets] ? sizes[FL_MAP_sockets] : d->n;
	int fd = bpf_map_create(d->type, d->object, d->key_size, d->value_size, n, &opts);

	return fd < 0 ? -errno : fd;
}

/* All of them or none. */
static int take_maps(struct fl_dp *dp, struct fl_takeover *t, const uint32_t sizes[FL_MAPS],
		     struct fl_err *err)
{
	_cleanup_(fl_maps_close) struct fl_maps maps = FL_MAPS_INIT;
	_cleanup_close_ int meta = fl_bpffs_get(&dp->fs, "maps", "meta", false);
	int r = 0;

	if (meta >= 0)
		return 0;
	for (int i = 0; i < FL_MAPS; i++) {
		int fd = fl_orphans_map(&t->orphans, i);

		if (fd == -ENOENT && i == FL_MAP_sockets)
			fd = make_sockets_map(sizes);
		if (fd < 0)
			return 0;
		*fl_map_fd(&maps, i) = fd;
	}
	/* the last one is meta, which makes a datapath of the rest */
	for (int i = 0; i < FL_MAPS && !r; i++)
		r = fl_bpffs_pin(&dp->fs, "maps", fl_map_descs[i].name, *fl_map_fd(&maps, i), err);
	t->report.maps = !r;
	return r;
}

/* The two steps */

static int begin(struct fl_dp *dp, struct fl_takeover *t, const uint32_t sizes[FL_MAPS],
		 struct fl_err *err)
{
	int r = find(dp, &t->orphans, err);

	if (r)
		return r;
	if (fl_orphans_have_agent(&t->orphans, dp->netns_lock))
		return fl_err_set(err, -EBUSY,
				  "an agent of another user serves this network namespace");
	t->report.unknown = t->orphans.unknown;
	t->report.shared_cgroup = t->orphans.shared_cgroup;
	if (!t->orphans.n)
		return 0;
	r = open_dirs(t, err);
	if (r)
		return r;
	if (t->n_dirs)
		snprintf(t->report.dir, sizeof(t->report.dir), "%s", t->dirs[0].path);
	/* maps first: a crash in between leaves orphans whose maps are ours */
	r = take_maps(dp, t, sizes, err);
	return r ? r : take_links(dp, t, err);
}

int fl_takeover_begin(struct fl_dp *dp, const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	int r;

	dp->takeover = calloc(1, sizeof(*dp->takeover));
	if (!dp->takeover)
		return fl_err_set(err, -ENOMEM, "out of memory");
	r = begin(dp, dp->takeover, sizes, err);
	return r ? fl_err_wrap(err, r, "cannot take over what an earlier agent left") : 0;
}

static int unpin(const char *name, void *arg)
{
	const struct move *m = arg;

	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++)
		fl_bpffs_unpin(m->from, fl_bpffs_subdirs[i], name);
	return 0;
}

int fl_takeover_end(struct fl_dp *dp, struct fl_err *err)
{
	struct fl_takeover *t = dp->takeover;

	/* from here on a filter is known by its record, whatever program that is for now */
	for (size_t i = 0; i < t->orphans.n; i++) {
		const struct fl_orphan *o = &t->orphans.items[i];
		int r;

		if (!o->placed.filter)
			continue;
		/* marks of qdiscs are lost with the pins: it will have been its agent's */
		r = o->dir ? 0
			   : fl_bpffs_pin(&dp->fs, "programs", o->placed.pin, dp->clock_fd, err);
		if (!r)
			r = fl_bpffs_pin(&dp->fs, "links", o->placed.pin, dp->clock_fd, err);
		if (r)
			return r;
		t->report.taken++;
	}
	for (size_t i = 0; i < t->n_dirs; i++) {
		struct move m = {dp, t, &t->dirs[i], err};

		fl_bpffs_unpin(m.from, "maps", "meta");
		for (size_t k = 0; k < FL_BPFFS_SUBDIRS; k++)
			fl_bpffs_each(m.from, fl_bpffs_subdirs[k], unpin, &m);
		fl_bpffs_remove(&t->dirs[i], NULL);
		fl_bpffs_close(&t->dirs[i]);
	}
	t->n_dirs = 0;
	fl_orphans_fini(&t->orphans);
	return 0;
}

const struct fl_dp_takeover *fl_dp_takeover(const struct fl_dp *dp)
{
	return &dp->takeover->report;
}

bool fl_dp_has_strange_programs(struct fl_dp *dp)
{
	_cleanup_(fl_orphans_fini) struct fl_orphans orphans = {0};

	return find(dp, &orphans, NULL) || orphans.unknown || orphans.shared_cgroup;
}
