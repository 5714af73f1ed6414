/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An orphan is a program of Fairlead at a device of this network namespace, or at the cgroup, that
 * our directory has no pin of: its agent had another directory, or the BPF file system with the
 * pins is gone. It would go on to serve by maps that nobody updates, in front of our own programs.
 */
#pragma once

#include <stddef.h>

#include "lb/base/err.h"
#include "lb/dp/bpffs.h"
#include "lb/dp/maps.h"
#include "lb/dp/places.h"

struct fl_orphan {
	struct fl_placed placed;
	int link_fd; /* -1: a filter */
	int prog_fd; /* -1: it could not be opened by its number */
	char *dir;   /* where it is pinned; NULL: nowhere that can be seen from here */
};

struct fl_orphans {
	struct fl_orphan *items;
	size_t n;
	/* programs at the same hooks whose owner cannot be found out: that needs
	 * CAP_SYS_ADMIN, and no BPF file system has a pin of them */
	size_t unknown;
	/* sockets of the cgroup are translated for another network namespace too */
	bool shared_cgroup;
};

/*
 * Find them. `own`: our directory; dir_fd -1: there is none. cgroup_fd: -1 for devices only. 0 or
 * -errno; programs come and go meanwhile, so it is not an error when one cannot be looked at.
 */
int fl_orphans_find(const struct fl_bpffs *own, int cgroup_fd, struct fl_orphans *ret_orphans,
		    struct fl_err *err);
void fl_orphans_fini(struct fl_orphans *orphans);

/*
 * Whether they are none after all: an agent is at work with them. Asked where fl_netns_lock() gave
 * no lock (netns_lock -1), since a process of another user has the name, which may be an agent or
 * any.
 */
bool fl_orphans_have_agent(const struct fl_orphans *orphans, int netns_lock);

/* A map that they use, by a new descriptor, or -errno. */
int fl_orphans_map(const struct fl_orphans *orphans, enum fl_map_id id);
