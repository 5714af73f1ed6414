/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The frontends and source ranges of one service port (sections 2 and 5.6 of the rules). Internal
 * to lb/model. */
#pragma once

#include "lb/model/plan.h"

/* A port of a Service, and what of it an earlier port of the same Service has taken already. */
struct fl_port_overlap {
	const struct fl_service_port *port;
	size_t index;  /* in the Service */
	bool replaced; /* a later port has the same name and protocol (rule 1.8) */
	bool port_taken, node_port_taken; /* by an earlier one with another name */
};

/* Compare the ports of a Service with each other: *ret_overlaps has n_ports elements in the
 * Service's order, owned by the caller. */
int fl_port_overlaps(const struct fl_service *service, struct fl_port_overlap **ret_overlaps);

/*
 * Whether traffic to `ip` may be ours. An unspecified address would read as "any node address" in
 * the maps; loopback and multicast never arrive from anywhere.
 */
bool fl_frontend_address_ok(const struct fl_ip *ip);

/* Fill frontends, n_frontends, lost and n_lost of `port`, whose family is set. 0 or -ENOMEM. */
int fl_frontends_plan(const struct fl_service *service, const struct fl_port_overlap *overlap,
		      const struct fl_plan_options *options, struct fl_plan_port *port);

/*
 * Fill source_ranges, n_source_ranges and vips_exempt of `port`, whose family is set. 0 or -ENOMEM.
 */
int fl_source_ranges_plan(const struct fl_service *service, const struct fl_plan_options *options,
			  struct fl_plan_port *port);
