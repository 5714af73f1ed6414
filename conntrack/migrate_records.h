/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Records of session affinity and of the node's own UDP flows, brought over from a datapath whose
 * maps are laid out otherwise and whose services and backends have other numbers. */
#pragma once

#include "conntrack/backend_ids.h"
#include "lb/dp/frontend_table.h"
#include "lb/dp/old_records.h"

/* The number here of each service that has a frontend here and there. */
struct fl_service_numbers {
	struct fl_service_number {
		uint32_t old, ours;
	} * items; /* sorted */
	size_t n;
};

/* 0 or -ENOMEM. */
int fl_service_numbers_init(struct fl_service_numbers *ids, const struct fl_old_records *old,
			    const struct fl_frontend_table *ours);
void fl_service_numbers_fini(struct fl_service_numbers *ids);

/* Where records come from, and what their numbers mean. */
struct fl_record_source {
	const struct fl_old_records *old;
	const struct fl_backend *backends; /* ours */
	const struct fl_backend_ids *backend_ids;
	const struct fl_service_numbers *services;
};

/* An element of the old map as one of ours. False: its service or backend is gone. */
bool fl_affinity_bring(const struct fl_record_source *source, const void *key, const void *value,
		       struct fl_affinity_key *ret_key, struct fl_affinity *ret_value);
void fl_own_flow_bring(const struct fl_old_records *old, const void *key, const void *value,
		       struct fl_own_key *ret_key, uint32_t *ret_last);

/* All of them; of two with one key the one that was used last stays. `ret_n`: how many were
 * written. 0 or -ENOMEM. */
int fl_records_migrate(const struct fl_maps *maps, const struct fl_backend_ids *backend_ids,
		       const struct fl_old_records *old, size_t *ret_n);
