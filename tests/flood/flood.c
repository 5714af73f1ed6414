// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The driver of a flood: `flood NETNS DEVICE DST-MAC SRC-MAC POD-NETNS...` sends live frames out of
 * a device of a network namespace, from one thread, and lets pods answer them at their eth0.
 *
 * Commands on stdin, a line each; every one is answered by a line of JSON:
 *	target FAMILY ADDRESS PORT	one of the attacked frontends
 *	flow FAMILY SOURCE PORT DESTINATION PORT	somebody's flow, for forged segments
 *	start KIND RATE		packets a second at most
 *	rate RATE
 *	look			what was sent and answered so far
 *	stop
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/flood/flood.h"

#include "flood.skel.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define TICK_MS 5
#define BURST 128  /* at once: half of what a veth has room for */
#define SLOWER 0.8 /* when it had no room */
#define TICKS 1024 /* that are remembered */

struct kind {
	const char *name;
	uint8_t proto;
	uint8_t flags[FLOOD_FLAGS], n_flags; /* of the first packet */
	bool second;
	uint8_t second_flags;
	uint32_t lag_ms; /* of the second */
	uint8_t share;	 /* of 256 packets onto flows of others */
};

#define FIRST(...) .flags = {__VA_ARGS__}, .n_flags = sizeof((uint8_t[]){__VA_ARGS__})
#define SECOND(flags_, lag) .second = true, .second_flags = flags_, .lag_ms = lag

static const struct kind kinds[] = {
	{.name = "syn", .proto = IPPROTO_TCP, FIRST(SYN)},
	{.name = "double-syn", .proto = IPPROTO_TCP, FIRST(SYN), SECOND(SYN, 100)},
	{.name = "blind-ack", .proto = IPPROTO_TCP, FIRST(SYN), SECOND(ACK, 100)},
	{.name = "datagrams", .proto = IPPROTO_UDP, FIRST(0), SECOND(0, 100)},
	{.name = "late-datagrams", .proto = IPPROTO_UDP, FIRST(0), SECOND(0, 2500)},
	{.name = "stray",
	 .proto = IPPROTO_TCP,
	 FIRST(RST, FIN | ACK, SYN | ACK, ACK, 0, FIN | SYN | RST | PSH | ACK | URG),
	 .share = 64},
	{.name = "forged",
	 .proto = IPPROTO_TCP,
	 FIRST(RST, RST | ACK, FIN | ACK, SYN, FIN | ACK),
	 .share = 255},
};

struct family {
	struct flood_tuple targets[FLOOD_TARGETS], flows[FLOOD_FLOWS];
	uint32_t n_targets, n_flows;
	struct flood_job job;
	uint64_t begun[TICKS]; /* job.first at each of the last ticks */
};

struct flood {
	struct flood_bpf *bpf;
	int netns;
	struct family family[2]; /* IPv4, IPv6 */
	const struct kind *kind; /* NULL: none is on its way */
	double rate, due;
	uint64_t tick, last_ns, failed;
};

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		die(path);
	close(fd);
}

/*
 * The kernel calls XDP programs by a table, which each run of a program that is not attached
 * anywhere changes, twice, and waits for all processors: that took 50 ms on a busy machine. So the
 * generator is attached, where no packet ever comes: in a namespace of its own, which ends with the
 * process.
 */
static void attach_nowhere(struct flood *f)
{
	if (unshare(CLONE_NEWNET) || open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC) < 0 ||
	    bpf_xdp_attach((int)if_nametoindex("lo"), bpf_program__fd(f->bpf->progs.flood_send),
			   XDP_FLAGS_SKB_MODE, NULL))
		die("cannot attach the generator");
}

static void parse_mac(const char *text, uint8_t mac[6])
{
	if (sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &mac[0], &mac[1], &mac[2], &mac[3],
		   &mac[4], &mac[5]) != 6) {
		errno = EINVAL;
		die(text);
	}
}

/* Packets of one family. */
static void send_some(struct flood *f, unsigned int v6, uint32_t n)
{
	static const uint8_t in[128];
	struct family *family = &f->family[v6];
	const uint32_t l4 = f->kind->proto == IPPROTO_TCP ? 20 : 8 + FLOOD_PAYLOAD;
	/* the program looks at as many bytes as TCP needs, whatever it writes */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in,
		    .data_size_in = 14 + (v6 ? 40 : 20) + (l4 < 20 ? 20 : l4), .repeat = n,
		    .batch_size = 64, .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	family->job.n_targets = family->n_targets;
	family->job.n_flows = family->n_flows;
	if (f->kind->second) {
		uint64_t lag = f->kind->lag_ms / TICK_MS;

		family->job.second_end = f->tick > lag ? family->begun[(f->tick - lag) % TICKS] : 0;
	}
	memcpy(f->bpf->data_targets->targets, family->targets, sizeof(family->targets));
	memcpy(f->bpf->data_flows->flows, family->flows,
	       family->n_flows * sizeof(family->flows[0]));
	f->bpf->data_job->job = family->job;
	if (bpf_prog_test_run_opts(bpf_program__fd(f->bpf->progs.flood_send), &opts))
		f->failed++;
	family->job = f->bpf->data_job->job;
	family->begun[f->tick % TICKS] = family->job.first;
}

/* What is due since the last tick; what a busy machine has no time for is not made up for, and what
 * it drops comes more slowly from then on. */
static void tick(struct flood *f)
{
	uint64_t now = now_ns(), ms = (now - f->last_ns) / 1000000,
		 dropped = f->bpf->data_fate->fate.dropped;
	uint32_t n;

	if (ms < TICK_MS)
		return;
	/* a long pause counts as one tick, but moves what is due by its length */
	for (uint64_t i = 0; i < ms / TICK_MS && i < TICKS; i++) {
		f->tick++;
		for (int v6 = 0; v6 < 2; v6++)
			f->family[v6].begun[f->tick % TICKS] = f->family[v6].job.first;
	}
	f->last_ns = now;
	f->due += f->rate * (ms < 4 * TICK_MS ? ms : 4 * TICK_MS) / 1000;
	n = f->due;
	f->due -= n;
	while (n) {
		uint32_t burst = n < BURST ? n : BURST;

		n -= burst;
		for (unsigned int v6 = 0; v6 < 2; v6++) {
			bool other = f->family[!v6].n_targets, this = f->family[v6].n_targets;
			uint32_t share = !this ? 0 : !other ? burst : burst / 2;

			if (share)
				send_some(f, v6, share);
		}
		/* whoever receives them may run on this processor */
		sched_yield();
	}
	if (f->bpf->data_fate->fate.dropped != dropped)
		f->rate *= SLOWER;
}

static void start(struct flood *f, const char *name, double rate)
{
	f->kind = NULL;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(kinds[i].name, name))
			f->kind = &kinds[i];
	if (!f->kind) {
		errno = EINVAL;
		die(name);
	}
	for (int v6 = 0; v6 < 2; v6++) {
		struct flood_job *job = &f->family[v6].job;

		job->v6 = v6;
		job->seed = now_ns();
		job->proto = f->kind->proto;
		job->second_flags = f->kind->second_flags;
		job->share = f->kind->share;
		for (int i = 0; i < FLOOD_FLAGS; i++)
			job->flags[i] = f->kind->flags[i % f->kind->n_flags];
		job->second = job->second_end = job->first;
		for (int i = 0; i < TICKS; i++)
			f->family[v6].begun[i] = job->first;
	}
	f->rate = rate;
	f->due = 0;
	f->last_ns = now_ns();
}

static bool add_flow(struct flood *f, const char *line)
{
	char source[64], destination[64];
	unsigned int family, sport, dport;
	struct flood_tuple *t;
	int af;

	if (sscanf(line, "flow %u %63s %u %63s %u", &family, source, &sport, destination, &dport) !=
	    5)
		return false;
	if (f->family[family == 6].n_flows == FLOOD_FLOWS)
		return false;
	t = &f->family[family == 6].flows[f->family[family == 6].n_flows++];
	t->sport = htons(sport);
	t->dport = htons(dport);
	af = family == 6 ? AF_INET6 : AF_INET;
	return inet_pton(af, source, t->saddr) == 1 && inet_pton(af, destination, t->daddr) == 1;
}

static bool add_target(struct flood *f, const char *line)
{
	char address[64];
	unsigned int family, port;
	struct flood_tuple *t;

	if (sscanf(line, "target %u %63s %u", &family, address, &port) != 3)
		return false;
	if (f->family[family == 6].n_targets == FLOOD_TARGETS)
		return false;
	t = &f->family[family == 6].targets[f->family[family == 6].n_targets++];
	t->dport = htons(port);
	return inet_pton(family == 6 ? AF_INET6 : AF_INET, address, t->daddr) == 1;
}

static void command(struct flood *f, const char *line)
{
	char word[32];
	double rate;
	bool good = true;

	if (sscanf(line, "start %31s %lf", word, &rate) == 2)
		start(f, word, rate);
	else if (sscanf(line, "rate %lf", &rate) == 1)
		f->rate = rate;
	else if (!strncmp(line, "stop", 4))
		f->kind = NULL;
	else if (strncmp(line, "look", 4))
		good = add_target(f, line) || add_flow(f, line);
	printf("{\"good\":%s,\"sent\":%llu,\"dropped\":%llu,\"answered\":%llu,\"failed\":%llu,"
	       "\"rate\":%.0f}\n",
	       good ? "true" : "false", (unsigned long long)f->bpf->data_fate->fate.sent,
	       (unsigned long long)f->bpf->data_fate->fate.dropped,
	       (unsigned long long)f->bpf->data_answered->answered, (unsigned long long)f->failed,
	       f->rate);
	fflush(stdout);
}

static void attach_answers(struct flood *f, char *const *netns)
{
	for (; *netns; netns++) {
		enter(*netns);
		if (bpf_xdp_attach((int)if_nametoindex("eth0"),
				   bpf_program__fd(f->bpf->progs.flood_answer), XDP_FLAGS_DRV_MODE,
				   NULL))
			die(*netns);
	}
}

int main(int argc, char **argv)
{
	static struct flood f;
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char line[256];

	if (argc < 5) {
		fprintf(stderr, "usage: flood NETNS DEVICE DST-MAC SRC-MAC POD-NETNS...\n");
		return 2;
	}
	f.bpf = flood_bpf__open_and_load();
	if (!f.bpf)
		die("cannot load the generator");
	f.bpf->data_fate->fate.pid = (uint32_t)getpid();
	f.bpf->links.flood_sent = bpf_program__attach(f.bpf->progs.flood_sent);
	if (!f.bpf->links.flood_sent)
		die("cannot count what is sent");
	attach_nowhere(&f);
	attach_answers(&f, argv + 5);
	enter(argv[1]);
	for (int v6 = 0; v6 < 2; v6++) {
		f.family[v6].job.device = if_nametoindex(argv[2]);
		if (!f.family[v6].job.device)
			die(argv[2]);
		parse_mac(argv[3], f.family[v6].job.dst_mac);
		parse_mac(argv[4], f.family[v6].job.src_mac);
	}
	setvbuf(stdin, NULL, _IONBF, 0);
	for (;;) {
		int n = poll(&in, 1, f.kind ? 1 : -1);

		if (n < 0 && errno != EINTR)
			die("poll");
		if (n > 0) {
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			command(&f, line);
		}
		if (f.kind)
			tick(&f);
	}
}
