/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What plans say about endpoints on this node: for each Service with a health-check node port how
 * many are ready (rule 6.1), and of how many service ports a Local policy finds none (rule 8).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/model/plan.h"

struct fl_local_services;

/* A health-check node port, and who answers there. Strings are borrowed until the next plan. */
struct fl_health_port {
	uint16_t port;
	const char *ns, *name;
	bool families[FL_FAMILIES];	 /* those that the Service has (6.1.10: each its own) */
	size_t local_ready[FL_FAMILIES]; /* 6.1.6: distinct addresses */
};

enum fl_local_policy {
	FL_LOCAL_INTERNAL,
	FL_LOCAL_EXTERNAL,
	FL_LOCAL_POLICIES,
};

int fl_local_services_new(struct fl_local_services **ret_services);
void fl_local_services_free(struct fl_local_services **services);

/* Service ns/name is planned like this; an empty plan: it is gone. No memory: it is forgotten. */
void fl_local_services_plan(struct fl_local_services *services, const char *ns, const char *name,
			    const struct fl_plan *plan);
/* Whether ports or families may have changed since this was asked last; counts do not matter. */
bool fl_local_services_changed(struct fl_local_services *services);

/*
 * The ports, sorted, each once: of several Services that want one the first by name has it.
 * Borrowed until the next plan. 0 or -ENOMEM.
 */
int fl_local_services_ports(struct fl_local_services *services,
			    const struct fl_health_port **ret_ports, size_t *ret_n);
/* Who answers at a port, or NULL. */
const struct fl_health_port *fl_local_services_find(struct fl_local_services *services,
						    uint16_t port);
/* Service ports with that policy that have endpoints, but none here. */
size_t fl_local_services_without(const struct fl_local_services *services, enum fl_family family,
				 enum fl_local_policy policy);
