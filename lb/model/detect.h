/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which clients count as pods (rule 5.2: by source address or by device), and what follows from
 * it: which endpoint list a client's new flow gets, and whether its source is masqueraded
 * (rules 5.3 and 5.4). Pure. Hairpin (rule 5.3.3: a pod that reaches itself) depends on the chosen
 * endpoint and is left to the datapath.
 */
#pragma once

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"
#include "lb/model/plan.h"

enum fl_detect_mode {
	FL_DETECT_CLUSTER_CIDR, /* the default */
	FL_DETECT_NODE_CIDR,
	FL_DETECT_BRIDGE_INTERFACE,
	FL_DETECT_INTERFACE_NAME_PREFIX,
	FL_DETECT_MODES,
};

#define FL_DETECT_INTERFACE_LEN 16 /* IFNAMSIZ, with the final NUL */

struct fl_detect_input {
	enum fl_detect_mode mode;
	const struct fl_prefix *cluster_cidrs; /* FL_DETECT_CLUSTER_CIDR */
	size_t n_cluster_cidrs;
	const struct fl_node *node; /* FL_DETECT_NODE_CIDR: its podCIDRs; NULL not known yet */
	const char *interface;	    /* name of the bridge, or prefix of names; NULL as "" */
};

struct fl_detect {
	enum fl_detect_mode mode;
	bool on[FL_FAMILIES]; /* false: nothing of this family is recognised as a pod */
	struct fl_prefix cidr[FL_FAMILIES];	 /* of the CIDR modes, where `on` */
	char interface[FL_DETECT_INTERFACE_LEN]; /* of the interface modes, else "" */
};

/* The word of KubeProxyConfiguration.detectLocalMode; "" is ClusterCIDR. 0 or -EINVAL. */
int fl_detect_mode_parse(const char *text, enum fl_detect_mode *ret_mode);

/*
 * Settings of the detector. Only the first CIDR of each family is used; a family without one has no
 * detector. 0, or -EINVAL when an interface mode has no usable interface name.
 */
int fl_detect_init(const struct fl_detect_input *input, struct fl_detect *ret_detect,
		   struct fl_err *err);

/* Whether the same clients are pods. */
bool fl_detect_equal(const struct fl_detect *a, const struct fl_detect *b);

enum fl_plan_list {
	FL_PLAN_LIST_CLUSTER,
	FL_PLAN_LIST_LOCAL,
};

struct fl_reach {
	enum fl_plan_list list;
	bool masquerade;
};

/*
 * One cell of the table of rule 5.3. `internal_local` and `external_local` are the effective
 * policies of struct fl_plan_port; `detector`: there is a local-traffic detector in this family.
 * Without one a pod client is treated as an outside client (rule 5.3.2).
 */
struct fl_reach fl_reach_decide(enum fl_plan_frontend_type type, enum fl_client client,
				bool internal_local, bool external_local, bool detector,
				bool masquerade_all);

/* The masquerade column of the same table for all clients: bit 1 << enum fl_client. */
uint16_t fl_masquerade_clients(enum fl_plan_frontend_type type, bool internal_local,
			       bool external_local, bool detector, bool masquerade_all);

/*
 * The endpoint list and the verdict of a frontend for one side: FL_SIDE_INTERNAL is for pod and
 * node clients, FL_SIDE_EXTERNAL for outside clients. A ClusterIP treats both the same.
 */
enum fl_plan_list fl_side_list(const struct fl_plan_port *port, enum fl_plan_frontend_type type,
			       enum fl_side side);
enum fl_plan_verdict fl_side_verdict(const struct fl_plan_port *port,
				     enum fl_plan_frontend_type type, enum fl_side side);
