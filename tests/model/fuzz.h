/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The same packets through the loaded datapath and through the model. A *scenario* is the Services
 * of a node; an *episode* is a sequence of steps (packets, time, changes of endpoints) that begins
 * with empty tables. Everything follows from a seed: that of a scenario, then the number of the
 * episode in it, then that of the step. So an episode can be run again with fewer steps.
 */
#pragma once

#include "lb/model/nodes.h"
#include "lb/sync/sync.h"
#include "tests/model/model.h"
#include "tests/packet/plane.h"

#define STEPS 48
#define SLOTS 10 /* conversations that go on at a time */

struct rng {
	uint64_t state;
};

static inline uint32_t rng_next(struct rng *r)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (uint32_t)(r->state >> 20);
}

static inline uint32_t rng_below(struct rng *r, uint32_t n)
{
	return (uint32_t)((uint64_t)rng_next(r) % n);
}

static inline bool rng_percent(struct rng *r, uint32_t n)
{
	return rng_below(r, 100) < n;
}

/* SplitMix64, so that neighbouring seeds have nothing in common. */
static inline struct rng rng_of(uint64_t seed, uint64_t n)
{
	uint64_t z = seed + (n + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	z ^= z >> 31;
	return (struct rng){z ? z : 1};
}

/* world.c: the datapath with some settings, and the model with the same */

enum variant {
	VARIANT_USUAL,	    /* pods recognised, unknown ports rejected, sizes checked */
	VARIANT_BARE,	    /* nothing recognised, rejected or checked; 100 source ports */
	VARIANT_MASQUERADE, /* pods by address only; flows to local backends masqueraded */
	VARIANT_GENEVE,	    /* as usual, and DSR by Geneve */
	VARIANTS,
};

struct net_way {
	uint8_t prefix[16];
	struct model_way way;
	uint8_t known_to; /* last host whose neighbour is known; 0: all */
};

#define BOUND_PORTS 40

struct world {
	struct net net;
	struct plane plane[VARIANTS];
	bool loaded[VARIANTS];
	uint32_t hz;
	struct net_way ways[FL_FAMILIES][NETWORKS];
	struct fl_nodes nodes; /* of pods that are not on this one */
	/* that sockets of the node have, some of those for masquerading */
	uint16_t bound[BOUND_PORTS];
	int socket[BOUND_PORTS][2];
	struct model base[VARIANTS]; /* settings, devices, ways, timeouts */
};

/* Variants are loaded when they are first asked for. */
int world_open(struct world *world, struct fl_err *err);
int world_load(struct world *world, enum variant variant, struct fl_err *err);
void world_close(struct world *world);

/* The nodes that pods of a network are on; of some pods no node's address is known. */
#define NODES_OF_NETWORK 3
#define NODE_OF_PODS 101 /* host number of the first of them */
/* Which of them a pod is on; -1: one of the others. */
int world_node_of(const struct fl_ip *pod);
#define WORLD_NODE_NAME 24
void world_node_name(enum network at, int n, char ret_name[static WORLD_NODE_NAME]);

/* scenario.c */

#define SERVICES 6

struct scenario {
	struct world *world;
	struct plane *p;
	enum variant variant;
	uint64_t seed;
	struct model model; /* as at the beginning of an episode */
	uint32_t n_services;
	struct fl_sync *sync;
	uint64_t sync_ns; /* of its clock, which is ours */
	struct fl_frontend_key touched[64];
	int n_touched;
	bool all_touched;
	uint64_t counted[FL_COUNTER_MAX];	      /* by the datapath, before the next episode */
	uint32_t picks[MODEL_PORTS][MODEL_ENDPOINTS]; /* how often a backend was chosen */
};

void scenario_begin(struct scenario *s, struct world *world, uint64_t seed);
void scenario_end(struct scenario *s);
/* Give the endpoints of `model` to the datapath. */
void scenario_change(struct scenario *s, const struct model *model, uint32_t service);
/* Other nodes, at random; and give them to the datapath, as the agent does. */
void scenario_random_nodes(struct model *m, struct rng *r);
void scenario_nodes(const struct scenario *s, const struct model *m);
void scenario_print(const struct scenario *s, FILE *out);
/* A random endpoint, and a random change of those of a Service. */
void scenario_mutate(struct scenario *s, struct model *model, uint32_t service, struct rng *r);

/* episode.c */

struct found {
	bool differs;
	int step;
	char text[6000];
};

struct totals {
	uint64_t packets, episodes, flows, unpacked, passed_on, by_hook[MODEL_HOOKS], by_verdict[5],
		changes, waits, skipped, stalls, divided;
};

/*
 * Run the steps of an episode that `steps` has a bit for. `trace`: tell of each packet. `counters`:
 * compare those after each packet, and not only at the end.
 */
void episode_run(struct scenario *s, uint64_t number, uint64_t steps, FILE *trace, bool counters,
		 struct totals *totals, struct found *ret_found);

/* packets.c */

struct conversation {
	bool used;
	enum fl_family family;
	uint8_t proto;
	enum model_hook hook;
	int device;
	struct model_tuple asked;
	bool by_node; /* DSR: the client's packets come by another node, for this pod */
	bool geneve;  /* and so they come */
	struct fl_ip node, pod;
	uint16_t pod_port;
	uint32_t client_next, backend_next; /* sequence numbers */
	struct model_flow *flow;	    /* what the model made of it */
	uint32_t flow_number;
};

struct step {
	enum model_hook hook;
	int device;
	struct conversation *of;
	bool by_backend;
	bool node_sends; /* from an address of the node */
	struct model_frame frame;
	struct sent_datagram *goes_on; /* packets_go_on() has more of it */
	int n_more;
};

#define SENT_DATAGRAMS 4
#define SENT_PIECES 8

/* A packet that is sent in fragments, in any order, with others in between. */
struct sent_datagram {
	bool used;
	struct step whole;
	uint32_t id, l4;		    /* where TCP or UDP begins */
	uint32_t begin[SENT_PIECES + 1], n; /* of pieces, without that header's place */
	uint32_t sent;			    /* bits: those that were */
	bool tiny, flood;		    /* of many more, eight bytes each */
};

struct talkers {
	struct conversation slot[SLOTS];
	struct sent_datagram datagram[SENT_DATAGRAMS];
	uint32_t n_datagrams;
};

/* False: there is nothing to send. */
bool packets_make(const struct scenario *s, struct model *m, struct talkers *t, struct rng *r,
		  struct step *ret_step);
/* Another packet of the same step, or false. */
bool packets_go_on(const struct model *m, struct rng *r, struct step *step);
