/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Making the socket so that there is never a moment in which others could connect (robustness E4),
 * and replacing the one that a killed agent left, but no other file and no socket that somebody
 * answers on.
 */
#include "lb/api/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lb/base/cleanup.h"

#define BACKLOG 64

static int unix_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

/* 0 when `path` is free now. */
static int remove_stale(const char *path, const struct sockaddr_un *addr, struct fl_err *err)
{
	_cleanup_close_ int fd = -1;
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0
				       : fl_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(st.st_mode))
		return fl_err_set(err, -EEXIST, "%s exists and is not a socket", path);
	fd = unix_socket();
	if (fd < 0)
		return fl_err_set(err, fd, "cannot make a socket: %s", strerror(-fd));
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EAGAIN)
		return fl_err_set(err, -EADDRINUSE, "another agent answers on %s", path);
	if (errno != ECONNREFUSED)
		return fl_err_set(err, -errno, "%s: %s", path, strerror(errno));
	if (unlink(path) && errno != ENOENT)
		return fl_err_set(err, -errno, "cannot remove the stale socket %s: %s", path,
				  strerror(errno));
	return 0;
}

static int make_parent(const char *path, struct fl_err *err)
{
	char dir[108];
	char *slash;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (!slash || slash == dir)
		return 0;
	*slash = '\0';
	if (mkdir(dir, 0755) && errno != EEXIST)
		return fl_err_set(err, -errno, "cannot make directory %s: %s", dir,
				  strerror(errno));
	return 0;
}

int fl_listener_open(struct fl_listener *listener, const char *path, struct fl_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	struct stat st;
	int rc;

	if (!*path || strlen(path) >= sizeof(addr.sun_path))
		return fl_err_set(err, -ENAMETOOLONG,
				  "socket path \"%s\" is empty or longer than %zu bytes", path,
				  sizeof(addr.sun_path) - 1);
	strcpy(addr.sun_path, path);
	rc = make_parent(path, err);
	if (!rc)
		rc = remove_stale(path, &addr, err);
	if (rc)
		return rc;
	fd = unix_socket();
	if (fd < 0)
		return fl_err_set(err, fd, "cannot make a socket: %s", strerror(-fd));
	/* the mode of an unbound socket is that of the file bind() makes: no need to change the
	 * process's umask */
	if (fchmod(fd, 0600) || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(fd, BACKLOG))
		return fl_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
	if (lstat(path, &st))
		return fl_err_set(err, -errno, "%s: %s", path, strerror(errno));
	*listener = (struct fl_listener){.fd = TAKE_FD(fd), .dev = st.st_dev, .ino = st.st_ino};
	strcpy(listener->path, path);
	return 0;
}

void fl_listener_close(struct fl_listener *listener)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	if (!lstat(listener->path, &st) && st.st_dev == listener->dev && st.st_ino == listener->ino)
		unlink(listener->path);
	close(TAKE_FD(listener->fd));
}

static bool peer_may(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	return !peer.uid || peer.uid == geteuid();
}

int fl_listener_accept(struct fl_listener *listener, int *ret_fd)
{
	_cleanup_close_ int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (!peer_may(fd))
		return -EACCES;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
