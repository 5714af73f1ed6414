/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Planning from what a store holds: the node's zone and addresses come from its Node object. */
#pragma once

#include "lb/model/plan.h"
#include "lb/model/store.h"

/*
 * Options for this store's node: node hints on, externalIPs on, the zone of its Node ("" if that is
 * not known), no node IPs: see fl_node_ips(). Borrows from the store until its Node changes.
 */
struct fl_plan_options fl_plan_options_of(const struct fl_store *store);

/* Plan Service ns/name with the slices held for it. An unknown Service gives an empty plan. 0 or
 * -ENOMEM. */
int fl_plan_stored(const struct fl_store *store, const char *ns, const char *name,
		   const struct fl_plan_options *options, struct fl_plan *ret_plan);
