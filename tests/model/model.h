/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a node has to do with a packet, written from docs/rules.md and ARCHITECTURE.md and sharing
 * nothing with the datapath: no header, no table, no hash. Where the datapath is free to choose (a
 * backend of the list, a source port) the model says what may be chosen, is told what was, and
 * holds it to that from then on.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lb/base/ip.h"

/* What is configured */

enum model_kind {
	KIND_CLUSTER_IP,
	KIND_EXTERNAL_IP,
	KIND_LOAD_BALANCER,
	KIND_NODE_PORT,
};

enum model_service_type {
	TYPE_CLUSTER_IP,
	TYPE_NODE_PORT,
	TYPE_LOAD_BALANCER,
};

struct model_endpoint {
	struct fl_ip ip;
	uint16_t port;
	bool ready, serving, terminating, on_node;
};

#define MODEL_ENDPOINTS 8
#define MODEL_ADDRESSES 3

/* One port of one Service in one family. */
#define MODEL_EVER 64

struct model_port {
	uint32_t service; /* which Service it belongs to */
	enum fl_family family;
	uint8_t proto;
	uint16_t port, node_port; /* node_port 0: none */
	enum model_service_type type;
	bool has_cluster_ip;
	struct fl_ip cluster_ip, external[MODEL_ADDRESSES], balancer[MODEL_ADDRESSES];
	int n_external, n_balancer;
	bool any_external; /* in any family (1.17) */
	bool internal_local, external_local;
	bool dsr; /* clients from outside reach backends of other nodes by it */
	bool affinity;
	bool resets; /* TCP clients whose backend does not serve any more are told */
	uint32_t affinity_s;
	struct fl_prefix range[MODEL_ADDRESSES];
	int n_ranges;
	struct model_endpoint endpoint[MODEL_ENDPOINTS];
	int n_endpoints;
	uint32_t version; /* of the endpoints: raised when they change */
	/* all that the list for the whole cluster has had; and whether it may have been another */
	struct model_endpoint ever[MODEL_EVER];
	int n_ever;
	bool changed;
};

#define MODEL_PORTS 32

/* The machine */

#define MODEL_DEVICES 4

#define MODEL_POOL 3

struct model_device {
	uint8_t mac[6];
	bool xdp_may_send, external, pods;
	uint32_t mtu;
	bool has_address[FL_FAMILIES];
	struct fl_ip address[FL_FAMILIES];
	struct fl_ip pool[FL_FAMILIES][MODEL_POOL]; /* masqueradeAddresses that it has */
	int n_pool[FL_FAMILIES];
};

/* The way to an address. */
struct model_way {
	bool none;    /* there is no route */
	bool unknown; /* the neighbour is not known */
	int device;
	uint8_t mac[6]; /* of the neighbour */
	uint32_t mtu;
};

struct model_range {
	uint16_t first, count;
};

struct model_settings {
	bool detector; /* pods are recognised by pod_cidr (5.2) */
	struct fl_prefix pod_cidr[FL_FAMILIES];
	bool pod_by_device;
	bool reject_unknown_port, check_mtu, masquerade_local, masquerade_all;
	bool answer_echo;
	bool has_node_address[FL_FAMILIES];
	struct fl_ip node_address[FL_FAMILIES];
	bool geneve;			     /* dsr.dispatch; else IP in IP */
	bool has_outer_sources[FL_FAMILIES]; /* tunnelSources */
	struct fl_prefix outer_sources[FL_FAMILIES];
	struct model_range ports[4]; /* for masquerading */
	const uint16_t *bound;	     /* sockets of the node have these, of either protocol */
	int n_bound;
};

/* Seconds. */
enum model_timeout {
	TIMEOUT_TCP_NEW,
	TIMEOUT_TCP_ESTABLISHED,
	TIMEOUT_TCP_HALF_CLOSED,
	TIMEOUT_TCP_TIME_WAIT,
	TIMEOUT_TCP_RESET,
	TIMEOUT_UDP_NEW,
	TIMEOUT_UDP,
	MODEL_TIMEOUTS,
};

/* Flows */

enum model_state {
	STATE_NEW,
	STATE_REPLIED,
	STATE_ESTABLISHED,
	STATE_HALF_CLOSED,
	STATE_TIME_WAIT,
	STATE_RESET,
	MODEL_STATES,
};

struct model_tuple {
	struct fl_ip src, dst;
	uint16_t sport, dport;
};

/* One direction of a TCP connection: what its packets have shown. */
struct model_end {
	uint32_t sent;	/* where its data ends */
	uint32_t acked; /* the highest that it has acknowledged */
	bool fin, rst;
};

/* What is remembered of a TCP connection. */
struct model_memory {
	struct model_end client, backend;
	enum model_state state;
};

/* What the datapath may remember: of a plain segment it looks at one direction's memory or at both,
 * as it likes ("A packet's walk"). */
#define MODEL_MEMORIES 16

struct model_flow {
	bool live;
	enum fl_family family;
	uint8_t proto;
	struct model_tuple asked; /* client to frontend */
	struct model_tuple inner; /* what the backend sees */
	bool masqueraded;
	bool to_stack;		/* the request is left to the stack */
	bool reply_leaves_here; /* a backend of this node: seen on the way out */
	bool forwards_reply;	/* the reply is sent on, not left to the stack */
	bool comes_from_pod;	/* of a masqueraded one: the reply, and not from the network */
	bool direct;		/* for no frontend */
	bool tunnelled;		/* DSR: no answer is seen here */
	bool elsewhere;		/* asked at another node, which has encapsulated it */
	uint32_t mss;		/* most that its backend's SYN may ask for; 0: anything */
	bool lost;		/* at some time since it began its backend did not serve */
	bool given_up;		/* TCP: the same, of a Service that resets such connections */
	bool half;		/* it has lost one of its entries */
	enum model_state state;
	struct model_memory memory[MODEL_MEMORIES]; /* TCP */
	int n_memories;
	int64_t began_ms, seen_ms;
	int port; /* index of its service port, -1 none */
	uint64_t packets[2];
	bool uncounted; /* the last one is, perhaps */
	void *own;	/* the harness's */
	uint32_t number;
};

#define MODEL_FLOWS 64
#define MODEL_NODES 8
#define MODEL_RECORDS 64

struct model_record { /* session affinity */
	bool live;
	bool unsure; /* the packet did not show which backend it names */
	struct fl_ip client, backend;
	uint16_t backend_port;
	int port;
	int64_t last_ms;
};

struct model_own { /* a datagram that the node sent from a frontend's port */
	struct model_tuple answer;
	int64_t seen_ms;
};

#define MODEL_OWN 48

/* By what of an outer header flows are spread. */
struct model_spread {
	struct fl_ip source;
	uint32_t label;
	uint16_t sport; /* of Geneve */
};

/* What depends on nothing but a packet's tuple: of DSR. */
struct model_choice {
	bool live;
	uint8_t proto;
	struct model_tuple t;
	bool chosen; /* by the frontend's table, of these endpoints */
	uint32_t version;
	struct fl_ip backend;
	bool wrapped;
	struct model_spread spread;
};

#define MODEL_CHOICES 64

/* What routers have said of the way to where encapsulated packets go; XDP and tc hear for
 * themselves. */
struct model_path {
	bool live, xdp;
	struct fl_ip to;
	uint32_t mtu;
	int64_t since_ms;
};

#define MODEL_PATHS 32
#define MODEL_PATH_MS 600000

struct model_fragments;

struct model {
	struct model_settings settings;
	struct model_device device[MODEL_DEVICES];
	struct model_way (*way)(const void *arg, const struct fl_ip *to);
	const void *way_arg;
	/* The node of a pod that is not on this one; unspecified: it is not known. */
	struct fl_ip (*node_of)(const struct fl_ip *pod);
	uint32_t timeout_s[MODEL_TIMEOUTS];
	struct fl_ip local[32]; /* addresses of the node; node ports are served on them */
	int n_local;
	struct fl_ip node[MODEL_NODES]; /* addresses of other nodes, of either family */
	int n_nodes;
	struct model_port port[MODEL_PORTS];
	int n_ports;
	int64_t now_ms;
	struct model_flow flow[MODEL_FLOWS];
	struct model_record record[MODEL_RECORDS];
	struct model_own own[MODEL_OWN];
	struct model_choice choice[MODEL_CHOICES];
	uint32_t n_choices; /* ever */
	struct model_path path[MODEL_PATHS];
	struct model_fragments *fragments;
	int n_own;
	uint32_t flows_made, evicted; /* ever */
};

/* Packets */

#define MODEL_FRAME 1700

struct model_frame {
	uint32_t len;
	uint8_t b[MODEL_FRAME];
};

#define M_FIN 0x01
#define M_SYN 0x02
#define M_RST 0x04
#define M_ACK 0x10

struct model_packet {
	enum fl_family family;
	uint8_t proto;
	struct model_tuple t;
	uint8_t ttl, flags;
	bool df;
	bool mapped; /* not understood, but for IPv4 addresses in an IPv6 header */
	bool odd; /* its header is not right behind a plain IP header; also of one not understood */
	uint32_t seq, ack, payload;
	uint32_t l4;	      /* offset */
	uint32_t mss, mss_at; /* what the option says, and where in the frame; 0: it has none */
	uint32_t ip_len;
	/* of a fragment, where its IP header makes sense: */
	bool fragment, more, has_ports; /* others follow it; and all of the TCP or UDP header */
	uint32_t id, at, size;		/* bytes of the datagram before it, and in it */
	uint32_t fragment_header;	/* IPv6: offset of that; 0 none */
};

/* Whether the frame is a packet that the datapath deals with at all. */
bool model_parse(const struct model_frame *frame, struct model_packet *ret_packet);

/* Of its IP header, whatever is behind it. */
void model_addresses(const struct model_frame *frame, struct fl_ip *ret_src, struct fl_ip *ret_dst);

/* The frame with another tuple: checksums that were right are right again. `forward`: and one hop
 * less. id: the number of a fragment, of which a later one has no ports. */
void model_rewrite(const struct model_frame *in, const struct model_packet *packet,
		   const struct model_tuple *to, bool forward, uint32_t id,
		   struct model_frame *ret_frame);

/* Its option says no more than `most`. */
void model_lower_mss(struct model_frame *frame, const struct model_packet *packet, uint32_t most);

/* The n-th of the fragments, of at most so many bytes, that an IPv4 packet goes in, each behind
 * what is in front of it: `outer` bytes. Returns how many there are. */
uint32_t model_divide(const struct model_frame *whole, uint32_t outer, uint32_t most, uint32_t n,
		      struct model_frame *ret_frame);

enum model_answer {
	ANSWER_PORT_UNREACHABLE,
	ANSWER_TOO_BIG,
	ANSWER_TTL_EXCEEDED,
	ANSWER_HOST_UNREACHABLE,
	ANSWER_RESET, /* of TCP, no ICMP error */
};
/* The ICMP error or the reset that goes back. */
void model_answer(const struct model_frame *in, const struct model_packet *packet,
		  enum model_answer kind, uint32_t mtu, struct model_frame *ret_frame);

/* What has to come of a packet */

enum model_hook {
	MEETS_XDP,
	MEETS_TC,
	MEETS_POD_IN,
	MEETS_WAY_OUT,
	MEETS_POD_OUT,
	MODEL_HOOKS,
};

enum model_verdict {
	PASSES, /* to the stack, translated or not */
	LEFT_TO_TC,
	SENT_OUT,
	IS_DROPPED,
	IS_ANSWERED,
};

struct model_outcome {
	enum model_verdict verdict;
	const char *reason; /* token of a drop or answer */
	bool translated;
	bool forward;	 /* hop and MAC addresses change */
	bool wrapped;	 /* as it is, but for the hop, behind an outer header to to.dst */
	bool unpacked;	 /* it was behind an outer header */
	bool uncounted;	 /* its flow may have counted it, or not */
	bool xdp;	 /* where it was judged */
	bool ends;	 /* model_verdicts.given_up is over: it is removed, */
	bool closes;	 /* or as after a reset */
	bool learns;	 /* the node learns model_verdicts.learnt */
	bool unseen;	 /* and has not taken it for a sign of life */
	uint32_t mss;	 /* most that its MSS option says; 0: anything */
	uint32_t divide; /* IPv4: it goes in fragments of that size; 0: as a whole */
	struct model_tuple to;
	int device; /* SENT_OUT */
	uint8_t mac[6];
	bool any_mac; /* the kernel fills them in later */
	enum model_answer answer;
	uint32_t mtu;
	/* of a flow that begins with it */
	bool begins;
	struct fl_ip backend;
	uint16_t backend_port;
	bool backend_local, masqueraded;
	struct fl_ip source;
	/* DSR: it may go to one of several backends, and then it begins nothing; or it does for
	 * certain, and is another one than the table's */
	bool unsure, asked;
	uint8_t outer_ttl; /* DSR, passed on by a node behind the first; 0: not so */
	bool congested;	   /* and its outer header stays marked */
	bool any_port;	   /* the source port is free within the rules */
	bool made;	   /* it becomes model_verdicts.made: ICMP */
	bool echo, error;  /* counted as such */
	/* of a fragment */
	bool any_id;   /* its number is free within the rules */
	uint32_t id;   /* or this one */
	bool unheeded; /* nothing is remembered of it */
	bool fresh;    /* the number is another datagram's by now */
};

#define MODEL_OUTCOMES 256

struct model_verdicts {
	struct model_packet packet;
	bool understood;
	struct model_outcome v[MODEL_OUTCOMES];
	int n;
	struct model_flow *flow; /* that it belongs to */
	bool reply;
	struct model_flow *given_up; /* whose packet it is otherwise */
	int port;		     /* service port of a new flow, -1: none */
	struct fl_ip client;
	bool own_frontend, direct;
	bool by_table, by_record; /* DSR: what may have chosen its backend */
	uint8_t by_proto;	  /* and of an error, by what it quotes: 0, or */
	struct model_tuple by;
	int restarted, resteered; /* counted, whichever outcome it is */
	enum model_part {
		PART_NONE,  /* a whole packet, or a fragment of which nothing is remembered */
		PART_FIRST, /* the others become what it becomes */
		PART_LATER,
	} part;
	struct model_datagram *datagram; /* of the fragment, if there was one before it */
	struct model_frame made;	 /* but for the MAC addresses of one that is sent on */
	bool encapsulated;	    /* `packet` is what was behind the outer header of a node, */
	struct model_frame inner;   /* and this the frame that it makes */
	struct model_frame as_sent; /* the same before a mark of congestion has gone over to it */
	bool elsewhere;
	uint32_t mss; /* for the flow that begins */
	struct model_path learnt;
};

/* All that may become of it. Flows that the packet finds over are removed. */
void model_judge(struct model *m, enum model_hook hook, int device, const struct model_frame *frame,
		 struct model_verdicts *ret_verdicts);

/*
 * The outcome was this one; `got` is what came out. NULL, or what is wrong with the choice.
 * *ret_flow: the flow that has begun.
 */
const char *model_settle(struct model *m, const struct model_verdicts *verdicts,
			 const struct model_outcome *outcome, const struct model_packet *got,
			 struct model_flow **ret_flow);

/* A Service's endpoints have changed: what does not serve now is left, even if it serves again. */
void model_notice_lost(struct model *m, uint32_t service);

/* own.c: the way out sees a datagram of the node itself; whether one that arrives answers such. */
void model_note_own(struct model *m, const struct model_packet *packet);
bool model_own_answers(struct model *m, const struct model_packet *packet);

/* Time */

uint32_t model_timeout_s(const struct model *m, const struct model_flow *flow);
/* Whether nothing is on the edge of being over so many milliseconds from now. */
bool model_may_wait(const struct model *m, int64_t ms);
bool model_is_over(const struct model *m, const struct model_flow *flow);

/* judge.c, for those that judge a part */

struct model_outcome *model_may(struct model_verdicts *v, enum model_verdict verdict);
void model_may_drop(struct model_verdicts *v, const char *reason);
void model_may_answer(struct model_verdicts *v, const char *reason, enum model_answer answer,
		      uint32_t mtu);
void model_remove(struct model_flow *f);
/* Whether it may begin a flow. */
bool model_begins(const struct model_packet *p);
struct model_tuple model_mirror(const struct model_tuple *t);
bool model_same(const struct model_tuple *a, const struct model_tuple *b);
/* A packet that has to leave the node as `to`. Returns the outcome in which it does, or NULL. */
struct model_outcome *model_send_on(const struct model *m, struct model_verdicts *v, bool xdp,
				    const struct model_tuple *to);
/* The same of one that goes there behind an outer header. */
struct model_outcome *model_send_wrapped(const struct model *m, struct model_verdicts *v, bool xdp,
					 const struct model_tuple *to);
/* D6: what no network may deliver; one that comes from where it goes to is no better. */
bool model_impossible(const struct model_tuple *t);
/* Whether this node stands for the address; and whether such a one writes to itself. */
bool model_stands_for(const struct model *m, const struct fl_ip *ip, enum model_hook hook);
bool model_from_itself(const struct model *m, const struct model_tuple *t, enum model_hook hook);
/* Nobody on this node translates a reply here: it is, where it leaves or reaches a pod. */
bool model_translated_later(const struct model_flow *f, enum model_hook hook);

/* The flow that asks with this packet's tuple, and the one that answers with it. */
void model_find_flows(struct model *m, const struct model_packet *p, struct model_flow **ret_asked,
		      struct model_flow **ret_reply);
/* The packet goes on with the flow: v->flow. False: that is over, and the packet begins another,
 * if it can. */
bool model_goes_on(struct model *m, struct model_verdicts *v, struct model_flow *f);

/* 7.8: the backend of the packet's flow is gone, and its client is told: true, and nothing else
 * becomes of it. *asked is NULL for the SYN of another connection. */
bool model_gives_up(struct model *m, struct model_verdicts *v, struct model_flow **asked);

/* halves.c: whether it is made whole again when it has lost an entry; and that it was, by a packet
 * of this direction. */
bool model_is_open(const struct model_flow *flow);
void model_mend(struct model_flow *flow, bool reply);

/* By DSR, as a packet of the flow. */
void model_send_to_backend(const struct model *m, struct model_verdicts *v,
			   const struct model_flow *f, bool xdp);

/* judge_new.c: a packet of no flow that arrives, and one that leaves */
void model_judge_new(struct model *m, struct model_verdicts *v, enum model_hook hook);
void model_judge_leaving(struct model *m, struct model_verdicts *v);
/* The flow that has this tuple at its backend. */
struct model_flow *model_holder(struct model *m, const struct model_packet *p,
				const struct model_tuple *inner);
/* D7: it comes from where Services are asked. */
bool model_from_frontend(const struct model *m, const struct model_packet *p);
const struct model_record *model_record_of(const struct model *m, const struct fl_ip *client,
					   int port);

/* tunnel.c: DSR */

#define MODEL_GENEVE_PORT 6081
#define MODEL_GENEVE_VNI 0x464c44U

/* Bytes in front of the packet: by Geneve UDP and an option of address and port, too. */
static inline uint32_t model_outer_size(enum fl_family family, bool geneve)
{
	const uint32_t ip = family == FL_IPV6 ? 40 : 20, address = family == FL_IPV6 ? 16 : 4;

	return geneve ? ip + 8 + 8 + 4 + address + 4 : ip;
}
/* What this outcome puts there. */
static inline uint32_t model_outer_of(const struct model *m, enum fl_family family,
				      const struct model_outcome *o)
{
	return o->wrapped ? model_outer_size(family, m->settings.geneve) : 0;
}
/* Where such a packet to a pod is sent; unspecified: nobody knows. */
struct fl_ip model_outer_to(const struct model *m, const struct fl_ip *pod);
/* Whether a packet of this tuple that the network brings goes to that backend so. */
bool model_is_wrapped(const struct model *m, const struct model_port *port,
		      const struct model_packet *p, const struct model_endpoint *backend);
/* What of it is free within the rules is as it is in `got`. */
void model_wrap(const struct model *m, const struct model_frame *in, const struct model_packet *p,
		const struct model_outcome *o, const struct model_frame *got,
		struct model_frame *ret_frame);
/* How it is spread is the same for all packets of a flow, or fragments of a datagram; *known: of
 * one before. NULL, or what is wrong. */
const char *model_settle_spread(const struct model *m, enum fl_family family, bool known,
				const struct model_frame *got, struct model_spread *spread);
/* NULL, or what is wrong with what was chosen. */
const char *model_settle_choice(struct model *m, const struct model_verdicts *v,
				const struct model_outcome *o, const struct model_frame *got);

/* unpack.c: what a node has encapsulated for a pod of this one. False: it is for the others. */
bool model_judge_encapsulated(struct model *m, struct model_verdicts *v, enum model_hook hook,
			      int device, const struct model_frame *frame);

/* fragments.c: false, and it is for the others to judge, model_judged_fragment() has the rest. */
bool model_judge_fragment(struct model *m, struct model_verdicts *v, enum model_hook hook,
			  bool concerns);
void model_judged_fragment(struct model *m, struct model_verdicts *v);
/* Of a later one: the first has gone on by DSR. */
bool model_fragment_is_wrapped(const struct model *m, const struct model_packet *p,
			       enum model_hook hook);
/* Of a later one: the first has not come. */
bool model_fragment_waits(const struct model *m, const struct model_packet *p,
			  enum model_hook hook);
bool model_fragments_may_wait(const struct model *m, int64_t ms);

/* icmp.c: false, and it is no ICMP. */
bool model_judge_icmp(struct model *m, enum model_hook hook, const struct model_frame *frame,
		      struct model_verdicts *v);
/* Of an error: who it is for. */
bool model_is_icmp_error(const struct model_frame *frame, struct fl_ip *ret_dst);
/* One that is for a backend of this node, or for nobody here. */
void model_judge_icmp_for(struct model *m, enum model_hook hook, const struct fl_ip *pod,
			  const struct model_frame *frame, struct model_verdicts *v);

/* tunnel_error.c: an error about a packet that this node has encapsulated. False: it is for the
 * others to judge, besides what is said here. */
bool model_judge_tunnel_error(struct model *m, enum model_hook hook,
			      const struct model_frame *frame, struct model_verdicts *v);
void model_learn_path(struct model *m, const struct model_path *learnt);
/* The size that the way is known to take, of which routes and devices say `mtu`. */
uint32_t model_path_mtu(const struct model *m, bool xdp, const struct fl_ip *to, uint32_t mtu);

/* bytes.c: sums for it */
uint32_t model_sum(uint64_t sum, const uint8_t *p, uint32_t len);
uint32_t model_makes_up(uint32_t want, uint32_t sum);

/* Rules 1 to 3 and 5: services.c */

struct model_side {
	bool forward, reject; /* neither: drop */
	bool local;	      /* of this node only, by traffic policy */
	const struct model_endpoint *list[MODEL_ENDPOINTS];
	int n;
};

enum model_client {
	CLIENT_OUTSIDE,
	CLIENT_POD,
	CLIENT_NODE,
};

bool model_is_local(const struct model *m, const struct fl_ip *ip);
/* The service port that a packet for this address is for; -1: none. */
int model_find(const struct model *m, const struct fl_ip *ip, uint16_t port, uint8_t proto,
	       enum model_kind *ret_kind);
/* Likewise of the node port that another node is asked for; of type and family alone. */
int model_find_node_port(const struct model *m, enum fl_family family, uint16_t port,
			 uint8_t proto);
bool model_is_cluster_ip(const struct model *m, const struct fl_ip *ip);
/* An external IP or a load balancer's address. */
bool model_is_external(const struct model *m, const struct fl_ip *ip);
struct model_side model_side_of(const struct model_port *p, enum model_kind kind, bool internal);
bool model_masquerades(const struct model *m, const struct model_port *p, enum model_kind kind,
		       enum model_client client);
bool model_in_ranges(const struct model_port *p, const struct fl_ip *ip);
bool model_serves(const struct model_port *p, const struct fl_ip *ip, uint16_t port);

/* former.c: connections that began under another table */

/* The list is as it is now; to be said at the beginning and after each change. */
void model_note_list(struct model_port *port);
/* Whether this segment may be one of a connection that a node does not know: of TCP, no SYN. */
bool model_may_be_older(const struct model_port *port, const struct model_side *side,
			const struct model_packet *p);
/* Whether it may be another backend's than this one's. */
bool model_may_be_anothers(const struct model_port *port, const struct model_side *side,
			   const struct model_packet *p, const struct fl_ip *backend);
/* Go to each of those backends; `but` has been asked. */
void model_may_be_asked(const struct model *m, struct model_verdicts *v, bool xdp,
			const struct model_port *port, const struct fl_ip *but);
/* The outer TTL of what is sent on that came with this one; 0: none is. */
uint8_t model_outer_ttl(uint8_t came);

/* tcp.c */

/* The number behind it. */
uint32_t model_end_of(const struct model_packet *packet);
/* What a packet of a flow does to its state. */
void model_track(const struct model *m, struct model_flow *flow, bool reply,
		 const struct model_packet *packet);
/* Whether a segment of the client is of the connection by its numbers, as far as the datapath may
 * remember those. */
void model_believes(const struct model_flow *flow, const struct model_packet *packet, bool *ret_may,
		    bool *ret_may_not);
/* One end has reset it, whoever says so. */
void model_close(struct model_flow *flow);
#define MODEL_UDP_PROOF_MS 2000
/* The flow was seen in this state after the packet: false if it cannot be in it. */
bool model_settle_state(struct model_flow *flow, enum model_state state);
/* A SYN without anything else. */
static inline bool model_opens(const struct model_packet *p)
{
	return (p->flags & (M_SYN | M_ACK | M_FIN | M_RST)) == M_SYN;
}
