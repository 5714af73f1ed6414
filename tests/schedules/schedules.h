/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table's protocol under every small schedule. The datapath's own source and the agent's
 * own sweeper are compiled for this machine with -fsanitize=thread, which calls a function before
 * each access to memory. Those functions are ours: *processors* are coroutines that change places
 * there, and what a load reads may be chosen from what a weakly ordered machine could show it. A
 * schedule is the list of what was chosen; all schedules with few deviations from the usual one are
 * run, one after the other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROCESSORS 3
#define BUCKETS 4 /* at most: what a situation needs */
#define WAYS 4

/* IPv4 addresses, host byte order; those of IPv6 differ in their last 32 bits only. */
struct tuple {
	uint32_t src, dst;
	uint16_t sport, dport;
};

static inline bool tuple_equal(const struct tuple *a, const struct tuple *b)
{
	return a->src == b->src && a->dst == b->dst && a->sport == b->sport && a->dport == b->dport;
}

static inline struct tuple tuple_reverse(const struct tuple *t)
{
	return (struct tuple){t->dst, t->src, t->dport, t->sport};
}

enum { F_FIN = 1, F_SYN = 2, F_RST = 4, F_ACK = 16 };

struct packet {
	struct tuple t;
	uint8_t proto, flags;
	uint32_t seq, ack;
	uint32_t backend;  /* where a new flow goes; 0: to none */
	bool keeps_source; /* and it is not masqueraded */
};

/* What became of it. */
struct outcome {
	bool translated;
	struct tuple to;
	uint32_t device; /* 0: none, it is for the stack */
};

/* What an entry holds. */
struct content {
	struct tuple key, rewrite;
	uint8_t proto, flags;
	uint32_t twin;
	uint16_t twin_generation;
};

#define TICKS_PER_SECOND 1000U

/* processor.c, sweeper.c: the datapath and the agent. Those that end in _run are instrumented. */
void processor_init(void);
/* The table of the situations that follow: its family, and how many buckets it has. */
void table_shape(bool v6, uint32_t buckets);
bool table_is_v6(void);
uint32_t table_buckets(void);
unsigned int table_slots(void);
/* The memory that processors share; it begins with the table. */
void processor_memory(void **ret_begin, size_t *ret_size);
void packet_run(unsigned int processor, const struct packet *packet, struct outcome *ret_outcome);
/* The agent's: a pass of the sweeper; the removal of all flows. */
void sweep_run(void);
void flush_run(void);
/* Not instrumented: the entry in a slot, and where its word lies. */
uint32_t *entry_word(unsigned int slot);
bool entry_content(unsigned int slot, struct content *ret_content);
/* It is of this generation, and not even claimed. */
bool is_being_filled(unsigned int slot, uint32_t generation);
void entry_age(unsigned int slot, uint32_t seconds);
void table_clear(void);
void ways_forget(void); /* those that backends' flows share */
void source_ports_set(uint16_t first, uint16_t count);
bool is_reply(const struct content *c);
bool is_live(uint32_t word);
bool is_proven(uint32_t word);
bool is_idle_word(uint32_t word); /* free or live: nobody is at work on it */
uint32_t word_generation(uint32_t word);
uint32_t word_state(uint32_t word);
uint32_t device_of(uint32_t address);
/* How many flows processors have made by fl_new_commit_scanned(). */
uint64_t scanned_flows(void);
void clock_set(uint32_t seconds);
uint32_t clock_now(void);
void timeouts_get(uint32_t *timeout, unsigned int n);

/* memory.c */

enum order {
	ORDER_STRICT, /* what was stored last is loaded */
	ORDER_X86,    /* loads and stores in order, but stores are seen late */
	ORDER_WEAK,   /* as on arm64 */
	ORDERS,
};

void memory_init(void *begin, size_t size);
/* Before a schedule: what is there now is what all see. */
void memory_begin(enum order order);
/* Which processors load and store what is learnt on the way: what one of them has for itself is no
 * place to change. Forget that; go by what was learnt from now on, if there is more: true. */
void memory_forget(void);
bool memory_learn(void);
/* The loads that follow depend on the one before that gave this value. */
void memory_depend(uint64_t value);
void memory_finish(void); /* a processor is done */
void memory_settle(void); /* what is there is what was stored last: for who looks from outside */

/* explore.c */

struct schedule_limits {
	unsigned int deviations; /* all schedules with so many */
	uint64_t schedules;	 /* but no more than these */
	unsigned int random_deviations;
	uint64_t random; /* so many with so many deviations at random */
};

struct exploration {
	const char *name;
	unsigned int n_processors;
	void (*begin)(void *arg); /* puts everything back */
	void (*processor)(unsigned int n, void *arg);
	/* Of the whole schedule: false if something was wrong. */
	bool (*end)(void *arg);
	void *arg;
};

/* False: something was wrong, in the last schedule. *ret_schedules: how many there are with all the
 * deviations of the limits. */
bool explore(const struct exploration *e, const struct schedule_limits *limits,
	     uint64_t *ret_schedules);
/* Which of `n`; everything but 0 is a deviation. 0 where there is nothing to explore. */
unsigned int choose(unsigned int n);
/* Before an access: another processor may go on. */
void may_change(void);
/* -1: none, the schedule has not begun or is over. */
int processor_now(void);
uint64_t step_now(void);
/* Of the last schedule, for a report. */
void schedule_print(void);
/* The rest of this schedule does not matter: something is wrong already. */
void schedule_fail(void);

/* oracle.c */

/* timed: a packet counts from its first step; halves: flows may have lost their reply. */
void oracle_begin(bool timed, bool halves);
/* A flow is about to be entered: this is what it becomes. */
void oracle_made(const struct tuple *asked, const struct tuple *to, uint8_t proto);
/* A word was written. */
void oracle_word(unsigned int slot, uint32_t before, uint32_t after);
void oracle_packet(const struct packet *p, const struct outcome *o, uint64_t begun, bool served);
/* At the end, when all have come to rest. */
void oracle_rest(void);
bool oracle_content(void);
const char *oracle_wrong(void);
