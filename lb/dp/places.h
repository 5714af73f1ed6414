/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The places where an agent's programs are: the devices of this network namespace and a cgroup.
 * What is there now is known by program numbers, for which CAP_NET_ADMIN is enough. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fl_placed {
	char pin[40]; /* the name that its pin has if it is ours: "xdp-3", "cgroup-connect4" */
	unsigned int ifindex; /* 0: cgroup */
	uint64_t cgroup_id;
	uint32_t prog_id;
	bool filter; /* on the clsact qdisc, with our handle and priority */
};

/*
 * Call fn for each program at such a place, whosever it is. cgroup_fd: -1 for devices only. Stops
 * at non-zero, which is returned; -errno when the kernel cannot be asked.
 */
int fl_placed_each(int cgroup_fd, int (*fn)(const struct fl_placed *placed, void *arg), void *arg);
