/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How full maps are, and what the datapath has counted. */
#pragma once

#include <stdint.h>

#include "bpf/abi/reasons.h"

/* Elements in a hash or LPM map (by a walk over its keys), and how many there is room for. 0 or
 * -errno. */
int fl_map_usage(int fd, uint64_t *ret_used, uint64_t *ret_size);
/* Room alone. */
int fl_map_size(int fd, uint64_t *ret_size);

/* Map fl_stats, summed over CPUs: index enum fl_reason or enum fl_counter. 0 or -errno. */
int fl_stats_read(int stats_fd, uint64_t ret_values[static FL_COUNTER_MAX]);
/* One of them. */
int fl_stats_count(int stats_fd, uint32_t index, uint64_t *ret_value);
