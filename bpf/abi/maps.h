/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps. A row here is all that a new map needs: the definition in the programs, the descriptor
 * and the memory in struct fl_maps, the check of what is adopted, the pin and the size that can be
 * asked for are made from it.
 */
#pragma once

#include "bpf/abi/config.h"
#include "bpf/abi/filter.h"
#include "bpf/abi/flow.h"
#include "bpf/abi/frontend.h"
#include "bpf/abi/node.h"
#include "bpf/abi/reasons.h"
#include "bpf/abi/service.h"
#include "bpf/abi/socket.h"

/*
 * X(NAME, KIND, key, value, elements): map fl_NAME of the programs, maps/NAME below the agent's
 * directory. KIND is one of the rows of the table below. elements: how many unless the agent asks
 * for another number. A list for each set of programs that uses its maps.
 */
/* clang-format off */
#define FL_MAPS_OF_PACKETS(X) \
	X(filter,      BLOCK,  __u32,                  struct fl_filter_word, FL_FILTER_WORDS) \
	X(own_ports,   ARRAY,  __u32,                  struct fl_filter_word, FL_OWN_PORT_WORDS) \
	X(own_flows,   LRU,    struct fl_own_key,      __u32,                 16384) \
	X(next_hops,   BLOCK,  __u32,                  struct fl_next_hop,    FL_NEXT_HOPS) \
	X(peers,       HASH,   struct fl_addr,         __u32,                 16384) \
	X(backend_nodes, ARRAY, __u32,                 struct fl_backend_node, 131072) \
	X(formers,     ARRAY,  __u32,                  struct fl_former,      FL_FORMER_LISTS) \
	X(port_spaces, ARRAY,  __u32,                  struct fl_port_space,  FL_PORT_SPACES) \
	X(flows4,      ARRAY,  __u32,                  struct fl_bucket4,     262144) \
	X(flows6,      ARRAY,  __u32,                  struct fl_bucket6,     65536) \
	X(overflow4,   ARRAY,  __u32,                  struct fl_overflow,    262144 / FL_OVERFLOW_BUCKETS) \
	X(overflow6,   ARRAY,  __u32,                  struct fl_overflow,    65536 / FL_OVERFLOW_BUCKETS)

#define FL_MAPS_OF_SOCKETS(X) \
	X(sockets,     ARRAY,  __u32,                  struct fl_socket_bucket, 32768)

/* lines: 10,000 Services with 10 pods each at ratio 200 take 650,000 of them */
#define FL_MAPS_OF_ALL(X) \
	X(frontends,   ARRAY,  __u32,                  struct fl_frontend_line, 131072) \
	X(backends,    ARRAY,  __u32,                  struct fl_backend,     131072) \
	X(lines,       ARRAY,  __u32,                  struct fl_line,        786432) \
	X(ranges,      LPM,    struct fl_range_key,    __u32,                 65536) \
	X(affinity,    LRU,    struct fl_affinity_key, struct fl_affinity,    131072) \
	X(members,     HASH,   struct fl_member_key,   __u32,                 262144) \
	X(local,       HASH,   struct fl_addr,         __u32,                 4096) \
	X(devices,     HASH,   __u32,                  struct fl_device,      4096) \
	X(macs,        HASH,   struct fl_mac_key,      __u32,                 16384) \
	X(own_macs,    ARRAY,  __u32,                  __u64,                 FL_OWN_MACS) \
	X(bound_ports, ARRAY,  __u32,                  __u64,                 FL_BOUND_WORDS) \
	X(stats,       PERCPU, __u32,                  __u64,                 FL_COUNTER_MAX) \
	X(meta,        BLOCK,  __u32,                  struct fl_meta,        1)
/* clang-format on */

/* meta is the last: it is pinned last, and makes a datapath of the rest. */
#define FL_MAP_LIST(X) FL_MAPS_OF_PACKETS(X) FL_MAPS_OF_SOCKETS(X) FL_MAPS_OF_ALL(X)

/* The kinds, in the words of <linux/bpf.h>. */
#define FL_MAP_TYPE_HASH BPF_MAP_TYPE_HASH
#define FL_MAP_TYPE_LRU BPF_MAP_TYPE_LRU_HASH
#define FL_MAP_TYPE_LPM BPF_MAP_TYPE_LPM_TRIE
#define FL_MAP_TYPE_ARRAY BPF_MAP_TYPE_ARRAY
/*
 * All elements in the one value of an array: a variable to the programs, which look nothing up and
 * have no case of there being nothing. Their number is fixed.
 */
#define FL_MAP_TYPE_BLOCK BPF_MAP_TYPE_ARRAY
#define FL_MAP_TYPE_PERCPU BPF_MAP_TYPE_PERCPU_ARRAY

#define FL_MAP_FLAGS_HASH BPF_F_NO_PREALLOC
#define FL_MAP_FLAGS_LRU 0
#define FL_MAP_FLAGS_LPM BPF_F_NO_PREALLOC
#define FL_MAP_FLAGS_ARRAY BPF_F_MMAPABLE
#define FL_MAP_FLAGS_BLOCK BPF_F_MMAPABLE
#define FL_MAP_FLAGS_PERCPU 0

enum fl_map_id {
#define X(name, kind, key, value, n) FL_MAP_##name,
	FL_MAP_LIST(X)
#undef X
		FL_MAPS,
};

_Static_assert(FL_MAP_meta == FL_MAPS - 1, "abi");

/* Arrays are mapped into userspace, where an element must be as long as the kernel's. */
#define FL_MAP_MAPPED_HASH 0
#define FL_MAP_MAPPED_LRU 0
#define FL_MAP_MAPPED_LPM 0
#define FL_MAP_MAPPED_ARRAY 1
#define FL_MAP_MAPPED_BLOCK 1
#define FL_MAP_MAPPED_PERCPU 0
#define X(name, kind, key, value, n)                                                               \
	_Static_assert(!FL_MAP_MAPPED_##kind || sizeof(value) % 8 == 0, "abi: " #name);
FL_MAP_LIST(X)
#undef X
