/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ids of service ports, as frontends, members and ranges name them. One that is freed rests for a
 * while before it is given to another service port.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fl_state;
struct fl_sync_service_port;

struct fl_service_id {
	struct fl_sync_service_port *port; /* NULL: free, or not yet taken over after a restart */
	struct fl_state *found;		   /* what the maps had of it, until it is taken over */
};

struct fl_service_ids {
	struct fl_service_id *all;
	uint32_t cap, fresh;
	uint32_t *freed; /* ring, longest resting first */
	uint32_t cap_freed, head, n_freed;
	bool settled; /* ids nobody took over are free */
};

void fl_service_ids_fini(struct fl_service_ids *ids);
/* An id for this port: `wish`, if that has no port, or 0 for any. 0, -ENOSPC or -ENOMEM. */
int fl_service_id_take(struct fl_service_ids *ids, struct fl_sync_service_port *port, uint32_t wish,
		       uint32_t *ret_id);
void fl_service_id_drop(struct fl_service_ids *ids, uint32_t id);
/* The service port that has the id, or NULL. */
struct fl_sync_service_port *fl_service_id_port(const struct fl_service_ids *ids, uint32_t id);
/* An id that the maps name. 0 or -ENOMEM. */
int fl_service_ids_adopt(struct fl_service_ids *ids, uint32_t id);
void fl_service_ids_settle(struct fl_service_ids *ids);
