/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The slow path is programs of its own, to which the attached ones make a tail call: each has a
 * stack and a verifier's budget of its own, and the attached ones have the fast path for
 * themselves.
 */
#pragma once

#include "nodeport/intent.bpf.h"
#include "nodeport/odd.bpf.h"

/*
 * What a program of the slow path works on, in a map because the functions below it need the whole
 * stack. Of each CPU and object its own, not pinned. Two, since a program that sends fragments out
 * meets the one of the way out before it has ended; and a CPU may come from the midst of one to
 * another where softirqs are preemptible, or from a test run.
 */
struct fl_work {
	__u64 taken;
	__u32 number; /* of this one, from 1 */
	__u32 pad;
	struct fl_packet p;
	struct fl_decision d;
	struct fl_intent intent;
	struct fl_odd odd;     /* of an odd packet: tc only */
	struct fl_outer outer; /* of one that came encapsulated */
};

#define FL_WORKS 2

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FL_WORKS);
	__type(key, __u32);
	__type(value, struct fl_work);
} fl_work SEC(".maps");

/* To be given back with fl_work_put() before the program ends; NULL: all are taken. */
static __always_inline struct fl_work *fl_work_get(void)
{
	for (__u32 i = 0; i < FL_WORKS; i++) {
		__u32 key = i;
		struct fl_work *w = bpf_map_lookup_elem(&fl_work, &key);

		if (!w || __sync_lock_test_and_set(&w->taken, 1))
			continue;
		__builtin_memset(&w->p, 0, sizeof(w->p));
		w->number = i + 1;
		return w;
	}
	return NULL;
}

/* The one that an earlier program of the same packet has taken. */
static __always_inline struct fl_work *fl_work_again(__u32 number)
{
	__u32 key = number - 1;

	return bpf_map_lookup_elem(&fl_work, &key);
}

static __always_inline void fl_work_put(struct fl_work *w)
{
	WRITE_ONCE(w->taken, 0);
}
