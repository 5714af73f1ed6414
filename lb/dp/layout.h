/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The description of the flow tables' layout (bpf/abi/layout.h): ours, and whether one that was
 * found can be read. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/layout.h"
#include "lb/base/err.h"

extern const struct fl_layout fl_layout_ours;

/*
 * Whether entries can be read by it: every place lies in its entry, and what a flow cannot be
 * without is there. `bucket_size`: of the maps that it is said to describe: flows of IPv4, of IPv6,
 * sockets. 0, or -EPROTO with words.
 */
int fl_layout_check(const struct fl_layout *layout, const uint32_t bucket_size[3],
		    struct fl_err *err);
