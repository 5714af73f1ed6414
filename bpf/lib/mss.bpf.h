/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The MSS option of a SYN (RFC 9293, 3.7.1): how large a segment the other end may send. Lowered
 * where segments get a further header on their way.
 */
#pragma once

#include "bpf/lib/packet.bpf.h"

enum {
	FL_TCP_OPTION_END = 0,
	FL_TCP_OPTION_NOP = 1,
	FL_TCP_OPTION_MSS = 2,
	FL_TCP_OPTIONS_MAX = 40, /* bytes */
};

/* Of a segment in a packet of this size without options. */
static __always_inline __u32 fl_mss_of(bool v6, __u32 mtu)
{
	const __u32 headers = fl_l4_offset(v6) - FL_L3 + sizeof(struct tcphdr);

	return mtu > headers ? mtu - headers : 0;
}

/*
 * Where in the frame the value of the option is, of a TCP header at `l4`; 0: it has none. Global,
 * so that its loop is verified once.
 */
int fl_mss_find(fl_ctx *ctx, __u32 l4, __u16 *ret_mss);

__noinline int fl_mss_find(fl_ctx *ctx, __u32 l4, __u16 *ret_mss)
{
	__u32 at = l4 + sizeof(struct tcphdr), end, word = 0;
	const __u8 *option = (const __u8 *)&word;

	if (!ret_mss || fl_ctx_load_word(ctx, l4 + 12, &word))
		return 0;
	end = l4 + (option[0] >> 4) * 4;
	for (int i = 0; i < FL_TCP_OPTIONS_MAX; i++) {
		if (at + sizeof(word) > end || fl_ctx_load_word(ctx, at, &word) ||
		    option[0] == FL_TCP_OPTION_END)
			return 0;
		if (option[0] == FL_TCP_OPTION_NOP) {
			at = fl_forget(at + 1, end);
			continue;
		}
		if (option[1] < 2)
			return 0;
		if (option[0] == FL_TCP_OPTION_MSS && option[1] == sizeof(word)) {
			*ret_mss = option[2] << 8 | option[3];
			return at + 2;
		}
		at = fl_forget(at + option[1], end);
	}
	return 0;
}

/* Let the option say at most `most`. -1: the kernel refused the change. Global likewise. */
int fl_mss_lower(fl_ctx *ctx, __u32 l4, __u32 most);

__noinline int fl_mss_lower(fl_ctx *ctx, __u32 l4, __u32 most)
{
	__u16 mss = 0;
	int at = fl_mss_find(ctx, l4, &mss);

	if (at <= 0 || mss <= most)
		return 0;
	return fl_ctx_tcp_set(ctx, l4, at, bpf_htons(mss), bpf_htons(most));
}
