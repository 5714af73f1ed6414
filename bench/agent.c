// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rows 10 to 12: a whole agent on manifest files, a Service and its slice each. How long until it
 * is ready, from nothing and after a restart; what it takes when nothing happens, without and with
 * flows; and how long a file that is renamed into place takes until the maps say so, and what of
 * the agent's processor time. In namespaces and a cgroup of its own.
 */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "lb/base/cleanup.h"
#include "lb/dp/mountinfo.h"

#define READY_MS 120000
#define LOOK_NS 20000 /* between two looks whether a change is there */
#define CHANGE_MS 10000
#define ROOM "/tmp" /* a file system of our own, which goes with us */

struct room {
	char cgroup[300];
	/* where the manifests are, instead of there (--on): O_PATH, and a directory in it; -1 */
	int on, manifests;
	char name[32];
	int agent; /* O_PATH */
	int guard; /* closed at our end, however that comes */
	int notify;
	pid_t pid;
	uint32_t services, endpoints;
	const struct fl_meta *meta;
};

static void stop(struct room *room)
{
	if (room->pid > 0) {
		kill(room->pid, SIGTERM);
		waitpid(room->pid, NULL, 0);
	}
	room->pid = 0;
}

/* The manifests that are not on the file system that goes with us. */
static void remove_manifests(const struct room *room)
{
	DIR *dir;
	struct dirent *entry;

	if (room->manifests < 0)
		return;
	dir = fdopendir(room->manifests);
	while (dir && (entry = readdir(dir)))
		unlinkat(room->manifests, entry->d_name, 0);
	unlinkat(room->on, room->name, AT_REMOVEDIR);
}

static void room_fini(struct room *room)
{
	stop(room);
	if (room->meta)
		munmap((void *)room->meta, 4096);
	if (room->guard < 0) /* which does it otherwise, whatever becomes of us */
		remove_manifests(room);
	for (size_t i = 0; i < 5; i++) {
		const int fd = (int[]){room->notify, room->agent, room->on, room->manifests,
				       room->guard}[i];

		if (fd >= 0)
			close(fd);
	}
}

/* A process that removes the cgroup and the manifests when we have ended, and is no part of what a
 * signal to all of us reaches. */
static int start_guard(struct room *room, struct fl_err *err)
{
	int fds[2];
	pid_t pid;
	char byte;

	if (pipe2(fds, O_CLOEXEC))
		return fl_err_set(err, -errno, "cannot make a pipe: %s", strerror(errno));
	pid = fork();
	if (pid < 0)
		return fl_err_set(err, -errno, "cannot fork: %s", strerror(errno));
	if (!pid) {
		setsid();
		/* nobody shall wait for our output because of it */
		for (int fd = 0; fd < 3; fd++)
			close(fd);
		close(fds[1]);
		while (read(fds[0], &byte, 1) < 0 && errno == EINTR)
			;
		remove_manifests(room);
		_exit(rmdir(room->cgroup) ? 1 : 0);
	}
	close(fds[0]);
	room->guard = fds[1];
	return 0;
}

static int open_notify(struct room *room, struct fl_err *err)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, ROOM "/notify");
	room->notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (room->notify < 0 || bind(room->notify, (struct sockaddr *)&addr, sizeof(addr)))
		return fl_err_set(err, -errno, "%s: %s", addr.sun_path, strerror(errno));
	return 0;
}

/* A directory for the manifests on the file system that `--on` names. */
static int make_manifests(struct room *room, const char *on, struct fl_err *err)
{
	snprintf(room->name, sizeof(room->name), "fairlead-bench-%d", getpid());
	room->on = open(on, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (room->on < 0 || mkdirat(room->on, room->name, 0755))
		return fl_err_set(err, -errno, "%s: %s", on, strerror(errno));
	room->manifests = openat(room->on, room->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (room->manifests < 0)
		return fl_err_set(err, -errno, "%s/%s: %s", on, room->name, strerror(errno));
	return 0;
}

static int open_room(struct room *room, const char *on, struct fl_err *err)
{
	char manifests[32];
	_cleanup_free_ char *root = NULL;
	int rc = fl_mount_find_cgroup2(&root, err);

	/* it may be below what is about to be covered */
	if (!rc && on)
		rc = make_manifests(room, on, err);
	if (rc)
		return rc;
	if (mount("fairlead-bench", ROOM, "tmpfs", 0, "mode=0700"))
		return fl_err_set(err, -errno, "cannot mount a file system: %s", strerror(errno));
	snprintf(room->cgroup, sizeof(room->cgroup), "%.200s/fairlead-bench-%d", root, getpid());
	if (mkdir(ROOM "/manifests", 0755) || mkdir(room->cgroup, 0755))
		return fl_err_set(err, -errno, "cannot make a directory: %s", strerror(errno));
	rc = start_guard(room, err);
	snprintf(manifests, sizeof(manifests), "/proc/self/fd/%d", room->manifests);
	if (!rc && on && mount(manifests, ROOM "/manifests", NULL, MS_BIND, NULL))
		rc = fl_err_set(err, -errno, "%s: cannot be mounted: %s", on, strerror(errno));
	if (!rc)
		rc = open_notify(room, err);
	return rc ? rc
		  : bench_ip(err, "link add up0 type veth peer name up1\n"
				  "link set up0 up\nlink set up1 up\n"
				  "address add 192.0.2.2/24 dev up0\n"
				  "route add default via 192.0.2.1\n");
}

/* A Service and its slice, with one endpoint less when `less`. */
static int write_service(const struct room *room, uint32_t s, bool less, const char *name)
{
	_cleanup_fclose_ FILE *f = fopen(name, "we");
	const uint32_t n = room->endpoints - less;

	if (!f)
		return -errno;
	fprintf(f,
		"apiVersion: v1\nkind: Service\nmetadata: {name: s%u, namespace: bench}\n"
		"spec:\n  clusterIP: 10.%u.%u.%u\n  ports: [{name: http, port: 80, targetPort: "
		"8080}]\n"
		"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
		"metadata:\n  name: s%u-1\n  namespace: bench\n"
		"  labels: {kubernetes.io/service-name: s%u}\n"
		"addressType: IPv4\nports: [{name: http, port: 8080, protocol: TCP}]\nendpoints:\n",
		s, 96 + (s >> 16), s >> 8 & 255, s & 255, s, s);
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t e = s * room->endpoints + i;

		fprintf(f,
			"- {addresses: [100.%u.%u.%u], conditions: {ready: true}, nodeName: n%u}\n",
			64 + (e >> 16), e >> 8 & 255, e & 255, e % 100);
	}
	return ferror(f) ? -EIO : 0;
}

static int write_all(const struct room *room, struct fl_err *err)
{
	char name[64];
	int rc = 0;

	for (uint32_t s = 0; s < room->services && !rc; s++) {
		snprintf(name, sizeof(name), ROOM "/manifests/s%u.yaml", s);
		rc = write_service(room, s, false, name);
	}
	return rc ? fl_err_set(err, rc, "cannot write manifests: %s", strerror(-rc)) : 0;
}

static void exec_agent(const struct room *room)
{
	const int log = open("/dev/null", O_WRONLY);
	char agent[32];

	snprintf(agent, sizeof(agent), "/proc/self/fd/%d", room->agent);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	setenv("NOTIFY_SOCKET", ROOM "/notify", 1);
	if (!getenv("FAIRLEAD_BENCH_LOG")) {
		dup2(log, 1);
		dup2(log, 2);
	}
	execl(agent, "fairleadd", "--manifests", ROOM "/manifests", "--socket", ROOM "/agent.sock",
	      "--cgroup", room->cgroup, "--node", "bench", "--devices", "up0", "--cluster-cidr",
	      "100.64.0.0/10", "--healthz-bind-address", "none", "--metrics-bind-address", "none",
	      "--state-dir", "none", (char *)NULL);
	_exit(127);
}

/* Start an agent; *ret_ns: until it says that it is ready. */
static int start(struct room *room, uint64_t *ret_ns, struct fl_err *err)
{
	const uint64_t before = bench_now_ns();
	struct pollfd fd = {.fd = room->notify, .events = POLLIN};
	char text[256];
	ssize_t len;

	room->pid = fork();
	if (!room->pid)
		exec_agent(room);
	if (room->pid < 0)
		return fl_err_set(err, -errno, "cannot fork: %s", strerror(errno));
	for (;;) {
		if (poll(&fd, 1, 100) == 1) {
			len = recv(room->notify, text, sizeof(text) - 1, 0);
			text[len > 0 ? len : 0] = '\0';
			if (strstr(text, "READY=1"))
				break;
		}
		if (waitpid(room->pid, NULL, WNOHANG) == room->pid) {
			room->pid = 0;
			return fl_err_set(err, -ECHILD, "the agent has ended");
		}
		if (bench_now_ns() - before > READY_MS * 1000000ULL)
			return fl_err_set(err, -ETIME, "the agent does not become ready");
	}
	*ret_ns = bench_now_ns() - before;
	return 0;
}

/* Processor time of the agent's main thread. */
static uint64_t cpu_ns(const struct room *room)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long ns = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", room->pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%llu", &ns) != 1)
		return 0;
	return ns;
}

/* The same of all its threads, those that have ended too, in ticks of the kernel's accounting:
 * unlike the time that has passed, other processes hardly change it. */
static uint64_t all_cpu_ns(const struct room *room)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long user = 0, system = 0;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/stat", room->pid);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
			 &user, &system) != 2)
		return 0;
	return (user + system) * (1000000000ULL / (uint64_t)sysconf(_SC_CLK_TCK));
}

static uint64_t status_kib(const struct room *room, const char *key)
{
	_cleanup_fclose_ FILE *f = NULL;
	unsigned long long kib = 0;
	char line[128];

	snprintf(line, sizeof(line), "/proc/%d/status", room->pid);
	f = fopen(line, "re");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, key, strlen(key)) &&
		    sscanf(line + strlen(key), ": %llu", &kib) == 1)
			break;
	return kib;
}

static int open_map(const char *dir, const char *name, size_t size, bool writable,
		    void **ret_memory, struct fl_err *err)
{
	_cleanup_close_ int fd = -1;
	char path[300];

	snprintf(path, sizeof(path), "%s/maps/%s", dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		return fl_err_set(err, -errno, "%s: %s", path, strerror(errno));
	*ret_memory = mmap(NULL, size, PROT_READ | (writable ? PROT_WRITE : 0), MAP_SHARED, fd, 0);
	if (*ret_memory == MAP_FAILED)
		return fl_err_set(err, -errno, "cannot map %s: %s", path, strerror(errno));
	return 0;
}

/* Established flows, as the datapath would leave them, in the first buckets of the table. */
static int add_flows(const struct room *room, uint32_t flows, struct fl_err *err)
{
	const size_t size = (size_t)flows * 2 * sizeof(struct fl_flow4);
	struct fl_flow4 *entries;
	void *memory;
	int rc = open_map(FL_DP_DEFAULT_DIR, "flows4", size, true, &memory, err);

	if (rc)
		return rc;
	entries = memory;
	for (uint32_t i = 0; i < flows * 2; i++) {
		/* the other direction is half of them away, so that it is on another line */
		const uint32_t twin = i < flows ? i + flows : i - flows;
		struct fl_flow_head *head = &entries[i].head;

		entries[i].key = (struct fl_tuple4){htonl(0x0a000000 + i), htonl(0x0a600001),
						    htons(40000), htons(80)};
		head->twin = twin;
		head->twin_generation = 1;
		head->proto = IPPROTO_TCP;
		head->flags = i < flows ? 0 : FL_FLOW_IS_REPLY;
		head->last_seen = (uint32_t)room->meta->now_jiffies;
		__atomic_store_n(&head->word, fl_flow_word(1, FL_FLOW_ESTABLISHED),
				 __ATOMIC_SEQ_CST);
	}
	munmap(memory, size);
	return 0;
}

static int idle(const struct room *room, uint32_t flows, uint64_t seconds, uint64_t settle_s,
		struct fl_err *err)
{
	uint64_t before, cpu;
	int rc = flows ? add_flows(room, flows, err) : 0;

	if (rc || !seconds)
		return rc;
	poll(NULL, 0, (int)settle_s * 1000);
	before = bench_now_ns();
	cpu = cpu_ns(room);
	poll(NULL, 0, (int)seconds * 1000);
	cpu = cpu_ns(room) - cpu;
	before = bench_now_ns() - before;
	printf("{\"row\":10,\"contender\":\"fairlead\",\"services\":%u,\"flows\":%u,"
	       "\"idle_permille\":%.3f,\"anon_kib\":%llu,\"peak_kib\":%llu}\n",
	       room->services, flows, 1000.0 * (double)cpu / (double)before,
	       (unsigned long long)status_kib(room, "RssAnon"),
	       (unsigned long long)status_kib(room, "VmHWM"));
	return 0;
}

static uint64_t revision(const struct room *room)
{
	return __atomic_load_n(&room->meta->revision, __ATOMIC_ACQUIRE);
}

/* *ret_ns: from the rename on until the change is in force; *ret_rename_ns: what of that the rename
 * itself took, in which some file systems write what was in no block yet. */
static int change(const struct room *room, uint32_t s, bool less, uint64_t *ret_ns,
		  uint64_t *ret_rename_ns, struct fl_err *err)
{
	char name[64];
	const char *hidden = ROOM "/manifests/.new";
	const uint64_t old = revision(room);
	uint64_t before;
	int rc;

	snprintf(name, sizeof(name), ROOM "/manifests/s%u.yaml", s);
	rc = write_service(room, s, less, hidden);
	if (rc)
		return fl_err_set(err, rc, "%s: %s", hidden, strerror(-rc));
	before = bench_now_ns();
	if (rename(hidden, name))
		return fl_err_set(err, -errno, "%s: %s", name, strerror(errno));
	*ret_rename_ns = bench_now_ns() - before;
	/* asleep in between: who turns in a loop keeps the agent from this processor */
	while (revision(room) == old) {
		if (bench_now_ns() - before > CHANGE_MS * 1000000ULL)
			return fl_err_set(err, -ETIME, "a change of %s shows nowhere", name);
		nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	}
	*ret_ns = bench_now_ns() - before;
	return 0;
}

/* Scattered Services, each of them twice in a row: less one endpoint, and back. */
static int changes(const struct room *room, uint64_t n, uint64_t rate, uint64_t round,
		   struct fl_err *err)
{
	const uint64_t begin = bench_now_ns(), cpu = cpu_ns(room);
	int rc = 0;

	/* the agent runs already and does not inherit it */
	prctl(PR_SET_TIMERSLACK, 1000);
	for (uint64_t i = 0; i < n && !rc; i++) {
		const uint32_t s =
			(uint32_t)(bench_next(i / 2 + round * n, 1ULL << 32) % room->services);
		const uint64_t due = begin + i * 1000000000ULL / rate;
		uint64_t now = bench_now_ns(), ns = 0, rename_ns = 0;

		if (now < due)
			poll(NULL, 0, (int)((due - now) / 1000000));
		rc = change(room, s, !(i % 2), &ns, &rename_ns, err);
		if (!rc)
			printf("{\"row\":11,\"contender\":\"fairlead\",\"services\":%u,\"ns\":%llu,"
			       "\"rename_ns\":%llu}\n",
			       room->services, (unsigned long long)ns,
			       (unsigned long long)rename_ns);
	}
	if (!rc && n)
		printf("{\"row\":11,\"contender\":\"fairlead\",\"services\":%u,\"cpu_ns\":%llu,"
		       "\"rate\":%.1f}\n",
		       room->services, (unsigned long long)((cpu_ns(room) - cpu) / n),
		       (double)n * 1e9 / (double)(bench_now_ns() - begin));
	return rc;
}

int bench_agent(int argc, char **argv, struct fl_err *err)
{
	_cleanup_(room_fini) struct room room = {
		.notify = -1,
		.agent = -1,
		.guard = -1,
		.on = -1,
		.manifests = -1,
		.services = (uint32_t)bench_option(argc, argv, "--services", 10000),
		.endpoints = (uint32_t)bench_option(argc, argv, "--endpoints", 10),
	};
	const uint64_t restarts = bench_option(argc, argv, "--restarts", 3),
		       n = bench_option(argc, argv, "--changes", 0),
		       seconds = bench_option(argc, argv, "--idle", 0),
		       settle_s = bench_option(argc, argv, "--settle", 25);
	const uint32_t flows = (uint32_t)bench_option(argc, argv, "--flows", 0);
	_cleanup_close_ int netns = -1;
	void *memory;
	uint64_t ns = 0;
	const char *agent = bench_option_text(argc, argv, "--agent", "build/std/fairleadd");
	int rc = bench_world_enter(err);

	/* it may be below what is about to be covered; the agent inherits it */
	if (!rc && (room.agent = open(agent, O_PATH)) < 0)
		rc = fl_err_set(err, -errno, "%s: %s", agent, strerror(errno));
	if (!rc)
		rc = bench_netns_new(&netns, err);
	if (!rc)
		rc = open_room(&room, bench_option_text(argc, argv, "--on", NULL), err);
	if (!rc)
		rc = write_all(&room, err);
	for (uint64_t i = 0; i <= restarts && !rc; i++) {
		stop(&room);
		rc = start(&room, &ns, err);
		if (!rc)
			printf("{\"row\":12,\"contender\":\"fairlead\",\"services\":%u,"
			       "\"restart\":%s,\"ns\":%llu,\"cpu_ns\":%llu}\n",
			       room.services, i ? "true" : "false", (unsigned long long)ns,
			       (unsigned long long)all_cpu_ns(&room));
	}
	if (!rc)
		rc = open_map(FL_DP_DEFAULT_DIR, "meta", 4096, false, &memory, err);
	if (rc)
		return rc;
	room.meta = memory;
	rc = changes(&room, n, bench_option(argc, argv, "--rate", 20),
		     bench_option(argc, argv, "--round", 0), err);
	if (!rc)
		rc = idle(&room, 0, seconds, settle_s, err);
	if (!rc && flows)
		rc = idle(&room, flows, seconds, settle_s, err);
	return rc;
}
