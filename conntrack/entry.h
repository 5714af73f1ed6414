/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One entry of the mapped flow table, for the files of this room only: reading it consistently,
 * asking whether its twin still names it, and freeing both. entry.c says which access orders which.
 */
#pragma once

#include "conntrack/table.h"

#define FL_SLOT_NONE UINT32_MAX

/* A consistent copy of one direction, in host types. */
struct fl_entry {
	struct fl_flow_head head;
	struct fl_ip saddr, daddr, new_saddr, new_daddr;
	uint16_t sport, dport, new_sport, new_dport;
};

/* Jiffies wrap at 32 bits; a time stamp of the future is not idle. */
static inline uint32_t fl_idle(uint32_t last_seen, uint32_t now)
{
	int32_t idle = (int32_t)(now - last_seen);

	return idle > 0 ? (uint32_t)idle : 0;
}

/* Slots of one family: buckets * FL_FLOW_WAYS; 0 when the table is absent. */
size_t fl_entry_slots(const struct fl_flow_table *table, enum fl_family family);

/* Where a slot lies; NULL: there is none of that number. Slots come out of memory that others
 * write, so each is checked. */
struct fl_flow_head *fl_entry_head(const struct fl_flow_table *table, enum fl_family family,
				   size_t slot);

/* Copy a live entry (FL_FLOW_NEW or later). False: it is free, being written, or does not exist. */
bool fl_entry_read(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   struct fl_entry *ret_entry);

/* Its head alone. */
bool fl_entry_head_read(const struct fl_flow_table *table, enum fl_family family, size_t slot,
			struct fl_flow_head *ret_head);

/* Whether it is all of its flow: FL_FLOW_TUNNEL. */
static inline bool fl_entry_is_whole(const struct fl_flow_head *head, size_t slot)
{
	return fl_flow_is_tunnelled(head->flags) && head->twin == slot;
}

/* Set and clear flags of an entry that was read with this word. False: another flow has it, and
 * keeps its own. */
bool fl_entry_change_flags(struct fl_flow_head *head, uint32_t word, uint8_t set, uint8_t clear);

/*
 * Publishing, as the programs do: an entry that was taken (BUSY) and filled is claimed, which is a
 * full barrier, so that of two that claim a key at least one finds the other's; then it appears,
 * false if a program has taken the claim away. Or it is withdrawn, whatever it has become, unless
 * another flow has it by now. `claim`, `taken`: its word when it was claimed, or taken.
 */
uint32_t fl_entry_claim(struct fl_flow_head *head);
bool fl_entry_appear(struct fl_flow_head *head, uint32_t claim, enum fl_flow_state state);
void fl_entry_withdraw(struct fl_flow_head *head, uint32_t taken);

/* The key of an entry that is live or claimed, as fl_hash_tuple() wants it. False as above. */
bool fl_entry_key(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		  struct fl_tuple6 *ret_key, uint8_t *ret_proto);

/* Copy the twin of `entry`, if each names the other. */
bool fl_entry_twin(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   const struct fl_entry *entry, struct fl_entry *ret_twin);

/*
 * Make a flow of an entry and its twin (NULL: unknown). Either may be the original direction; a
 * reply alone describes the whole flow too; the original's slot is then FL_SLOT_NONE.
 */
void fl_entry_flow(enum fl_family family, size_t slot, const struct fl_entry *entry,
		   const struct fl_entry *twin, uint32_t now, struct fl_flow *ret_flow);

/*
 * Free an entry and its twin (NULL: it has none), provided both are as they were copied and, if
 * `timeout` is not FL_NO_TIMEOUT, neither has been refreshed since: both idle for more than
 * `timeout` at `now`. False: the flow goes on, and nothing was changed.
 */
#define FL_NO_TIMEOUT UINT64_MAX
bool fl_entry_free(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   const struct fl_entry *entry, const struct fl_entry *twin, uint32_t now,
		   uint64_t timeout);

/* Give an entry and its twin this state, and let both have been seen just now. An entry that has
 * changed since it was copied is left alone. */
void fl_entry_keep(const struct fl_flow_table *table, enum fl_family family, size_t slot,
		   const struct fl_entry *entry, const struct fl_entry *twin,
		   enum fl_flow_state state, uint32_t now);
