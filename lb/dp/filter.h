/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Setting the bits of bpf/abi/filter.h: before what they stand for is written to its map. In memory
 * that the datapath writes too; without that memory (a test) nothing is done.
 */
#pragma once

#include "lb/dp/maps.h"

/* A frontend, a node port, or a Service's address, as the key says. */
void fl_filter_add_frontend(const struct fl_maps *maps, const struct fl_frontend_key *key);

/* An address of this node. */
void fl_filter_add_own(const struct fl_maps *maps, const struct fl_addr *addr);
