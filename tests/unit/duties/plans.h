/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Plans that say only what the duties read of them. */
#pragma once

#include "lb/duties/local_services.h"

/* A service port of the family with a health-check node port, 0 none, and so many local endpoints
 * that are ready; external policy Local. */
static inline struct fl_plan_port planned_port(enum fl_family family, uint16_t health, size_t ready)
{
	return (struct fl_plan_port){
		.family = family,
		.external_local = true,
		.uses_local = true,
		.has_any = true,
		.health_check_node_port = health,
		.local_ready = ready,
	};
}

/* Both families of one service port. */
static inline void plan_both(struct fl_local_services *services, const char *name, uint16_t health,
			     size_t ready4, size_t ready6)
{
	struct fl_plan_port ports[] = {planned_port(FL_IPV4, health, ready4),
				       planned_port(FL_IPV6, health, ready6)};
	const struct fl_plan plan = {.ports = ports, .n_ports = 2};

	fl_local_services_plan(services, "default", name, &plan);
}

static inline void plan_none(struct fl_local_services *services, const char *name)
{
	fl_local_services_plan(services, "default", name, &(struct fl_plan){0});
}
