/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A loopback device of the test program's own, so that a port that is free, or was closed, stays
 * free: other programs take theirs, and those of their connections, from the same ones. */
#pragma once

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A group's set-up. Where there can be no network namespace the machine's device has to do. */
static inline int own_loopback(void **state)
{
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd, r;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET))
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	r = ioctl(fd, SIOCSIFFLAGS, &lo);
	close(fd);
	return r;
}
