/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Incremental Internet checksums (RFC 1624): sums of one's complement differences, folded at the
 * end. */
#pragma once

#include "bpf/lib/base.bpf.h"

/* Add the change of one 32-bit word (network order, any alignment to 16 bits) to a running
 * difference. */
static __always_inline __u64 fl_csum_diff(__u64 diff, __u32 from, __u32 to)
{
	return diff + (__u32)~from + to;
}

static __always_inline __u64 fl_csum_diff_addr(bool v6, __u64 diff, const struct fl_addr *from,
					       const struct fl_addr *to)
{
	if (v6) {
		diff = fl_csum_diff(diff, from->w[0], to->w[0]);
		diff = fl_csum_diff(diff, from->w[1], to->w[1]);
		diff = fl_csum_diff(diff, from->w[2], to->w[2]);
	}
	return fl_csum_diff(diff, from->w[3], to->w[3]);
}

static __always_inline __u32 fl_csum_fold32(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (__u32)((sum & 0xffffffff) + (sum >> 32));
}

/* `sum`: of fewer than 32,768 words of 32 bits. */
static __always_inline __u16 fl_csum_fold16(__u64 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)(sum + (sum >> 16));
}

/* The checksum field after a difference was applied. */
static __always_inline __u16 fl_csum_apply(__u16 check, __u64 diff)
{
	return ~fl_csum_fold16(diff + (__u16)~check);
}
