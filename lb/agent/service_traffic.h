/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Connections, packets and bytes of each Service, made of what the datapath counts in each flow:
 * the sweep of the flow table looks at every entry once in some seconds, and what has been added
 * since it last did is the Service's. Entries outlive their last packet by more than that, so that
 * next to nothing is lost with them.
 */
#pragma once

#include "bpf/abi/fairlead.h"
#include "conntrack/table.h"
#include "lb/agent/service_series.h"

struct fl_service_traffic;

/* Whose a frontend is. False: nobody's. Names are borrowed until the next change. */
typedef bool fl_service_of_frontend(const struct fl_frontend_key *frontend, const char **ret_ns,
				    const char **ret_name, void *arg);

/* The same, of an address and port of a packet or socket: a node port belongs to every address. */
bool fl_service_of_asked(const struct fl_frontend_key *asked, fl_service_of_frontend *service,
			 void *arg, const char **ret_ns, const char **ret_name);

struct fl_service_traffic_options {
	struct fl_flow_table table; /* memory is borrowed */
	uint32_t max;		    /* Services with a series of their own */
	bool begun; /* flows that the first pass meets have been counted by an earlier agent */
	fl_service_of_frontend *service;
	void *arg;
};

/* Count what the sweep meets from now on. NULL: no memory. */
struct fl_service_traffic *fl_service_traffic_new(const struct fl_service_traffic_options *options,
						  struct fl_sweep *sweep);
void fl_service_traffic_free(struct fl_service_traffic **traffic);

struct fl_service_series *fl_service_traffic_series(struct fl_service_traffic *traffic);
