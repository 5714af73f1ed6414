/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What every program needs: types, byte order, and loads and stores that the compiler leaves alone.
 */
#pragma once

#include <linux/bpf.h>
#include <linux/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

#include "bpf/abi/fairlead.h"

#define FL_ETH_LEN 14
#define FL_ETH_P_IP 0x0800
#define FL_ETH_P_IPV6 0x86dd

#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* A full barrier: BPF has none of its own, but its atomic exchange is one, on whatever memory. */
static __always_inline void fl_fence(void)
{
	__u64 anything = 0;

	__sync_lock_test_and_set(&anything, 1);
}

/*
 * Make the verifier forget what it knows of a number: adding and taking away an unknown one changes
 * nothing but its knowledge, and states that differ only in that merge.
 */
static __always_inline __u64 fl_forget(__u64 value, __u64 unknown)
{
	asm volatile("%[v] += %[u]\n\t"
		     "%[v] -= %[u]"
		     : [v] "+r"(value)
		     : [u] "r"(unknown));
	return value;
}

/* Keep the compiler from making a branch of arithmetic that was written to do without. */
static __always_inline __s64 fl_opaque(__s64 value)
{
	asm volatile("" : "+r"(value));
	return value;
}

static __always_inline __u32 fl_now(void)
{
	return (__u32)bpf_jiffies64();
}

static __always_inline bool fl_addr_equal(const struct fl_addr *a, const struct fl_addr *b)
{
	return !((a->w[0] ^ b->w[0]) | (a->w[1] ^ b->w[1]) | (a->w[2] ^ b->w[2]) |
		 (a->w[3] ^ b->w[3]));
}

static __always_inline bool fl_addr_is_zero(const struct fl_addr *a)
{
	return !(a->w[0] | a->w[1] | a->w[2] | a->w[3]);
}

/* An IPv4 address in its mapped form. */
static __always_inline bool fl_addr_is_mapped(const struct fl_addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == bpf_htonl(0xffff);
}

/* Put the prefix of mapped IPv4 before w[3]. */
static __always_inline void fl_addr_map4(struct fl_addr *a)
{
	a->w[0] = 0;
	a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
}
