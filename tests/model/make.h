/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames as they are sent: of TCP and UDP (packets.c), of ICMP (packets_icmp.c). */
#pragma once

#include "tests/model/fuzz.h"

#define ETHER 14
#define MAKE_EXTRA 40

struct make {
	enum fl_family family;
	uint8_t proto, ttl, flags;
	struct model_tuple t;
	uint32_t seq, ack, payload;
	bool df, no_sum;
	uint32_t mss; /* of its option; 0: none */
	const uint8_t *dst_mac, *src_mac;
	/* IPv4 options, or IPv6 extension headers of which the first is of this kind */
	uint32_t n_extra;
	uint8_t extra[MAKE_EXTRA], extra_first;
};

/* What a sender at this device might choose, but for the tuple. */
struct make make_for(const struct scenario *s, int device, struct rng *r);
void make_frame(const struct make *k, struct model_frame *f);
void make_extra(struct make *k, struct rng *r);
/* The Internet checksum of these bytes, on top of a sum. */
uint32_t make_sum(uint64_t sum, const uint8_t *p, uint32_t len);

bool make_has_flow(const struct conversation *c);
/* A client and what it asks. */
void make_conversation(const struct model *m, struct conversation *c, struct rng *r);
/* An address and port to ask; most are frontends. */
void make_target(const struct model *m, struct rng *r, struct conversation *c);
/* Where a reply to this conversation's flow meets the datapath. */
void make_reply_way(const struct model *m, const struct conversation *c, struct rng *r,
		    struct step *to);

/* packets_dsr.c: whether its frontend forwards by DSR */
bool make_by_dsr(const struct scenario *s, const struct conversation *c);
/* Of a client whose backend's answers are not seen here, and whose connection another node may have
 * forwarded until now. */
uint8_t make_dsr_flags(struct rng *r);
/* DSCP and ECN, which the outer header copies. */
void make_class(struct model_frame *f, uint8_t class);

/* packets_outer.c: the conversation of a client whose packets come by another node */
void make_by_node(const struct model *m, struct conversation *c, struct rng *r);
/* It is one with another frontend, from where the client of one of them asks. */
void make_sibling(const struct model *m, const struct talkers *t, struct conversation *c,
		  struct rng *r);
/* The packet that is to be sent gets an outer header; `c`: its conversation, or NULL. */
void make_outer(const struct model *m, const struct conversation *c, struct rng *r,
		struct step *to);

/* What the packet of this client becomes when this node encapsulates it for its backend. */
void make_encapsulated(const struct model *m, const struct conversation *c, struct rng *r,
		       struct model_frame *f);

/* packets_icmp.c: an error about a packet of this conversation, or a ping. */
void make_icmp(const struct scenario *s, const struct model *m, const struct conversation *c,
	       struct rng *r, struct step *to);

/* packets.c: a packet of a conversation as one of its ends sends it; payload 0: of any size */
bool make_from_client(const struct scenario *s, struct conversation *c, struct rng *r,
		      uint32_t payload, struct step *to);
bool make_from_backend(const struct scenario *s, const struct model *m, struct conversation *c,
		       struct rng *r, uint32_t payload, struct step *to);

/* packets_strange.c: from a client to a backend, without a frontend in between */
bool make_straight(const struct scenario *s, const struct conversation *c, struct rng *r,
		   struct step *to);
/* From where nobody may send. */
bool make_strange(const struct scenario *s, const struct model *m, struct rng *r, struct step *to);
/* What the node or a pod sends itself, on its way out. */
bool make_leaving(const struct scenario *s, const struct model *m, const struct conversation *of,
		  struct rng *r, struct step *to);
/* Bytes that say something else than they should. */
void make_spoilt(struct model_frame *f, struct rng *r);

/* packets_pieces.c: a fragment, of a packet of this conversation or of another one before. False:
 * there is nothing to send. */
bool make_piece(const struct scenario *s, const struct model *m, struct talkers *t,
		struct conversation *c, struct rng *r, struct step *to);
