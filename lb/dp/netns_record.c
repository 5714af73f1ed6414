// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Devices are pinned by number, and numbers mean something in one network namespace only. The
 * directory therefore carries a record of the namespace it serves: a pin below programs/ whose name
 * has the namespace's cookie.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/link.h"
#include "lb/dp/netns.h"
#include "lb/dp/state.h"

#define RECORD "netns-"

struct record {
	uint64_t cookie; /* 0 none */
	char name[32];
};

struct look {
	struct fl_dp *dp;
	bool alive; /* a link is attached to a device */
};

static int note_record(const char *name, void *arg)
{
	struct record *r = arg;

	if (sscanf(name, RECORD "%" SCNx64, &r->cookie) == 1)
		snprintf(r->name, sizeof(r->name), "%s", name);
	return 0;
}

uint64_t fl_bpffs_netns(const struct fl_bpffs *fs)
{
	struct record record = {0};

	fl_bpffs_each(fs, "programs", note_record, &record);
	return record.cookie;
}

static int find_alive(const char *name, void *arg)
{
	struct look *l = arg;
	_cleanup_close_ int fd = fl_bpffs_get(&l->dp->fs, "links", name, false);
	struct fl_link_info info;

	/* a clsact record tells nothing about its device; but a kernel that needs clsact has no
	 * cookies either */
	if (fd >= 0 && strncmp(name, "clsact-", 7) && !fl_link_info_get(fd, &info) && info.ifindex)
		l->alive = true;
	return 0;
}

int fl_dp_netns_record(struct fl_dp *dp, struct fl_err *err)
{
	uint64_t cookie = fl_netns_cookie();
	struct look l = {.dp = dp};
	struct record old = {0};
	char name[32];

	if (!cookie)
		return 0;
	fl_bpffs_each(&dp->fs, "programs", note_record, &old);
	if (old.cookie == cookie)
		return 0;
	if (old.cookie) {
		fl_bpffs_each(&dp->fs, "links", find_alive, &l);
		if (l.alive)
			return fl_err_set(
				err, -EXDEV,
				"%s serves another network namespace, whose devices are still "
				"there: give this "
				"one a directory of its own, or run `fairlead cleanup` there first",
				dp->fs.path);
		fl_bpffs_unpin(&dp->fs, "programs", old.name);
	}
	snprintf(name, sizeof(name), RECORD "%" PRIx64, cookie);
	return fl_bpffs_pin(&dp->fs, "programs", name, dp->clock_fd, err);
}
