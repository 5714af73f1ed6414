// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Entering flows from userspace, by the protocol of conntrack/flow.bpf.h. Only free entries are
 * taken: of a newcomer nobody waits for, nothing is evicted.
 */
#include "conntrack/import.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "bpf/abi/hash.h"
#include "conntrack/entry.h"

/* One direction: its key, and where it is. */
struct half {
	struct fl_tuple6 key;
	uint64_t hash;
	size_t slot;
	uint32_t word; /* as it was taken: BUSY */
	struct fl_flow_head *head;
};

static struct fl_addr to_abi(const struct fl_ip *ip)
{
	struct fl_addr addr;

	memcpy(&addr, ip, sizeof(addr));
	return addr;
}

static size_t slot_of(const struct fl_flow_table *table, enum fl_family family, uint64_t hash,
		      uint32_t choice, uint32_t way)
{
	uint32_t mask = (uint32_t)(fl_entry_slots(table, family) / FL_FLOW_WAYS - 1);

	return (size_t)fl_hash_bucket(hash, choice, mask) * FL_FLOW_WAYS + way;
}

static bool has_key(const struct fl_flow_table *table, enum fl_family family,
		    const struct half *half, uint8_t proto, size_t except)
{
	for (uint32_t i = 0; i < FL_FLOW_CHOICES * FL_FLOW_WAYS; i++) {
		size_t slot =
			slot_of(table, family, half->hash, i / FL_FLOW_WAYS, i % FL_FLOW_WAYS);
		struct fl_tuple6 key;
		uint8_t its_proto;

		if (slot == except || !fl_entry_key(table, family, slot, &key, &its_proto))
			continue;
		if (family == FL_IPV4) {
			/* of these only the last words count */
			struct fl_tuple6 mine = half->key;

			memset(&mine.saddr, 0, 12);
			memset(&mine.daddr, 0, 12);
			if (its_proto == proto && !memcmp(&key, &mine, sizeof(key)))
				return true;
		} else if (its_proto == proto && !memcmp(&key, &half->key, sizeof(key))) {
			return true;
		}
	}
	return false;
}

static void set_overflow(const struct fl_flow_table *table, enum fl_family family, uint64_t hash,
			 uint32_t choice)
{
	struct fl_overflow *overflow = family == FL_IPV4 ? table->overflow4 : table->overflow6;
	uint32_t first = (uint32_t)(slot_of(table, family, hash, 0, 0) / FL_FLOW_WAYS);
	uint32_t shift = first % FL_OVERFLOW_BUCKETS * (FL_FLOW_CHOICES - 1);

	for (int i = 0; i < 2; i++)
		__atomic_fetch_or(&overflow[first / FL_OVERFLOW_BUCKETS].half[i],
				  1ULL << (shift + choice - 1), __ATOMIC_SEQ_CST);
}

static bool take_slot(const struct fl_flow_table *table, enum fl_family family, struct half *half,
		      size_t slot)
{
	struct fl_flow_head *head = fl_entry_head(table, family, slot);
	uint32_t word = head ? __atomic_load_n(&head->word, __ATOMIC_RELAXED) : FL_FLOW_BUSY;
	uint32_t busy = fl_flow_word(fl_flow_generation(word) + 1, FL_FLOW_BUSY);

	if (fl_flow_state(word) != FL_FLOW_FREE ||
	    !__atomic_compare_exchange_n(&head->word, &word, busy, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return false;
	half->head = head;
	half->slot = slot;
	half->word = busy;
	return true;
}

static bool take(const struct fl_flow_table *table, enum fl_family family, struct half *half)
{
	/* the bit is set before the entry can be seen, so that a reader looks there too */
	for (uint32_t i = 0; i < FL_FLOW_CHOICES * FL_FLOW_WAYS; i++) {
		uint32_t choice = i / FL_FLOW_WAYS;

		if (!take_slot(table, family, half,
			       slot_of(table, family, half->hash, choice, i % FL_FLOW_WAYS)))
			continue;
		if (choice)
			set_overflow(table, family, half->hash, choice);
		return true;
	}
	return false;
}

/* The rewrite is the key: packets stay as they are. */
static void fill(enum fl_family family, const struct half *half, const struct half *twin,
		 uint8_t proto, uint8_t flags, uint32_t now)
{
	struct fl_flow_head *head = half->head;
	const struct fl_tuple6 *key = &half->key;
	struct fl_flow_head filled = {
		.word = half->word,
		.twin = (uint32_t)twin->slot,
		.twin_generation = (uint16_t)fl_flow_generation(twin->word),
		.proto = proto,
		.flags = flags,
		.last_seen = now,
		.seq = proto == IPPROTO_UDP ? now : 0,
	};

	*head = filled;
	if (family == FL_IPV6) {
		struct fl_flow6 *flow = (void *)head;

		flow->key = flow->rewrite = *key;
	} else {
		struct fl_flow4 *flow = (void *)head;

		flow->key = flow->rewrite = (struct fl_tuple4){key->saddr.w[3], key->daddr.w[3],
							       key->sport, key->dport};
	}
}

static struct half half_of(const struct fl_flow_table *table, const struct fl_flow *flow,
			   const struct fl_ip *src, uint16_t sport, const struct fl_ip *dst,
			   uint16_t dport)
{
	struct half half = {.key = {to_abi(src), to_abi(dst), htons(sport), htons(dport)}};

	half.hash = fl_hash_tuple(flow->family == FL_IPV6, &half.key, flow->proto,
				  table->meta->flow_seed[0]);
	return half;
}

int fl_flow_import(const struct fl_flow_table *table, const struct fl_flow *flow, uint64_t now)
{
	const bool masqueraded = !fl_ip_equal(&flow->source, &flow->client);
	const uint8_t flags = FL_FLOW_KERNEL | FL_FLOW_TO_STACK | (masqueraded ? FL_FLOW_SNAT : 0);
	const enum fl_family family = flow->family;
	struct half original = half_of(table, flow, &flow->client, flow->client_port,
				       &flow->frontend, flow->frontend_port);
	struct half reply = half_of(table, flow, &flow->backend, flow->backend_port, &flow->source,
				    flow->source_port);

	if (!fl_entry_slots(table, family))
		return -ENOSPC;
	if (has_key(table, family, &original, flow->proto, SIZE_MAX) ||
	    has_key(table, family, &reply, flow->proto, SIZE_MAX))
		return 0;
	if (!take(table, family, &original))
		return -ENOSPC;
	if (!take(table, family, &reply)) {
		fl_entry_withdraw(original.head, original.word);
		return -ENOSPC;
	}
	fill(family, &original, &reply, flow->proto, flags, (uint32_t)now);
	fill(family, &reply, &original, flow->proto, flags | FL_FLOW_IS_REPLY, (uint32_t)now);
	reply.word = fl_entry_claim(reply.head);
	original.word = fl_entry_claim(original.head);
	/* a program makes a flow with one of the keys just now: that one is at work */
	if (!has_key(table, family, &reply, flow->proto, reply.slot) &&
	    !has_key(table, family, &original, flow->proto, original.slot) &&
	    fl_entry_appear(reply.head, reply.word, flow->state) &&
	    fl_entry_appear(original.head, original.word, flow->state))
		return 1;
	fl_entry_withdraw(original.head, original.word);
	fl_entry_withdraw(reply.head, reply.word);
	return 0;
}
