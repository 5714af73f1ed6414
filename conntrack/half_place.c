// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Placing flows in our table while its programs may be at work, by their protocol: an entry is
 * taken by compare-and-exchange of its word, filled, and published. Only free entries are taken:
 * the table was empty when it began. An agent that is killed between the two leaves an entry that
 * stays busy, which costs a place and nothing else.
 */
#include <arpa/inet.h>
#include <string.h>

#include "bpf/abi/hash.h"
#include "conntrack/entry.h"
#include "conntrack/half.h"
#include "lb/model/addr.h"

static uint64_t hash_of(const struct fl_flow_table *table, enum fl_family family,
			const struct fl_half *half)
{
	return fl_hash_tuple(family == FL_IPV6, &half->key, half->proto, table->meta->flow_seed[0]);
}

static uint32_t mask_of(const struct fl_flow_table *table, enum fl_family family)
{
	return (uint32_t)(fl_entry_slots(table, family) / FL_FLOW_WAYS) - 1;
}

static struct fl_overflow *overflow_of(const struct fl_flow_table *table, enum fl_family family,
				       uint32_t bucket, uint32_t *ret_shift)
{
	struct fl_overflow *all = family == FL_IPV6 ? table->overflow6 : table->overflow4;

	*ret_shift = bucket % FL_OVERFLOW_BUCKETS * (FL_FLOW_CHOICES - 1);
	return &all[bucket / FL_OVERFLOW_BUCKETS];
}

/* Finding */

static bool same_tuple(const struct fl_tuple6 *a, const struct fl_tuple6 *b)
{
	return !memcmp(&a->saddr, &b->saddr, sizeof(a->saddr)) &&
	       !memcmp(&a->daddr, &b->daddr, sizeof(a->daddr)) && a->sport == b->sport &&
	       a->dport == b->dport;
}

/* The slot of an entry with this key, other than `but`; FL_SLOT_NONE: there is none. */
static uint32_t find(const struct fl_flow_table *table, enum fl_family family,
		     const struct fl_half *half, uint32_t but)
{
	const uint64_t hash = hash_of(table, family, half);
	const uint32_t mask = mask_of(table, family);
	uint32_t first = fl_hash_bucket(hash, 0, mask), shift;
	struct fl_overflow *overflow = overflow_of(table, family, first, &shift);
	/* what either half has: the agent may be rebuilding the other */
	uint64_t bits = (__atomic_load_n(&overflow->half[0], __ATOMIC_SEQ_CST) |
			 __atomic_load_n(&overflow->half[1], __ATOMIC_SEQ_CST)) >>
			shift;

	for (uint32_t choice = 0; choice < FL_FLOW_CHOICES; choice++) {
		uint32_t slot = fl_hash_bucket(hash, choice, mask) * FL_FLOW_WAYS;

		if (choice && !(bits >> (choice - 1) & 1))
			continue;
		for (uint32_t end = slot + FL_FLOW_WAYS; slot < end; slot++) {
			struct fl_tuple6 key;
			uint8_t proto;

			if (slot != but && fl_entry_key(table, family, slot, &key, &proto) &&
			    proto == half->proto && same_tuple(&key, &half->key))
				return slot;
		}
	}
	return FL_SLOT_NONE;
}

/* Bringing up to date */

static bool later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* seen: its word, when it was found to be of this flow. */
static void renew(struct fl_flow_head *head, uint32_t seen, const struct fl_half *half)
{
	const uint8_t flags = half->flags & (FL_FLOW_FIN | FL_FLOW_RST | FL_FLOW_STALE);
	uint32_t word = __atomic_load_n(&head->word, __ATOMIC_ACQUIRE);
	bool onward = fl_flow_state(word) < half->state;

	/* all that is written below is another flow's otherwise */
	if (fl_flow_generation(word) != fl_flow_generation(seen) ||
	    (flags && !fl_entry_change_flags(head, seen, flags, 0)))
		return;
	/* until the handshake is over a lower number may be the one that counts */
	if (onward || later(half->seq, head->seq))
		__atomic_store_n(&head->seq, half->seq, __ATOMIC_RELAXED);
	if (onward || later(half->ack, head->ack))
		__atomic_store_n(&head->ack, half->ack, __ATOMIC_RELAXED);
	if (later(half->last_seen, __atomic_load_n(&head->last_seen, __ATOMIC_RELAXED)))
		__atomic_store_n(&head->last_seen, half->last_seen, __ATOMIC_RELAXED);
	/* should it have become another's, that one's word is another */
	if (onward)
		__atomic_compare_exchange_n(&head->word, &word,
					    fl_flow_word(fl_flow_generation(word), half->state),
					    false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

static bool same_flow(const struct fl_flow_table *table, enum fl_family family,
		      const struct fl_entry *entry, const struct fl_half *half)
{
	struct fl_tuple6 rewrite = half->rewrite;
	struct fl_ip saddr, daddr;

	if (family == FL_IPV6) {
		saddr = fl_ip_from_addr(&rewrite.saddr);
		daddr = fl_ip_from_addr(&rewrite.daddr);
	} else {
		saddr = fl_ip_from_ipv4(&rewrite.saddr.w[3]);
		daddr = fl_ip_from_ipv4(&rewrite.daddr.w[3]);
	}
	return fl_ip_equal(&entry->new_saddr, &saddr) && fl_ip_equal(&entry->new_daddr, &daddr) &&
	       entry->new_sport == ntohs(rewrite.sport) && entry->new_dport == ntohs(rewrite.dport);
}

/*
 * An entry with one of our keys. True: it is of this flow, and up to date now; or it was of another
 * one that is newer (*ret_placed). False: it is gone, the flow has to be placed.
 */
static bool settle(const struct fl_flow_table *table, enum fl_family family, uint32_t slot,
		   const struct fl_half *half, const struct fl_half *twin_half,
		   enum fl_migrate_end *ret_placed)
{
	struct fl_entry entry, twin;
	bool paired;

	if (!fl_entry_read(table, family, slot, &entry))
		return false;
	paired = fl_entry_twin(table, family, slot, &entry, &twin);
	if (paired && same_flow(table, family, &entry, half) &&
	    same_flow(table, family, &twin, twin_half)) {
		renew(fl_entry_head(table, family, slot), entry.head.word, half);
		renew(fl_entry_head(table, family, entry.head.twin), twin.head.word, twin_half);
		*ret_placed = FL_PLACED_RENEWED;
		return true;
	}
	if (paired && !later(half->last_seen, entry.head.last_seen) &&
	    !later(twin_half->last_seen, twin.head.last_seen)) {
		*ret_placed = FL_PLACED_KEPT;
		return true;
	}
	if (fl_entry_free(table, family, slot, &entry, paired ? &twin : NULL, 0, FL_NO_TIMEOUT))
		return false;
	*ret_placed = FL_PLACED_KEPT; /* it is just being used */
	return true;
}

/* Placing */

static uint32_t take_in(const struct fl_flow_table *table, enum fl_family family, uint32_t bucket,
			uint32_t home, unsigned int most_used)
{
	unsigned int used = 0;

	for (uint32_t i = 0; i < FL_FLOW_WAYS; i++) {
		struct fl_flow_head *head =
			fl_entry_head(table, family, (size_t)bucket * FL_FLOW_WAYS + i);

		used += fl_flow_state(__atomic_load_n(&head->word, __ATOMIC_RELAXED)) !=
			FL_FLOW_FREE;
	}
	for (uint32_t i = 0; i < FL_FLOW_WAYS && used <= most_used; i++) {
		uint32_t slot = bucket * FL_FLOW_WAYS + ((home ^ i) & (FL_FLOW_WAYS - 1));
		struct fl_flow_head *head = fl_entry_head(table, family, slot);
		uint32_t word = __atomic_load_n(&head->word, __ATOMIC_RELAXED);

		if (fl_flow_state(word) == FL_FLOW_FREE &&
		    __atomic_compare_exchange_n(
			    &head->word, &word,
			    fl_flow_word(fl_flow_generation(word) + 1, FL_FLOW_BUSY), false,
			    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return slot;
	}
	return FL_SLOT_NONE;
}

/* As the programs do: a bucket with room to spare among the choices, then one with any. */
static uint32_t take(const struct fl_flow_table *table, enum fl_family family,
		     const struct fl_half *half)
{
	const uint64_t hash = hash_of(table, family, half);
	const uint32_t mask = mask_of(table, family), home = (uint32_t)(hash >> 62);

	for (unsigned int most_used = FL_FLOW_WAYS - 2; most_used < FL_FLOW_WAYS; most_used++) {
		for (uint32_t choice = 0; choice < FL_FLOW_CHOICES; choice++) {
			uint32_t slot = take_in(table, family, fl_hash_bucket(hash, choice, mask),
						home, most_used);
			struct fl_overflow *overflow;
			uint32_t shift;

			if (slot == FL_SLOT_NONE)
				continue;
			/* before the entry can be seen */
			overflow =
				overflow_of(table, family, fl_hash_bucket(hash, 0, mask), &shift);
			for (int i = 0; i < 2 && choice; i++)
				__atomic_fetch_or(&overflow->half[i], 1ULL << (shift + choice - 1),
						  __ATOMIC_SEQ_CST);
			return slot;
		}
	}
	return FL_SLOT_NONE;
}

static void fill(struct fl_flow_head *head, enum fl_family family, const struct fl_half *half,
		 uint32_t twin_slot, const struct fl_flow_head *twin)
{
	const struct fl_flow_head filled = {
		.word = head->word,
		.twin = twin_slot,
		.twin_generation = (uint16_t)fl_flow_generation(twin->word),
		.proto = half->proto,
		.flags = half->flags,
		.last_seen = half->last_seen,
		.seq = half->seq,
		.ack = half->ack,
		.packets = half->packets,
		.bytes_low = (uint32_t)half->bytes,
		.bytes_high = (uint8_t)(half->bytes >> 32),
	};

	/* the word stays as it was taken */
	memcpy((char *)head + sizeof(head->word), (const char *)&filled + sizeof(filled.word),
	       sizeof(filled) - sizeof(filled.word));
	fl_flow_set_backend(head, half->backend);
	if (family == FL_IPV6) {
		struct fl_flow6 *f = (void *)head;

		f->key = half->key;
		f->rewrite = half->rewrite;
	} else {
		struct fl_flow4 *f = (void *)head;

		f->key = (struct fl_tuple4){half->key.saddr.w[3], half->key.daddr.w[3],
					    half->key.sport, half->key.dport};
		f->rewrite = (struct fl_tuple4){half->rewrite.saddr.w[3], half->rewrite.daddr.w[3],
						half->rewrite.sport, half->rewrite.dport};
	}
}

static enum fl_migrate_end place(const struct fl_flow_table *table, enum fl_family family,
				 const struct fl_half *original, const struct fl_half *reply)
{
	uint32_t slot = take(table, family, original), reply_slot;
	struct fl_flow_head *head, *reply_head;
	uint32_t claim, reply_claim;

	if (slot == FL_SLOT_NONE)
		return FL_PLACED_NO_ROOM;
	head = fl_entry_head(table, family, slot);
	reply_slot = take(table, family, reply);
	if (reply_slot == FL_SLOT_NONE) {
		fl_entry_withdraw(head, head->word);
		return FL_PLACED_NO_ROOM;
	}
	reply_head = fl_entry_head(table, family, reply_slot);
	fill(head, family, original, reply_slot, reply_head);
	fill(reply_head, family, reply, slot, head);
	reply_claim = fl_entry_claim(reply_head);
	claim = fl_entry_claim(head);
	/* a program may have made a flow with one of the keys just now: that one is at work */
	if (find(table, family, original, slot) == FL_SLOT_NONE &&
	    find(table, family, reply, reply_slot) == FL_SLOT_NONE &&
	    fl_entry_appear(reply_head, reply_claim, reply->state) &&
	    fl_entry_appear(head, claim, original->state))
		return FL_PLACED_MOVED;
	fl_entry_withdraw(head, claim);
	fl_entry_withdraw(reply_head, reply_claim);
	return FL_PLACED_KEPT;
}

enum fl_migrate_end fl_half_place_pair(const struct fl_flow_table *table, enum fl_family family,
				       const struct fl_half *original, const struct fl_half *reply)
{
	enum fl_migrate_end placed;
	uint32_t slot = find(table, family, original, FL_SLOT_NONE);

	if (slot != FL_SLOT_NONE && settle(table, family, slot, original, reply, &placed))
		return placed;
	/* the source port may have been another flow's that is over */
	slot = find(table, family, reply, FL_SLOT_NONE);
	if (slot != FL_SLOT_NONE && settle(table, family, slot, reply, original, &placed))
		return placed;
	return place(table, family, original, reply);
}
