/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Userspace's half of the next-hop cache; the other one is bpf/lib/fib.bpf.h. */
#pragma once

#include <stddef.h>

#include "bpf/abi/fairlead.h"

/*
 * Make the datapath ask the kernel again for every next hop: after routes, links or neighbours
 * changed. Both are the mapped memory of the maps. What a program is just looking up is forgotten
 * too, because it sees the epoch change.
 */
void fl_next_hops_forget(struct fl_meta *meta, struct fl_next_hop *hops, size_t n_hops);
