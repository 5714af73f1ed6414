// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Reading entries by the description of their layout. The protocol over the word is the one that
 * entry.c describes: live before and after the copy, and of the same generation. What was read is
 * another program's memory: twins are slots within the table or none.
 */
#include <string.h>

#include "conntrack/half.h"
#include "conntrack/raw.h"
#include "lb/dp/layout.h"

#define READ_TRIES 4

/* FL_FLOW_FREE: none that stands for a flow. */
static enum fl_flow_state state_of(const struct fl_layout *layout, uint32_t word)
{
	uint32_t state = word & layout->state_mask;

	for (int i = 0; i < FL_LAYOUT_STATES; i++)
		if (layout->state[i] && layout->state[i] == state)
			return fl_layout_ours.state[i];
	return FL_FLOW_FREE;
}

/* `first`: of the four fields of the tuple. */
static void tuple(const unsigned char *entry, const struct fl_layout_table *table, int first,
		  struct fl_tuple6 *ret_tuple)
{
	const struct fl_layout_place *p = &table->field[first];
	struct fl_tuple6 t = {0};

	memcpy((char *)&t.saddr + sizeof(t.saddr) - p[0].size, entry + p[0].offset, p[0].size);
	memcpy((char *)&t.daddr + sizeof(t.daddr) - p[1].size, entry + p[1].offset, p[1].size);
	memcpy(&t.sport, entry + p[2].offset, sizeof(t.sport));
	memcpy(&t.dport, entry + p[3].offset, sizeof(t.dport));
	*ret_tuple = t;
}

static void decode(const struct fl_layout *layout, enum fl_family family,
		   const unsigned char *entry, uint32_t word, struct fl_half *half)
{
	const struct fl_layout_table *table = &layout->family[family];
	const struct fl_layout_place *f = table->field;
	uint32_t theirs = (uint32_t)fl_raw_number(entry, &f[FL_LAYOUT_FLAGS]);

	*half = (struct fl_half){
		.state = state_of(layout, word),
		.proto = (uint8_t)fl_raw_number(entry, &f[FL_LAYOUT_PROTO]),
		.has_backend = fl_raw_number(entry, &f[FL_LAYOUT_BACKEND_LOW]) ||
			       fl_raw_number(entry, &f[FL_LAYOUT_BACKEND_HIGH]),
		.last_seen = (uint32_t)fl_raw_number(entry, &f[FL_LAYOUT_LAST_SEEN]),
		.seq = (uint32_t)fl_raw_number(entry, &f[FL_LAYOUT_SEQ]),
		.ack = (uint32_t)fl_raw_number(entry, &f[FL_LAYOUT_ACK]),
		.packets = (uint32_t)fl_raw_number(entry, &f[FL_LAYOUT_PACKETS]),
		.bytes = fl_raw_number(entry, &f[FL_LAYOUT_BYTES_LOW]) |
			 fl_raw_number(entry, &f[FL_LAYOUT_BYTES_HIGH]) << 32,
		.generation = word >> layout->generation_shift,
		.twin = (uint32_t)fl_raw_number(entry, &f[FL_LAYOUT_TWIN]),
		.twin_generation = (uint32_t)fl_raw_number(entry, &f[FL_LAYOUT_TWIN_GENERATION]),
	};
	for (int i = 0; i < FL_LAYOUT_FLAGS_N; i++)
		if (theirs & layout->flag[i])
			half->flags |= fl_layout_ours.flag[i];
	tuple(entry, table, FL_LAYOUT_KEY_SADDR, &half->key);
	tuple(entry, table, FL_LAYOUT_REWRITE_SADDR, &half->rewrite);
}

static bool read_half(const struct fl_old_flows *old, enum fl_family family, size_t slot,
		      struct fl_half *ret_half)
{
	const struct fl_layout *layout = &old->layout;
	const struct fl_layout_table *table = &layout->family[family];
	_Alignas(8) unsigned char raw[FL_LAYOUT_ENTRY_MAX];
	const unsigned char *entry;

	if (slot >= fl_raw_slots(old, family))
		return false;
	entry = fl_raw_at(old, family, slot);
	for (int i = 0; i < READ_TRIES; i++) {
		uint32_t before = fl_raw_word(table, entry, __ATOMIC_ACQUIRE), after;

		if (state_of(layout, before) == FL_FLOW_FREE)
			return false;
		fl_raw_copy(raw, entry, table->entry_size);
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		after = fl_raw_word(table, entry, __ATOMIC_RELAXED);
		if (before >> layout->generation_shift != after >> layout->generation_shift)
			continue;
		decode(layout, family, raw, after, ret_half);
		return ret_half->state != FL_FLOW_FREE;
	}
	return false;
}

bool fl_half_read_pair(const struct fl_old_flows *old, enum fl_family family, size_t slot,
		       struct fl_half *ret_original, struct fl_half *ret_reply)
{
	const struct fl_layout_place *p =
		&old->layout.family[family].field[FL_LAYOUT_TWIN_GENERATION];
	const uint32_t mask = p->size < 4 ? (1U << p->size * 8) - 1 : UINT32_MAX;

	if (!read_half(old, family, slot, ret_original) || ret_original->flags & FL_FLOW_IS_REPLY ||
	    ret_original->twin == slot)
		return false;
	if (!read_half(old, family, ret_original->twin, ret_reply))
		return false;
	return ret_reply->flags & FL_FLOW_IS_REPLY && ret_reply->twin == slot &&
	       (ret_reply->generation & mask) == ret_original->twin_generation &&
	       (ret_original->generation & mask) == ret_reply->twin_generation;
}
