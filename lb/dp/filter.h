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

/* A flow, before it can be seen: its first packets go to a frontend that may be no more, its
 * replies come from a backend or, if the source was masqueraded, to an address and port of ours. */
void fl_filter_add_flow(const struct fl_maps *maps, bool v6, const struct fl_tuple6 *original,
			const struct fl_tuple6 *reply, uint8_t proto, bool masqueraded);
