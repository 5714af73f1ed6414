/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* In the place of libbpf's, where the datapath is compiled for this machine: the helpers are
 * functions of tests/schedules/processor.c, and a map is its own address. */
#pragma once

#include <linux/bpf.h>

#define SEC(name)
#define __uint(name, value) int(*name)[value]
#define __type(name, value) value *name
#define __noinline __attribute__((noinline))
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
/* BPF's own assembly is compiled, but never reached */
#define asm                                                                                        \
	if (0)                                                                                     \
	__asm__

void *bpf_map_lookup_elem(const void *map, const void *key);
long bpf_map_update_elem(const void *map, const void *key, const void *value, __u64 flags);
long bpf_map_delete_elem(const void *map, const void *key);
__u64 bpf_jiffies64(void);
__u64 bpf_ktime_get_ns(void);
__u32 bpf_get_prandom_u32(void);
long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size, __u32 flags);
long bpf_check_mtu(void *ctx, __u32 ifindex, __u32 *mtu_len, __s32 len_diff, __u64 flags);
struct bpf_sock *bpf_skc_lookup_tcp(void *ctx, struct bpf_sock_tuple *tuple, __u32 size,
				    __u64 netns, __u64 flags);
struct bpf_sock *bpf_sk_lookup_udp(void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns,
				   __u64 flags);
long bpf_sk_release(void *sk);
long bpf_xdp_adjust_head(struct xdp_md *xdp, int delta);
long bpf_redirect(__u32 ifindex, __u64 flags);
long bpf_xdp_adjust_tail(struct xdp_md *xdp, int delta);
long bpf_xdp_adjust_meta(struct xdp_md *xdp, int delta);
__u64 bpf_xdp_get_buff_len(struct xdp_md *xdp);
__s64 bpf_csum_diff(__be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed);
