// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A cgroup below the one cgroup v2 that is mounted, and small servers. */
#include "tests/packet/sockets.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/mountinfo.h"
#include "tests/packet/packet.h"

#define SERVER_PORT 18080

static const struct {
	const char *program;
	enum bpf_attach_type type;
} hook_table[HOOKS] = {
	{"fl_connect4", BPF_CGROUP_INET4_CONNECT},
	{"fl_connect6", BPF_CGROUP_INET6_CONNECT},
	{"fl_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
	{"fl_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
	{"fl_recvmsg4", BPF_CGROUP_UDP4_RECVMSG},
	{"fl_recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
	{"fl_getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
	{"fl_getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
	{"fl_post_bind4", BPF_CGROUP_INET4_POST_BIND},
	{"fl_post_bind6", BPF_CGROUP_INET6_POST_BIND},
};

static int move_to(const char *procs, struct fl_err *err)
{
	_cleanup_close_ int fd = open(procs, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		return fl_err_set(err, -errno, "cannot move to %s: %s", procs, strerror(errno));
	return 0;
}

/* Where the process is in cgroup v2: the line "0::PATH". */
static int find_home(const char *root, char *ret_procs, size_t len, struct fl_err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[400];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3))
			continue;
		snprintf(ret_procs, len, "%.90s%s/cgroup.procs", root,
			 strcmp(line + 3, "/") ? line + 3 : "");
		return 0;
	}
	return fl_err_set(err, -ENOENT, "this process is in no cgroup v2");
}

int hooks_begin(struct plane *p, struct hooks *h, struct fl_err *err)
{
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int fd = -1;
	char procs[540];
	int r;

	memset(h, 0, sizeof(*h));
	for (int i = 0; i < HOOKS; i++)
		h->link_fd[i] = -1;
	r = fl_mount_find_cgroup2(&root, err);
	if (!r)
		r = find_home(root, h->home, sizeof(h->home), err);
	if (r)
		return r;
	snprintf(h->cgroup, sizeof(h->cgroup), "%s/fairlead-packet-%d", root, getpid());
	if (mkdir(h->cgroup, 0755))
		return fl_err_set(err, -errno, "cannot make %s: %s", h->cgroup, strerror(errno));
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", h->cgroup);
	r = move_to(procs, err);
	fd = open(h->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < HOOKS && !r; i++) {
		struct bpf_program *prog = bpf_object__find_program_by_name(
			p->objects[FL_OBJECT_SOCK].bpf, hook_table[i].program);

		h->link_fd[i] =
			bpf_link_create(bpf_program__fd(prog), fd, hook_table[i].type, NULL);
		if (h->link_fd[i] < 0)
			r = fl_err_set(err, -errno, "cannot attach %s: %s", hook_table[i].program,
				       strerror(errno));
	}
	if (r)
		hooks_end(h);
	return r;
}

void hooks_end(struct hooks *h)
{
	for (int i = 0; i < HOOKS; i++)
		fl_closep(&h->link_fd[i]);
	move_to(h->home, NULL);
	rmdir(h->cgroup);
}

socklen_t to_sockaddr(const struct fl_ip *ip, uint16_t port, bool mapped,
		      union sockaddr_any *ret_sa)
{
	memset(ret_sa, 0, sizeof(*ret_sa));
	if (fl_ip_family(ip) == FL_IPV4 && !mapped) {
		ret_sa->in4.sin_family = AF_INET;
		ret_sa->in4.sin_port = htons(port);
		memcpy(&ret_sa->in4.sin_addr, ip->b + 12, 4);
		return sizeof(ret_sa->in4);
	}
	ret_sa->in6.sin6_family = AF_INET6;
	ret_sa->in6.sin6_port = htons(port);
	memcpy(&ret_sa->in6.sin6_addr, ip->b, 16);
	return sizeof(ret_sa->in6);
}

void expect_sockaddr(const union sockaddr_any *sa, const struct fl_ip *ip, uint16_t port)
{
	union sockaddr_any want;

	to_sockaddr(ip, port, sa->sa.sa_family == AF_INET6, &want);
	assert_int_equal(sa->sa.sa_family, want.sa.sa_family);
	if (sa->sa.sa_family == AF_INET) {
		assert_memory_equal(&sa->in4.sin_addr, &want.in4.sin_addr, 4);
		assert_int_equal(ntohs(sa->in4.sin_port), port);
	} else {
		assert_memory_equal(&sa->in6.sin6_addr, &want.in6.sin6_addr, 16);
		assert_int_equal(ntohs(sa->in6.sin6_port), port);
	}
}

void servers_begin(struct plane *p, const struct kind *kind, uint16_t more_flags, struct servers *s)
{
	struct scene scene = scene_of(kind, AT_POD);
	struct fl_ip node = addr(kind->family, AT_EXT0, 1);

	scene.backends = SERVERS;
	scene.more_flags = more_flags;
	plane_reset(p);
	scene_set(p, &scene, s->fe);
	s->kind = *kind;
	for (uint16_t i = 0; i < SERVERS; i++) {
		union sockaddr_any sa;
		socklen_t len = to_sockaddr(&node, SERVER_PORT + i, false, &sa);

		backend_add(p, i + 1U, &node, SERVER_PORT + i, kind->proto, FL_BACKEND_LOCAL);
		s->fd[i] = client_socket(kind, false);
		setsockopt(s->fd[i], SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
		if (bind(s->fd[i], &sa.sa, len) ||
		    (kind->proto == IPPROTO_TCP && listen(s->fd[i], 64)))
			fail_msg("cannot serve: %s", strerror(errno));
	}
}

void servers_end(struct servers *s)
{
	for (int i = 0; i < SERVERS; i++)
		close(s->fd[i]);
}

int servers_hear(const struct servers *s, union sockaddr_any *ret_from)
{
	struct pollfd pfds[SERVERS];
	socklen_t len = sizeof(*ret_from);
	char byte;

	for (int i = 0; i < SERVERS; i++)
		pfds[i] = (struct pollfd){.fd = s->fd[i], .events = POLLIN};
	if (poll(pfds, SERVERS, 1000) <= 0)
		return -1;
	for (int i = 0; i < SERVERS; i++) {
		if (!pfds[i].revents)
			continue;
		if (s->kind.proto == IPPROTO_TCP)
			close(accept(s->fd[i], &ret_from->sa, &len));
		else
			assert_int_equal(recvfrom(s->fd[i], &byte, 1, 0, &ret_from->sa, &len), 1);
		return i;
	}
	return -1;
}

int client_socket(const struct kind *kind, bool mapped)
{
	bool v6 = mapped || kind->family == FL_IPV6;
	int fd = socket(v6 ? AF_INET6 : AF_INET,
			(kind->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK |
				SOCK_CLOEXEC,
			0);

	assert_true(fd >= 0);
	return fd;
}

int client_connect(int fd, const struct fl_ip *ip, uint16_t port, bool mapped)
{
	union sockaddr_any sa;
	socklen_t len = to_sockaddr(ip, port, mapped, &sa);
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	int error = 0;

	if (!connect(fd, &sa.sa, len))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	/* to a server of this node it is over at once; to nowhere it is not, and is not waited for
	 */
	if (poll(&pfd, 1, 0) <= 0)
		return EINPROGRESS;
	len = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}
