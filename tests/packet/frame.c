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

bool frame_sums_right(const struct frame *frame)
{
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
		return !(l4[6] | l4[7]) || sum_l4(frame, proto) == 0xffff;
	case IPPROTO_TCP:
	case IPPROTO_ICMPV6:
		return sum_l4(frame, proto) == 0xffff;
	case IPPROTO_ICMP:
		return sum16(0, l4, l4_len(frame)) == 0xffff;
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

void frame_build_icmp(const struct packet *s, enum icmp_kind kind, uint32_t mtu,
		      struct frame *ret_frame)
{
	bool v4 = s->family == FL_IPV4;
	uint32_t inner = (v4 ? 20 : 40) + 8;
	struct packet back = packet_reverse(s);
	struct frame asked;
	uint8_t *icmp;

	frame_build(s, &asked);
	back.dst_mac = s->src_mac;
	back.src_mac = s->dst_mac;
	back.may_be_fragmented = true;
	icmp = put_headers(ret_frame, &back, v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 64, 8 + inner);
	if (kind == ICMP_PORT_UNREACHABLE) {
		icmp[0] = v4 ? 3 : 1;
		icmp[1] = v4 ? 3 : 4;
	} else {
		icmp[0] = v4 ? 3 : 2;
		icmp[1] = v4 ? 4 : 0;
		put32(icmp + 4, mtu);
	}
	memcpy(icmp + 8, asked.b + ETH_HLEN, inner);
	if (v4)
		put16(icmp + 2, (uint16_t)~sum16(0, icmp, 8 + inner));
	else
		put16(icmp + 2, (uint16_t)~sum_l4(ret_frame, IPPROTO_ICMPV6));
}
