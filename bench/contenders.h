/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The programs that rows 1 and 2 compare, loaded behind the wrapper in a network namespace of their
 * own. */
#pragma once

#include "bench/bench.h"

enum bench_contender {
	BENCH_EMPTY, /* what the others are measured net of */
	BENCH_TX,
	BENCH_BITS,
	BENCH_BARE,
	BENCH_BARE_INSERT,
	BENCH_TEXTBOOK,
	BENCH_TEXTBOOK_FIB,
	BENCH_FAIRLEAD,
	/* tc programs, and what they are measured net of */
	BENCH_EMPTY_TC,
	BENCH_BITS_TC,
	BENCH_TC_INGRESS,
	BENCH_TC_EGRESS,
	BENCH_CONTENDERS,
};
const char *bench_contender_name(enum bench_contender c);
/* What it is measured net of. */
enum bench_contender bench_contender_empty(enum bench_contender c);

struct bench_arena;

struct bench_arena_options {
	const char *only; /* this contender beside `empty`; NULL: all */
	uint32_t services, endpoints;
	enum bench_service_kind kind;
	bool answer_all;
	uint32_t entries; /* of every flow table */
	uint8_t proto;
	bool v6;
};

int bench_arena_open(const struct bench_arena_options *options, struct bench_arena **ret_arena,
		     struct fl_err *err);
void bench_arena_close(struct bench_arena **arena);
/* Whether the contender knows the address family and what was asked for. */
bool bench_arena_has(const struct bench_arena *arena, enum bench_contender c);
/* Establish flows 0 .. n - 1; *ret_refused of them could not be, with `crowded` any number. */
int bench_arena_prepare(struct bench_arena *arena, enum bench_contender c, uint64_t n, bool crowded,
			uint64_t *ret_refused, struct fl_err *err);
struct bench_fairlead *bench_arena_fairlead(struct bench_arena *arena);

struct bench_run {
	uint64_t first; /* flow number */
	uint64_t flows; /* 0: every packet is a new flow */
	uint32_t repeat;
	enum bench_way way;
	uint16_t port; /* 0: that of the services */
	uint8_t proto; /* 0: that of the services */
	uint8_t tcp_flags;
	bool refused;  /* the last packet may have any verdict */
	double ns;     /* result: CPU time per packet, wrapper included */
	uint64_t next; /* result: first flow number not used */
};
/* Run on this CPU. -EPROTO when the last packet was not sent on; when one that is not to a service
 * or by one was not left alone. */
int bench_arena_run(struct bench_arena *arena, enum bench_contender c, struct bench_run *run,
		    struct fl_err *err);
