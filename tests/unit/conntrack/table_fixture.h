/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flow tables made by hand, written the way the datapath writes them: 10.0.0.1:PORT
 * asks 10.96.0.1:80 and is sent to 10.1.0.9:8080, the source given as 10.9.9.9:PORT.
 */
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "conntrack/table.h"

#define BUCKETS 8
#define HZ 250
#define NOW 1000000U
#define SLOT(bucket, way) ((bucket)*FL_FLOW_WAYS + (way))

struct fixture {
	struct fl_bucket4 b4[BUCKETS];
	struct fl_bucket6 b6[BUCKETS];
	struct fl_flow_table table;
	struct fl_sweep sweep;
};

static inline void fixture_init(struct fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->table = (struct fl_flow_table){
		.flows4 = f->b4, .n_flows4 = BUCKETS, .flows6 = f->b6, .n_flows6 = BUCKETS};
	f->sweep.timeout[FL_TIMEOUT_TCP_EMBRYONIC] = 60 * HZ;
	f->sweep.timeout[FL_TIMEOUT_TCP_ESTABLISHED] = 1000 * HZ;
	f->sweep.timeout[FL_TIMEOUT_TCP_CLOSE_WAIT] = 500 * HZ;
	f->sweep.timeout[FL_TIMEOUT_TCP_TIME_WAIT] = 20 * HZ;
	f->sweep.timeout[FL_TIMEOUT_TCP_CLOSING] = 10 * HZ;
	f->sweep.timeout[FL_TIMEOUT_UDP_EMBRYONIC] = 30 * HZ;
	f->sweep.timeout[FL_TIMEOUT_UDP_ESTABLISHED] = 120 * HZ;
}

static inline struct fl_flow_head *fixture_head(struct fixture *f, enum fl_family family,
						uint32_t slot)
{
	if (family == FL_IPV4)
		return &f->b4[slot / FL_FLOW_WAYS].way[slot % FL_FLOW_WAYS].head;
	return &f->b6[slot / FL_FLOW_WAYS].way[slot % FL_FLOW_WAYS].head;
}

static inline enum fl_flow_state fixture_state(struct fixture *f, enum fl_family family,
					       uint32_t slot)
{
	return __atomic_load_n(&fixture_head(f, family, slot)->word, __ATOMIC_SEQ_CST) &
	       FL_FLOW_STATE_MASK;
}

static inline uint32_t fixture_generation(struct fixture *f, enum fl_family family, uint32_t slot)
{
	return __atomic_load_n(&fixture_head(f, family, slot)->word, __ATOMIC_SEQ_CST) >>
	       FL_FLOW_GENERATION_SHIFT;
}

struct pair {
	enum fl_family family;
	uint32_t slot, reply_slot;
	uint8_t proto;
	enum fl_flow_state state;
	uint32_t last_seen, reply_last_seen;
	uint16_t client_port;
};

static inline struct fl_addr v6(const char *text)
{
	struct fl_addr addr;

	inet_pton(AF_INET6, text, &addr);
	return addr;
}

/* Take both slots with the next generation, fill, publish the reply and then the original. */
static inline void fixture_pair(struct fixture *f, const struct pair *p)
{
	struct fl_flow_head *head = fixture_head(f, p->family, p->slot);
	struct fl_flow_head *reply = fixture_head(f, p->family, p->reply_slot);
	uint32_t gen = fixture_generation(f, p->family, p->slot) + 1;
	uint32_t reply_gen = fixture_generation(f, p->family, p->reply_slot) + 1;
	uint16_t port = htons(p->client_port ?: 40000);

	__atomic_store_n(&head->word, gen << FL_FLOW_GENERATION_SHIFT | FL_FLOW_BUSY,
			 __ATOMIC_SEQ_CST);
	__atomic_store_n(&reply->word, reply_gen << FL_FLOW_GENERATION_SHIFT | FL_FLOW_BUSY,
			 __ATOMIC_SEQ_CST);
	__atomic_store_n(&head->last_seen, p->last_seen, __ATOMIC_RELAXED);
	__atomic_store_n(&reply->last_seen, p->reply_last_seen, __ATOMIC_RELAXED);
	head->twin = p->reply_slot;
	head->twin_generation = (uint16_t)reply_gen;
	reply->twin = p->slot;
	reply->twin_generation = (uint16_t)gen;
	head->proto = reply->proto = p->proto ?: IPPROTO_TCP;
	head->flags = FL_FLOW_SNAT;
	reply->flags = FL_FLOW_SNAT | FL_FLOW_IS_REPLY;
	fl_flow_set_backend(head, 7);
	fl_flow_set_backend(reply, 7);
	head->packets = 5;
	head->bytes_low = 500;
	reply->packets = 4;
	reply->bytes_low = 4000;
	if (p->family == FL_IPV4) {
		struct fl_flow4 *o = (void *)head, *r = (void *)reply;

		o->key = (struct fl_tuple4){htonl(0x0a000001), htonl(0x0a600001), port, htons(80)};
		o->rewrite =
			(struct fl_tuple4){htonl(0x0a090909), htonl(0x0a010009), port, htons(8080)};
		r->key = (struct fl_tuple4){o->rewrite.daddr, o->rewrite.saddr, htons(8080), port};
		r->rewrite = (struct fl_tuple4){o->key.daddr, o->key.saddr, htons(80), port};
	} else {
		struct fl_flow6 *o = (void *)head, *r = (void *)reply;

		o->key = (struct fl_tuple6){v6("fd00::1"), v6("fd96::1"), port, htons(80)};
		o->rewrite = (struct fl_tuple6){v6("fd09::9"), v6("fd01::9"), port, htons(8080)};
		r->key = (struct fl_tuple6){o->rewrite.daddr, o->rewrite.saddr, htons(8080), port};
		r->rewrite = (struct fl_tuple6){o->key.daddr, o->key.saddr, htons(80), port};
	}
	__atomic_store_n(&reply->word, reply_gen << FL_FLOW_GENERATION_SHIFT | p->state,
			 __ATOMIC_SEQ_CST);
	__atomic_store_n(&head->word, gen << FL_FLOW_GENERATION_SHIFT | p->state, __ATOMIC_SEQ_CST);
}
