/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The flow table as memory: walking, sweeping, counting and flushing are scans of the mapping that
 * the datapath writes, not system calls per entry. Same protocol as the BPF half
 * (conntrack/flow.bpf.h): an entry is taken by compare-and-exchange on its word, and both
 * directions of a flow go together.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "conntrack/rebuild.h"
#include "lb/base/ip.h"
#include "lb/dp/maps.h"

/* Borrowed memory. Either table may be absent (NULL, 0). */
struct fl_flow_table {
	struct fl_bucket4 *flows4;
	size_t n_flows4; /* buckets, a power of two */
	struct fl_bucket6 *flows6;
	size_t n_flows6; /* buckets, a power of two */
	/* for fl_overflow_rebuild() only; NULL: nothing is rebuilt */
	struct fl_overflow *overflow4, *overflow6;
	struct fl_meta *meta;
};

static inline struct fl_flow_table fl_flow_table_of(const struct fl_maps *maps)
{
	return (struct fl_flow_table){
		.flows4 = maps->flows4,
		.n_flows4 = maps->n_flows4,
		.flows6 = maps->flows6,
		.n_flows6 = maps->n_flows6,
		.overflow4 = maps->overflow4,
		.overflow6 = maps->overflow6,
		.meta = maps->meta,
	};
}

/* One flow as a reader sees it: a consistent copy of both directions, in host types. */
struct fl_flow {
	enum fl_family family;
	uint32_t slot, reply_slot;
	uint8_t proto;
	enum fl_flow_state state;
	uint8_t flags, reply_flags; /* enum fl_flow_flags */
	bool reply_known;	    /* the other direction was there and named this one */
	/* as the client wrote it: client -> frontend */
	struct fl_ip client, frontend;
	uint16_t client_port, frontend_port;
	/* what the backend sees: source (client, or ours) -> backend */
	struct fl_ip source, backend;
	uint16_t source_port, backend_port;
	uint32_t backend_id; /* 0: none of ours; else see fl_flow_has_backend() */
	uint32_t
		idle_jiffies; /* since the later of both directions; 0 if that lies in the future */
	uint64_t packets, bytes, reply_packets, reply_bytes;
};

/* Whether this element is the backend that the flow's id meant when it was made. */
bool fl_flow_has_backend(const struct fl_flow *flow, const struct fl_backend *backend);

/* Call fn for every flow (once, from its original direction). Stops at non-zero, which is returned.
 * `now`: jiffies. */
int fl_flow_walk(const struct fl_flow_table *table, uint64_t now,
		 int (*fn)(const struct fl_flow *flow, void *arg), void *arg);

struct fl_flow_counts {
	size_t slots[FL_FAMILIES];		   /* entries there are */
	size_t flows[FL_FAMILIES][FL_FLOW_STATES]; /* original directions only */
	size_t lone;				   /* entries whose twin does not name them */
};
void fl_flow_count(const struct fl_flow_table *table, struct fl_flow_counts *ret_counts);

/* How full the table of a family is, counted in passing by the sweep. */
struct fl_flow_tally {
	size_t slots;		      /* there are */
	size_t used;		      /* live entries; a flow has two */
	size_t proven;		      /* established, or half closed */
	size_t unanswered;	      /* TCP flows that no reply was seen of yet */
	size_t kernel;		      /* flows that live as long as the kernel says */
	size_t flows[FL_FLOW_STATES]; /* by original directions */
	/* jiffies when the first of these flows is over if it carries no packet and stays in its
	 * state; FL_NEVER: there is none */
	uint64_t over;
};
#define FL_NEVER UINT64_MAX

/* An entry of a flow that a pass meets. */
struct fl_met {
	enum fl_family family;
	size_t slot;
	const struct fl_flow_head *head; /* a copy */
};

/* What the flow's client has asked, of either direction's entry. False: the entry is not, or no
 * longer, of the generation that was met. */
bool fl_flow_frontend(const struct fl_flow_table *table, const struct fl_met *met,
		      struct fl_ip *ret_frontend, uint16_t *ret_port);

/* Told of each entry that a pass meets, before it may be freed (NULL: of none), and of the pass's
 * end. */
struct fl_sweep_watcher {
	void (*met)(const struct fl_met *met, void *arg);
	void (*passed)(enum fl_family family, void *arg);
	void *arg;
};
#define FL_SWEEP_WATCHERS 2

struct fl_sweep {
	uint32_t timeout[FL_TIMEOUTS]; /* jiffies */
	size_t next4, next6;	       /* where the next slice begins */
	/* Nothing has lost its twin since a pass looked for that: twins are not touched but of
	 * flows that seem to be over, since each is a line of its own. */
	bool paired;
	bool skip[FL_FAMILIES]; /* there is none of this family */
	/* of the last whole pass (all zero: there was none), and of the one under way */
	struct fl_flow_tally tally[FL_FAMILIES], counting[FL_FAMILIES];
	struct fl_sweep_watcher watchers[FL_SWEEP_WATCHERS];
	size_t n_watchers;
	/*
	 * What the kernel says of a flow that its NAT translates (FL_FLOW_KERNEL): the state, and
	 * the flow lives as long as it has one; FL_FLOW_FREE: it is over; FL_FLOW_STATES: not
	 * known. NULL: never known.
	 */
	enum fl_flow_state (*kernel)(const struct fl_flow *flow, void *arg);
	void *kernel_arg;
};
/* No more than FL_SWEEP_WATCHERS of them. */
void fl_sweep_watch(struct fl_sweep *sweep, const struct fl_sweep_watcher *watcher);
/*
 * Free the expired flows (both directions idle past the timeout of their state) and lone entries
 * older than a second, in at most `max_buckets` buckets of each table, going on where the last call
 * stopped. Returns the number of flows freed. hz: jiffies per second.
 */
size_t fl_flow_sweep(const struct fl_flow_table *table, struct fl_sweep *sweep, uint64_t now,
		     uint32_t hz, size_t max_buckets);

/* Make the overflow bits (struct fl_overflow) anew, by looking at no more than `max_buckets`
 * buckets of each table a time. */
void fl_overflow_rebuild(const struct fl_flow_table *table, struct fl_rebuild *rebuild,
			 uint64_t now, uint32_t hz, size_t max_buckets);

/* The bits of the filter (bpf/abi/filter.h) likewise, from the flows and all other maps. */
void fl_filter_rebuild(const struct fl_maps *maps, struct fl_rebuild *rebuild, uint64_t now,
		       uint32_t hz, size_t max_buckets);

/* Free the flows for which match() is true; with match NULL all of them. Returns how many. */
size_t fl_flow_flush(const struct fl_flow_table *table, uint64_t now,
		     bool (*match)(const struct fl_flow *flow, void *arg), void *arg);
