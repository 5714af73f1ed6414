/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of all programs, as bpf/abi/maps.h lists them. The agent hands in those that it has made
 * (bpf/tables.bpf.c), or the pinned ones of an earlier run. Everything a packet of an established
 * flow touches is a flat array, whose lookup is inlined.
 */
#pragma once

#include "bpf/lib/config.bpf.h"
#include "bpf/lib/map_define.bpf.h"

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
