/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A source that follows a Kubernetes API server: Services, EndpointSlices and this node's Node, or
 * all Nodes, and where host ports are served this node's Pods.
 *
 * - Nothing of it is in the store before all kinds have been listed (10.3), and a list takes effect
 *   when it is whole: what it lacks is gone then, not before.
 * - They wait for this node's Node, which a kubelet may make later than it starts us.
 * - As long as the server cannot be reached, or says nothing that makes sense, everything stays as
 *   it was. Each kind that may be out of date is a condition.
 * - With a file for it, the last state known outlives us and the node: where there is no server at
 *   the start it is served from, which a condition says, until the lists are there.
 * - A faulty object keeps its own last good state.
 */
#pragma once

#include "lb/base/health.h"
#include "lb/kube/access.h"
#include "lb/source/definitions.h"
#include "lb/source/source.h"

struct fl_kube_source_options {
	struct fl_store *store;		    /* must outlive the source, as all that is borrowed */
	struct fl_definitions *definitions; /* over that store; of an object that other sources
					       define too, theirs counts */
	const char *node;		    /* the name of this node */
	struct fl_health *health;	    /* the kind's conditions are ours alone */
	uint64_t load_ms; /* how long the first reading waits for a server that is silent */
	/* A connection without a byte for so long is taken for dead; 0: as the watches have it. */
	uint64_t idle_ms;
	uint64_t at_once_ms; /* see struct fl_kube_watch_options */
	/* 10.11: how long the first lists wait for our Node when all else is there; and whether
	 * they wait for its podCIDRs, without end */
	uint64_t node_wait_ms;
	bool pod_cidrs;
	bool all_nodes;	 /* follow every Node, not only ours */
	bool host_ports; /* follow this node's Pods */
	/* A file in which what the server said last is kept, and from which it is read when there
	 * is no server at the start; NULL: none. The two times are fl_kube_keep_options'. */
	const char *state;
	uint64_t keep_after_ms, keep_every_ms;
	fl_problem_fn report;
	void *arg;
};

/* Takes what `access` holds, in any case. Nothing is asked before fl_source_load(). */
int fl_kube_source_new(struct fl_kube_access *access, const struct fl_kube_source_options *options,
		       struct fl_source **ret_source, struct fl_err *err);

/* By which it asks the server, for others that do; borrowed. */
struct fl_kube_client *fl_kube_source_client(const struct fl_source *source);

/* From a kubeconfig, or, when that is NULL, from what a pod has. */
int fl_kube_source_access(const char *kubeconfig, struct fl_kube_access *ret_access,
			  struct fl_err *err);
