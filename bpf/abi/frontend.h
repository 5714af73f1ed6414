/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The table of frontends: a flat array of lines, each with a key and what applies to it, and how a
 * key is found. Only the agent writes it, through its mapping; programs and other readers take no
 * lock.
 *
 * A keyed hash gives each key its home, a line. A home has FL_FRONTEND_PLACES lines where its keys
 * may lie: itself, its neighbour, which the processor fetches along with it, then pairs of lines
 * elsewhere. The home's `chain` has a bit for each of its places where one of its keys does lie.
 * So neither removals nor keys of other homes lengthen the search for a key, and a key that does
 * not exist usually costs one line.
 *
 * What a reader may rely on:
 * - A live line (`word`) does not change, except for the two words `side`, each written in one
 *   store. Any other change makes the key live at another place. If `word` is the same before and
 *   after a reader has read the rest, it has read one state of that line.
 * - A key that moves is live at its new place before it leaves the old one, and `chain` of its home
 *   changes in between. A reader that finds nothing, and `chain` unchanged since it began, has not
 *   missed it.
 */
#pragma once

#include "bpf/abi/filter.h"
#include "bpf/abi/service.h"

#define FL_FRONTEND_PLACES 16

/*
 * A side's list and verdict in one word, written in one store. From the lowest bit: slab, length of
 * the lookup table, number of backends, verdict, whether it is the local list.
 */
#define FL_SIDE_SLAB_BITS 27
#define FL_SIDE_COUNT_BITS 17
#define FL_SIDE_LUT_SHIFT FL_SIDE_SLAB_BITS
#define FL_SIDE_COUNT_SHIFT (FL_SIDE_LUT_SHIFT + FL_SIDE_COUNT_BITS)
#define FL_SIDE_VERDICT_SHIFT (FL_SIDE_COUNT_SHIFT + FL_SIDE_COUNT_BITS)
#define FL_SIDE_LOCAL_SHIFT (FL_SIDE_VERDICT_SHIFT + 2)

/* struct fl_frontend as it lies in a line. */
struct fl_frontend_packed {
	__u32 service_id;
	__u32 affinity_timeout;
	__u16 flags;
	__u8 type;
	__u8 pad[5];
	__u64 side[FL_SIDES];
};

/* Element of array fl_frontends. */
struct fl_frontend_line {
	struct fl_frontend_key key;
	__u32 word;  /* generation << 1 | live; the generation changes when the line is left */
	__u64 chain; /* of this line as a home: number of changes << 32 | a bit per place */
	struct fl_frontend_packed frontend;
};

#define FL_FRONTEND_LIVE 1U

static __always_inline __u64 fl_pack_side(const struct fl_list *list, __u8 verdict)
{
	return list->slab | (__u64)list->lut_len << FL_SIDE_LUT_SHIFT |
	       (__u64)list->count << FL_SIDE_COUNT_SHIFT | (__u64)verdict << FL_SIDE_VERDICT_SHIFT |
	       (__u64)(list->id & 1) << FL_SIDE_LOCAL_SHIFT;
}

static __always_inline enum fl_service_verdict fl_packed_verdict(__u64 side)
{
	return side >> FL_SIDE_VERDICT_SHIFT & 3;
}

static __always_inline struct fl_list fl_packed_list(__u64 side, __u32 service_id)
{
	const __u32 count_mask = (1U << FL_SIDE_COUNT_BITS) - 1;

	return (struct fl_list){
		.slab = side & ((1U << FL_SIDE_SLAB_BITS) - 1),
		.lut_len = side >> FL_SIDE_LUT_SHIFT & count_mask,
		.count = side >> FL_SIDE_COUNT_SHIFT & count_mask,
		.id = service_id * 2 + (__u32)(side >> FL_SIDE_LOCAL_SHIFT),
	};
}

/* Not fl_filter_hash() of the address, which spreads by its highest bits alone: homes are told by
 * the lowest. seed: fl_meta.flow_seed[1]. */
static __always_inline __u64 fl_frontend_hash(_Bool v6, const struct fl_addr *addr, __be16 port,
					      __u8 proto, __u64 seed)
{
	return fl_hash_finish(fl_hash_addr(v6, seed, addr) ^ ((__u32)proto << 16 | port));
}

static __always_inline __u32 fl_frontend_home(__u64 hash, __u32 mask)
{
	return (__u32)hash & mask;
}

/* Line of a home's place, 0 (the home) to FL_FRONTEND_PLACES - 1. mask: number of lines - 1. */
static __always_inline __u32 fl_frontend_place(__u32 home, __u32 place, __u32 mask)
{
	/* odd, so that no pair comes up twice where there are enough of them */
	__u32 stride = (home >> 1) * 0x9e3779b1U >> 15 | 1;

	return (((home >> 1) + (place >> 1) * stride) << 1 | ((home ^ place) & 1)) & mask;
}

_Static_assert(sizeof(struct fl_frontend_line) == 64, "abi");
_Static_assert(FL_SIDE_LOCAL_SHIFT == 63, "abi");
