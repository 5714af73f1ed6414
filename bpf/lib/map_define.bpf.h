/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A map of bpf/abi/maps.h becomes a definition. Sizes are defaults: the agent sets max_entries. */
#pragma once

#include "bpf/lib/base.bpf.h"

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
