// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Row 7: what the socket hooks cost. UDP sockets of two cgroups, of which one has the hooks,
 * connect and send in turn: to an endpoint from the one without ("direct"), to a Service
 * ("fairlead") and to an endpoint, which is none of ours ("foreign"), from the other. A socket
 * belongs to the cgroup that its process was in when it was made. Time is CPU time of the thread.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/bench.h"
#include "lb/base/cleanup.h"
#include "lb/dp/mountinfo.h"

#define SOCKETS_MAX 4096

enum contender {
	DIRECT,
	FAIRLEAD,
	FOREIGN,
	CONTENDERS,
};

static const char *const contender_names[CONTENDERS] = {"direct", "fairlead", "foreign"};

enum column {
	CONNECT_NEW,   /* sockets that were not connected before */
	CONNECT_AGAIN, /* one socket, to one Service after another */
	SEND,	       /* of an unconnected socket that has sent there before */
	COLUMNS,
};

static const char *const column_names[COLUMNS] = {"UDP connect(), new sockets",
						  "UDP connect(), one socket again",
						  "UDP sendto(), unconnected"};

struct room {
	char cgroup[256]; /* with the hooks */
	int home, inside; /* cgroup.procs of where we came from, and of it */
	int fds[SOCKETS_MAX];
	uint32_t n; /* of the sockets of a round */
	uint32_t services, endpoints;
};

static int open_procs(const char *dir, int *ret_fd, struct fl_err *err)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	*ret_fd = open(path, O_WRONLY | O_CLOEXEC);
	return *ret_fd < 0 ? fl_err_set(err, -errno, "cannot open %s: %s", path, strerror(errno))
			   : 0;
}

static int find_home(const char *root, char *ret_dir, size_t size, struct fl_err *err)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[200];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "0::", 3)) {
			snprintf(ret_dir, size, "%.90s%s", root, line + 3);
			return 0;
		}
	}
	return fl_err_set(err, -ENOENT, "this process is in no cgroup v2");
}

static int room_open(struct room *room, struct fl_err *err)
{
	_cleanup_free_ char *root = NULL;
	char home[300];
	int rc = fl_mount_find_cgroup2(&root, err);

	if (!rc)
		rc = find_home(root, home, sizeof(home), err);
	if (!rc)
		rc = open_procs(home, &room->home, err);
	if (rc)
		return rc;
	snprintf(room->cgroup, sizeof(room->cgroup), "%.200s/fairlead-bench-%d", root, getpid());
	if (mkdir(room->cgroup, 0755)) {
		rc = fl_err_set(err, -errno, "cannot make %s: %s", room->cgroup, strerror(errno));
		room->cgroup[0] = '\0';
		return rc;
	}
	return open_procs(room->cgroup, &room->inside, err);
}

static void move_to(int procs)
{
	if (write(procs, "0", 1) != 1)
		fprintf(stderr, "cannot change cgroup: %s\n", strerror(errno));
}

static void room_close(struct room *room)
{
	if (room->home >= 0)
		move_to(room->home);
	fl_closep(&room->home);
	fl_closep(&room->inside);
	if (room->cgroup[0])
		rmdir(room->cgroup);
}

static struct sockaddr_in address_of(const struct room *room, enum contender c, uint32_t i)
{
	const bool service = c == FAIRLEAD;

	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons(service ? BENCH_PORT : BENCH_POD_PORT),
		.sin_addr.s_addr = htonl(service ? BENCH_VIP_NET + 1 + i % room->services
						 : BENCH_POD_NET + 1 + i % room->endpoints),
	};
}

static int do_one(enum column column, int fd, const struct sockaddr_in *to)
{
	if (column != SEND)
		return connect(fd, (const struct sockaddr *)to, sizeof(*to));
	return sendto(fd, "x", 1, 0, (const struct sockaddr *)to, sizeof(*to)) == 1 ? 0 : -1;
}

/* One socket, or as many as there are operations. */
static int make_sockets(struct room *room, enum column column, enum contender c, uint32_t *ret_n,
			struct fl_err *err)
{
	const uint32_t n = column == CONNECT_NEW ? room->n : 1;

	move_to(c == DIRECT ? room->home : room->inside);
	for (*ret_n = 0; *ret_n < n; ++*ret_n) {
		room->fds[*ret_n] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		if (room->fds[*ret_n] < 0)
			return fl_err_set(err, -errno, "cannot make a socket: %s", strerror(errno));
	}
	/* where an unconnected socket keeps what it has chosen before */
	for (uint32_t i = 0; i < 8 && column == SEND; i++) {
		const struct sockaddr_in to = address_of(room, c, i);

		if (do_one(SEND, room->fds[0], &to))
			return fl_err_set(err, -errno, "cannot send: %s", strerror(errno));
	}
	return 0;
}

static int measure(struct room *room, enum column column, enum contender c, double *ret_ns,
		   struct fl_err *err)
{
	uint32_t n_sockets = 0, failed = 0;
	int rc = make_sockets(room, column, c, &n_sockets, err);
	uint64_t ns = bench_thread_ns();

	for (uint32_t i = 0; !rc && i < room->n; i++) {
		const struct sockaddr_in to = address_of(room, c, column == SEND ? i % 8 : i);

		failed += do_one(column, room->fds[i % n_sockets], &to) != 0;
	}
	ns = bench_thread_ns() - ns;
	while (n_sockets)
		close(room->fds[--n_sockets]);
	if (failed)
		rc = fl_err_set(err, -EIO, "%u of %u failed: %s", failed, room->n, strerror(errno));
	*ret_ns = (double)ns / room->n;
	return rc;
}

static int measure_all(struct room *room, uint32_t rounds, struct fl_err *err)
{
	for (uint32_t round = 0; round < rounds; round++) {
		for (int column = 0; column < COLUMNS; column++) {
			for (int i = 0; i < CONTENDERS; i++) {
				const enum contender c = (i + round) % CONTENDERS;
				double ns;
				int rc = measure(room, column, c, &ns, err);

				if (rc)
					return rc;
				printf("{\"row\":7,\"contender\":\"%s\",\"column\":\"%s\","
				       "\"round\":%u,\"ns\":%.1f}\n",
				       contender_names[c], column_names[column], round, ns);
			}
		}
	}
	return 0;
}

/* Datagrams go to a device that drops them, as its other end is down. */
static int make_network(struct fl_err *err)
{
	return bench_ip(err, "link add away type veth peer name gone\n"
			     "link set away arp off up\n"
			     "addr add 11.0.0.1/8 dev away\n"
			     "route add default dev away\n");
}

int bench_sockets(int argc, char **argv, struct fl_err *err)
{
	struct bench_fairlead_options options = {
		.mode = FL_DP_XDP,
		.services = (uint32_t)bench_option(argc, argv, "--services", 100),
		.endpoints = (uint32_t)bench_option(argc, argv, "--endpoints", 1000),
		.ports = BENCH_UDP4,
		.flow_buckets = 1024,
	};
	const struct rlimit files = {SOCKETS_MAX + 256, SOCKETS_MAX + 256};
	_cleanup_(bench_fairlead_close) struct bench_fairlead f = {0};
	_cleanup_(room_close) struct room room = {
		.home = -1,
		.inside = -1,
		.n = (uint32_t)bench_option(argc, argv, "--sockets", 2000),
		.services = options.services,
		.endpoints = options.endpoints,
	};
	_cleanup_close_ int netns = -1;
	int rc;

	if (!room.n || room.n > SOCKETS_MAX)
		return fl_err_set(err, -EINVAL, "--sockets must be 1 to %d", SOCKETS_MAX);
	if (setrlimit(RLIMIT_NOFILE, &files))
		return fl_err_set(err, -errno, "cannot open as many files: %s", strerror(errno));
	rc = bench_world_enter(err);
	if (!rc)
		rc = room_open(&room, err);
	if (!rc)
		rc = bench_netns_new(&netns, err);
	if (!rc)
		rc = make_network(err);
	if (!rc)
		rc = bench_pin_to_cpu(bench_last_cpu(), err);
	options.cgroup = room.cgroup;
	if (!rc)
		rc = bench_fairlead_open(&options, &f, err);
	if (!rc)
		rc = bench_services_apply(f.services, f.sync, err);
	if (!rc)
		rc = fl_dp_attach_cgroup(f.dp, err);
	if (!rc)
		rc = measure_all(&room, (uint32_t)bench_option(argc, argv, "--rounds", 15), err);
	return rc;
}
