/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs behind tail calls, each with a stack and a budget of its own: one for IPv4 and one for
 * IPv6. A file of entry points says which there are, before it includes this: SLOW_LIST(X), of rows
 * X(PLACE, program), and SLOW_ARRAY, the name of their map.
 */
#pragma once

#define SLOW_PLACES(place, program) place##4, place##6,

enum {
	SLOW_LIST(SLOW_PLACES) SLOW_PROGRAMS,
};

#define SLOW_DECLARE(place, program)                                                               \
	int program##4(fl_ctx * ctx);                                                              \
	int program##6(fl_ctx * ctx);

SLOW_LIST(SLOW_DECLARE)

#define SLOW_VALUES(place, program)                                                                \
	[place##4] = (void *)&program##4, [place##6] = (void *)&program##6,

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, SLOW_PROGRAMS);
	__uint(key_size, sizeof(__u32));
	__array(values, int(fl_ctx *ctx));
} SLOW_ARRAY SEC(".maps") = {.values = {SLOW_LIST(SLOW_VALUES)}};

/* Go on there: constants become direct jumps. Comes back where the program is missing. */
#define slow_call(ctx, v6, place)                                                                  \
	do {                                                                                       \
		if (v6)                                                                            \
			bpf_tail_call_static(ctx, &SLOW_ARRAY, place##6);                          \
		else                                                                               \
			bpf_tail_call_static(ctx, &SLOW_ARRAY, place##4);                          \
	} while (0)

/* The two programs of a pair, which do run(ctx, v6, ...). */
#define PROGRAMS(program, run, ...)                                                                \
	SEC(FL_CTX_SECTION) int program##4(fl_ctx * ctx)                                           \
	{                                                                                          \
		return run(ctx, false, ##__VA_ARGS__);                                             \
	}                                                                                          \
	SEC(FL_CTX_SECTION) int program##6(fl_ctx * ctx)                                           \
	{                                                                                          \
		return run(ctx, true, ##__VA_ARGS__);                                              \
	}
