/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How many ports for masquerading are in use towards each backend: counted in passing by the sweep
 * of the flow table, so that nobody has to walk over it for a scrape.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "conntrack/table.h"
#include "lb/dp/maps.h"
#include "lb/metrics/facts.h"

/* By id of the backend, for one family. */
struct fl_port_counts {
	uint32_t *counting, *counted; /* owned; of the pass under way, and of the last whole one */
	uint32_t end_counting, end;   /* above the highest id that was met */
	struct fl_metrics_ports report; /* of the last whole pass */
};

struct fl_port_use {
	const struct fl_maps *maps; /* borrowed */
	uint32_t ports;		    /* that there are towards each backend */
	struct fl_port_counts counts[FL_FAMILIES];
};

/* Count what the sweep meets from now on; both stay where they are. 0 or -ENOMEM. */
int fl_port_use_init(struct fl_port_use *use, const struct fl_maps *maps, uint32_t ports,
		     struct fl_sweep *sweep);
void fl_port_use_fini(struct fl_port_use *use);
