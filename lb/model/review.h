/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Objects that are sound one by one, and yet cannot mean what their author wanted: a Service with
 * nowhere to be reached, ports that no endpoint has, slices of a Service that is not there. Pure.
 */
#pragma once

#include "lb/model/plan.h"
#include "lb/model/store.h"

enum fl_finding {
	FL_FINDING_NONE,
	FL_FINDING_NO_FRONTEND, /* the Service has no address and no node port */
	FL_FINDING_NO_PORT,	/* it has endpoints, and none of them has a port of that name */
	FL_FINDING_NO_SERVICE,	/* there are slices of that Service only */
	FL_FINDING_NO_NODE,	/* DSR by Geneve, and the node of an endpoint is not known */
	FL_FINDING_NO_PROTOCOL, /* a port is of a protocol that is not balanced */
};

/*
 * What is to be said of Service ns/name, the gravest first and only that. `service`: NULL when it
 * is not there. `plan`: as planned for it. *ret_text: a sentence without its full stop, owned by
 * the caller; NULL without a finding or without memory.
 */
enum fl_finding fl_review(const char *ns, const char *name, const struct fl_service *service,
			  const struct fl_slice *const *slices, size_t n_slices,
			  const struct fl_plan *plan, char **ret_text);

/* All Services of a store, and slices without one; in no order. 0 or -ENOMEM. */
int fl_review_each(const struct fl_store *store, const struct fl_plan_options *options,
		   void (*fn)(enum fl_finding finding, const char *text, void *arg), void *arg);
