/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Writing services into the maps, as the agent would. */
#pragma once

#include "tests/packet/plane.h"

#define NODE_PORT 30080
#define SERVICE_PORT 80
#define BACKEND_PORT 8080
#define MASQUERADE_ALL (FL_MASQUERADE_OUTSIDE | FL_MASQUERADE_POD | FL_MASQUERADE_NODE)
#define MAX_IDS 8

/* Make `id` a live backend; its generation is raised. */
void backend_add(struct plane *p, uint32_t id, const struct fl_ip *ip, uint16_t port, uint8_t proto,
		 uint8_t more_flags);
/* In a plane that dispatches by Geneve: the node that a backend of another one is on. */
struct fl_ip backend_node(const struct fl_ip *backend);
/* The endpoint goes. */
void backend_remove(struct plane *p, uint32_t id);

struct service {
	uint32_t id;
	enum fl_frontend_type type;
	struct fl_ip ip; /* node ports: unspecified address of `family` is filled in */
	enum fl_family family;
	uint16_t port;
	uint8_t proto;
	uint16_t flags;
	uint8_t verdict[FL_SIDES];	 /* 0: forward with backends, else reject */
	uint32_t affinity_timeout;	 /* jiffies */
	uint32_t ids[FL_SIDES][MAX_IDS]; /* backend ids, ended by 0 */
};

/* Add or replace a frontend, with lists of its own. */
void service_add(struct plane *p, const struct service *service);
/* DSR: the table before (`which` 0), or one before that, had this backend only; 0: none. */
void former_set(struct plane *p, uint32_t service_id, int which, uint32_t backend);
/* The address belongs to some service, at whatever port: a cluster IP, or not. */
void vip_add(struct plane *p, const struct fl_ip *ip, bool cluster_ip);
/* Let a network in (5.6). */
void range_add(struct plane *p, uint32_t service_id, const char *prefix);
/* An address, by its text. */
struct fl_ip ip(const char *text);
void local_add(struct plane *p, const struct fl_ip *ip, uint32_t flags);
/* Addresses of the node to masquerade with at a device, from the host-th of its network on. */
void pool_set(struct plane *p, enum dev dev, enum fl_family family, unsigned int host, uint32_t n);
/* Whether what leaves by that device may be masqueraded with the address. */
bool pool_allows(const struct plane *p, enum dev dev, const struct fl_ip *ip);

#define SCENE_FRONTENDS 4

struct frontend {
	enum fl_frontend_type type;
	struct fl_ip ip;
	uint16_t port;
};

/* Backends 1..n at .1...n of a network, and service 1 on them, masqueraded for every client. */
struct scene {
	enum fl_family family;
	uint8_t proto;
	enum network network;
	unsigned int backends; /* 0: one */
	uint16_t more_flags;   /* enum fl_frontend_flags */
	bool keep_source;      /* no client is masqueraded */
};

/* Cluster IP .10, external IP .20, load balancer .30, and a node port. */
void scene_set(struct plane *p, const struct scene *scene,
	       struct frontend ret_frontends[SCENE_FRONTENDS]);

/* Replace all four frontends by such: type, address and port are filled in. */
void service_replace(struct plane *p, const struct frontend frontends[SCENE_FRONTENDS],
		     struct service service);
