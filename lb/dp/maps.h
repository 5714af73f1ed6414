/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath's maps as userspace holds them: a file descriptor each, and the memory of those that
 * can be mapped. Made by fl_dp_open() for the agent, or from the pins for a reader
 * (fl_maps_open_pinned), or without a kernel by a test that allocates the arrays itself and leaves
 * descriptors at -1.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"

/* A mapped array also has its memory, and the number of its elements. */
#define FL_MAP_MEMORY_HASH(name, value)
#define FL_MAP_MEMORY_LRU(name, value)
#define FL_MAP_MEMORY_LPM(name, value)
#define FL_MAP_MEMORY_PERCPU(name, value)
#define FL_MAP_MEMORY_ARRAY(name, value)                                                           \
	value *name;                                                                               \
	size_t n_##name;
#define FL_MAP_MEMORY_BLOCK FL_MAP_MEMORY_ARRAY

/*
 * For each map NAME of FL_MAP_LIST its descriptor NAME_fd; for each ARRAY also its memory NAME,
 * read-write for the agent, read-only for a reader, and n_NAME, the number of its elements. Those
 * of the flow tables are buckets, a power of two.
 */
struct fl_maps {
#define X(name, kind, key, value, n)                                                               \
	int name##_fd;                                                                             \
	FL_MAP_MEMORY_##kind(name, value)
	FL_MAP_LIST(X)
#undef X
};

#define FL_MAP_CLOSED(name, kind, key, value, n) .name##_fd = -1,
#define FL_MAPS_INIT                                                                               \
	{                                                                                          \
		FL_MAP_LIST(FL_MAP_CLOSED)                                                         \
	}

/*
 * Open the maps pinned as DIR/maps/NAME. Refuses a directory that is not ours (owner, mode,
 * symlink), a map of another type or size of element, and another FL_ABI_VERSION. -ENOENT when
 * there is no datapath.
 */
int fl_maps_open_pinned(const char *dir, bool writable, struct fl_maps *ret_maps,
			struct fl_err *err);
/* Unmap and close everything. */
void fl_maps_close(struct fl_maps *maps);

/* What the datapath takes an address for: enum fl_local_flags, 0 if it is not this node's. */
uint32_t fl_maps_local(const struct fl_maps *maps, const struct fl_addr *addr);
/* Whether packets for node ports come to this node at the address: it is one of its own, or another
 * node's, which sends them on in an outer header. */
bool fl_maps_has_node_ports(const struct fl_maps *maps, const struct fl_addr *addr);
