// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Names of abstract Unix sockets are one namespace's own and go with the process that has bound
 * them, which is what a lock of a network namespace needs. Any process may bind one, so the owner
 * is looked at.
 */
#include "lb/dp/netns.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/user.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define LOCK_NAME "fairlead.dev/datapath"

uint64_t fl_netns_cookie(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	/* then node clients are known by their addresses alone */
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return 0;
	return cookie;
}

/* The process that listens at the name; pid 0: it went away or cannot be seen from here. */
static struct ucred lock_owner(const struct sockaddr_un *name, socklen_t name_len)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct ucred owner = {0};
	socklen_t len = sizeof(owner);

	if (fd < 0 || connect(fd, (const struct sockaddr *)name, name_len) ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &owner, &len))
		return (struct ucred){0};
	return owner;
}

int fl_netns_lock(int *ret_fd, struct fl_err *err)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const socklen_t len = offsetof(struct sockaddr_un, sun_path) + sizeof(LOCK_NAME);
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred owner;

	/* an abstract name begins with a zero */
	memcpy(name.sun_path + 1, LOCK_NAME, sizeof(LOCK_NAME) - 1);
	if (fd < 0)
		return fl_err_set(err, -errno, "cannot make a Unix socket: %s", strerror(errno));
	if (!bind(fd, (struct sockaddr *)&name, len)) {
		/* to be found by lock_owner(); nothing is ever accepted */
		if (listen(fd, 128))
			return fl_err_set(err, -errno, "cannot lock the network namespace: %s",
					  strerror(errno));
		*ret_fd = TAKE_FD(fd);
		return 0;
	}
	if (errno != EADDRINUSE)
		return fl_err_set(err, -errno, "cannot lock the network namespace: %s",
				  strerror(errno));
	owner = lock_owner(&name, len);
	if (owner.uid && owner.uid != fl_user()) {
		*ret_fd = -1;
		return 0;
	}
	if (owner.pid)
		return fl_err_set(err, -EBUSY,
				  "another agent (process %d) serves this network namespace",
				  owner.pid);
	return fl_err_set(err, -EBUSY, "another agent serves this network namespace");
}
