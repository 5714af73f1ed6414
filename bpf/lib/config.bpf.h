/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The settings of the programs. */
#pragma once

#include "bpf/lib/base.bpf.h"

/* Set by the agent before load, so that the verifier sees constants and removes what is switched
 * off. */
const volatile struct fl_config fl_config SEC(".rodata");

/* Set by the agent at any time. */
struct fl_live_pair fl_live SEC(".data.live");

/* The settings in force. To be asked for once by what has to see all of them from one time. */
static __always_inline const struct fl_live *fl_live_now(void)
{
	return &fl_live.of[READ_ONCE(fl_live.current) & 1];
}

/*
 * BPF has no read barrier. Where the processor may load in another order than is written, an
 * address that depends on a loaded value orders later loads through it, even when the dependency is
 * artificial: ptr + (value & 0). Elsewhere it would only make those loads wait, and it is enough
 * that the compiler takes it for one.
 */
static __always_inline void *fl_after_load(void *ptr, __u64 value)
{
	if (fl_config.weak_loads) {
		asm volatile("%[v] &= 0\n\t"
			     "%[p] += %[v]"
			     : [p] "+r"(ptr), [v] "+r"(value));
	} else {
		asm volatile("" : "+r"(ptr) : "r"(value) : "memory");
	}
	return ptr;
}

/*
 * Loads after this come after those before it, where the processor would do them in another order;
 * where it does not, it is enough that the compiler does not.
 */
static __always_inline void fl_loads_in_order(void)
{
	if (fl_config.weak_loads)
		fl_fence();
	else
		asm volatile("" ::: "memory");
}

/* The node's own address of a family; zero: none. */
static __always_inline void fl_node_addr(bool v6, struct fl_addr *ret_addr)
{
	const struct fl_live *live = fl_live_now();

	*ret_addr = v6 ? live->node_addr6 : live->node_addr4;
}
