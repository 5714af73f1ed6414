/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The network namespace of this process: its number, and the lock that one agent in it holds. */
#pragma once

#include <stdint.h>

#include "lb/base/err.h"

/* A number that no other namespace has or had since the machine started. 0: the kernel (before
 * 5.14) cannot tell. */
uint64_t fl_netns_cookie(void);

/*
 * Become the one that changes the datapath of this namespace: an agent, or a cleanup. The lock goes
 * with the descriptor and so with the process, whatever its directories and mounts. -EBUSY, naming
 * the process if it can be seen, when another one of root or of our user has it. *ret_fd is -1 when
 * a process of another user has it: any process may, so whether it is an agent has to show
 * elsewhere.
 */
int fl_netns_lock(int *ret_fd, struct fl_err *err);
