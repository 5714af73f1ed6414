/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps of the per-packet programs only: flows, next hops, rate limits. */
#pragma once

#include "bpf/lib/maps.bpf.h"

FL_MAPS_OF_PACKETS(FL_MAP_DEFINE)

/* Token buckets of one CPU; each object has its own, they are not pinned. */
struct fl_bucket_rate {
	__u32 stamp; /* jiffies of the last refill */
	__u32 pad;
	__u64 parts; /* fl_config.hz of them make a token: each jiffy brings a whole number */
};

enum fl_rate {
	FL_RATE_NEW_FLOW,
	FL_RATE_REJECT,
	FL_RATES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FL_RATES);
	__type(key, __u32);
	__type(value, struct fl_bucket_rate);
} fl_rates SEC(".maps");

/* Take a token of `per_second`; the bucket holds a second's worth. 0 per second: no limit. */
static __always_inline bool fl_rate_take(__u32 which, __u32 per_second)
{
	struct fl_bucket_rate *rate;
	__u32 now, since;
	__u64 parts;

	if (!per_second)
		return true;
	rate = bpf_map_lookup_elem(&fl_rates, &which);
	if (!rate)
		return true;
	now = fl_now();
	since = now - rate->stamp;
	parts = rate->parts;
	if (since) {
		if (since > fl_config.hz)
			since = fl_config.hz;
		parts += (__u64)since * per_second;
		if (parts > (__u64)per_second * fl_config.hz)
			parts = (__u64)per_second * fl_config.hz;
		rate->stamp = now;
	}
	if (parts < fl_config.hz) {
		rate->parts = parts;
		return false;
	}
	rate->parts = parts - fl_config.hz;
	return true;
}
