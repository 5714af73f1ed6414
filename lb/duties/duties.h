/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a cluster, its load balancers and its monitoring ask of a node's service proxy besides
 * traffic: /healthz and /livez (10256), a server per health-check node port, and the metrics server
 * (10249). Answers come from state that others keep; nothing here looks at maps or at the machine.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/health.h"
#include "lb/duties/local_services.h"
#include "lb/duties/proxy_health.h"
#include "lb/model/node_ports.h"

struct fl_duties;
struct fl_http;
struct fl_json;
struct fl_socket_want;

/* Answers of a health server by their code. */
enum fl_health_code {
	FL_HEALTH_CODE_200,
	FL_HEALTH_CODE_503,
	FL_HEALTH_CODES,
};

struct fl_duties_options {
	struct fl_http *http;
	struct fl_health *health;
	/* borrowed, and may change */
	const struct fl_proxy_health *proxy_health;
	struct fl_local_services *services;
	const char *proxy_mode; /* what /proxyMode answers */
	bool (*eligible)(void *arg);
	/* The text of /metrics, which is the caller's; NULL: no memory. */
	char *(*metrics)(void *arg);
	/* The members of the document of /configz. */
	void (*configz)(struct fl_json *json, void *arg);
	void *arg; /* for all of them */
};

int fl_duties_new(const struct fl_duties_options *options, struct fl_duties **ret_duties,
		  struct fl_err *err);
/* Before fl_http_free(). */
void fl_duties_free(struct fl_duties **duties);

/* Where the two servers listen. -ENOMEM; what cannot be bound is a condition. */
int fl_duties_listen(struct fl_duties *duties, const struct fl_socket_want *healthz,
		     size_t n_healthz, const struct fl_socket_want *metrics, size_t n_metrics);
/* An address of the two servers could not be bound: the first error, with words. */
int fl_duties_error(const struct fl_duties *duties, struct fl_err *err);

/*
 * The health-check node ports follow the Services (6.1.8) and the addresses on which node ports are
 * served (6.1.2): to be called at the end of each turn. `moved`: these addresses have changed.
 */
void fl_duties_turn(struct fl_duties *duties, const struct fl_node_ports *node_ports, bool moved);
/* 6.2.9: every five seconds, try again what could not be bound. */
#define FL_DUTIES_RETRY_MS 5000
void fl_duties_retry(struct fl_duties *duties);

struct fl_duties_counts {
	uint64_t healthz[FL_HEALTH_CODES], livez[FL_HEALTH_CODES], health_port[FL_HEALTH_CODES];
	size_t health_ports; /* Services that have one */
};
struct fl_duties_counts fl_duties_count(const struct fl_duties *duties);
