/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which backends have used up the source ports that there are towards each of them. */
#pragma once

#include "lb/base/health.h"
#include "lb/dp/maps.h"

/*
 * Count the masqueraded flows of each backend, and make those conditions to which one of our
 * addresses has nearly `ports`. One or two walks over the flow table: for when packets were dropped
 * for want of a port. now: jiffies.
 */
void fl_backend_ports_update(const struct fl_maps *maps, uint64_t now, uint32_t ports,
			     struct fl_health *health);
