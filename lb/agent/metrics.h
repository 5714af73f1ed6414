/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent counts and measures for /metrics as things happen; the rest its parts know. */
#pragma once

#include "lb/agent/port_use.h"
#include "lb/agent/service_traffic.h"
#include "lb/agent/socket_traffic.h"
#include "lb/metrics/facts.h"
#include "lb/model/store.h"

struct fl_agent_metrics {
	struct fl_histogram sync, programming[FL_FAMILIES];
	int64_t started_unix_ns;
	uint64_t applied[FL_KINDS]; /* changes of the store that are in force */
	struct fl_port_use ports;
	struct fl_service_traffic *traffic;
	struct fl_socket_traffic *sockets;
	uint64_t next_hops; /* as last counted */
	struct fl_metrics_process process;
	double scrape_s;
};

struct fl_agent_metrics fl_agent_metrics_of(int64_t started_unix_ns);
/* Everything that the store was told is in force. */
void fl_agent_metrics_applied(struct fl_agent_metrics *metrics, struct fl_store *store,
			      int64_t now_unix_ns);
/* Look at what has to be counted: every some seconds. */
void fl_agent_metrics_sample(struct fl_agent_metrics *metrics, const struct fl_maps *maps,
			     const struct fl_store *store);
/* Count what sockets have begun since the last time. */
void fl_agent_metrics_look(struct fl_agent_metrics *metrics, const struct fl_maps *maps);
/* Services that are no more give up their series. */
void fl_agent_metrics_forget(struct fl_agent_metrics *metrics, const struct fl_store *store);
