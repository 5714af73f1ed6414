/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a packet of no flow is to become, and what has to be written for that: found out by
 * fl_new_decide(), which changes nothing, and carried out by fl_new_commit().
 */
#pragma once

#include "nodeport/decision.bpf.h"
#include "nodeport/enter.bpf.h"

enum fl_intent_kind {
	FL_INTENT_NOTHING, /* `d` is all */
	FL_INTENT_SERVE,   /* a flow through a frontend */
	FL_INTENT_DIRECT,  /* one straight to a backend, if another flow is in its way */
	FL_INTENT_OWN,	   /* an answer to what this node has asked: its record is in use */
};

struct fl_intent {
	struct fl_decision d; /* if nothing fails */
	struct fl_tuple6
		reply; /* the key of the other direction, with the first candidate's port */
	__u64 hash;    /* of the packet's tuple */
	struct fl_new new;
	struct fl_scan scan[2]; /* of both directions' buckets: fl_new_commit_scanned() */
	__u32 kind;		/* enum fl_intent_kind */
	__u32 sticky;		/* the service whose record is to name the backend; 0: none */
	bool hop_asked;	    /* d.hop comes from the kernel, and is to be kept with the backend */
	bool unserved_exit; /* to be counted */
};
