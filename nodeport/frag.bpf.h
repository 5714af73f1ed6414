/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walk of odd packets, for tc. One that has the ports (the first fragment, or a whole packet
 * with options) is decided by the slow path as any other. What that said is remembered for the
 * other fragments of the datagram, which follow it: those that came before were put aside and are
 * sent when it is here.
 */
#pragma once

#include "nodeport/frag_hold.bpf.h"
#include "nodeport/icmp_error.bpf.h"
#include "nodeport/slow.bpf.h"
#include "nodeport/tunnel.bpf.h"

enum fl_frag_step {
	FL_FRAG_PASS,	/* not ours: unchanged */
	FL_FRAG_DROP,	/* w->d.reason says why */
	FL_FRAG_DECIDE, /* it has the ports: the slow path goes on */
	FL_FRAG_FOLLOW, /* w->d says what becomes of it, w->odd.new_id its number */
	FL_FRAG_STOLEN, /* it waits */
};

/* What is wrong with a fragment by itself. */
static __always_inline enum fl_reason fl_frag_fault(const struct fl_packet *p,
						    const struct fl_odd *odd)
{
	if (!odd->size || (odd->more && odd->size % 8) ||
	    odd->at + odd->size + (p->l4 - FL_L3) > 0xffff)
		return FL_REASON_FRAGMENT_MALFORMED;
	/* RFC 3128: it would be laid over the first one's header */
	if (odd->at && p->proto == IPPROTO_TCP && odd->at < sizeof(struct tcphdr))
		return FL_REASON_FRAGMENT_TINY;
	return FL_REASON_NONE;
}

static __always_inline int fl_frag_refuse(struct fl_work *w, enum fl_reason reason)
{
	fl_decision_set(&w->d, FL_ACT_DROP, reason);
	return FL_FRAG_DROP;
}

/* What the first fragment became, for another one: false, and the record is another's by now. */
static __always_inline bool fl_frag_follow(fl_ctx *ctx, bool v6, const struct fl_frag *f,
					   __u64 word, struct fl_work *w)
{
	f = fl_after_load((void *)f, word);
	w->d.to.saddr = f->way.saddr;
	w->d.to.daddr = f->way.daddr;
	w->d.hop = f->way.hop;
	w->odd.new_id = f->way.id;
	w->odd.hash = f->way.hash;
	w->d.pod = f->way.pod;
	w->d.pod_port = f->way.pod_port;
	fl_decision_set(&w->d, f->way.action, f->way.reason);
	if (!fl_frag_is(f, word))
		return false;
	if (w->d.action == FL_ACT_TUNNEL) {
		fl_decision_forward(ctx, &w->p, &w->d);
		fl_tunnel_decide(ctx, v6, &w->p, &w->d);
	} else if (w->d.action == FL_ACT_FORWARD) {
		fl_decision_forward(ctx, &w->p, &w->d);
	}
	return true;
}

/* A fragment that could neither follow nor wait. What is not certainly ours is not ours to drop. */
static __always_inline int fl_frag_alone(bool v6, struct fl_work *w)
{
	const struct fl_addr *to = &w->p.tuple.daddr;

	if (w->odd.side == FL_ODD_UNPACKED ||
	    (w->odd.side == FL_ODD_ARRIVES &&
	     (fl_addr_is_cluster_ip(v6, to) || fl_addr_is_external(v6, to))))
		return fl_frag_refuse(w, FL_REASON_FRAGMENT_ALONE);
	return FL_FRAG_PASS;
}

/* A later fragment: enum fl_frag_step. */
static __always_inline int fl_frag_later(fl_ctx *ctx, bool v6, struct fl_work *w)
{
	struct fl_frag_key key;
	struct fl_frag *f;
	__u64 word = 0;
	int at, wait;

	fl_frag_key_of(v6, &w->p, &w->odd, &key);
	for (int i = 0; i < FL_FRAG_TRIES; i++) {
		at = fl_frag_find(&key, -1, &word);
		if (at < 0)
			at = fl_frag_make(&key, -1, FL_FRAG_WAITING, &word);
		f = at < 0 ? NULL : fl_frag_at(at);
		if (!f)
			continue;
		if (fl_frag_state(word) == FL_FRAG_READY && f->way.action == FL_ACT_PASS)
			return FL_FRAG_PASS;
		if (fl_frag_note(at, word, &w->odd)) {
			if (fl_frag_state(word) != FL_FRAG_READY || !fl_frag_complete(f))
				return fl_frag_refuse(w, FL_REASON_FRAGMENT_OVERLAP);
			/* of another datagram with the number of one that is complete */
			fl_frag_forget(f, word);
			continue;
		}
		if (fl_frag_state(word) != FL_FRAG_READY) {
			wait = fl_frag_wait(ctx, &w->p, &w->odd, at, word);
			if (wait == FL_FRAG_WAITS) {
				fl_count(FL_COUNTER_FRAGMENT_HELD);
				return FL_FRAG_STOLEN;
			}
			if (wait == FL_FRAG_NO_PLACE)
				break;
			if (wait == FL_FRAG_GONE)
				continue;
			word += FL_FRAG_READY - fl_frag_state(word);
		}
		if (fl_frag_follow(ctx, v6, f, word, w))
			return FL_FRAG_FOLLOW;
	}
	return fl_frag_alone(v6, w);
}

/* The first fragment, before it is decided. */
static __always_inline int fl_frag_first(bool v6, struct fl_work *w)
{
	struct fl_frag_key key;
	struct fl_frag *f;
	__u64 word = 0;
	int at;

	fl_frag_key_of(v6, &w->p, &w->odd, &key);
	at = fl_frag_find(&key, -1, &word);
	f = at < 0 ? NULL : fl_frag_at(at);
	if (!f || fl_frag_state(word) != FL_FRAG_READY)
		return FL_FRAG_DECIDE;
	if (f->way.action != FL_ACT_PASS && !fl_frag_complete(f))
		return fl_frag_refuse(w, FL_REASON_FRAGMENT_OVERLAP);
	fl_frag_forget(f, word);
	return FL_FRAG_DECIDE;
}

/* An odd packet, which is read into w->p and w->odd: enum fl_frag_step. */
static __always_inline int fl_frag_begin(fl_ctx *ctx, bool v6, struct fl_work *w,
					 enum fl_odd_side side)
{
	const bool leaving = side == FL_ODD_LEAVES;
	enum fl_reason fault;

	__builtin_memset(&w->odd, 0, sizeof(w->odd));
	__builtin_memset(&w->d, 0, sizeof(w->d));
	w->odd.side = side;
	w->odd.place = -1;
	if (!fl_odd_parse(ctx, v6, &w->p, &w->odd))
		return FL_FRAG_PASS;
	if (side != FL_ODD_UNPACKED && !fl_odd_concerns(v6, &w->p.tuple, leaving))
		return FL_FRAG_PASS;
	/* never from a wire: the kernel drops these itself */
	if (!leaving && (fl_packet_martian(v6, &w->p.tuple) ||
			 fl_local_flags(&w->p.tuple.saddr) & FL_LOCAL_NODE))
		return FL_FRAG_PASS;
	w->odd.new_id = w->odd.id;
	if (w->odd.fragment) {
		fault = fl_frag_fault(&w->p, &w->odd);
		if (fault)
			return fl_frag_refuse(w, fault);
		if (w->odd.at)
			return fl_frag_later(ctx, v6, w);
	}
	if (!fl_odd_parse_l4(ctx, &w->p, &w->odd))
		return w->odd.fragment ? fl_frag_refuse(w, FL_REASON_FRAGMENT_TINY) : FL_FRAG_PASS;
	if (!w->p.tuple.sport || !w->p.tuple.dport)
		return FL_FRAG_PASS;
	return w->odd.fragment ? fl_frag_first(v6, w) : FL_FRAG_DECIDE;
}

/*
 * Remember what the slow path said of a first fragment, in w->odd.place and record; without a place
 * the others of its datagram wait in vain.
 */
static __always_inline void fl_frag_settle(bool v6, struct fl_work *w)
{
	struct fl_frag_key key;
	struct fl_frag *f;
	__u64 word = 0, deciding;
	int at;

	fl_frag_key_of(v6, &w->p, &w->odd, &key);
	for (int i = 0; i < FL_FRAG_TRIES; i++) {
		at = fl_frag_find(&key, -1, &word);
		if (at < 0)
			at = fl_frag_make(&key, -1, FL_FRAG_DECIDING, &word);
		else if (fl_frag_state(word) != FL_FRAG_WAITING)
			return;
		f = at < 0 ? NULL : fl_frag_at(at);
		if (!f)
			continue;
		deciding = word - fl_frag_state(word) + FL_FRAG_DECIDING;
		if (word != deciding &&
		    __sync_val_compare_and_swap(&f->word, word, deciding) != word)
			continue;
		if (fl_frag_note(at, deciding, &w->odd))
			fl_decision_set(&w->d, FL_ACT_DROP, FL_REASON_FRAGMENT_OVERLAP);
		f->way.saddr = w->d.to.saddr;
		f->way.daddr = w->d.to.daddr;
		f->way.hop = w->d.hop;
		f->way.id = w->odd.new_id;
		f->way.hash = w->odd.hash;
		f->way.pod = w->d.pod;
		f->way.pod_port = w->d.pod_port;
		f->way.action = w->d.action;
		f->way.reason = FL_REASON_NONE;
		/* an answer, or a name, is for the first one alone */
		if (w->d.action == FL_ACT_DROP || fl_is_answered(w->d.action)) {
			f->way.action = FL_ACT_DROP;
			f->way.reason = FL_REASON_FRAGMENT_REFUSED;
		}
		/* each that follows has a size of its own */
		if (w->d.action == FL_ACT_FRAGMENT)
			f->way.action = FL_ACT_FORWARD;
		else if (w->d.action == FL_ACT_TUNNEL_FRAGMENTS)
			f->way.action = FL_ACT_TUNNEL;
		w->odd.place = at;
		w->odd.record = fl_frag_name(at, deciding);
		__sync_lock_test_and_set(&f->word, deciding - FL_FRAG_DECIDING + FL_FRAG_READY);
		return;
	}
}

/* What is sent up the stack is seen here once more, with its new addresses: it passes then. */
static __always_inline void fl_frag_expect(bool v6, const struct fl_work *w)
{
	struct fl_frag_key key = {.saddr = w->d.to.saddr,
				  .daddr = w->d.to.daddr,
				  .id = w->odd.new_id,
				  .proto = v6 ? 0 : w->p.proto};
	__u64 word = 0;
	int at = fl_frag_make(&key, w->odd.place, FL_FRAG_DECIDING, &word);
	struct fl_frag *f = at < 0 ? NULL : fl_frag_at(at);

	if (f)
		__sync_val_compare_and_swap(&f->word, word,
					    word - FL_FRAG_DECIDING + FL_FRAG_READY);
}

/* The packet becomes the fragment that has these bytes of its datagram, from `at` on; `more`:
 * others follow it. */
static __always_inline int fl_frag_send_bytes(fl_ctx *skb, const struct fl_work *w,
					      const struct fl_frag_out *out, const __u8 *bytes,
					      __u32 at, __u32 n, bool more)
{
	const __u32 l4 = w->p.l4 + out->outer;

	if (bpf_skb_change_tail(skb, l4 + n, 0) ||
	    bpf_skb_store_bytes(skb, l4, bytes, n, BPF_F_RECOMPUTE_CSUM) ||
	    fl_frag_become(skb, w, out->outer, at, n | (more ? FL_FRAG_MORE : 0)))
		return -1;
	return 0;
}

/*
 * Send bytes of the fragment with this number, which is too big for the way: from >> 16 on, as many
 * as the rest says. Not zero: they cannot be sent. Global, as those below, so that each is verified
 * once.
 */
int fl_frag_send_part(fl_ctx *skb, const struct fl_work *w, __u64 number, __u32 from,
		      const struct fl_frag_out *out);

__noinline int fl_frag_send_part(fl_ctx *skb, const struct fl_work *w, __u64 number, __u32 from,
				 const struct fl_frag_out *out)
{
	struct fl_frag_place *place = fl_frag_place_of(number);
	__u32 n = from & 0xffff, at = from >> 16 & (FL_FRAG_BYTES_MAX - 1);

	if (!place || !w || !out || !n || n > FL_FRAG_PART_MAX)
		return -1;
	n = fl_fragment_size(n, FL_FRAG_PART_MAX);
	if (fl_frag_send_bytes(skb, w, out, place->bytes + at, place->at + at, n,
			       place->more || at + n < place->size) ||
	    READ_ONCE(place->number) != number)
		return -1;
	return bpf_clone_redirect(skb, out->ifindex, out->flags);
}

/* Send the fragment with this number in smaller ones: 0, or -1. */
int fl_frag_send_parts(fl_ctx *skb, const struct fl_work *w, __u64 number,
		       const struct fl_frag_out *out);

__noinline int fl_frag_send_parts(fl_ctx *skb, const struct fl_work *w, __u64 number,
				  const struct fl_frag_out *out)
{
	struct fl_frag_place *place = fl_frag_place_of(number);
	__u32 at = 0, each, size;

	if (!place || !w || !out || !w->p.divisible)
		return -1;
	size = place->size;
	each = (out->mtu - (w->p.l4 + out->outer - FL_L3)) & ~7U;
	if (each > FL_FRAG_PART_MAX)
		each = FL_FRAG_PART_MAX;
	if (out->mtu < 68 || size > FL_FRAG_BYTES_MAX)
		return -1;
	for (int i = 0; i < FL_FRAGMENTS && at < size; i++) {
		const __u32 n = size - at > each ? each : size - at;

		if (fl_frag_send_part(skb, w, number, at << 16 | n, out))
			return -1;
		at = fl_forget(at + n, number);
	}
	return at < size ? -1 : 0;
}

/*
 * Send the fragment with this number, which waits for the packet: that becomes it. Without a device
 * to send it by it is dropped, since the packet is.
 */
int fl_frag_send(fl_ctx *skb, const struct fl_work *w, __u64 number, const struct fl_frag_out *out);

__noinline int fl_frag_send(fl_ctx *skb, const struct fl_work *w, __u64 number,
			    const struct fl_frag_out *out)
{
	struct fl_frag_place *place = fl_frag_place_of(number);
	__u32 size;

	if (!number || !place || !w || !out || READ_ONCE(place->number) != number)
		return -1;
	place = fl_after_load(place, number);
	/* it waits for another datagram, whose record this place had before */
	if (place->owner != out->owner)
		return -1;
	size = fl_fragment_size(place->size, FL_FRAG_BYTES_MAX);
	if (out->ifindex && w->p.l4 + out->outer - FL_L3 + size > out->mtu) {
		const bool sent = !fl_frag_send_parts(skb, w, number, out);

		if (fl_frag_drop(number))
			fl_count(sent ? FL_COUNTER_FRAGMENT : FL_REASON_TOO_BIG);
		return 0;
	}
	if (!out->ifindex) {
		if (fl_frag_drop(number))
			fl_count(FL_REASON_FRAGMENT_REFUSED);
		return 0;
	}
	if (fl_frag_send_bytes(skb, w, out, place->bytes, place->at, size, place->more))
		return -1;
	/* otherwise it was overwritten meanwhile, and is counted */
	if (!fl_frag_drop(number))
		return 0;
	if (w->d.action != FL_ACT_PASS)
		fl_count(FL_COUNTER_FRAGMENT);
	return bpf_clone_redirect(skb, out->ifindex, out->flags);
}

/*
 * Send what waited for the packet, a first fragment that has been translated, which is the same
 * again afterwards. -1: the packet is spoilt.
 */
int fl_frag_release(fl_ctx *skb, const struct fl_work *w, __u32 at, const struct fl_frag_out *out);

__noinline int fl_frag_release(fl_ctx *skb, const struct fl_work *w, __u32 at,
			       const struct fl_frag_out *out)
{
	struct fl_frag *f = fl_frag_at(at);
	__u32 zero = 0, size, l4;
	struct fl_scratch *scratch = bpf_map_lookup_elem(&fl_scratch, &zero);
	__u64 any = 0;

	if (!f || !scratch || !w || !out)
		return 0;
	for (int i = 0; i < FL_FRAG_HELD; i++)
		any |= READ_ONCE(f->held[i]);
	l4 = w->p.l4 + out->outer;
	size = w->odd.size;
	if (!any || !size || size > FL_FRAGMENTED_MAX)
		return 0;
	size = fl_fragment_size(size, FL_FRAGMENTED_MAX);
	if (bpf_skb_load_bytes(skb, l4, scratch->bytes, size))
		return -1;
	for (int i = 0; i < FL_FRAG_HELD; i++)
		fl_frag_send(skb, w, __sync_lock_test_and_set(&f->held[i], 0), out);
	if (bpf_skb_change_tail(skb, l4 + size, 0) ||
	    bpf_skb_store_bytes(skb, l4, scratch->bytes, size, BPF_F_RECOMPUTE_CSUM))
		return -1;
	return fl_frag_become(skb, w, out->outer, 0, size | FL_FRAG_MORE);
}

/*
 * Nothing waits for the packet any more, a first fragment: its bytes count (struct fl_frag). A
 * function of its own, since those above leave no stack.
 */
int fl_frag_released(const struct fl_work *w);

__noinline int fl_frag_released(const struct fl_work *w)
{
	struct fl_frag *f = w ? fl_frag_at(w->odd.place) : NULL;

	/* what was refused was never noted */
	if (f && w->d.reason != FL_REASON_FRAGMENT_OVERLAP &&
	    fl_frag_name(w->odd.place, READ_ONCE(f->word)) == w->odd.record)
		__sync_fetch_and_add(&f->seen, w->odd.size);
	return 0;
}

/* Put an odd packet behind an outer header, so that its length can still be changed. */
static __always_inline int fl_tunnel_wrap_odd(fl_ctx *skb, bool v6, const struct fl_packet *p,
					      const struct fl_decision *d, __u32 hash)
{
	const struct fl_tunnel_end end = fl_tunnel_end(d, FL_TUNNEL_TTL);
	struct fl_tunnel_inner inner;
	struct fl_addr from;

	fl_ctx_pull(skb, fl_l4_offset(v6));
	if (fl_tunnel_tell(skb, v6, p, d) || !fl_tunnel_source(v6, end.ifindex, hash, &from) ||
	    fl_tunnel_open(skb, v6, 0, &inner) || fl_ctx_grow_plain(skb, fl_tunnel_overhead(v6)))
		return -1;
	return fl_tunnel_close(skb, v6, &inner, &from, &end, hash);
}

/* Write the decision over an odd packet, with `forward` count the TTL down. */
int fl_odd_rewrite(fl_ctx *ctx, const struct fl_work *w, bool v6, bool forward);

__noinline int fl_odd_rewrite(fl_ctx *ctx, const struct fl_work *w, bool v6, bool forward)
{
	const __u32 l3_end = FL_L3 + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	__u32 check_at, from_ports, to_ports, sum;
	__u64 diff, flags = 0;
	struct iphdr *ip;

	if (!w)
		return -1;
	fl_ctx_pull(ctx, l3_end);
	ip = fl_ctx_data(ctx) + FL_L3;
	if (fl_ctx_data(ctx) + l3_end > fl_ctx_data_end(ctx))
		return -1;
	diff = fl_csum_diff_addr(v6, 0, &w->p.tuple.saddr, &w->d.to.saddr);
	diff = fl_csum_diff_addr(v6, diff, &w->p.tuple.daddr, &w->d.to.daddr);
	if (!v6) {
		ip->check = fl_csum_apply(ip->check, fl_csum_diff(0, ip->id, (__u16)w->odd.new_id));
		ip->id = w->odd.new_id;
	}
	fl_rewrite_l3(fl_ctx_data(ctx), v6, &w->d.to.saddr, &w->d.to.daddr, diff, forward);
	sum = fl_csum_fold32(diff + (forward ? bpf_htons(0xfffe) : 0));
	if (v6 && w->odd.new_id != w->odd.id &&
	    bpf_skb_store_bytes(ctx, w->odd.header + offsetof(struct fl_ip6_fragment, id),
				&w->odd.new_id, sizeof(w->odd.new_id), BPF_F_RECOMPUTE_CSUM))
		return -1;
	if (w->odd.at) {
		/* nothing in it makes up for the addresses (fl_ctx_rewrite()) */
		if (v6)
			bpf_csum_update(ctx, sum);
		return 0;
	}
	from_ports = fl_ports(&w->p.tuple);
	to_ports = fl_ports(&w->d.to);
	check_at = w->p.l4 + FL_CHECK_OFFSET(w->p.proto);
	if (w->p.proto == IPPROTO_UDP)
		flags = BPF_F_MARK_MANGLED_0;
	if (bpf_skb_store_bytes(ctx, w->p.l4, &to_ports, sizeof(to_ports), 0) ||
	    bpf_l4_csum_replace(ctx, check_at, 0, fl_csum_fold32(diff), BPF_F_PSEUDO_HDR | flags))
		return -1;
	if (v6)
		bpf_csum_update(ctx, sum);
	if (from_ports != to_ports &&
	    bpf_l4_csum_replace(ctx, check_at, from_ports, to_ports, sizeof(__u32) | flags))
		return -1;
	return 0;
}

/* Take what is between the IP header and TCP or UDP out of a packet that is to be answered: what
 * answers it quotes the beginning of both. */
static __always_inline int fl_odd_strip(fl_ctx *ctx, bool v6, struct fl_packet *p)
{
	__s32 extra = p->l4 - fl_l4_offset(v6);
	void *l3;

	if (!extra)
		return 0;
	if (bpf_skb_adjust_room(ctx, -extra, BPF_ADJ_ROOM_NET, 0))
		return -1;
	p->l4 -= extra;
	p->len -= extra;
	p->headers -= extra;
	fl_ctx_pull(ctx, fl_l4_offset(v6) + sizeof(struct tcphdr));
	l3 = fl_ctx_data(ctx) + FL_L3;
	if (fl_ctx_data(ctx) + fl_l4_offset(v6) > fl_ctx_data_end(ctx))
		return -1;
	if (v6) {
		((struct ipv6hdr *)l3)->nexthdr = p->proto;
		((struct ipv6hdr *)l3)->payload_len = bpf_htons(p->len - sizeof(struct ipv6hdr));
	} else {
		struct iphdr *ip = l3;

		ip->ihl = 5;
		ip->tot_len = bpf_htons(p->len);
		ip->check = 0;
		ip->check = ~fl_csum_fold16(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
	}
	return 0;
}
