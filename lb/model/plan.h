/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What this node must do for one Service, as a pure function of objects (rules 1 to 3 and 5): no
 * clock, no I/O, no kernel. One fl_plan_port per service port and IP family.
 */
#pragma once

#include "lb/model/drains.h"
#include "lb/model/object.h"

enum fl_plan_frontend_type { /* same order and numbers as enum fl_frontend_type of bpf/abi */
			     FL_PLAN_CLUSTER_IP = 1,
			     FL_PLAN_EXTERNAL_IP,
			     FL_PLAN_LOAD_BALANCER,
			     FL_PLAN_NODE_PORT,
};

struct fl_plan_frontend {
	enum fl_plan_frontend_type type;
	struct fl_ip ip; /* unspecified address of the family for a node port */
	uint16_t port;	 /* host byte order */
};

enum fl_plan_endpoint_flags {
	FL_PLAN_IN_CLUSTER = 1 << 0, /* member of the cluster list */
	FL_PLAN_IN_LOCAL = 1 << 1,   /* member of the local list */
	FL_PLAN_ON_NODE = 1 << 2,    /* runs on this node (rule 4.10: by nodeName) */
	FL_PLAN_SERVING = 1 << 3,    /* serving: its UDP flows may stay (rule 7.3) */
	FL_PLAN_DRAINED = 1 << 4,    /* in no list, only because its weight is 0 */
};

struct fl_nodes;

struct fl_plan_endpoint {
	struct fl_ip ip;
	struct fl_ip
		node;  /* address of the other node that it is on; zero: not known or asked for */
	uint16_t port; /* host byte order */
	uint8_t flags; /* enum fl_plan_endpoint_flags */
	/* share of the connections of a list it is in, relative to the others; 0: in none */
	uint16_t weight;
};

enum fl_plan_verdict {		     /* same numbers as enum fl_service_verdict of bpf/abi */
		       FL_PLAN_NONE, /* there is no such frontend */
		       FL_PLAN_FORWARD,
		       FL_PLAN_DROP,
		       FL_PLAN_REJECT,
};

enum fl_plan_hints {
	FL_PLAN_NO_HINTS,
	FL_PLAN_NODE_HINTS,
	FL_PLAN_ZONE_HINTS,
};

/* How the lists came to be as they are, for words only. */
struct fl_plan_reason {
	size_t n_all, n_ready, n_on_node; /* endpoints of the service port */
	size_t n_drained;		  /* of those that could serve */
	enum fl_plan_hints hints;	  /* by which the cluster list was chosen (3.4) */
	/* 3.3: no endpoint is ready, so terminating ones that still serve stand in */
	bool fallback, local_fallback;
};

struct fl_plan_port {
	/* borrowed from the Service, valid while it is */
	const char *ns, *name, *port_name;
	uint8_t proto;
	enum fl_family family;
	uint16_t port;
	struct fl_plan_frontend *frontends; /* sorted: type, address, port; no duplicates */
	size_t n_frontends;
	/* what an earlier port of the Service has already (rule 2.21); sorted the same way */
	struct fl_plan_frontend *lost;
	size_t n_lost;
	/* effective policies (rules 1.17, 1.18: an external Local counts only where there is
	 * something external) */
	bool internal_local, external_local;
	bool resets; /* TCP connections whose backend does not serve any more */
	bool dsr;    /* flows of outside clients to backends of other nodes are encapsulated */
	bool affinity;
	uint32_t affinity_timeout_s;
	/* ranges of this family; none: unfiltered (rule 5.6.2) */
	struct fl_prefix *source_ranges;
	size_t n_source_ranges;
	/* rule 5.6.5: a range holds a node's address, so the Service's own VIPs are allowed too */
	bool vips_exempt;
	bool uses_cluster, uses_local; /* rule 3.2: which lists the policies need */
	/* every endpoint that is in a list or serving; sorted by the text "ip:port" (rule 4.9) */
	struct fl_plan_endpoint *endpoints;
	size_t n_endpoints;
	/* of a list, on another node, and DSR cannot get there, since its address is not known */
	size_t n_lost_nodes;
	bool has_any; /* rule 3.3.4: some endpoint could serve, here or elsewhere */
	struct fl_plan_reason reason;
	/* clusterIP frontends, any client; external frontends, outside clients; external ones, pod
	 * and node clients */
	enum fl_plan_verdict cluster_ip, external, internal_to_external;
	uint16_t health_check_node_port; /* 0 unless LoadBalancer with policy Local (rule 6.1.1) */
	size_t local_ready; /* rule 6.1.6: distinct local ready addresses of the whole Service in
			       this family */
};

struct fl_plan_options {
	const char *node_name;	      /* required */
	const char *zone;	      /* "" none */
	bool node_hints;	      /* honour hints.forNodes (rule 3.4.2) */
	bool no_external_ips;	      /* ignore spec.externalIPs (rule 2.2, robustness C6) */
	const struct fl_ip *node_ips; /* rule 5.6.5 compares them with source ranges */
	size_t n_node_ips;
	/* what a Service without the annotations does */
	bool reset_removed;
	enum fl_forwarding forwarding;
	const struct fl_drains *drains; /* these endpoints have weight 0; NULL: none */
	const struct fl_nodes *nodes; /* endpoints are to have their nodes' addresses; NULL: not */
};

struct fl_plan {
	struct fl_plan_port *ports;
	size_t n_ports;
};

/* 1.1 to 1.3: not headless, not left to another proxy, not a DNS alias. */
bool fl_plan_is_ours(const struct fl_service *service);

/*
 * Plan one Service. `slices` are its EndpointSlices, of any family, in any order. A Service
 * without ClusterIP, of type ExternalName or of another proxy (rules 1.1 to 1.3) gives an empty
 * plan. 0 or -ENOMEM.
 */
int fl_plan_service(const struct fl_service *service, const struct fl_slice *const *slices,
		    size_t n_slices, const struct fl_plan_options *options,
		    struct fl_plan *ret_plan);
void fl_plan_fini(struct fl_plan *plan);
