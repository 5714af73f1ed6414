/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Making a Unix socket so that there is never a moment in which others could connect (robustness
 * E4), and replacing the one that a killed agent left, but no other file and no socket that
 * another program answers on.
 */
#include "lb/http/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/user.h"

#define BACKLOG 64
#define TCP_BACKLOG 512 /* probes of many balancers come at once */

static int new_socket(int family, struct fl_err *err)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? fl_err_set(err, -errno, "cannot make a socket: %s", strerror(errno)) : fd;
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
	fd = new_socket(AF_UNIX, err);
	if (fd < 0)
		return fd;
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
	if (mkdirat(AT_FDCWD, dir, 0755) && errno != EEXIST)
		return fl_err_set(err, -errno, "cannot make directory %s: %s", dir,
				  strerror(errno));
	return 0;
}

int fl_http_socket_open_unix(const char *path, mode_t mode, struct fl_http_socket *ret_socket,
			     struct fl_err *err)
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
	fd = new_socket(AF_UNIX, err);
	if (fd < 0)
		return fd;
	/* the mode of an unbound socket is that of the file bind() makes, less the umask */
	if (fchmod(fd, mode) || bind(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return fl_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
	if (lstat(path, &st))
		return fl_err_set(err, -errno, "%s: %s", path, strerror(errno));
	/* a serving agent, which may not, has an umask that takes nothing away */
	if (((st.st_mode & 07777) != mode && chmod(path, mode)) || listen(fd, BACKLOG))
		return fl_err_set(err, -errno, "cannot listen on %s: %s", path, strerror(errno));
	*ret_socket = (struct fl_http_socket){
		.fd = TAKE_FD(fd), .mode = mode, .dev = st.st_dev, .ino = st.st_ino};
	strcpy(ret_socket->path, path);
	return 0;
}

/* IPv4 for an IPv4 address, so that 0.0.0.0 does not take IPv6. Returns the length. */
static socklen_t tcp_address(const struct fl_ip *ip, uint16_t port,
			     struct sockaddr_storage *ret_addr)
{
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)ret_addr;
	struct sockaddr_in *v4 = (struct sockaddr_in *)ret_addr;

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (fl_ip_family(ip) == FL_IPV4) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		memcpy(&v4->sin_addr, &ip->b[12], sizeof(v4->sin_addr));
		return sizeof(*v4);
	}
	v6->sin6_family = AF_INET6;
	v6->sin6_port = htons(port);
	memcpy(&v6->sin6_addr, ip->b, sizeof(v6->sin6_addr));
	return sizeof(*v6);
}

int fl_http_socket_open_tcp(const struct fl_ip *ip, uint16_t port, bool v6_only,
			    struct fl_http_socket *ret_socket, uint16_t *ret_port,
			    struct fl_err *err)
{
	struct sockaddr_storage addr, bound;
	socklen_t len = tcp_address(ip, port, &addr), bound_len = sizeof(bound);
	_cleanup_close_ int fd = new_socket(addr.ss_family, err);
	const int on = 1, only = v6_only;
	char text[FL_IP_PORT_STRLEN];

	if (fd < 0)
		return fd;
	fl_ip_port_format(ip, port, text);
	/* a restarted agent need not wait for its predecessor's connections to time out */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    (addr.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only))) ||
	    bind(fd, (struct sockaddr *)&addr, len) || listen(fd, TCP_BACKLOG) ||
	    getsockname(fd, (struct sockaddr *)&bound, &bound_len))
		return fl_err_set(err, -errno, "cannot listen on %s: %s", text, strerror(errno));
	*ret_socket = (struct fl_http_socket){.fd = TAKE_FD(fd), .ip = *ip, .port = port};
	if (ret_port) /* at the same place in both families */
		*ret_port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
	return 0;
}

void fl_http_socket_close(struct fl_http_socket *sock)
{
	struct stat st;

	if (sock->fd < 0)
		return;
	if (*sock->path && !lstat(sock->path, &st) && st.st_dev == sock->dev &&
	    st.st_ino == sock->ino)
		unlink(sock->path);
	close(TAKE_FD(sock->fd));
}

bool fl_http_socket_is_lost(const struct fl_http_socket *sock)
{
	struct stat st;

	return *sock->path && lstat(sock->path, &st) && (errno == ENOENT || errno == ENOTDIR);
}

static bool peer_may(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return false;
	return !peer.uid || peer.uid == fl_user();
}

int fl_http_socket_accept(const struct fl_http_socket *sock, int *ret_fd)
{
	_cleanup_close_ int fd = accept4(sock->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (*sock->path && !peer_may(fd))
		return -EACCES;
	*ret_fd = TAKE_FD(fd);
	return 0;
}
