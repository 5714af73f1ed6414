/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frontends that several service ports claim: which of them gets it (rule 2.21: the oldest
 * Service), and how a message describes it. `fairlead plan` and the agent share this, so that their
 * answers agree.
 */
#pragma once

#include "lb/model/plan.h"
#include "lb/model/store.h"

/* A service port that asks for a frontend; borrows its names. */
struct fl_claimant {
	const char *ns, *name, *port_name;
	int64_t created; /* of the Service */
};

/* Print a claimant: "namespace/name:port", or "namespace/name" where the port has no name. */
#define FL_CLAIMANT "%s/%s%s%s"
#define FL_CLAIMANT_ARGS(c) (c)->ns, (c)->name, *(c)->port_name ? ":" : "", (c)->port_name

/* < 0: `a` goes first: the oldest Service, then by namespace, name and name of the port. */
int fl_claimant_cmp(const struct fl_claimant *a, const struct fl_claimant *b);

struct fl_conflict {
	struct fl_claimant winner, loser;
	struct fl_plan_frontend frontend; /* as the loser wants it */
	uint8_t proto;
};

#define FL_FRONTEND_STRLEN (FL_IP_PORT_STRLEN + 16)

/* "10.0.0.1:80", or "*:30080" for a node port: address unspecified. */
const char *fl_frontend_format(const struct fl_ip *ip, uint16_t port,
			       char buf[static FL_IP_PORT_STRLEN]);
/* "TCP 10.0.0.1:80"; of a node port also the family: "TCP *:30080 (IPv4)" */
const char *fl_conflict_frontend(const struct fl_conflict *conflict,
				 char buf[static FL_FRONTEND_STRLEN]);
/* The whole sentence, owned by the caller; NULL without memory. */
char *fl_conflict_text(const struct fl_conflict *conflict);

/* fn for each frontend that a service port of the store loses, sorted by frontend and then by
 * loser. The conflict is borrowed for the call. 0 or -ENOMEM. */
int fl_conflict_each(const struct fl_store *store, const struct fl_plan_options *options,
		     void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg);
