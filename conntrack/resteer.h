/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * UDP clients leave backends that their frontend does not serve (7.1 to 7.7): stale is what the
 * frontend that a flow or a socket asked serves now, whatever states lay between. A backend that no
 * Service has any more is no longer live, which the datapath sees by itself; this finds the rest,
 * by passes over the memory of the two tables. One pass is for all that has changed until it
 * begins, and what it costs is followed by a rest of nine times that, but of a second at most. So
 * however many changes there are they take a tenth of a processor, more only where a pass takes
 * longer than a ninth of a second; and a change is judged within that second and two passes: the
 * one that was under way, which was too early for it, and its own.
 *
 * TCP clients of Services that want it are told when their backend is gone: their flows are found
 * in the same way, and the datapath answers the next segment with a reset.
 */
#pragma once

#include "conntrack/sockets.h"
#include "conntrack/table.h"
#include "conntrack/touched.h"

#define FL_RESTEER_REST_MS 1000 /* between two passes, and not more than */

/* What is known of a frontend and a backend. */
enum fl_serving {
	FL_SERVING_NO_FRONTEND, /* no Service has it */
	FL_SERVING_NO,
	FL_SERVING_YES,	    /* a serving endpoint, used here or not (7.3) */
	FL_SERVING_ANY,	    /* TCP: its connections stay, whatever it serves */
	FL_SERVING_UNKNOWN, /* what an earlier agent wrote, and no Service is known for yet */
};

/* What is asked of those who know. */
struct fl_resteer_ops {
	enum fl_serving (*serving)(const struct fl_frontend_key *frontend,
				   const struct fl_addr *backend, __be16 port, void *ctx);
	/* Whether node ports are served at this address. */
	bool (*has_node_ports)(const struct fl_addr *addr, void *ctx);
};

struct fl_resteered {
	size_t flows, sockets; /* that choose again with their next packet */
	size_t connected;      /* UDP sockets whose next send fails */
	size_t resets;	       /* TCP flows whose next packet is answered with a reset */
	size_t passes;
	uint64_t ns;	     /* that these took */
	uint64_t longest_ns; /* from a change to the end of the pass that judged it first */
};

enum fl_resteer_part {
	FL_RESTEER_FLOWS4,
	FL_RESTEER_FLOWS6,
	FL_RESTEER_SOCKETS,
	FL_RESTEER_PARTS, /* no pass is under way */
};

struct fl_resteer {
	const struct fl_resteer_ops *ops;
	void *ctx;
	const struct fl_clock *clock;
	struct fl_flow_table flows;
	struct fl_socket_table sockets;
	struct fl_touched touched;
	enum fl_resteer_part part;
	size_t next;		  /* slot of the part where the pass goes on */
	uint64_t pass_ns;	  /* that the pass took so far */
	struct fl_mono oldest;	  /* change that the pass is the first for; zero: none */
	struct fl_mono rest;	  /* no pass begins before */
	bool reset_orphans;	  /* TCP: also where a Service is gone of which nothing is known */
	struct fl_resteered done; /* since the beginning */
};

/* All borrowed. */
void fl_resteer_init(struct fl_resteer *resteer, const struct fl_resteer_ops *ops, void *ctx,
		     const struct fl_clock *clock, const struct fl_maps *maps);
void fl_resteer_fini(struct fl_resteer *resteer);

/* What this frontend serves has changed; NULL: of any. */
void fl_resteer_touch(struct fl_resteer *resteer, const struct fl_frontend_key *frontend);

/*
 * Do a slice of the pass under way, or of a new one if that is due: some milliseconds at most. To
 * be called again at once if it returns true, else whenever something was touched and some times a
 * second.
 */
bool fl_resteer_run(struct fl_resteer *resteer);
