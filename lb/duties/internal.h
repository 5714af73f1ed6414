/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the servers of this room share. */
#pragma once

#include "lb/duties/duties.h"
#include "lb/duties/sockets.h"
#include "lb/http/route.h"

struct fl_duties {
	struct fl_duties_options options;
	struct fl_sockets healthz, metrics, health_ports;
	bool ports_due; /* the last try had no memory */
	struct fl_duties_counts counts;
};

/* healthz.c, health_port.c, monitor.c; their `arg` is the struct fl_duties */
extern const struct fl_http_route fl_healthz_routes[], fl_health_port_routes[], fl_monitor_routes[];
extern const size_t fl_healthz_n_routes, fl_health_port_n_routes, fl_monitor_n_routes;

/* Count the answer, and give its code. */
unsigned int fl_health_code(bool good, uint64_t counts[static FL_HEALTH_CODES]);
