// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Differential fuzzing of the datapath against the model, by several processes that share the
 * packets: each has a datapath, a network and a processor of its own, and the seed after that of
 * the one before.
 *
 *   fuzz [--seed N] [--packets N | --forever] [--episodes N] [--jobs N] [--brief]
 *   fuzz --seed N --scenario M --episode E [--steps 3,7,12]    one episode again, packet by packet
 */
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/model/fuzz.h"

#define ALL_STEPS ((1ULL << STEPS) - 1)
#define STALL_S 0.25 /* the model's edges leave 0.3 */
#define STALLS 5     /* what differs after as many is told */

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	(void)signal;
	stopped = 1;
}

struct options {
	uint64_t seed, packets, scenario, episode, steps, episodes;
	bool one, forever, brief;
	int max_found, jobs;
};

static uint64_t scenario_seed(uint64_t seed, uint64_t number)
{
	struct rng r = rng_of(seed, number);

	return r.state;
}

static uint64_t steps_parse(const char *text)
{
	uint64_t steps = 0;
	char *end;

	while (*text) {
		unsigned long n = strtoul(text, &end, 10);

		if (end == text || n >= STEPS)
			return ALL_STEPS;
		steps |= 1ULL << n;
		text = *end ? end + 1 : end;
	}
	return steps;
}

/* Leave out what the difference does not need. */
static uint64_t shrink(struct scenario *s, uint64_t episode, uint64_t steps)
{
	struct totals none = {0};
	struct found found;
	bool less = true;

	while (less) {
		less = false;
		for (int i = STEPS - 1; i >= 0; i--) {
			const uint64_t without = steps & ~(1ULL << i);

			if (without == steps)
				continue;
			episode_run(s, episode, without, NULL, true, &none, &found);
			if (found.differs) {
				steps = without;
				less = true;
			}
		}
	}
	return steps;
}

/* False: it does not come again. */
static bool report(struct scenario *s, const struct options *o, uint64_t scenario, uint64_t episode,
		   const struct found *first)
{
	struct totals none = {0};
	struct found found;
	uint64_t steps;
	const char *comma = "";

	episode_run(s, episode, ALL_STEPS, NULL, true, &none, &found);
	if (!found.differs) {
		printf("# scenario %" PRIu64 " episode %" PRIu64
		       ": a difference that does not come again\n%s\n",
		       scenario, episode, first->text);
		return false;
	}
	if (o->brief) {
		printf("%s\n", first->text);
		return true;
	}
	steps = shrink(s, episode, ALL_STEPS);
	printf("difference: --seed %" PRIu64 " --scenario %" PRIu64 " --episode %" PRIu64
	       " --steps ",
	       o->seed, scenario, episode);
	for (int i = 0; i < STEPS; i++) {
		if (!(steps >> i & 1))
			continue;
		printf("%s%d", comma, i);
		comma = ",";
	}
	printf("\n");
	scenario_print(s, stdout);
	episode_run(s, episode, steps, stdout, true, &none, &found);
	printf("%s\n\n", found.text);
	fflush(stdout);
	return true;
}

/* 5.1.1: every backend of a list gets its share. */
static bool check_shares(const struct scenario *s)
{
	for (int i = 0; i < s->model.n_ports; i++) {
		const struct model_port *p = &s->model.port[i];
		uint64_t sum = 0;

		if (p->affinity || p->n_endpoints < 2)
			continue;
		for (int j = 0; j < p->n_endpoints; j++)
			sum += s->picks[i][j];
		for (int j = 0; j < p->n_endpoints && sum > 400; j++) {
			if (!p->endpoint[j].ready || s->picks[i][j])
				continue;
			/* no client reached it: only a Local policy may keep it apart */
			if (!p->endpoint[j].on_node && (p->internal_local || p->external_local))
				continue;
			if (s->world->base[0].way(s->world, &p->endpoint[j].ip).none)
				continue;
			printf("difference: scenario seed %" PRIu64 ": no flow of %" PRIu64
			       " went to endpoint %d of port %d\n",
			       s->seed, sum, j, i);
			return false;
		}
	}
	return true;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/*
 * Run an episode. The model's clock stands still but where it says that time passes, so what
 * differs in one during which the machine was busy with something else is no difference; then it is
 * run once more.
 */
static void run_in_time(struct scenario *s, uint64_t episode, struct totals *totals,
			struct found *ret_found)
{
	for (int i = 0; i < STALLS; i++) {
		const uint64_t packets = totals->packets;
		const double begin = now_s();

		episode_run(s, episode, ALL_STEPS, NULL, episode % 8 == 0, totals, ret_found);
		if (!ret_found->differs || now_s() - begin < STALL_S)
			return;
		totals->packets = packets; /* those of the next time count */
		totals->stalls++;
	}
}

/* Of all processes. */
struct sum {
	uint64_t packets, differences;
};

static int fuzz(struct world *world, const struct options *o, struct sum *sum)
{
	static struct scenario s;
	struct totals totals = {0};
	const double begin = now_s();
	int differences = 0;
	uint64_t scenario;

	for (scenario = 0;
	     !stopped && (o->forever || totals.packets < o->packets) && differences < o->max_found;
	     scenario++) {
		scenario_begin(&s, world, scenario_seed(o->seed, scenario));
		for (uint64_t e = 0;
		     e < o->episodes && !stopped && differences < o->max_found && s.model.n_ports;
		     e++) {
			struct found found;

			run_in_time(&s, e, &totals, &found);
			if (found.differs) {
				/* for a program: not what a busy machine has done */
				differences += report(&s, o, scenario, e, &found) || !o->brief;
			}
		}
		differences += !check_shares(&s);
		scenario_end(&s);
	}
	printf("# seed %" PRIu64 ": %" PRIu64 " packets in %" PRIu64 " episodes of %" PRIu64
	       " scenarios, %" PRIu64 " flows, %" PRIu64 " of them unpacked, %" PRIu64
	       " segments passed on, %" PRIu64 " changes of endpoints, %" PRIu64 " waits, %" PRIu64
	       " packets divided; %.1f s, %.2f million packets a second\n",
	       o->seed, totals.packets, totals.episodes, scenario, totals.flows, totals.unpacked,
	       totals.passed_on, totals.changes, totals.waits, totals.divided, now_s() - begin,
	       (double)totals.packets / (now_s() - begin) / 1e6);
	printf("# XDP %" PRIu64 ", tc %" PRIu64 ", pod in %" PRIu64 ", way out %" PRIu64
	       ", pod out %" PRIu64 "; passed %" PRIu64 ", left to tc %" PRIu64 ", sent %" PRIu64
	       ", dropped %" PRIu64 ", answered %" PRIu64 "\n",
	       totals.by_hook[0], totals.by_hook[1], totals.by_hook[2], totals.by_hook[3],
	       totals.by_hook[4], totals.by_verdict[0], totals.by_verdict[1], totals.by_verdict[2],
	       totals.by_verdict[3], totals.by_verdict[4]);
	if (totals.stalls)
		printf("# %" PRIu64 " episodes were run again, since the machine stood still\n",
		       totals.stalls);
	printf("# %d differences\n", differences);
	__atomic_add_fetch(&sum->packets, totals.packets, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&sum->differences, (uint64_t)differences, __ATOMIC_SEQ_CST);
	return differences ? 1 : 0;
}

static int again(struct world *world, const struct options *o)
{
	static struct scenario s;
	struct totals totals = {0};
	struct found found;

	scenario_begin(&s, world, scenario_seed(o->seed, o->scenario));
	scenario_print(&s, stdout);
	episode_run(&s, o->episode, o->steps, stdout, true, &totals, &found);
	printf("%s\n", found.differs ? found.text : "no difference");
	scenario_end(&s);
	return found.differs;
}

/* The n-th of the processors that this process may run on. */
static void take_processor(int n)
{
	cpu_set_t may, one;
	int cpu = 0;

	if (sched_getaffinity(0, sizeof(may), &may) || !CPU_COUNT(&may))
		return;
	for (n %= CPU_COUNT(&may); n || !CPU_ISSET(cpu, &may); cpu++)
		n -= CPU_ISSET(cpu, &may) != 0;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

static int work(const struct options *o, struct sum *sum)
{
	static struct world world;
	struct fl_err err;
	int r;

	if (world_open(&world, &err)) {
		fprintf(stderr, "fuzz: %s\n", err.text);
		return 1;
	}
	r = o->one ? again(&world, o) : fuzz(&world, o, sum);
	world_close(&world);
	return r;
}

/* The first process is one of them, and waits for the others. */
static int share(struct options o, struct sum *sum)
{
	int failed = 0, status, n;

	o.packets = (o.packets + (uint64_t)o.jobs - 1) / (uint64_t)o.jobs;
	for (n = 1; n < o.jobs; n++) {
		const pid_t pid = fork();

		if (pid < 0)
			return 1;
		if (pid)
			continue;
		take_processor(n);
		o.seed += (uint64_t)n;
		exit(work(&o, sum));
	}
	take_processor(0);
	failed = work(&o, sum);
	while (--n > 0)
		failed |= wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status);
	return failed;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {{"seed", required_argument, NULL, 's'},
					      {"packets", required_argument, NULL, 'p'},
					      {"forever", no_argument, NULL, 'f'},
					      {"episodes", required_argument, NULL, 'n'},
					      {"scenario", required_argument, NULL, 'c'},
					      {"episode", required_argument, NULL, 'e'},
					      {"steps", required_argument, NULL, 't'},
					      {"max", required_argument, NULL, 'm'},
					      {"jobs", required_argument, NULL, 'j'},
					      {"brief", no_argument, NULL, 'b'},
					      {NULL, 0, NULL, 0}};
	struct options o = {.seed = 1,
			    .packets = 1000000,
			    .steps = ALL_STEPS,
			    .episodes = 400,
			    .max_found = 1,
			    .jobs = 1};
	struct sum *sum;
	int c, failed;

	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (c) {
		case 's':
			o.seed = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			o.packets = strtoull(optarg, NULL, 0);
			break;
		case 'f':
			o.forever = true;
			break;
		case 'n':
			o.episodes = strtoull(optarg, NULL, 0);
			break;
		case 'c':
			o.scenario = strtoull(optarg, NULL, 0);
			o.one = true;
			break;
		case 'e':
			o.episode = strtoull(optarg, NULL, 0);
			o.one = true;
			break;
		case 't':
			o.steps = steps_parse(optarg);
			break;
		case 'm':
			o.max_found = atoi(optarg);
			break;
		case 'b':
			o.brief = true;
			break;
		case 'j':
			o.jobs = atoi(optarg);
			break;
		default:
			return 2;
		}
	}
	if (geteuid()) {
		fprintf(stderr, "fuzz: needs root\n");
		return 2;
	}
	signal(SIGINT, stop);
	signal(SIGTERM, stop);
	sum = mmap(NULL, sizeof(*sum), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sum == MAP_FAILED) {
		perror("fuzz: mmap");
		return 1;
	}
	failed = o.one || o.jobs < 2 ? work(&o, sum) : share(o, sum);
	if (!o.one)
		printf("%" PRIu64 " packets compared, %" PRIu64 " differences%s\n", sum->packets,
		       sum->differences,
		       failed && !sum->differences ? ", and a process failed" : "");
	munmap(sum, sizeof(*sum));
	return failed;
}
