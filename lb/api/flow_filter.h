/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which flows to list or flush: criteria from the query of an API request or from options of the
 * CLI. All that are set must hold.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conntrack/table.h"
#include "lb/base/err.h"
#include "lb/base/ip.h"

struct fl_view;

#define FL_FLOW_NAMES_MAX 16
#define FL_FLOW_LIMIT_DEFAULT 1000
#define FL_FLOW_LIMIT_MAX 100000

struct fl_peer_filter {
	bool set;
	struct fl_prefix prefix; /* len 0: any address */
	uint16_t port;		 /* 0 any */
};

/* One flow by its name, "PROTOCOL/CLIENT->FRONTEND". */
struct fl_flow_name {
	uint8_t proto;
	struct fl_peer_filter client, frontend; /* with address and port */
};

struct fl_flow_filter {
	uint8_t proto;	 /* 0 any */
	uint8_t family;	 /* 0 any, else 1 + enum fl_family */
	uint32_t states; /* a bit per enum fl_flow_state; 0 any */
	struct fl_peer_filter client, frontend, backend;
	/* of the Service whose frontend was asked; "" any */
	char ns[256], name[256], port[64];
	struct fl_flow_name flow[FL_FLOW_NAMES_MAX]; /* one of these; none: any */
	size_t n_flows;
	uint32_t limit; /* 0: FL_FLOW_LIMIT_DEFAULT */
	uint32_t given; /* a bit per key, by fl_flow_filter_set() */
};

/* The keys there are; NULL beyond the last. */
const char *fl_flow_filter_key(size_t i);
/*
 * Set one criterion. proto, family, state: as lb/model/names.h has them; of states several,
 * separated by commas or by setting it again. client, frontend, backend: "IP", "IP/LEN",
 * "IP:PORT", "[IP]:PORT", ":PORT". service: "NS/NAME" or "NS/NAME:PORT". flow: the name of a
 * flow; set it for each of several, up to FL_FLOW_NAMES_MAX. limit: a number. -ENOENT: no such key;
 * -EINVAL: nonsense, or the second value of a key that takes one; with words.
 */
int fl_flow_filter_set(struct fl_flow_filter *filter, const char *key, const char *value,
		       struct fl_err *err);
/* Whether every flow matches. */
bool fl_flow_filter_empty(const struct fl_flow_filter *filter);
bool fl_flow_filter_matches(const struct fl_flow_filter *filter, const struct fl_view *view,
			    const struct fl_flow *flow);
/* Free the flows that match. Returns how many. */
size_t fl_flow_filter_flush(const struct fl_flow_filter *filter, const struct fl_view *view);
