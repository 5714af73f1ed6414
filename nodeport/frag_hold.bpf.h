/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Fragments that came before the first one wait here for it, as bytes: BPF cannot keep a packet.
 * There are FL_FRAG_PLACES for all datagrams together, which are taken in turn; one whose holder
 * still waits is passed over. When FL_FRAG_TURNS in a row are, the last of them is taken all the
 * same, and its holder is lost, and counted.
 */
#pragma once

#include "nodeport/frag_table.bpf.h"
#include "nodeport/fragment.bpf.h"

#define FL_FRAG_PLACES 256     /* a power of two */
#define FL_FRAG_TURNS 64       /* looked at for one that is free: more than a datagram has */
#define FL_FRAG_BYTES_MAX 8192 /* of one that can wait; a power of two */
#define FL_FRAG_PART_MAX 2048  /* of a part of it, where it is too big for the way; likewise */
#define FL_FRAG_BUSY (~0ULL)

/* `number`: of the turn in which it was taken, from 1; FL_FRAG_BUSY while it is filled; 0 free. */
struct fl_frag_place {
	__u64 number;
	__u64 owner; /* fl_frag_name() of the record that it waits at */
	__u16 at, size;
	__u8 more;
	__u8 pad[3];
	__u8 bytes[FL_FRAG_BYTES_MAX + FL_FRAG_PART_MAX]; /* the verifier counts the last as well */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FL_FRAG_PLACES);
	__type(key, __u32);
	__type(value, struct fl_frag_place);
} fl_frag_held SEC(".maps");

/* Numbers that are given out in turn. */
struct fl_frag_turn {
	__u64 place; /* of fl_frag_held */
	__u64 id;    /* of masqueraded datagrams */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fl_frag_turn);
} fl_frag_turn SEC(".maps");

static __always_inline struct fl_frag_turn *fl_frag_turn_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&fl_frag_turn, &zero);
}

/*
 * The id of a masqueraded datagram. Clients that share our address do not know of each other's
 * numbers, and what one sends must not fill a gap in what another one sent.
 */
static __always_inline __u32 fl_frag_id_next(bool v6)
{
	struct fl_frag_turn *turn = fl_frag_turn_get();
	__u64 id = turn ? __sync_fetch_and_add(&turn->id, 1) : 0;

	/* an odd factor: all numbers come before one comes again */
	id = id * 0x9e3779b1U + fl_config.flow_seed[1];
	return v6 ? (__u32)id : (__u16)id;
}

static __always_inline struct fl_frag_place *fl_frag_place_of(__u64 number)
{
	__u32 at = number & (FL_FRAG_PLACES - 1);

	return bpf_map_lookup_elem(&fl_frag_held, &at);
}

/* Of a record, unlike all others that there were at its place. */
static __always_inline __u64 fl_frag_name(__u32 at, __u64 word)
{
	return word / FL_FRAG_STATES * FL_FRAGS + at;
}

/* Whether the fragment that has the place may still be sent. */
static __always_inline bool fl_frag_is_awaited(const struct fl_frag_place *place, __u32 now)
{
	const __u64 owner = READ_ONCE(place->owner);
	const struct fl_frag *f = fl_frag_at(owner % FL_FRAGS);
	__u64 word;

	if (!f || !READ_ONCE(place->number))
		return false;
	word = READ_ONCE(f->word);
	return word / FL_FRAG_STATES == owner / FL_FRAGS && fl_frag_state(word) != FL_FRAG_FREE &&
	       !fl_frag_over(f, now);
}

/* The number of the place to take; 0: there is none. */
static __always_inline __u64 fl_frag_turn_next(void)
{
	struct fl_frag_turn *turn = fl_frag_turn_get();
	const __u32 now = fl_now();
	struct fl_frag_place *place;
	__u64 number = 0;

	if (!turn)
		return 0;
	for (int i = 0; i < FL_FRAG_TURNS; i++) {
		number = __sync_fetch_and_add(&turn->place, 1) + 1;
		place = fl_frag_place_of(number);
		if (!place || !fl_frag_is_awaited(place, now))
			break;
	}
	return number;
}

/* Put the fragment's bytes aside: the number of their place, or 0. */
static __always_inline __u64 fl_frag_put(fl_ctx *skb, const struct fl_packet *p,
					 const struct fl_odd *odd, __u64 owner)
{
	struct fl_frag_place *place;
	__u64 number, before;
	__u32 size = odd->size;

	if (!size || size > FL_FRAG_BYTES_MAX)
		return 0;
	size = fl_fragment_size(size, FL_FRAG_BYTES_MAX);
	number = fl_frag_turn_next();
	place = fl_frag_place_of(number);
	if (!number || !place)
		return 0;
	before = __sync_lock_test_and_set(&place->number, FL_FRAG_BUSY);
	/* another processor is there, a whole round later */
	if (before == FL_FRAG_BUSY)
		return 0;
	if (before)
		fl_count(FL_REASON_FRAGMENT_ALONE);
	place->owner = owner;
	place->at = odd->at;
	place->size = size;
	place->more = odd->more;
	if (bpf_skb_load_bytes(skb, p->l4, place->bytes, size)) {
		__sync_lock_test_and_set(&place->number, 0);
		return 0;
	}
	__sync_lock_test_and_set(&place->number, number);
	return number;
}

/* Let the bytes go: false, and others have taken their place. */
static __always_inline bool fl_frag_drop(__u64 number)
{
	struct fl_frag_place *place = fl_frag_place_of(number);

	return place && __sync_val_compare_and_swap(&place->number, number, 0) == number;
}

enum fl_frag_wait {
	FL_FRAG_WAITS,	  /* for the first one */
	FL_FRAG_CAME,	  /* no: the first one has come meanwhile */
	FL_FRAG_GONE,	  /* no: the record is another one's, or was given up, by now */
	FL_FRAG_NO_PLACE, /* no: there is no place */
};

/* Let a fragment wait at a record that is WAITING or DECIDING. */
int fl_frag_wait(fl_ctx *skb, const struct fl_packet *p, const struct fl_odd *odd, __u32 at,
		 __u64 word);

__noinline int fl_frag_wait(fl_ctx *skb, const struct fl_packet *p, const struct fl_odd *odd,
			    __u32 at, __u64 word)
{
	struct fl_frag *f = fl_frag_at(at);
	__u64 number, then;
	bool same;
	int i;

	if (!f || !p || !odd)
		return FL_FRAG_NO_PLACE;
	number = fl_frag_put(skb, p, odd, fl_frag_name(at, word));
	if (!number)
		return FL_FRAG_NO_PLACE;
	for (i = 0; i < FL_FRAG_HELD; i++)
		if (!__sync_val_compare_and_swap(&f->held[i], 0, number))
			break;
	if (i >= FL_FRAG_HELD) {
		fl_frag_drop(number);
		return FL_FRAG_NO_PLACE;
	}
	/* the exchange above is a full barrier, and so is that which makes the record READY: either
	 * the first fragment finds this one, or this one finds it */
	then = READ_ONCE(f->word);
	same = then / FL_FRAG_STATES == word / FL_FRAG_STATES;
	if (same &&
	    (fl_frag_state(then) == FL_FRAG_WAITING || fl_frag_state(then) == FL_FRAG_DECIDING))
		return FL_FRAG_WAITS;
	/* unless it has been taken from there, to be sent */
	if (__sync_val_compare_and_swap(&f->held[i], number, 0) != number && same)
		return FL_FRAG_WAITS;
	if (!fl_frag_drop(number))
		return FL_FRAG_WAITS;
	return same && fl_frag_state(then) == FL_FRAG_READY ? FL_FRAG_CAME : FL_FRAG_GONE;
}

/* How the fragments of a datagram leave besides the one that is at hand. */
struct fl_frag_out {
	__u64 owner; /* fl_frag_name() of the datagram's record */
	__u32 ifindex;
	__u32 flags; /* of bpf_clone_redirect() */
	__u32 mtu;
	__u32 outer; /* bytes of an outer header, which the one at hand has already */
};

/* The outer header of what this node encapsulates, in front of a packet of this length. */
static __always_inline int fl_frag_resize_outer(fl_ctx *skb, bool v6, __u32 size)
{
	const __u32 l4 = size + fl_tunnel_overhead(v6) - (fl_l4_offset(v6) - FL_L3);
	struct iphdr *ip;
	__be16 field = bpf_htons(l4);

	if (fl_config.dispatch == FL_DISPATCH_GENEVE &&
	    bpf_skb_store_bytes(skb, fl_l4_offset(v6) + offsetof(struct udphdr, len), &field,
				sizeof(field), BPF_F_RECOMPUTE_CSUM))
		return -1;
	ip = fl_ctx_data(skb) + FL_L3;
	if (!v6)
		field = bpf_htons(l4 + sizeof(*ip));
	if (v6)
		return bpf_skb_store_bytes(skb, FL_L3 + offsetof(struct ipv6hdr, payload_len),
					   &field, sizeof(field), BPF_F_RECOMPUTE_CSUM);
	if ((void *)(ip + 1) > fl_ctx_data_end(skb))
		return -1;
	ip->check = fl_csum_apply(ip->check, fl_csum_diff(0, ip->tot_len, field));
	ip->tot_len = field;
	return 0;
}

#define FL_FRAG_MORE (1U << 31)

/*
 * Make the packet, which is a fragment of the same datagram that is ready to be sent, the one with
 * `size` bytes at this place of the datagram, with FL_FRAG_MORE behind which others follow: 0, or
 * -1. outer: bytes of its outer header, or 0. Global, so that it is verified once.
 */
int fl_frag_become(fl_ctx *skb, const struct fl_work *w, __u32 outer, __u32 at, __u32 size);

__noinline int fl_frag_become(fl_ctx *skb, const struct fl_work *w, __u32 outer, __u32 at,
			      __u32 size)
{
	const bool more = size & FL_FRAG_MORE;
	struct iphdr ip;
	__u32 l3_size;
	__be16 field;
	bool v6;

	if (!w)
		return -1;
	v6 = w->odd.header;
	l3_size = w->p.l4 - FL_L3 + (size & ~FL_FRAG_MORE);
	if (outer && fl_frag_resize_outer(skb, v6, l3_size))
		return -1;
	if (v6) {
		field = bpf_htons(l3_size - sizeof(struct ipv6hdr));
		if (bpf_skb_store_bytes(skb, FL_L3 + outer + offsetof(struct ipv6hdr, payload_len),
					&field, sizeof(field), BPF_F_RECOMPUTE_CSUM))
			return -1;
		field = bpf_htons(at | more);
		return bpf_skb_store_bytes(
			skb, w->odd.header + outer + offsetof(struct fl_ip6_fragment, offset_flags),
			&field, sizeof(field), BPF_F_RECOMPUTE_CSUM);
	}
	if (bpf_skb_load_bytes(skb, FL_L3 + outer, &ip, sizeof(ip)))
		return -1;
	field = (ip.frag_off & bpf_htons(FL_IP4_DF)) | bpf_htons(at / 8 | (more ? FL_IP4_MF : 0));
	ip.check = fl_csum_apply(ip.check, fl_csum_diff(fl_csum_diff(0, ip.frag_off, field),
							ip.tot_len, bpf_htons(l3_size)));
	ip.frag_off = field;
	ip.tot_len = bpf_htons(l3_size);
	return bpf_skb_store_bytes(skb, FL_L3 + outer, &ip, sizeof(ip), 0);
}
