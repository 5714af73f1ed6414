/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A packet that arrives in pieces, and how these have to come out. */
#pragma once

#include "tests/packet/pieces.h"
#include "tests/packet/trial.h"

#define PAYLOAD 1200 /* of TCP or UDP, in the whole packet */

/* A packet of which the pieces are made, and how it is to come out. */
struct whole {
	struct trial *t;
	struct packet packet; /* as it is sent */
	struct packet want;   /* translated */
	struct frame frame, wanted;
	uint32_t id;
	enum hook hook;
	enum dev dev;
};

/* The number of another datagram. */
uint32_t whole_next_id(void);
struct whole whole_of(struct trial *t, enum hook hook, enum dev dev, const struct packet *packet);
/* From the client to the frontend. */
struct whole whole_request(struct trial *t);
enum outcome whole_feed(const struct whole *w, struct piece piece);
/* How the whole comes out, by the flow that its first piece has made. */
void whole_learn(struct whole *w);
/* What came out of the last run is this piece of what the whole becomes. The number is another one
 * if the source is; ret_id: that of the first piece. */
void whole_expect(const struct whole *w, struct piece piece, uint32_t *id);
/* The Service has no endpoint: its packets are rejected. */
void serve_none(struct trial *t);
