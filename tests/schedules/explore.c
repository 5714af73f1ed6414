// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * All schedules with at most so many deviations, depth first: a schedule is run again from the
 * beginning with the choices of the one before, but the last that could be another is. Bounded by
 * deviations rather than by length, since mistakes show with few of them (Musuvathi, Qadeer:
 * "Iterative Context Bounding", 2007). After these, some with more deviations, at random.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "tests/schedules/schedules.h"

#define STACK (256 * 1024)
#define CHOICES 65536

struct choice {
	uint8_t n, taken, cost; /* cost: of what is not 0 */
};

static struct {
	const struct exploration *e;
	ucontext_t home, at[PROCESSORS];
	char *stack[PROCESSORS];
	bool over[PROCESSORS];
	int now;
	uint64_t step;
	struct choice choice[CHOICES];
	unsigned int n, replay; /* choices there are; those that are given */
	unsigned int left;	/* deviations */
	bool failed;
	/* at random: what comes next, how many deviations are wanted, of how many choices */
	uint64_t random;
	unsigned int wanted, usual;
} x = {.now = -1};

static unsigned int random_below(unsigned int n)
{
	x.random ^= x.random << 13;
	x.random ^= x.random >> 7;
	x.random ^= x.random << 17;
	return (unsigned int)((x.random >> 20) % n);
}

static unsigned int guess(unsigned int n, unsigned int cost)
{
	if (!cost)
		return random_below(n);
	return random_below(x.usual + 1) < x.wanted ? 1 + random_below(n - 1) : 0;
}

static unsigned int take(unsigned int n, unsigned int cost)
{
	struct choice *c = &x.choice[x.n];

	if (x.failed || n < 2)
		return 0;
	if (x.n < x.replay) {
		assert(c->n == n && c->cost == cost);
	} else {
		if (cost > x.left)
			return 0;
		assert(x.n < CHOICES);
		*c = (struct choice){(uint8_t)n, 0, (uint8_t)cost};
		if (x.random)
			c->taken = (uint8_t)guess(n, cost);
	}
	x.n++;
	if (c->taken)
		x.left -= cost;
	return c->taken;
}

unsigned int choose(unsigned int n)
{
	return x.now >= 0 && x.left ? take(n, 1) : 0;
}

static unsigned int others(int but, int list[PROCESSORS])
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < x.e->n_processors; i++)
		if ((int)i != but && !x.over[i])
			list[n++] = (int)i;
	return n;
}

void may_change(void)
{
	int list[PROCESSORS], from = x.now;
	unsigned int n, i;

	x.step++;
	if (x.now < 0 || !x.left)
		return;
	n = others(x.now, list);
	i = take(n + 1, 1);
	if (!i)
		return;
	x.now = list[i - 1];
	swapcontext(&x.at[from], &x.at[x.now]);
}

static void begin_processor(int n)
{
	x.e->processor((unsigned int)n, x.e->arg);
	x.over[n] = true;
	x.now = -1;
	setcontext(&x.home);
}

static void run_once(void)
{
	int list[PROCESSORS];
	unsigned int n;

	x.n = x.step = 0;
	x.failed = false;
	memset(x.over, 0, sizeof(x.over));
	x.now = -1;
	x.e->begin(x.e->arg);
	for (unsigned int i = 0; i < x.e->n_processors; i++) {
		getcontext(&x.at[i]);
		x.at[i].uc_stack = (stack_t){.ss_sp = x.stack[i], .ss_size = STACK};
		x.at[i].uc_link = NULL;
		makecontext(&x.at[i], (void (*)(void))begin_processor, 1, (int)i);
	}
	/* who goes first, and who when one is done, costs nothing */
	while ((n = others(-1, list))) {
		x.now = list[take(n, 0)];
		swapcontext(&x.home, &x.at[x.now]);
	}
	x.now = -1;
}

/* The next one: false when there is none. */
static bool advance(unsigned int deviations)
{
	while (x.n) {
		struct choice *c = &x.choice[x.n - 1];
		unsigned int used = 0;

		for (unsigned int i = 0; i + 1 < x.n; i++)
			used += x.choice[i].taken ? x.choice[i].cost : 0;
		if (c->taken + 1U < c->n && used + c->cost <= deviations) {
			c->taken++;
			x.replay = x.n;
			return true;
		}
		x.n--;
	}
	return false;
}

/* All schedules with so many deviations, or as many as may be: false if one was wrong. */
static bool pass(unsigned int deviations, uint64_t most, uint64_t *ret_schedules)
{
	uint64_t schedules = 0;

	x.replay = 0;
	do {
		x.left = deviations;
		run_once();
		*ret_schedules = ++schedules;
		if (!x.e->end(x.e->arg))
			return false;
	} while (schedules < most && advance(deviations));
	return true;
}

static bool at_random(unsigned int deviations, uint64_t schedules)
{
	bool right = true;

	x.replay = 0;
	x.random = 88172645463325252ULL;
	x.wanted = deviations;
	for (uint64_t i = 0; i < schedules && right; i++) {
		x.left = deviations;
		run_once();
		x.usual = x.n > 100 ? x.n : 100;
		right = x.e->end(x.e->arg);
		memory_learn();
	}
	x.random = 0;
	return right;
}

bool explore(const struct exploration *e, const struct schedule_limits *limits,
	     uint64_t *ret_schedules)
{
	bool right = true;

	x.e = e;
	for (unsigned int i = 0; i < PROCESSORS; i++)
		if (!x.stack[i])
			x.stack[i] = malloc(STACK);
	memory_forget();
	/* with few first, which shows what processors share */
	for (unsigned int d = 0; d <= limits->deviations && right; d++)
		do
			right = pass(d, limits->schedules, ret_schedules);
		while (right && memory_learn());
	return right && at_random(limits->random_deviations, limits->random);
}

int processor_now(void)
{
	return x.now;
}

uint64_t step_now(void)
{
	return x.step;
}

void schedule_fail(void)
{
	x.failed = true;
}

void schedule_print(void)
{
	printf("#   schedule:");
	for (unsigned int i = 0; i < x.n; i++)
		if (x.choice[i].taken)
			printf(" %u:%u", i, x.choice[i].taken);
	printf("\n");
}
