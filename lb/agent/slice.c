/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * On a busy machine a change waits longer for a processor than it takes. The kernel's fair
 * scheduler runs the thread with the earliest deadline, and a thread that asks for short slices has
 * an early one when it wakes up. Its share of the processor stays the same; where it has more to do
 * than a slice, it is interrupted more often. Kernels before 6.12 take no notice.
 */
#include "lb/agent/slice.h"

#include <errno.h>
#include <linux/types.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SLICE_NS 100000 /* the least that the kernel takes */

/* struct sched_attr as it was first; later C libraries have one of their own. */
struct attributes {
	__u32 size, policy;
	__u64 flags;
	__s32 nice;
	__u32 priority;
	__u64 runtime_ns, deadline_ns, period_ns;
};
_Static_assert(sizeof(struct attributes) == 48, "SCHED_ATTR_SIZE_VER0");

int fl_slice_shorten(void)
{
	struct attributes now = {.size = sizeof(now)};

	if (syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0))
		return -errno;
	/* another policy was somebody's choice */
	if (now.policy != SCHED_OTHER)
		return 0;
	now.runtime_ns = SLICE_NS;
	return syscall(SYS_sched_setattr, 0, &now, 0) ? -errno : 0;
}
