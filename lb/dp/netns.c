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
#include "lb/dp/state.h"

#define RECORD "netns-"

struct look {
	struct fl_dp *dp;
	uint64_t cookie; /* of the record; 0 none */
	char name[32];
	bool alive; /* a link is attached to a device */
};

static int find_record(const char *name, void *arg)
{
	struct look *l = arg;

	if (sscanf(name, RECORD "%" SCNx64, &l->cookie) == 1)
		snprintf(l->name, sizeof(l->name), "%s", name);
	return 0;
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
	char name[32];

	if (!cookie)
		return 0;
	fl_bpffs_each(&dp->fs, "programs", find_record, &l);
	if (l.cookie == cookie)
		return 0;
	if (l.cookie) {
		fl_bpffs_each(&dp->fs, "links", find_alive, &l);
		if (l.alive)
			return fl_err_set(
				err, -EXDEV,
				"%s serves another network namespace, whose devices are still "
				"there: give this "
				"one a directory of its own, or run `fairlead cleanup` there first",
				dp->fs.path);
		fl_bpffs_unpin(&dp->fs, "programs", l.name);
	}
	snprintf(name, sizeof(name), RECORD "%" PRIx64, cookie);
	return fl_bpffs_pin(&dp->fs, "programs", name, dp->clock_fd, err);
}
