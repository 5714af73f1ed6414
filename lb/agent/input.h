/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the agent is asked to serve: the objects as read so far, and what they say about this node.
 * Trouble with files and objects becomes conditions.
 */
#pragma once

#include "lb/base/health.h"
#include "lb/base/ip.h"
#include "lb/model/plan_store.h"
#include "lb/model/store.h"
#include "lb/settings/settings.h"
#include "lb/source/source.h"

struct fl_kube_client;

struct fl_input {
	/* borrowed */
	const struct fl_settings *settings;
	struct fl_health *health;
	const struct fl_drains *drains; /* set before anything is read; NULL: none */
	/* owned */
	struct fl_store *store;
	struct fl_definitions *definitions; /* over the store; shared by the sources */
	struct fl_source *source;
	struct fl_kube_client *client; /* of the API server; borrowed from the source; NULL: none */
	char *state; /* the file in which it keeps what an API server said; NULL: none */
	/* what the Node object says, and the settings that override it */
	struct fl_plan_options plan_options; /* borrows from store and node_ips */
	struct fl_ip node_ips[FL_FAMILIES];
	size_t n_node_ips;
	bool node_seen;	   /* there was a Node object of this node's name, now or before */
	uint64_t reviewed; /* what had changed until then; 0: never */
	bool news;	   /* problems were reported since they became conditions last */
};

/* The store, and a source of the manifests; nothing is read yet. `settings` and `health` are
 * borrowed. */
int fl_input_init(struct fl_input *input, const struct fl_settings *settings,
		  struct fl_health *health, struct fl_err *err);
void fl_input_fini(struct fl_input *input);

/* Whether an API server is followed. */
bool fl_input_has_api(const struct fl_input *input);

/* Read everything for the first time; every Service is marked in the store. */
int fl_input_load(struct fl_input *input, struct fl_err *err);
/* Take in what has changed, when fl_source_fd() is readable. */
void fl_input_handle(struct fl_input *input);
/* Look for what no event tells of, for a slow timer. */
void fl_input_look(struct fl_input *input);
/* Look at everything again. */
void fl_input_refresh(struct fl_input *input);
/* The same, and let what was held for the grace time take effect now. */
void fl_input_apply_held(struct fl_input *input);

/* Look for slices of Services that are not there, and for this node's name in what was read, if
 * that has changed: for a slow timer, since it walks over everything. */
void fl_input_review(struct fl_input *input);

/*
 * Read the Node object again. True if the node's addresses changed: then every Service is marked,
 * since the source ranges of 5.6.5 (a node's own addresses pass them) depend on them.
 */
bool fl_input_update_node(struct fl_input *input);
