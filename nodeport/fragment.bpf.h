/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sending an IPv4 packet on in fragments (RFC 791), for tc: the stack would do it, but takes no
 * packet from a device that has one of the node's own addresses as its source, as a masqueraded one
 * has. The payload is put aside, and the packet becomes one fragment after the other.
 */
#pragma once

#include "bpf/lib/maps.bpf.h"
#include "bpf/lib/rewrite.bpf.h"
#include "nodeport/tunnel.bpf.h"

#define FL_FRAGMENTS 16		/* at most, of one packet */
#define FL_FRAGMENT_MAX 8192	/* bytes of payload in a fragment, at most */
#define FL_FRAGMENTED_MAX 16384 /* and in the packet; a power of two */
#define FL_FRAGMENT_HEADERS (FL_L3 + sizeof(struct iphdr))

struct fl_scratch {
	__u8 bytes[FL_FRAGMENTED_MAX + FL_FRAGMENT_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fl_scratch);
} fl_scratch SEC(".maps");

/*
 * A size from 1 to `max`, a power of two, unchanged, in a form that says so to verifiers
 * before 6.8: to them a number that is not 0 may still be 0.
 */
static __always_inline __u32 fl_fragment_size(__u32 size, __u32 max)
{
	return (((__u32)fl_opaque(size) - 1) & (max - 1)) + 1;
}

/* Of what a packet is that is sent in fragments, if it is one itself: its offset, and these. */
#define FL_FRAGMENT_MORE 1  /* others of its datagram follow it */
#define FL_FRAGMENT_SEND 2  /* a copy of the packet goes out, since it is to be another one too */
#define FL_FRAGMENT_OUTER 4 /* each is behind an outer header, as the packet is */

/* An IPv4 header for this much payload. */
static __always_inline void fl_fragment_header(struct iphdr *ip, __u32 len, __u32 frag_off)
{
	ip->tot_len = bpf_htons(sizeof(*ip) + len);
	ip->frag_off = bpf_htons(frag_off);
	ip->check = 0;
	ip->check = ~fl_csum_fold16(bpf_csum_diff(NULL, 0, (__be32 *)ip, sizeof(*ip), 0));
}

static __always_inline __u32 fl_fragment_headers(__u32 of)
{
	return FL_FRAGMENT_HEADERS + (of & FL_FRAGMENT_OUTER ? fl_tunnel_overhead(false) : 0);
}

/*
 * Make the packet the fragment that has `len` bytes of the payload from `at` on. `of`: where the
 * payload begins in its datagram, and the bits above. Global, so that it is verified once and not
 * for each round.
 */
int fl_fragment_make(fl_ctx *skb, __u32 at, __u32 len, __u32 of, __u32 ifindex);

__noinline int fl_fragment_make(fl_ctx *skb, __u32 at, __u32 len, __u32 of, __u32 ifindex)
{
	__u32 zero = 0, headers = fl_fragment_headers(of);
	struct fl_scratch *scratch = bpf_map_lookup_elem(&fl_scratch, &zero);
	struct iphdr *ip;

	at &= FL_FRAGMENTED_MAX - 1;
	if (!scratch || !len || len > FL_FRAGMENT_MAX)
		return -1;
	len = fl_fragment_size(len, FL_FRAGMENT_MAX);
	if (bpf_skb_change_tail(skb, headers + len, 0) ||
	    bpf_skb_store_bytes(skb, headers, scratch->bytes + at, len, BPF_F_RECOMPUTE_CSUM))
		return -1;
	fl_ctx_pull(skb, FL_FRAGMENT_HEADERS + fl_tunnel_overhead(false));
	ip = fl_ctx_data(skb) + FL_L3;
	if ((void *)(ip + 1) > fl_ctx_data_end(skb))
		return -1;
	if (of & FL_FRAGMENT_OUTER) {
		void *inner = (void *)ip + fl_tunnel_overhead(false);

		if (inner + sizeof(*ip) > fl_ctx_data_end(skb))
			return -1;
		fl_fragment_header(ip, fl_tunnel_overhead(false) + len, FL_IP4_DF);
		if (fl_config.dispatch == FL_DISPATCH_GENEVE)
			((struct fl_geneve *)(ip + 1))->udp.len =
				bpf_htons(fl_tunnel_overhead(false) + len);
		ip = inner;
	}
	fl_fragment_header(ip, len, (of + at) / 8 | (of & FL_FRAGMENT_MORE ? FL_IP4_MF : 0));
	return of & FL_FRAGMENT_SEND && bpf_clone_redirect(skb, ifindex, 0) ? -1 : 0;
}

/*
 * Send all fragments of a packet but the last, which the packet is then: 0, or -1, and it is to be
 * dropped. Not where a device is still to make segments of it, or to fill its checksum in. mtu: of
 * the packet *p, without an outer header. `of`: 0, or as above. Global, so that its loop is
 * verified once, not for every way that leads here.
 */
int fl_fragment(fl_ctx *skb, const struct fl_packet *p, __u32 ifindex, __u32 mtu, __u32 of);

__noinline int fl_fragment(fl_ctx *skb, const struct fl_packet *p, __u32 ifindex, __u32 mtu,
			   __u32 of)
{
	__u32 zero = 0, total = p ? p->len - sizeof(struct iphdr) : 0, each, at = 0;
	const __u32 headers = fl_fragment_headers(of);
	struct fl_scratch *scratch = bpf_map_lookup_elem(&fl_scratch, &zero);

	each = (mtu - sizeof(struct iphdr)) & ~7U;
	if (each > FL_FRAGMENT_MAX)
		each = FL_FRAGMENT_MAX;
	if (!scratch || skb->gso_size || mtu < 68 || !total || total > FL_FRAGMENTED_MAX)
		return -1;
	total = fl_fragment_size(total, FL_FRAGMENTED_MAX);
	if (bpf_skb_load_bytes(skb, headers, scratch->bytes, total) ||
	    fl_ctx_sum_pending(skb, headers + sizeof(struct udphdr) - 1))
		return -1;
	for (int i = 0; i < FL_FRAGMENTS; i++) {
		bool more = total - at > each;

		if (fl_fragment_make(skb, at, more ? each : total - at,
				     more ? of | FL_FRAGMENT_MORE | FL_FRAGMENT_SEND : of, ifindex))
			return -1;
		if (!more)
			return 0;
		at = fl_forget(at + each, mtu);
	}
	return -1;
}
