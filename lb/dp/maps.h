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

struct fl_maps {
#define X(name) int name##_fd;
	FL_MAP_NAMES(X)
#undef X
	/* mapped memory, read-write for the agent, read-only for a reader */
	struct fl_backend *backends;
	struct fl_line *lines;
	struct fl_next_hop *next_hops;
	struct fl_bucket4 *flows4;
	struct fl_bucket6 *flows6;
	struct fl_overflow *overflow4, *overflow6;
	uint64_t *bound_ports; /* FL_BOUND_WORDS */
	struct fl_meta *meta;
	/* number of elements of the mapped arrays; flows: number of buckets, a power of two */
	size_t n_backends, n_lines, n_next_hops, n_flows4, n_flows6, n_overflow4, n_overflow6,
		n_bound_ports;
};

#define FL_MAPS_INIT                                                                               \
	{                                                                                          \
		.frontends_fd = -1, .backends_fd = -1, .lines_fd = -1, .ranges_fd = -1,            \
		.affinity_fd = -1, .members_fd = -1, .local_fd = -1, .devices_fd = -1,             \
		.next_hops_fd = -1, .flows4_fd = -1, .flows6_fd = -1, .overflow4_fd = -1,          \
		.overflow6_fd = -1, .bound_ports_fd = -1, .sockets_fd = -1, .stats_fd = -1,        \
		.meta_fd = -1                                                                      \
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
