/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Giving up system calls. Once it serves, the agent reads files, answers on sockets and changes
 * maps and links; it starts no program, loads none into the kernel, and mounts nothing.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/err.h"

/* What the agent does beside serving, and needs system calls for. */
struct fl_seccomp_needs {
	bool api; /* it follows an API server: TLS, names of hosts */
};

/*
 * From now on every other system call of this process, threads included, fails with EPERM, or with
 * `kill` ends the process by SIGSYS. Either way it is in the audit log of a kernel that is told to
 * log it. 0 or -errno; -EINVAL and -EOPNOTSUPP where the kernel has no filters.
 */
int fl_seccomp_install(bool kill, const struct fl_seccomp_needs *needs, struct fl_err *err);

/* How many are left. */
size_t fl_seccomp_count(const struct fl_seccomp_needs *needs);
