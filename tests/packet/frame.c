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

uint16_t sum_l4(const struct frame *frame, uint8_t proto)
{
	bool v4 = frame->b[12] == 0x08;
	const uint8_t *ip = frame->b + ETH_HLEN;
	uint32_t header = v4 ? 20 : 40, sum;
	uint32_t len = (v4 ? (uint32_t)(ip[2] << 8 | ip[3]) - 20 : (uint32_t)(ip[4] << 8 | ip[5]));

	sum = sum16(proto + len, v4 ? ip + 12 : ip + 8, v4 ? 8 : 32);
	return sum16(sum, ip + header, len);
}

/* Ethernet and IP headers; returns where L4 begins. */
static uint8_t *put_headers(struct frame *f, const struct spec *s, uint8_t proto, uint8_t ttl,
			    uint32_t l4_len)
{
	static const uint8_t nobody[ETH_ALEN];
	uint8_t *ip = f->b + ETH_HLEN;

	memset(f, 0, sizeof(*f));
	memcpy(f->b, s->dst_mac ? s->dst_mac : nobody, ETH_ALEN);
	memcpy(f->b + 6, s->src_mac ? s->src_mac : nobody, ETH_ALEN);
	put16(f->b + 12, s->family == FL_IPV4 ? ETH_P_IP : ETH_P_IPV6);
	f->len = l4_offset(s->family) + l4_len;
	if (s->family == FL_IPV4) {
		ip[0] = 0x45;
		put16(ip + 2, (uint16_t)(20 + l4_len));
		ip[8] = ttl;
		ip[9] = proto;
		memcpy(ip + 12, s->src.b + 12, 4);
		memcpy(ip + 16, s->dst.b + 12, 4);
		put16(ip + 10, (uint16_t)~sum16(0, ip, 20));
		return ip + 20;
	}
	ip[0] = 0x60;
	put16(ip + 4, (uint16_t)l4_len);
	ip[6] = proto;
	ip[7] = ttl;
	memcpy(ip + 8, s->src.b, 16);
	memcpy(ip + 24, s->dst.b, 16);
	return ip + 40;
}

void frame_build(const struct spec *s, struct frame *ret_frame)
{
	uint32_t header = s->proto == IPPROTO_TCP ? 20 : 8;
	uint8_t *l4 =
		put_headers(ret_frame, s, s->proto, s->ttl ? s->ttl : 64, header + s->payload);
	uint16_t check;

	assert_true(ret_frame->len <= sizeof(ret_frame->b));
	put16(l4, s->sport);
	put16(l4 + 2, s->dport);
	if (s->proto == IPPROTO_TCP) {
		put32(l4 + 4, 0x12345678);
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

struct spec spec_reverse(const struct spec *s)
{
	struct spec r = *s;

	r.src = s->dst;
	r.dst = s->src;
	r.sport = s->dport;
	r.dport = s->sport;
	return r;
}

void frame_build_icmp(const struct spec *s, enum icmp_kind kind, uint32_t mtu,
		      struct frame *ret_frame)
{
	bool v4 = s->family == FL_IPV4;
	uint32_t inner = (v4 ? 20 : 40) + 8;
	struct spec back = spec_reverse(s);
	struct frame asked;
	uint8_t *icmp;

	frame_build(s, &asked);
	back.dst_mac = s->src_mac;
	back.src_mac = s->dst_mac;
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

static void show(const char *name, const struct frame *f, const struct frame *other)
{
	char line[3 * 16 + 16];

	print_message("  %s, %u bytes\n", name, f->len);
	for (uint32_t at = 0; at < f->len && at < 128; at += 16) {
		int n = snprintf(line, sizeof(line), "    %03x", at);

		for (uint32_t i = at; i < at + 16 && i < f->len; i++)
			n += snprintf(line + n, sizeof(line) - (size_t)n, "%c%02x",
				      f->b[i] == other->b[i] ? ' ' : '*', f->b[i]);
		print_message("%s\n", line);
	}
}

void frame_expect(const struct frame *got, const struct frame *want, const char *what)
{
	if (got->len == want->len && !memcmp(got->b, want->b, got->len))
		return;
	show("got", got, want);
	show("want", want, got);
	fail_msg("%s", what);
}
