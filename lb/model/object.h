/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Service, EndpointSlice, Node and Pod as plain data: the fields of rule 10.2 and nothing else.
 * Strings are owned, NUL-terminated and never NULL ("" when absent) unless said otherwise; arrays
 * are owned.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lb/base/ip.h"

enum fl_service_type {
	FL_SERVICE_CLUSTER_IP, /* the default when spec.type is absent */
	FL_SERVICE_NODE_PORT,
	FL_SERVICE_LOAD_BALANCER,
	FL_SERVICE_EXTERNAL_NAME,
};

struct fl_service_port {
	char *name;
	uint8_t proto;	    /* IPPROTO_TCP (default), IPPROTO_UDP, IPPROTO_SCTP */
	uint16_t port;	    /* host byte order, 1..65535 */
	uint16_t node_port; /* 0 none */
};

struct fl_lb_ingress {
	bool has_ip;
	struct fl_ip ip;
	bool proxy; /* ipMode: Proxy (rule 2.3: no frontend) */
};

/* Whether TCP connections whose backend is gone are reset. */
enum fl_reset {
	FL_RESET_AS_SET, /* as the node's settings say */
	FL_RESET_ON,
	FL_RESET_OFF,
};

/* How flows of outside clients get to backends of other nodes. */
enum fl_forwarding {
	FL_FORWARDING_AS_SET, /* as the node's settings say */
	FL_FORWARDING_SNAT,   /* masqueraded: answers come back through this node */
	FL_FORWARDING_DSR,    /* encapsulated: the backend's node answers the client itself */
	FL_FORWARDING_HYBRID, /* TCP by DSR, UDP by SNAT */
};

struct fl_service {
	char *ns, *name;
	int64_t created; /* metadata.creationTimestamp, seconds since 1970; 0 unknown */
	struct fl_service_port *ports;
	struct fl_ip *external_ips;
	struct fl_lb_ingress *ingress;
	struct fl_prefix *source_ranges; /* the parsable ones (rule 5.6.2) */
	uint32_t n_ports, n_external_ips, n_ingress, n_source_ranges;
	enum fl_service_type type : 8;
	enum fl_reset reset : 8;	   /* annotation fairlead.dev/reset-on-backend-removal */
	enum fl_forwarding forwarding : 8; /* annotation fairlead.dev/forwarding-mode */
	uint32_t affinity_timeout_s;	   /* 10800 when absent (rule 1.19) */
	uint16_t health_check_node_port;   /* 0 none */
	/*
	 * the ClusterIP of each family, if any (rule 1.12: clusterIPs in the order of ipFamilies)
	 */
	struct fl_ip cluster_ip[FL_FAMILIES];
	bool has_cluster_ip[FL_FAMILIES];
	bool headless;		    /* spec.clusterIP: None */
	bool families[FL_FAMILIES]; /* those of spec.ipFamilies; none when it is absent */
	bool affinity;		    /* sessionAffinity: ClientIP */
	bool external_local;	    /* spec.externalTrafficPolicy: Local, as written; rule 1.17 says
				       when it counts */
	bool internal_local;	    /* spec.internalTrafficPolicy: Local */
	bool host_ports;	    /* of a pod, not of the API (lb/model/host_ports.h) */
	bool other_proxy; /* label service.kubernetes.io/service-proxy-name present (rule 1.3) */
	bool packed;	  /* all of it is one block (fl_service_pack()) */
};

#define FL_WEIGHT_DEFAULT 1
#define FL_WEIGHT_MAX 1000

#define FL_HINTS_MAX 16 /* of each kind */

struct fl_endpoint {
	struct fl_ip ip;		  /* the first address (rule 4.5) */
	uint16_t weight;		  /* share of new connections; 0: none (drained) */
	bool ready, serving, terminating; /* defaults applied (rule 3.1.1) */
	uint8_t n_zone_hints, n_node_hints;
	/* "" when absent. In the same block the texts of the hints follow, each with its NUL: first
	 * hints.forZones[].name, then hints.forNodes[].name. */
	char *node_name;
};
static_assert(sizeof(struct fl_endpoint) == 32, "most of what an agent holds");

/* Texts of hints, one behind the other. */
struct fl_hints {
	const char *first;
	uint8_t n;
};

static inline const char *fl_hint_next(const char *hint)
{
	return hint + strlen(hint) + 1;
}

struct fl_slice_port {
	char *name;
	uint8_t proto;
	uint16_t port; /* host byte order, never 0: such ports are left out (rule 4.6) */
};

struct fl_slice {
	char *ns, *name;
	char *service;	  /* label kubernetes.io/service-name */
	uint64_t version; /* metadata.resourceVersion if it is a number, else 0; only breaks ties
			     (rule 4.8) */
	int64_t trigger_unix_ns; /* when what changed it happened (rule 4.14: feeds a metric), 0
				    unknown */
	enum fl_family family;	 /* FQDN slices are not stored */
	bool packed;		 /* all of it is one block (fl_slice_pack()) */
	struct fl_endpoint *endpoints;
	size_t n_endpoints;
	struct fl_slice_port *ports;
	size_t n_ports;
};

struct fl_node {
	char *name;
	char *zone;		     /* label topology.kubernetes.io/zone, "" absent */
	struct fl_prefix *pod_cidrs; /* spec.podCIDRs (or podCIDR) */
	size_t n_pod_cidrs;
	struct fl_ip *addresses; /* status.addresses: InternalIP first, then ExternalIP */
	size_t n_addresses;
	bool deleting;	       /* metadata.deletionTimestamp present */
	bool autoscaler_taint; /* taint ToBeDeletedByClusterAutoscaler (rule 6.2.5) */
};

struct fl_pod_port {
	uint16_t host_port, port; /* port: the container's; host byte order, never 0 */
	uint8_t proto;
	bool has_ip; /* hostIP is there: ports of one address, or of all of one family */
	struct fl_ip ip;
};

struct fl_pod {
	char *ns, *name;
	char *node_name; /* spec.nodeName, "" not yet */
	int64_t created; /* as of a Service */
	bool host_network;
	bool ended;	   /* status.phase Succeeded or Failed */
	struct fl_ip *ips; /* status.podIPs (or podIP) */
	size_t n_ips;
	struct fl_pod_port *ports; /* those with a hostPort, of all its containers */
	size_t n_ports;
};

enum fl_kind {
	FL_KIND_SERVICE,
	FL_KIND_SLICE,
	FL_KIND_NODE,
	FL_KIND_POD,
};
#define FL_KINDS (FL_KIND_POD + 1)

/* One decoded object, owned. */
struct fl_object {
	enum fl_kind kind;
	union {
		struct fl_service *service;
		struct fl_slice *slice;
		struct fl_node *node;
		struct fl_pod *pod;
	};
};

/* Rule 9.4: trim a node's name in place and put it into lower case. False when nothing is left. */
bool fl_node_name_fold(char *name);

/* Borrowed from the endpoint. */
struct fl_hints fl_endpoint_zone_hints(const struct fl_endpoint *endpoint);
struct fl_hints fl_endpoint_node_hints(const struct fl_endpoint *endpoint);
/*
 * Give an endpoint that has none the name of its node and its hints, FL_HINTS_MAX of each kind at
 * most, which are copied. 0 or -ENOMEM.
 */
int fl_endpoint_name(struct fl_endpoint *endpoint, const char *node_name,
		     const char *const *zone_hints, size_t n_zone_hints,
		     const char *const *node_hints, size_t n_node_hints);
/* Bytes of all its texts; 0 without any. */
size_t fl_endpoint_texts_size(const struct fl_endpoint *endpoint);

/* All free functions accept NULL and half-built objects, and set the pointer to NULL. */
void fl_service_free(struct fl_service **service);
void fl_slice_free(struct fl_slice **slice);
void fl_node_free(struct fl_node **node);
void fl_pod_free(struct fl_pod **pod);
void fl_object_free(struct fl_object *object); /* frees what it holds and zeroes it */

/*
 * Move all that the object has into one block, which takes half of the memory. From then on nothing
 * may be put in another one's place. Without memory for that it stays as it is.
 */
void fl_service_pack(struct fl_service **service);
void fl_slice_pack(struct fl_slice **slice);

/* Whether every field above is equal, except for `version`, `trigger_unix_ns` and `packed`. */
bool fl_service_equal(const struct fl_service *a, const struct fl_service *b);
bool fl_slice_equal(const struct fl_slice *a, const struct fl_slice *b);
bool fl_node_equal(const struct fl_node *a, const struct fl_node *b);
bool fl_pod_equal(const struct fl_pod *a, const struct fl_pod *b);
