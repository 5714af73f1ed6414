/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Giving up system calls. Once it serves, the agent reads files, answers on sockets and changes
 * maps and links; it starts no program, loads none into the kernel, and mounts nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/err.h"

/*
 * From now on every other system call of this process, threads included, fails with EPERM, or with
 * `kill` ends the process by SIGSYS. Either way it is in the audit log of a kernel that is told to
 * log it. 0 or -errno; -EINVAL and -EOPNOTSUPP where the kernel has no filters.
 */
int fl_seccomp_install(bool kill, struct fl_err *err);

/* How many are left. */
size_t fl_seccomp_count(void);
