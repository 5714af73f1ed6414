// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Pins that were removed under a running agent. Its descriptors keep everything at work, so this
 * goes unnoticed until the agent ends: then links without a name detach, and the next agent finds
 * no maps to adopt.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/exists.h"
#include "lb/dp/state.h"

struct pin {
	const char *sub, *name;
	int fd;
};

static bool is_pinned(const struct fl_dp *dp, const struct pin *pin)
{
	char path[80];

	snprintf(path, sizeof(path), "%s/%s", pin->sub, pin->name);
	return fl_exists(dp->fs.dir_fd, path) || errno != ENOENT;
}

/* Pin again what has lost its pin; counts. */
static int repair(struct fl_dp *dp, const struct pin *pin, int *n, struct fl_err *err)
{
	int r = 0;

	if (is_pinned(dp, pin))
		return 0;
	/* the directories may be gone as well */
	if (!*n)
		r = fl_bpffs_restore(&dp->fs, err);
	if (!r)
		r = fl_bpffs_pin(&dp->fs, pin->sub, pin->name, pin->fd, err);
	*n += !r;
	return r;
}

struct repairing {
	struct fl_dp *dp;
	struct fl_err *err;
	int *n;
};

static int repair_program(const char *name, int fd, void *arg)
{
	const struct repairing *repairing = arg;

	return repair(repairing->dp, &(struct pin){"programs", name, fd}, repairing->n,
		      repairing->err);
}

/* A name that comes, goes or changes dates its directory. False: one is not there. */
static bool look_at_dirs(const struct fl_dp *dp, struct fl_pins_seen *ret_now)
{
	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++) {
		struct stat st;

		if (fstatat(dp->fs.dir_fd, fl_bpffs_subdirs[i], &st, AT_SYMLINK_NOFOLLOW))
			return false;
		ret_now->dirs[i].dev = st.st_dev;
		ret_now->dirs[i].ino = st.st_ino;
		ret_now->dirs[i].changed_ns = (uint64_t)st.st_mtim.tv_sec * FL_NSEC_PER_SEC +
					      (uint64_t)st.st_mtim.tv_nsec;
	}
	return true;
}

/* What changes within the time that a directory is dated with shows in no date. */
static bool is_fresh(const struct fl_pins_seen *now)
{
	const uint64_t old = ((uint64_t)time(NULL) - 1) * FL_NSEC_PER_SEC;

	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++)
		if (now->dirs[i].changed_ns >= old)
			return true;
	return false;
}

/* Look for each pin; counts those that are made again. */
static int repair_all(struct fl_dp *dp, int *ret_n, struct fl_err *err)
{
	int n = 0, r = 0;

	/* fl_meta, which makes a datapath of the rest, is the last of them */
	for (int i = 0; i < FL_MAPS && !r; i++)
		r = repair(dp,
			   &(struct pin){"maps", fl_map_descs[i].name, *fl_map_fd(&dp->maps, i)},
			   &n, err);
	if (!r && dp->layout_fd >= 0)
		r = repair(dp, &(struct pin){"maps", FL_PIN_LAYOUT, dp->layout_fd}, &n, err);
	if (!r && dp->records_fd >= 0)
		r = repair(dp, &(struct pin){"maps", FL_PIN_RECORDS, dp->records_fd}, &n, err);
	for (const struct fl_attachment *a = dp->attachments; a && !r; a = a->next)
		r = repair(
			dp,
			&(struct pin){"links", a->name, a->link_fd < 0 ? a->prog_fd : a->link_fd},
			&n, err);
	if (!r)
		r = repair(dp, &(struct pin){"programs", FL_PIN_CLOCK, dp->clock_fd}, &n, err);
	if (!r) {
		struct repairing repairing = {dp, err, &n};

		r = fl_programs_each_pin(&dp->programs, repair_program, &repairing);
	}
	if (!r && n)
		r = fl_dp_netns_record(dp, err);
	if (r)
		return r;
	*ret_n = n;
	return 0;
}

int fl_dp_repair_pins(struct fl_dp *dp, int *ret_n, struct fl_err *err)
{
	struct fl_pins_seen now = {0};
	const bool looked = look_at_dirs(dp, &now);
	int r;

	if (looked && !memcmp(&now, &dp->pins, sizeof(now))) {
		*ret_n = 0;
		return 0;
	}
	dp->pins = (struct fl_pins_seen){0};
	r = repair_all(dp, ret_n, err);
	if (!r && !*ret_n && looked && !is_fresh(&now))
		dp->pins = now;
	return r;
}
