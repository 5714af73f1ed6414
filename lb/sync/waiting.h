/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Service ports that are wanted but not in force, because there was no room for them, and how a
 * service port gets from stage to stage. When no state could be made (no backend id, no lines), the
 * plan is copied, so that it can be tried again without the caller; when a map refused a write, the
 * state itself is kept.
 */
#pragma once

#include "lb/sync/services.h"

struct fl_waiting {
	struct fl_sync_service_port *first, *last; /* longest waiting first */
	uint32_t n;
};

/* What happened to a service port; asserts that it can happen in its stage. */
void fl_service_port_on(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			enum fl_stage_event event);
/* There is no room for a state of this plan. */
void fl_service_port_no_room(struct fl_waiting *waiting, struct fl_sync_service_port *port,
			     int64_t created, const struct fl_plan_port *plan);
