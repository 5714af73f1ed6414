/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's JSON API on a Unix socket: HTTP/1.1, read-only but for flushing flows. What it shows
 * comes from the kernel maps; store and sync only give names. It has no thread of its own: the
 * agent's loop watches one descriptor and calls fl_api_handle() when it is readable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/err.h"

struct fl_health;
struct fl_maps;
struct fl_plan_options;
struct fl_store;
struct fl_sync;

struct fl_api_device {
	const char *name;
	uint32_t ifindex;
	const char *role; /* "external", "pod" */
	const char *hook; /* "xdp", "xdp-generic", "tc" */
};

/* What only the agent knows of itself. Strings are borrowed until the callback is called again. */
struct fl_api_status {
	const char *node;   /* name of the node */
	const char *zone;   /* NULL or "" none */
	const char *bpffs;  /* directory of the pins */
	const char *cgroup; /* where the socket hooks are attached; NULL or "" nowhere */
	uint64_t uptime_s;
	bool synced;			/* everything was read and applied at least once */
	const struct fl_health *health; /* NULL: no conditions */
	long drift; /* differences found by the last fl_sync_verify(); -1 it has not run */
	const struct fl_api_device *devices;
	size_t n_devices;
};

/* Everything is borrowed and must outlive the API; the struct itself is copied by fl_api_open(). */
struct fl_api_source {
	const struct fl_maps *maps;   /* writable mappings, for flushing flows */
	const struct fl_store *store; /* for /v1/plan; NULL: answers 503 */
	struct fl_sync *sync; /* for names, statistics, verify; NULL: ids instead of names */
	const struct fl_plan_options *plan_options; /* for /v1/plan, read at each request */
	uint32_t hz; /* jiffies per second; 0: asked from the kernel */
	/* Fill *ret_status, which is zeroed but for drift = -1. May be NULL. */
	void (*status)(struct fl_api_status *ret_status, void *arg);
	/* Make maps->meta->now_jiffies fresh by running program fl_clock. May be NULL. */
	void (*refresh_clock)(void *arg);
	void *arg; /* for both */
};

struct fl_api;

/*
 * Listen on a socket at `path`, mode 0600; its directory is made (0755) if only that is missing. A
 * socket that nobody answers on is replaced. -EADDRINUSE when another agent answers there, -EEXIST
 * when something else than a socket lies there, -ENAMETOOLONG, or what the system said.
 */
int fl_api_open(const char *path, const struct fl_api_source *source, struct fl_api **ret_api,
		struct fl_err *err);
/* The descriptor to watch for reading, the same for the whole life. Timeouts are part of it. */
int fl_api_fd(const struct fl_api *api);
/* Accept, read, answer, time out: whatever is due. Never blocks on a client. */
void fl_api_handle(struct fl_api *api);
/* Listen anew where somebody removed the socket; connections stay. */
int fl_api_mend(struct fl_api *api, struct fl_err *err);
/* Close all connections and remove the socket, if it is still ours. Accepts NULL. */
void fl_api_close(struct fl_api **api);
