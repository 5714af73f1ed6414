// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Building packets byte by byte: RFC 791, 8200, 9293, 768, 792 and 4443. */
#include "tests/packet/frame.h"

#include <string.h>

#include "tests/packet/packet.h"

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = v >> 8;
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, (uint16_t)v);
}

uint16_t sum16(uint32_t sum, const void *data, uint32_t len)
{
	const uint8_t *p = data;

	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	if (len & 1)
		sum += (uint32_t)p[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static bool frame_is_ipv4(const struct frame *frame)
{
	return frame->b[12] == 0x08 && frame->b[13] == 0x00;
}

/* Of what the IP header says, so that padding behind the packet does not count. */
static uint32_t l4_len(const struct frame *frame)
{
	const uint8_t *ip = frame->b + ETH_HLEN;

	return frame_is_ipv4(frame) ? (uint32_t)(ip[2] << 8 | ip[3]) - 20
				    : (uint32_t)(ip[4] << 8 | ip[5]);
}

uint16_t sum_l4(const struct frame *frame, uint8_t proto)
{
	bool v4 = frame_is_ipv4(frame);
	const uint8_t *ip = frame->b + ETH_HLEN;
	uint32_t len = l4_len(frame), sum;

	sum = sum16(proto + len, v4 ? ip + 12 : ip + 8, v4 ? 8 : 32);
	return sum16(sum, ip + (v4 ? 20 : 40), len);
}

/* RFC 8926: UDP without a checksum, the header, and one critical option. */
static void put_geneve(uint8_t *udp, bool v4, uint16_t len, const struct outer *outer)
{
	const uint8_t *address = outer->pod.b + (v4 ? 12 : 0);
	const uint8_t size = v4 ? 4 : 16;
	uint8_t *geneve = udp + 8, *option = geneve + 8;

	put16(udp, outer->sport);
	put16(udp + 2, GENEVE_PORT);
	put16(udp + 4, len);
	geneve[0] = (uint8_t)(2 + size / 4);
	geneve[1] = 0x40;
	put16(geneve + 2, v4 ? 0x0800 : 0x86dd);
	memcpy(geneve + 4, "FLD", 3);
	put16(option, 0xff46);
	option[2] = 0x81;
	option[3] = (uint8_t)(1 + size / 4);
	memcpy(option + 4, address, size);
	put16(option + 4 + size, outer->port);
}

/* Whether that is in front of a packet; bytes of it all. */
static uint32_t geneve_size(const struct frame *frame)
{
	const uint32_t l3 = frame_is_ipv4(frame) ? 20 : 40;
	const uint8_t *udp = frame->b + ETH_HLEN + l3;
	uint32_t size;

	if (frame->len < ETH_HLEN + l3 + 16 || (udp[2] << 8 | udp[3]) != GENEVE_PORT ||
	    memcmp(udp + 12, "FLD", 3))
		return 0;
	size = l3 + 8 + 8 + (udp[8] & 63U) * 4;
	return frame->len >= ETH_HLEN + size + l3 ? size : 0;
}

void frame_wrap(struct frame *frame, const struct outer *outer)
{
	const bool v4 = frame_is_ipv4(frame);
	const struct frame inner = *frame;
	const uint32_t l3 = v4 ? 20 : 40, len = inner.len - ETH_HLEN,
		       grow = l3 + (outer->geneve ? v4 ? 28 : 40 : 0);
	uint8_t *ip = frame->b + ETH_HLEN;

	assert_true(inner.len + grow <= sizeof(frame->b));
	memcpy(ip + grow, inner.b + ETH_HLEN, len);
	memset(ip, 0, grow);
	frame->len = inner.len + grow;
	if (outer->geneve)
		put_geneve(ip + l3, v4, (uint16_t)(len + grow - l3), outer);
	if (!v4) {
		put32(ip, 6U << 28 | (uint32_t)outer->tos << 20 | outer->label);
		put16(ip + 4, (uint16_t)(len + grow - l3));
		ip[6] = outer->proto ? outer->proto : outer->geneve ? IPPROTO_UDP : IPPROTO_IPV6;
		ip[7] = outer->ttl ? outer->ttl : 64;
		memcpy(ip + 8, outer->src.b, 16);
		memcpy(ip + 24, outer->dst.b, 16);
		return;
	}
	ip[0] = 0x45;
	ip[1] = outer->tos;
	put16(ip + 2, (uint16_t)(len + grow));
	put16(ip + 6, (uint16_t)(outer->fragment | (outer->fragment ? 0 : 0x4000)));
	ip[8] = outer->ttl ? outer->ttl : 64;
	ip[9] = outer->proto ? outer->proto : outer->geneve ? IPPROTO_UDP : IPPROTO_IPIP;
	memcpy(ip + 12, outer->src.b + 12, 4);
	memcpy(ip + 16, outer->dst.b + 12, 4);
	put16(ip + 10, (uint16_t)~sum16(0, ip, 20));
}

/* What is behind an outer header, as a frame of its own. */
static struct frame unwrapped(const struct frame *frame, uint32_t outer)
{
	struct frame inner = {.len = frame->len - outer};

	memcpy(inner.b, frame->b, ETH_HLEN);
	memcpy(inner.b + ETH_HLEN, frame->b + ETH_HLEN + outer, inner.len - ETH_HLEN);
	return inner;
}

bool frame_sums_right(const struct frame *frame)
{
	struct frame inner;
	bool v4 = frame_is_ipv4(frame);
	const uint8_t *ip = frame->b + ETH_HLEN, *l4 = ip + (v4 ? 20 : 40);
	uint8_t proto = v4 ? ip[9] : ip[6];
	uint32_t l4_at = (uint32_t)(l4 - frame->b);

	if (!v4 && (frame->b[12] != 0x86 || frame->b[13] != 0xdd || ip[0] >> 4 != 6))
		return false;
	if (v4 && (ip[0] != 0x45 || sum16(0, ip, 20) != 0xffff))
		return false;
	if (v4 && (ip[6] & 0x3f || ip[7]))
		return true; /* a fragment: the sum behind its header is that of the whole */
	if (frame->len < l4_at + 8 || l4_len(frame) > frame->len - l4_at)
		return false;
	switch (proto) {
	case IPPROTO_UDP:
		if (geneve_size(frame)) {
			inner = unwrapped(frame, geneve_size(frame));
			return !(l4[6] | l4[7]) && frame_sums_right(&inner);
		}
		return !(l4[6] | l4[7]) || sum_l4(frame, proto) == 0xffff;
	case IPPROTO_TCP:
	case IPPROTO_ICMPV6:
		return sum_l4(frame, proto) == 0xffff;
	case IPPROTO_ICMP:
		return sum16(0, l4, l4_len(frame)) == 0xffff;
	case IPPROTO_IPIP:
	case IPPROTO_IPV6:
		inner = unwrapped(frame, v4 ? 20 : 40);
		return frame_sums_right(&inner);
	default:
		return false;
	}
}

void frame_write(struct frame *frame, uint32_t at, const void *bytes, uint32_t len)
{
	uint8_t *ip = frame->b + ETH_HLEN;
	bool was_right = frame_is_ipv4(frame) && sum16(0, ip, 20) == 0xffff;

	assert_true(at + len <= frame->len);
	memcpy(frame->b + at, bytes, len);
	if (!was_right || !frame_is_ipv4(frame))
		return;
	ip[10] = ip[11] = 0;
	put16(ip + 10, (uint16_t)~sum16(0, ip, 20));
}

/* Ethernet and IP headers; returns where L4 begins. */
static uint8_t *put_headers(struct frame *f, const struct packet *s, uint8_t proto, uint8_t ttl,
			    uint32_t len)
{
	static const uint8_t nobody[ETH_ALEN];
	uint8_t *ip = f->b + ETH_HLEN;

	memset(f, 0, sizeof(*f));
	memcpy(f->b, s->dst_mac ? s->dst_mac : nobody, ETH_ALEN);
	memcpy(f->b + 6, s->src_mac ? s->src_mac : nobody, ETH_ALEN);
	put16(f->b + 12, s->family == FL_IPV4 ? ETH_P_IP : ETH_P_IPV6);
	f->len = l4_offset(s->family) + len;
	if (s->family == FL_IPV4) {
		ip[0] = 0x45;
		put16(ip + 2, (uint16_t)(20 + len));
		ip[8] = ttl;
		ip[9] = proto;
		if (!s->may_be_fragmented)
			ip[6] = 0x40;
		memcpy(ip + 12, s->src.b + 12, 4);
		memcpy(ip + 16, s->dst.b + 12, 4);
		put16(ip + 10, (uint16_t)~sum16(0, ip, 20));
		return ip + 20;
	}
	ip[0] = 0x60;
	put16(ip + 4, (uint16_t)len);
	ip[6] = proto;
	ip[7] = ttl;
	memcpy(ip + 8, s->src.b, 16);
	memcpy(ip + 24, s->dst.b, 16);
	return ip + 40;
}

void frame_build(const struct packet *s, struct frame *ret_frame)
{
	uint32_t header = s->proto == IPPROTO_TCP ? 20 : 8;
	uint8_t *l4 = put_headers(ret_frame, s, s->proto, s->ttl, header + s->payload);
	uint16_t check;

	assert_true(ret_frame->len <= sizeof(ret_frame->b));
	put16(l4, s->sport);
	put16(l4 + 2, s->dport);
	if (s->proto == IPPROTO_TCP) {
		put32(l4 + 4, s->seq);
		put32(l4 + 8, s->ack);
		l4[12] = 5 << 4;
		l4[13] = s->flags;
		put16(l4 + 14, 0x7fff);
	} else {
		put16(l4 + 4, (uint16_t)(8 + s->payload));
	}
	for (uint32_t i = 0; i < s->payload; i++)
		l4[header + i] = (uint8_t)(i * 7 + 3);
	check = (uint16_t)~sum_l4(ret_frame, s->proto);
	if (s->proto == IPPROTO_TCP)
		put16(l4 + 16, check);
	else if (!s->no_checksum)
		put16(l4 + 6, check ? check : 0xffff);
}

struct packet packet_reverse(const struct packet *s)
{
	struct packet r = *s;

	r.src = s->dst;
	r.dst = s->src;
	r.sport = s->dport;
	r.dport = s->sport;
	return r;
}

void frame_build_reset(const struct packet *s, struct frame *ret_frame)
{
	const uint32_t flags = s->flags, l4 = l4_offset(s->family);
	struct packet back = packet_reverse(s);

	back.src_mac = s->dst_mac;
	back.dst_mac = s->src_mac;
	back.ttl = 64;
	back.payload = 0;
	back.may_be_fragmented = false;
	back.flags = flags & ACK ? RST : RST | ACK;
	back.seq = flags & ACK ? s->ack : 0;
	back.ack = flags & ACK ? 0 : s->seq + s->payload + !!(flags & SYN) + !!(flags & FIN);
	frame_build(&back, ret_frame);
	/* nothing is to be sent any more */
	put16(ret_frame->b + l4 + 14, 0);
	put16(ret_frame->b + l4 + 16, 0);
	put16(ret_frame->b + l4 + 16, (uint16_t)~sum_l4(ret_frame, IPPROTO_TCP));
}

static const struct {
	uint8_t type, code;
} icmp_table[FL_FAMILIES][ICMP_KINDS] = {
	[FL_IPV4] =
		{
			[ICMP_PORT_UNREACHABLE] = {3, 3},
			[ICMP_PACKET_TOO_BIG] = {3, 4},
			[ICMP_TTL_EXCEEDED] = {11, 0},
			[ICMP_NO_ROUTE] = {3, 0},
			[ICMP_HOST_UNREACHABLE] = {3, 1},
			[ICMP_PROHIBITED] = {3, 13},
			[ICMP_REASSEMBLY_EXCEEDED] = {11, 1},
			[ICMP_BAD_HEADER] = {12, 0},
			[ICMP_SOURCE_QUENCH] = {4, 0},
			[ICMP_REDIRECTED] = {5, 1},
		},
	[FL_IPV6] =
		{
			[ICMP_PORT_UNREACHABLE] = {1, 4},
			[ICMP_PACKET_TOO_BIG] = {2, 0},
			[ICMP_TTL_EXCEEDED] = {3, 0},
			[ICMP_NO_ROUTE] = {1, 0},
			[ICMP_HOST_UNREACHABLE] = {1, 3},
			[ICMP_PROHIBITED] = {1, 1},
			[ICMP_REASSEMBLY_EXCEEDED] = {3, 1},
			[ICMP_BAD_HEADER] = {4, 1},
			[ICMP_SOURCE_QUENCH] = {100, 0}, /* private; an error all the same */
			[ICMP_REDIRECTED] = {137, 0},
		},
};

/* The IP packet that is quoted, with what may stand behind its header; returns its length. */
static uint32_t quote(const struct icmp_error *e, uint8_t ip[static 2048])
{
	const bool v4 = e->quoted.family == FL_IPV4;
	const uint32_t header = v4 ? 20 : 40, check_at = e->quoted.proto == IPPROTO_TCP ? 16 : 6,
		       more = e->quoted_header;
	struct frame frame;
	uint8_t *l4;
	uint32_t len;

	frame_build(&e->quoted, &frame);
	len = frame.len - ETH_HLEN + more;
	memcpy(ip, frame.b + ETH_HLEN, header);
	memset(ip + header, 1, more); /* no operation */
	l4 = ip + header + more;
	memcpy(l4, frame.b + ETH_HLEN + header, frame.len - ETH_HLEN - header);
	if (e->damage)
		put16(l4 + check_at,
		      sum16((uint32_t)(l4[check_at] << 8 | l4[check_at + 1]), &e->damage, 2));
	if (v4) {
		ip[0] = (uint8_t)(0x45 + more / 4);
		put16(ip + 2, (uint16_t)len);
		put16(ip + 10, 0);
		put16(ip + 10, (uint16_t)~sum16(0, ip, header + more));
	} else if (more) {
		put16(ip + 4, (uint16_t)(len - header));
		memcpy(ip + header, (uint8_t[]){ip[6], 0, 0, 1, 0, 0, 0, 9}, more);
		ip[6] = IPPROTO_FRAGMENT;
	}
	return len;
}

/* IPv4 options into a frame that has none: `len` times "no operation". */
static void put_options(struct frame *frame, uint8_t len)
{
	uint8_t *ip = frame->b + ETH_HLEN;

	memmove(ip + 20 + len, ip + 20, frame->len - ETH_HLEN - 20);
	memset(ip + 20, 1, len);
	frame->len += len;
	ip[0] += len / 4;
	put16(ip + 2, (uint16_t)(frame->len - ETH_HLEN));
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~sum16(0, ip, 20U + len));
}

void frame_build_error(const struct icmp_error *e, struct frame *ret_frame)
{
	const bool v4 = e->quoted.family == FL_IPV4;
	const struct packet outer = {
		.family = e->quoted.family,
		.src = e->src,
		.dst = e->dst,
		.may_be_fragmented = true,
		.dst_mac = e->dst_mac,
		.src_mac = e->src_mac,
	};
	uint8_t inner[2048], *icmp;
	uint32_t len = quote(e, inner),
		 wanted = e->cut ? e->cut : (v4 ? 20U : 40U) + e->quoted_header + 8;

	if (len > wanted)
		len = wanted;
	icmp = put_headers(ret_frame, &outer, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, e->ttl, 8 + len);
	icmp[0] = icmp_table[e->quoted.family][e->kind].type;
	icmp[1] = icmp_table[e->quoted.family][e->kind].code;
	put32(icmp + 4, e->info);
	memcpy(icmp + 8, inner, len);
	if (e->bad_sum)
		put16(icmp + 2, 0x1234);
	put16(icmp + 2, v4 ? (uint16_t)~sum16(0, icmp, 8 + len)
			   : (uint16_t)~sum_l4(ret_frame, IPPROTO_ICMPV6));
	if (e->options)
		put_options(ret_frame, e->options);
}

void frame_sum_icmp(struct frame *frame)
{
	const bool v4 = frame_is_ipv4(frame);
	uint8_t *icmp = frame->b + l4_offset(v4 ? FL_IPV4 : FL_IPV6);

	put16(icmp + 2, 0);
	put16(icmp + 2, v4 ? (uint16_t)~sum16(0, icmp, l4_len(frame))
			   : (uint16_t)~sum_l4(frame, IPPROTO_ICMPV6));
}

void frame_build_icmp(const struct packet *s, enum icmp_kind kind, uint32_t mtu,
		      struct frame *ret_frame)
{
	const struct icmp_error error = {
		.kind = kind,
		.info = mtu,
		.src = s->dst,
		.dst = s->src,
		.ttl = 64,
		.dst_mac = s->src_mac,
		.src_mac = s->dst_mac,
		.quoted = *s,
	};

	frame_build_error(&error, ret_frame);
}

void frame_build_echo(const struct packet *s, bool reply, struct frame *ret_frame)
{
	const bool v4 = s->family == FL_IPV4;
	const uint32_t len = 8U + s->payload;
	uint8_t *icmp = put_headers(ret_frame, s, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, s->ttl, len);

	icmp[0] = v4 ? (reply ? 0 : 8) : (reply ? 129 : 128);
	put32(icmp + 4, 0x4711002a); /* identifier, sequence number */
	for (uint32_t i = 8; i < len; i++)
		icmp[i] = (uint8_t)(i * 7 + 3);
	put16(icmp + 2,
	      v4 ? (uint16_t)~sum16(0, icmp, len) : (uint16_t)~sum_l4(ret_frame, IPPROTO_ICMPV6));
}
