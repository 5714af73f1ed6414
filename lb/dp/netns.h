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
 * the process if it can be seen, when another one has it. *ret_fd may be -1 after success: then a
 * process without our rights has taken the name, which cannot be an agent.
 */
int fl_netns_lock(int *ret_fd, struct fl_err *err);
