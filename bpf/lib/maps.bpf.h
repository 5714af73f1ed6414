/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of all programs, as bpf/abi/maps.h lists them. Sizes are defaults: the agent sets
 * max_entries before load and hands in the pinned maps of an earlier run. Everything a packet of an
 * established flow touches is a flat array, whose lookup is inlined.
 */
#pragma once

#include "bpf/lib/config.bpf.h"

#define FL_MAP_DEFINE_HASH FL_MAP_DEFINE_MAP
#define FL_MAP_DEFINE_LRU FL_MAP_DEFINE_MAP
#define FL_MAP_DEFINE_LPM FL_MAP_DEFINE_MAP
#define FL_MAP_DEFINE_ARRAY FL_MAP_DEFINE_MAP
#define FL_MAP_DEFINE_PERCPU FL_MAP_DEFINE_MAP
#define FL_MAP_DEFINE_BLOCK(name, kind, k, v, n) v fl_##name[n] SEC(".data.fl_" #name);
#define FL_MAP_DEFINE(name, kind, k, v, n) FL_MAP_DEFINE_##kind(name, kind, k, v, n)
#define FL_MAP_DEFINE_MAP(name, kind, k, v, n)                                                     \
	struct {                                                                                   \
		__uint(type, FL_MAP_TYPE_##kind);                                                  \
		__uint(max_entries, n);                                                            \
		__uint(map_flags, FL_MAP_FLAGS_##kind);                                            \
		__type(key, k);                                                                    \
		__type(value, v);                                                                  \
	} fl_##name SEC(".maps");

FL_MAPS_OF_ALL(FL_MAP_DEFINE)

static __always_inline void fl_count(__u32 counter)
{
	__u64 *value = bpf_map_lookup_elem(&fl_stats, &counter);

	if (value)
		*value += 1;
}

/* By value: before 6.2 what an argument of a function points to is no key. */
static __always_inline struct fl_device *fl_device_get(__u32 ifindex)
{
	return bpf_map_lookup_elem(&fl_devices, &ifindex);
}

static __always_inline struct fl_meta *fl_meta_get(void)
{
	return &fl_meta[0];
}
