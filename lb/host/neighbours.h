/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The neighbours that a next hop may have been made from. Entries of the kernel's table change
 * state all the time without changing anything for a packet; this tells the changes that matter
 * from the rest. Pure memory.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/ip.h"

struct fl_neighbours;

int fl_neighbours_new(struct fl_neighbours **ret_neighbours); /* 0 or -ENOMEM */
void fl_neighbours_free(struct fl_neighbours **neighbours);

/*
 * The kernel reports an entry: valid, with this link-layer address, or no longer valid. True when a
 * packet sent by what was known before would now go wrong: a known address changed, or became
 * invalid. A new neighbour does no harm. When memory is short the answer is true.
 */
bool fl_neighbours_update(struct fl_neighbours *neighbours, unsigned int ifindex,
			  const struct fl_ip *ip, bool valid, const uint8_t mac[6]);

/* Forget all neighbours on a device that is gone. True if there was one. */
bool fl_neighbours_forget(struct fl_neighbours *neighbours, unsigned int ifindex);
