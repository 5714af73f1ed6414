/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is remembered of datagrams that come in fragments (ARCHITECTURE.md, "Odd packets"). */
#pragma once

#include "tests/model/model.h"

#define MODEL_DATAGRAMS 96
#define MODEL_PLACES 256 /* fragments that wait at a time */
#define MODEL_WAITERS 48 /* of one datagram */
#define MODEL_TURNS 64	 /* places that are looked at for one that is free */
#define MODEL_BITS (65536 / 8 / 64)

/* Bytes of a datagram, in eights. */
struct model_bytes {
	uint64_t word[MODEL_BITS];
};

/* What this node sends on to another one says nothing about what comes from there. */
enum model_fragment_side {
	SIDE_ARRIVES,
	SIDE_LEAVES,
	SIDE_UNPACKED,
};

struct model_datagram {
	bool live;
	struct fl_ip src, dst;
	uint32_t id;
	uint8_t proto; /* IPv6: 0 */
	enum model_fragment_side side;
	int64_t since_ms;
	uint32_t seen, end; /* bytes; the end of what was seen, or with `last` of the datagram */
	bool last;
	struct model_bytes had, maybe; /* maybe: of fragments that were refused, which may count */
	int waiters[MODEL_WAITERS], n_waiters;
	bool perhaps; /* or it was not looked at, and passed for that reason */
	bool again;   /* by its name after the translation: nothing happens to it any more */
	bool known;   /* the first one has come, and they become this: */
	struct model_outcome way;
	uint32_t new_id;
	struct model_spread spread; /* by DSR */
};

struct model_waiter {
	bool live;
	int turn; /* in which it took the place */
	const struct model_datagram *of;
	uint32_t at, size;
	bool more;
	uint8_t bytes[MODEL_FRAME];
};

/* What leaves besides the packet at hand. */
struct model_besides {
	struct model_frame frame;
	int device;
	bool arrives; /* else it leaves */
};

#define MODEL_BESIDES 100

struct model_fragments {
	struct model_datagram datagram[MODEL_DATAGRAMS];
	int n;
	struct model_waiter place[MODEL_PLACES];
	uint32_t turn;
	struct model_besides besides[MODEL_BESIDES];
	int n_besides;
	/* what is counted besides the packet at hand, and with it */
	uint32_t alone, refused, too_big, translated;
};

void model_fragments_clear(struct model_fragments *f);
/* The outcome of a fragment was this one; device: where it came in; out: what it became. NULL, or
 * what is wrong with that. */
const char *model_settle_fragment(struct model *m, const struct model_verdicts *v,
				  const struct model_outcome *o, enum model_hook hook, int device,
				  const struct model_frame *in, const struct model_frame *out);
