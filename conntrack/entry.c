/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading and freeing single entries of the table that the datapath writes at the same time.
 *
 * What orders what (the other side is BPF code, whose cmpxchg and xchg are full barriers on every
 * CPU):
 *
 * - Publishing. A writer takes an entry by cmpxchg of its word, fills it by plain stores, claims it
 * by xchg, and publishes it by cmpxchg. A reader loads the word with acquire, so that its copy
 * comes after; copies; then an acquire fence keeps the second load of the word behind the copy. If
 * both loads give the same generation, no writer had the entry in between: one that takes it raises
 * the generation, and a cmpxchg that others see comes before the stores that follow it. The copy is
 * made of relaxed atomic loads, because a plain copy that races with a writer has no defined
 * meaning, even if it is thrown away.
 *
 * - Freeing. The original goes first: its reply, whose key keeps the source port from being given
 * away, is there until no packet can use the port. What is freed stays so, even if a packet or a
 * new state came in the last moment: an entry that is put back may find that its source port is
 * another flow's by then, or that its reply was taken for a lone one. A packet that refreshes a
 * flow after the agent has looked at last_seen is its last, as if it had come a moment later.
 *
 * - Freeing goes straight to FL_FLOW_FREE instead of through FL_FLOW_BUSY: an agent that is killed
 * at any instruction leaves either a live pair, a lone entry (swept after a second) or free ones,
 * never an entry that stays busy.
 */
#include "conntrack/entry.h"

#include <arpa/inet.h>
#include <assert.h>
#include <string.h>

#include "lb/model/addr.h"

#define READ_TRIES 4

size_t fl_entry_slots(const struct fl_flow_table *table, enum fl_family family)
{
	if (family == FL_IPV4)
		return table->flows4 ? table->n_flows4 * FL_FLOW_WAYS : 0;
	return table->flows6 ? table->n_flows6 * FL_FLOW_WAYS : 0;
}

struct fl_flow_head *fl_entry_head(const struct fl_flow_table *table, enum fl_family family,
				   size_t slot)
{
	if (slot >= fl_entry_slots(table, family))
		return NULL;
	if (family == FL_IPV4)
		return &table->flows4[slot / FL_FLOW_WAYS].way[slot % FL_FLOW_WAYS].head;
	return &table->flows6[slot / FL_FLOW_WAYS].way[slot % FL_FLOW_WAYS].head;
}

static void copy_relaxed(void *to, const void *from, size_t size)
{
	const uint64_t *src = from;
	uint64_t word;

	for (size_t i = 0; i < size / sizeof(word); i++) {
		word = __atomic_load_n(&src[i], __ATOMIC_RELAXED);
		memcpy((char *)to + i * sizeof(word), &word, sizeof(word));
	}
}

static void entry_from4(const struct fl_flow4 *raw, struct fl_entry *entry)
{
	*entry = (struct fl_entry){
		.head = raw->head,
		.saddr = fl_ip_from_ipv4(&raw->key.saddr),
		.daddr = fl_ip_from_ipv4(&raw->key.daddr),
		.sport = ntohs(raw->key.sport),
		.dport = ntohs(raw->key.dport),
		.new_saddr = fl_ip_from_ipv4(&raw->rewrite.saddr),
		.new_daddr = fl_ip_from_ipv4(&raw->rewrite.daddr),
		.new_sport = ntohs(raw->rewrite.sport),
		.new_dport = ntohs(raw->rewrite.dport),
	};
}

static void entry_from6(const struct fl_flow6 *raw, struct fl_entry *entry)
{
	*entry = (struct fl_entry){
		.head = raw->head,
		.saddr = fl_ip_from_addr(&raw->key.saddr),
		.daddr = fl_ip_from_addr(&raw->key.daddr),
		.sport = ntohs(raw->key.sport),
		.dport = ntohs(raw->key.dport),
		.new_saddr = fl_ip_from_addr(&raw->rewrite.saddr),
		.new_daddr = fl_ip_from_addr(&raw->rewrite.daddr),
		.new_sport = ntohs(raw->rewrite.sport),
		.new_dport = ntohs(raw->rewrite.dport),
	};
}

union raw {
	struct fl_flow_head head;
	struct fl_flow4 flow4;
	struct fl_flow6 flow6;
};

/* The first `size` bytes, heads included, of an entry that is live; with `claims` also of one that
 * is claimed. */
static bool read_part(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		      size_t size, bool claims, void *ret_raw)
{
	const struct fl_flow_head *head = fl_entry_head(table, family, slot);
	uint32_t before, after;

	for (int i = 0; head && i < READ_TRIES; i++) {
		before = __atomic_load_n(&head->word, __ATOMIC_ACQUIRE);
		if (fl_flow_state(before) >= FL_FLOW_STATES ||
		    !(fl_flow_state(before) >= FL_FLOW_NEW || (claims && before & FL_FLOW_CLAIM)))
			return false;
		copy_relaxed(ret_raw, head, size);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = __atomic_load_n(&head->word, __ATOMIC_RELAXED);
		/* a change of state alone leaves the rest as it is */
		if (fl_flow_generation(before) != fl_flow_generation(after))
			continue;
		memcpy(ret_raw, &after, sizeof(after)); /* the word comes first */
		return fl_flow_state(after) >= FL_FLOW_NEW || (claims && after & FL_FLOW_CLAIM);
	}
	return false;
}

static bool read_raw(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		     bool claims, union raw *ret_raw)
{
	return read_part(table, family, slot,
			 family == FL_IPV4 ? sizeof(ret_raw->flow4) : sizeof(ret_raw->flow6),
			 claims, ret_raw);
}

bool fl_entry_head_read(const struct fl_flow_table *table, enum fl_family family, size_t slot,
			struct fl_flow_head *ret_head)
{
	static_assert(!offsetof(struct fl_flow_head, word) && !(sizeof(*ret_head) % 8),
		      "read as words of eight bytes, the entry's word first");
	return read_part(table, family, slot, sizeof(*ret_head), false, ret_head);
}

bool fl_entry_read(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   struct fl_entry *ret_entry)
{
	union raw raw;

	if (!read_raw(table, family, slot, false, &raw))
		return false;
	if (family == FL_IPV4)
		entry_from4(&raw.flow4, ret_entry);
	else
		entry_from6(&raw.flow6, ret_entry);
	return true;
}

bool fl_entry_change_flags(struct fl_flow_head *head, uint32_t word, uint8_t set, uint8_t clear)
{
	/* the word that the datapath's atomic operations on flags are on */
	uint32_t *flags = (uint32_t *)(void *)&head->twin_generation, seen;

	static_assert(offsetof(struct fl_flow_head, flags) ==
			      offsetof(struct fl_flow_head, twin_generation) + 3,
		      "flags are the last byte of the word");
	do {
		seen = __atomic_load_n(flags, __ATOMIC_ACQUIRE);
		if (fl_flow_generation(__atomic_load_n(&head->word, __ATOMIC_RELAXED)) !=
		    fl_flow_generation(word))
			return false;
	} while (!__atomic_compare_exchange_n(flags, &seen, (seen | htonl(set)) & ~htonl(clear),
					      false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return true;
}

bool fl_entry_key(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		  struct fl_tuple6 *ret_key, uint8_t *ret_proto)
{
	union raw raw;

	if (!read_raw(table, family, slot, true, &raw))
		return false;
	*ret_proto = raw.head.proto;
	if (family == FL_IPV6) {
		*ret_key = raw.flow6.key;
		return true;
	}
	*ret_key = (struct fl_tuple6){.sport = raw.flow4.key.sport, .dport = raw.flow4.key.dport};
	ret_key->saddr.w[3] = raw.flow4.key.saddr;
	ret_key->daddr.w[3] = raw.flow4.key.daddr;
	return true;
}

uint32_t fl_entry_claim(struct fl_flow_head *head)
{
	const uint32_t word = __atomic_load_n(&head->word, __ATOMIC_RELAXED) | FL_FLOW_CLAIM;

	__atomic_exchange_n(&head->word, word, __ATOMIC_SEQ_CST);
	return word;
}

bool fl_entry_appear(struct fl_flow_head *head, uint32_t claim, enum fl_flow_state state)
{
	return __atomic_compare_exchange_n(&head->word, &claim,
					   fl_flow_word(fl_flow_generation(claim), state), false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

void fl_entry_withdraw(struct fl_flow_head *head, uint32_t taken)
{
	uint32_t word = __atomic_load_n(&head->word, __ATOMIC_RELAXED);

	while (fl_flow_generation(word) == fl_flow_generation(taken) &&
	       !__atomic_compare_exchange_n(
		       &head->word, &word, fl_flow_word(fl_flow_generation(word) + 1, FL_FLOW_FREE),
		       false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}

bool fl_entry_twin(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   const struct fl_entry *entry, struct fl_entry *ret_twin)
{
	struct fl_entry twin;

	if (entry->head.twin == slot || !fl_entry_read(table, family, entry->head.twin, &twin))
		return false;
	if (!fl_flow_generation_is(twin.head.word, entry->head.twin_generation))
		return false;
	if (twin.head.twin != slot ||
	    !fl_flow_generation_is(entry->head.word, twin.head.twin_generation))
		return false;
	if ((twin.head.flags & FL_FLOW_IS_REPLY) == (entry->head.flags & FL_FLOW_IS_REPLY))
		return false;
	*ret_twin = twin;
	return true;
}

static void flow_from_original(const struct fl_entry *entry, struct fl_flow *flow)
{
	flow->client = entry->saddr;
	flow->client_port = entry->sport;
	flow->frontend = entry->daddr;
	flow->frontend_port = entry->dport;
	flow->source = entry->new_saddr;
	flow->source_port = entry->new_sport;
	flow->backend = entry->new_daddr;
	flow->backend_port = entry->new_dport;
}

static void flow_from_reply(const struct fl_entry *entry, struct fl_flow *flow)
{
	flow->backend = entry->saddr;
	flow->backend_port = entry->sport;
	flow->source = entry->daddr;
	flow->source_port = entry->dport;
	flow->frontend = entry->new_saddr;
	flow->frontend_port = entry->new_sport;
	flow->client = entry->new_daddr;
	flow->client_port = entry->new_dport;
}

void fl_entry_flow(enum fl_family family, size_t slot, const struct fl_entry *entry,
		   const struct fl_entry *twin, uint32_t now, struct fl_flow *ret_flow)
{
	bool is_reply = entry->head.flags & FL_FLOW_IS_REPLY;
	const struct fl_entry *original = is_reply ? twin : entry;
	const struct fl_entry *reply = is_reply ? entry : twin;
	/* both directions carry the state; while it is being changed the original's counts */
	const struct fl_flow_head *head = original ? &original->head : &reply->head;
	struct fl_flow flow = {
		.family = family,
		.slot = is_reply ? (twin ? entry->head.twin : FL_SLOT_NONE) : slot,
		.reply_slot = is_reply ? slot : (twin ? entry->head.twin : FL_SLOT_NONE),
		.proto = head->proto,
		.state = fl_flow_state(head->word),
		.reply_known = reply,
		.backend_id = fl_flow_backend(head),
		.idle_jiffies = fl_idle(entry->head.last_seen, now),
	};
	uint32_t idle;

	if (original) {
		flow_from_original(original, &flow);
		flow.flags = original->head.flags;
		flow.packets = original->head.packets;
		flow.bytes = fl_flow_bytes(&original->head);
	} else {
		flow_from_reply(reply, &flow);
	}
	if (reply) {
		flow.reply_flags = reply->head.flags;
		flow.reply_packets = reply->head.packets;
		flow.reply_bytes = fl_flow_bytes(&reply->head);
	}
	if (original && reply && flow.flags & FL_FLOW_KERNEL) {
		flow.backend = reply->saddr;
		flow.backend_port = reply->sport;
		flow.source = reply->daddr;
		flow.source_port = reply->dport;
	}
	if (twin) {
		idle = fl_idle(twin->head.last_seen, now);
		if (idle < flow.idle_jiffies)
			flow.idle_jiffies = idle;
	}
	*ret_flow = flow;
}

static uint32_t freed_word(uint32_t word)
{
	return fl_flow_word(fl_flow_generation(word) + 1, FL_FLOW_FREE);
}

static bool word_exchange(struct fl_flow_head *head, uint32_t from, uint32_t to)
{
	return __atomic_compare_exchange_n(&head->word, &from, to, false, __ATOMIC_SEQ_CST,
					   __ATOMIC_RELAXED);
}

void fl_entry_keep(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   const struct fl_entry *entry, const struct fl_entry *twin,
		   enum fl_flow_state state, uint32_t now)
{
	struct fl_flow_head *heads[] = {fl_entry_head(table, family, slot),
					fl_entry_head(table, family, entry->head.twin)};
	const uint32_t words[] = {entry->head.word, twin->head.word};

	for (size_t i = 0; i < 2; i++) {
		uint32_t word = fl_flow_word(fl_flow_generation(words[i]), state);

		if (word == words[i] || word_exchange(heads[i], words[i], word))
			__atomic_store_n(&heads[i]->last_seen, now, __ATOMIC_RELAXED);
	}
}

/* The entry is as it was copied, and no packet has refreshed it. */
static bool is_still_idle(const struct fl_flow_head *head, uint32_t word, uint32_t now,
			  uint64_t timeout)
{
	if (timeout != FL_NO_TIMEOUT &&
	    fl_idle(__atomic_load_n(&head->last_seen, __ATOMIC_RELAXED), now) <= timeout)
		return false;
	return __atomic_load_n(&head->word, __ATOMIC_RELAXED) == word;
}

bool fl_entry_free(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   const struct fl_entry *entry, const struct fl_entry *twin, uint32_t now,
		   uint64_t timeout)
{
	struct fl_flow_head *head = fl_entry_head(table, family, slot), *twin_head = NULL;
	uint32_t word = entry->head.word, twin_word = 0;

	if (twin) {
		twin_head = fl_entry_head(table, family, entry->head.twin);
		twin_word = twin->head.word;
	}
	if (twin && entry->head.flags & FL_FLOW_IS_REPLY) {
		struct fl_flow_head *original = twin_head;

		twin_head = head;
		twin_word = entry->head.word;
		head = original;
		word = twin->head.word;
	}
	if (!is_still_idle(head, word, now, timeout) ||
	    (twin && !is_still_idle(twin_head, twin_word, now, timeout)) ||
	    !word_exchange(head, word, freed_word(word)))
		return false;
	if (twin)
		fl_entry_withdraw(twin_head, twin_word);
	return true;
}
