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
	BENCH_BARE_ENCAP,
	BENCH_BARE_DECAP,
	BENCH_TEXTBOOK,
	BENCH_TEXTBOOK_FIB,
	BENCH_FAIRLEAD,
	/* tc programs, and what they are measured net of */
	BENCH_EMPTY_TC,
	BENCH_BITS_TC,
	BENCH_BARE_ENCAP_TC,
	BENCH_BARE_DECAP_TC,
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
	bool no_textbook; /* which take memory and time, where they are not asked for */
	uint32_t services, endpoints;
	enum bench_service_kind kind;
	bool answer_all;
	/* DSR: what this node sends packets in, or (BENCH_ON_NODE) other nodes have put them in */
	enum bench_outer_kind outer;
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
/* The address of its device. */
const uint8_t *bench_arena_mac(const struct bench_arena *arena);
struct bench_fairlead *bench_arena_fairlead(struct bench_arena *arena);

struct bench_run {
	uint64_t first; /* flow number */
	uint64_t flows; /* 0: every packet is a new flow */
	uint32_t repeat;
	enum bench_way way;
	uint16_t port; /* 0: that of the services */
	uint8_t proto; /* 0: that of the services */
	uint8_t tcp_flags;
	bool refused; /* the last packet may have any verdict */
	/*
	 * DSR: the frame becomes longer or shorter, and the wrapper puts that right. A packet for
	 * which the node was asked is to be sent on, whichever: no exceptions.
	 */
	bool dsr;
	enum bench_outer_kind outer; /* DSR: what packets come in */
	bool checksums;		     /* of IPv4 and UDP, of the packets that are made up */
	/*
	 * Each packet by a call of its own: of what the kernel does not let a program do to one
	 * packet twice. `ns` is the median then.
	 */
	bool single;
	uint8_t *out;	  /* where the last frame goes, BENCH_OUT_LEN bytes; NULL: nowhere */
	uint32_t out_len; /* result */
	double ns;	  /* result: CPU time per packet, wrapper included */
	uint64_t next;	  /* result: first flow number not used */
};
#define BENCH_OUT_LEN (BENCH_LONG_FRAME_LEN + BENCH_OUTER_MAX)

/* Run on this CPU. -EPROTO when the last packet was not sent on; when one that is not to a service
 * or by one was not left alone. */
int bench_arena_run(struct bench_arena *arena, enum bench_contender c, struct bench_run *run,
		    struct fl_err *err);
