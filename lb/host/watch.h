/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Netlink news about devices, addresses, routes and neighbours, reduced to two questions: is the
 * network another one than it was, and are remembered next hops wrong. Works with any loop: a
 * descriptor to wait for and a function to call.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"

struct fl_watch;

struct fl_watch_news {
	bool network;	/* scan devices and addresses again */
	bool next_hops; /* begin another generation of them */
};

/* Subscribe, then read the neighbours there are: what happens from now on is not missed. */
int fl_watch_open(struct fl_watch **ret_watch, struct fl_err *err);
void fl_watch_close(struct fl_watch **watch);
int fl_watch_fd(const struct fl_watch *watch); /* readable: call fl_watch_handle() */

/* Read all that is there, without waiting. News that got lost count as both. 0 or -errno. */
int fl_watch_handle(struct fl_watch *watch, struct fl_watch_news *ret_news, struct fl_err *err);
