/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Setting the bits of bpf/abi/filter.h: before what they stand for is written to its map. In memory
 * that the datapath writes too; without that memory (a test) nothing is done.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lb/dp/maps.h"

/* A frontend, a node port, or a Service's address, as the key says. */
void fl_filter_add_frontend(const struct fl_maps *maps, const struct fl_frontend_key *key);

/* A backend's address. */
void fl_filter_add_backend(const struct fl_maps *maps, const struct fl_addr *addr);

/* An address of this node. */
void fl_filter_add_own(const struct fl_maps *maps, const struct fl_addr *addr);

/*
 * A direction of a flow, before it can be seen: an original goes to a frontend that may be no more,
 * a reply comes from a backend or, if the source was masqueraded, to an address and port of ours.
 * flags: enum fl_flow_flags.
 */
void fl_filter_add_entry(const struct fl_maps *maps, bool v6, const struct fl_tuple6 *key,
			 uint8_t proto, uint8_t flags);

/* All frontends, live backends and own addresses that are in the maps. 0 or -errno: they could not
 * be read, and some may be left out. */
int fl_filter_add_state(const struct fl_maps *maps);

/* The bits of one half, of which the other is read: none is set any more. */
void fl_filter_clear(const struct fl_maps *maps, uint32_t half);
