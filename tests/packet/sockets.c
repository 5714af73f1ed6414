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

#define CGROUP_HOOKS 12

static const struct {
	const char *program;
	enum bpf_attach_type type;
} hook_table[CGROUP_HOOKS] = {
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
	{"fl_sock_release", BPF_CGROUP_INET_SOCK_RELEASE},
	{"fl_sock_egress", BPF_CGROUP_INET_EGRESS},
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

/* The hooks on a cgroup that this process lives in. */
static struct {
	char cgroup[512];
	char home[512]; /* cgroup.procs of where the process was */
	int link_fd[CGROUP_HOOKS];
} hooks;

static int attach_hooks(const struct plane *p, struct fl_err *err)
{
	_cleanup_close_ int fd = open(hooks.cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	for (int i = 0; i < CGROUP_HOOKS; i++) {
		struct bpf_program *prog = bpf_object__find_program_by_name(
			p->objects[FL_OBJECT_SOCK].bpf, hook_table[i].program);

		hooks.link_fd[i] =
			bpf_link_create(bpf_program__fd(prog), fd, hook_table[i].type, NULL);
		if (hooks.link_fd[i] < 0)
			return fl_err_set(err, -errno, "cannot attach %s: %s",
					  hook_table[i].program, strerror(errno));
	}
	return 0;
}

int hooks_begin(struct world *world, struct fl_err *err)
{
	_cleanup_free_ char *root = NULL;
	char procs[540];
	int r;

	memset(&hooks, 0, sizeof(hooks));
	for (int i = 0; i < CGROUP_HOOKS; i++)
		hooks.link_fd[i] = -1;
	r = fl_mount_find_cgroup2(&root, err);
	if (!r)
		r = find_home(root, hooks.home, sizeof(hooks.home), err);
	if (r)
		return r;
	snprintf(hooks.cgroup, sizeof(hooks.cgroup), "%s/fairlead-packet-%d", root, getpid());
	if (mkdir(hooks.cgroup, 0755))
		return fl_err_set(err, -errno, "cannot make %s: %s", hooks.cgroup, strerror(errno));
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", hooks.cgroup);
	r = move_to(procs, err);
	if (!r)
		r = attach_hooks(&world->plane[PLANE_USUAL], err);
	if (r)
		hooks_end(world);
	return r;
}

void hooks_end(struct world *world)
{
	for (int i = 0; i < CGROUP_HOOKS; i++)
		fl_closep(&hooks.link_fd[i]);
	move_to(hooks.home, NULL);
	rmdir(hooks.cgroup);
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
	char got_text[FL_IP_PORT_STRLEN], want_text[FL_IP_PORT_STRLEN];
	struct fl_ip got = {.b = {[10] = 0xff, [11] = 0xff}};
	bool v4 = sa->sa.sa_family == AF_INET;

	if (v4)
		memcpy(got.b + 12, &sa->in4.sin_addr, 4);
	else
		memcpy(got.b, &sa->in6.sin6_addr, sizeof(got.b));
	/* cmocka shows both */
	assert_string_equal(
		fl_ip_port_format(&got, ntohs(v4 ? sa->in4.sin_port : sa->in6.sin6_port), got_text),
		fl_ip_port_format(ip, port, want_text));
}

/* Everything that the running trial has open. */
static int open_sockets[64];
static unsigned int n_open;
static int servers[SERVERS]; /* listening, or bound for datagrams */

static int keep(int fd)
{
	assert_true(fd >= 0 && n_open < N(open_sockets));
	open_sockets[n_open++] = fd;
	return fd;
}

void sockets_end(struct trial *t)
{
	while (n_open)
		close(open_sockets[--n_open]);
}

static int new_socket(const struct trial *t, bool v6)
{
	int type = t->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM;

	return keep(socket(v6 ? AF_INET6 : AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
}

void servers_begin(struct trial *t, uint16_t more_flags)
{
	struct scene scene = {.backends = SERVERS, .more_flags = more_flags};
	struct fl_ip node = addr(t->family, AT_EXT0, 1);

	serve(t, scene);
	for (uint16_t i = 0; i < SERVERS; i++) {
		union sockaddr_any sa;
		socklen_t len = to_sockaddr(&node, SERVER_PORT + i, false, &sa);

		backend_add(t->p, i + 1U, &node, SERVER_PORT + i, t->proto, FL_BACKEND_LOCAL);
		servers[i] = new_socket(t, t->family == FL_IPV6);
		setsockopt(servers[i], SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
		if (bind(servers[i], &sa.sa, len) ||
		    (t->proto == IPPROTO_TCP && listen(servers[i], 64)))
			fail_msg("cannot serve: %s", strerror(errno));
	}
}

int servers_hear(struct trial *t, union sockaddr_any *ret_from)
{
	struct pollfd pfds[SERVERS];
	socklen_t len = sizeof(*ret_from);
	char byte;

	for (int i = 0; i < SERVERS; i++)
		pfds[i] = (struct pollfd){.fd = servers[i], .events = POLLIN};
	if (poll(pfds, SERVERS, DEADLINE_MS) <= 0)
		do_fail(t, "no server heard it");
	for (int i = 0; i < SERVERS; i++) {
		if (!pfds[i].revents)
			continue;
		if (t->proto == IPPROTO_TCP)
			close(accept(servers[i], &ret_from->sa, &len));
		else
			assert_int_equal(recvfrom(servers[i], &byte, 1, 0, &ret_from->sa, &len), 1);
		return i;
	}
	do_fail(t, "poll() reported no server");
}

void server_answer(int server, const union sockaddr_any *to)
{
	socklen_t len = to->sa.sa_family == AF_INET ? sizeof(to->in4) : sizeof(to->in6);

	assert_int_equal(sendto(servers[server], "y", 1, 0, &to->sa, len), 1);
}

int client_socket(const struct trial *t)
{
	return new_socket(t, t->hook == HOOK_SOCKET_MAPPED || t->family == FL_IPV6);
}

socklen_t client_sockaddr(const struct trial *t, const struct fl_ip *ip, uint16_t port,
			  union sockaddr_any *ret_sa)
{
	return to_sockaddr(ip, port, t->hook == HOOK_SOCKET_MAPPED, ret_sa);
}

int client_connect(const struct trial *t, int fd, const struct fl_ip *ip, uint16_t port)
{
	union sockaddr_any sa;
	socklen_t len = client_sockaddr(t, ip, port, &sa);
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	int error = 0;

	if (!connect(fd, &sa.sa, len))
		return 0;
	if (errno != EINPROGRESS)
		return errno;
	/*
	 * to a server of this node it is over at once; to nowhere it is not, and is not waited for
	 */
	if (poll(&pfd, 1, 0) <= 0)
		return EINPROGRESS;
	len = sizeof(error);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

int client_reach(struct trial *t, const struct fl_ip *ip, uint16_t port)
{
	int fd = client_socket(t), server;
	union sockaddr_any peer, from;
	socklen_t len = sizeof(peer);
	struct pollfd pfd = {.fd = fd, .events = POLLOUT};
	socklen_t error_len = sizeof(int);
	int error = client_connect(t, fd, ip, port);

	/* a busy machine's kernel may be a moment late */
	if (error == EINPROGRESS && poll(&pfd, 1, DEADLINE_MS) == 1)
		getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &error_len);

	if (error)
		do_fail(t, "connect: %s", strerror(error));
	if (t->proto == IPPROTO_UDP)
		assert_int_equal(send(fd, "x", 1, 0), 1);
	server = servers_hear(t, &from);
	assert_int_equal(getpeername(fd, &peer.sa, &len), 0);
	expect_sockaddr(&peer, ip, port);
	return server;
}
