/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What this node would program, as the JSON of `fairlead plan -o json` (kind Plan). */
#pragma once

#include "lb/base/json_write.h"
#include "lb/model/plan.h"
#include "lb/model/store.h"

/* Words for the values of a plan, as they stand in the JSON. */
const char *fl_plan_frontend_type_name(enum fl_plan_frontend_type type); /* "ClusterIP", ... */
const char *
fl_plan_verdict_name(enum fl_plan_verdict verdict);	/* "forward", ...; NULL for FL_PLAN_NONE */
const char *fl_plan_proto_name(uint8_t proto);		/* "TCP", "UDP", "SCTP" */
const char *fl_plan_family_name(enum fl_family family); /* "IPv4", "IPv6" */

/* Write one service port as an element of "items". */
void fl_plan_port_json(struct fl_json *json, const struct fl_plan_port *port);

/*
 * Plan every Service of the store and write the whole document: Services by namespace and name,
 * their ports in the order of the Service, IPv4 before IPv6. 0 or -ENOMEM; a failure of the writer
 * shows in fl_json_text().
 */
int fl_plan_json(struct fl_json *json, const struct fl_store *store,
		 const struct fl_plan_options *options);

/* The same as text, which is the caller's to free. 0 or -ENOMEM. */
int fl_plan_json_text(const struct fl_store *store, const struct fl_plan_options *options,
		      bool pretty, char **ret_text);
