/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's JSON API: routes and views, served by lb/http on a Unix socket; read-only but for
 * flushing flows and draining backends. What it shows comes from the kernel maps; store and sync
 * only give names.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/err.h"

struct fl_api_drain_request;
struct fl_api_drain_result;
struct fl_drains;
struct fl_health;
struct fl_http;
struct fl_maps;
struct fl_plan_options;
struct fl_store;
struct fl_sync;

#define FL_AGENT_RUNNING "running"

struct fl_api_device {
	const char *name;
	uint32_t ifindex;
	const char *role; /* "external", "pod" */
	const char *hook; /* "xdp", "xdp-generic", "tc" */
};

/* How full a map is. */
struct fl_api_map {
	const char *name;
	uint64_t used, size;
};

/*
 * What only the agent knows of itself; without one, what the CLI knows. Strings are borrowed until
 * the callback is called again.
 */
struct fl_api_status {
	const char *agent;  /* FL_AGENT_RUNNING; else the CLI answers: "stopped", "unreachable" */
	const char *node;   /* name of the node */
	const char *zone;   /* NULL or "" none */
	const char *bpffs;  /* directory of the pins */
	const char *cgroup; /* where the socket hooks are attached; NULL or "" nowhere */
	/* of Services that do not name a mode themselves; NULL: not known */
	const char *forwarding_mode, *dispatch;
	uint64_t uptime_s;		/* of an agent that is running */
	bool synced;			/* everything was read and applied at least once */
	const struct fl_health *health; /* NULL: no conditions */
	long drift; /* differences found by the last fl_sync_verify(); -1 it has not run */
	const struct fl_api_device *devices;
	size_t n_devices;
	const struct fl_api_map *maps;
	size_t n_maps;
	const struct fl_drains *drains; /* by command; NULL: not known */
	uint32_t source_ports; /* there are towards each backend, of each of our addresses */
};

/* Of an agent that runs: no condition of level error, everything applied, no drift. */
bool fl_api_status_is_healthy(const struct fl_api_status *status);

/* Where answers come from. Everything is borrowed, the struct itself too, by fl_api_listen(). */
struct fl_api_source {
	const struct fl_maps *maps;   /* writable mappings, for flushing flows */
	const struct fl_store *store; /* for /v1/plan; NULL: answers 503 */
	struct fl_sync *sync; /* for names, statistics, verify; NULL: ids instead of names */
	const struct fl_plan_options *plan_options; /* for /v1/plan, read at each request */
	uint32_t hz; /* jiffies per second; 0: asked from the kernel */
	/* Fill *ret_status, which is zero but for agent and drift = -1. May be NULL. */
	void (*status)(struct fl_api_status *ret_status, void *arg);
	/* The text of /metrics, which is the caller's. NULL: answers 503. */
	char *(*metrics)(void *arg);
	/* Make maps->meta->now_jiffies fresh by running program fl_clock. May be NULL. */
	void (*refresh_clock)(void *arg);
	/* Look at the input and at the node again; with `now` what was held for the grace time
	 * takes effect, as on SIGHUP. NULL: answers 503. */
	void (*reload)(bool now, void *arg);
	const struct fl_drains *drains; /* by command; NULL: not known */
	/*
	 * Drain backends, or no longer: all that the request says, or nothing of it. -EEXIST: one
	 * is drained with more than it, which has to be undrained as a whole; -ENOSPC: there are
	 * too many; -ENOMEM. The result is the caller's. NULL: answers 503.
	 */
	int (*drain)(const struct fl_api_drain_request *request,
		     struct fl_api_drain_result *ret_result, struct fl_err *err, void *arg);
	void *arg; /* for all of them */
};

/*
 * Serve the API on a Unix socket, to root and to the user this process runs as. `source` is
 * borrowed until fl_http_free(). Errors as fl_http_listen_unix() says.
 */
int fl_api_listen(struct fl_http *http, const char *path, const struct fl_api_source *source,
		  struct fl_err *err);
