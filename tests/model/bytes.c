// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets as bytes: RFC 791, 8200, 9293, 768, 792, 4443. Sums are made anew over the whole. */
#include <string.h>

#include "tests/model/model.h"

#define ETHER 14

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint32_t add(uint64_t sum, const uint8_t *p, uint32_t len)
{
	uint64_t v;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&v, p, 8);
		v = __builtin_bswap64(v);
		sum += (v >> 48) + (v >> 32 & 0xffff) + (v >> 16 & 0xffff) + (v & 0xffff);
	}
	for (; len >= 2; len -= 2, p += 2)
		sum += get16(p);
	if (len)
		sum += (uint64_t)p[0] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)sum;
}

/* With the pseudo header; 0xffff where the sum inside is right. */
static uint32_t sum_l4(const struct model_frame *f, bool v6, uint32_t l4, uint32_t len,
		       uint8_t proto)
{
	uint32_t sum = add(proto + len, f->b + ETHER + (v6 ? 8 : 12), v6 ? 32 : 8);

	return add(sum, f->b + l4, len);
}

static struct fl_ip address(bool v6, const uint8_t *p)
{
	struct fl_ip ip;

	if (!v6)
		return fl_ip_from_ipv4(p);
	memcpy(ip.b, p, 16);
	return ip;
}

bool model_parse(const struct model_frame *f, struct model_packet *ret)
{
	const uint8_t *ip = f->b + ETHER, *l4;
	const bool v6 = f->len > ETHER && get16(f->b + 12) == 0x86dd;
	uint32_t header = v6 ? 40 : 20, total, l4_header, rest;
	uint8_t proto;

	memset(ret, 0, sizeof(*ret));
	if (f->len < ETHER + header || (!v6 && get16(f->b + 12) != 0x0800))
		return false;
	if (v6) {
		if (ip[0] >> 4 != 6)
			return false;
		total = 40 + get16(ip + 4);
		proto = ip[6];
		ret->ttl = ip[7];
		ret->df = true; /* no router divides it */
	} else {
		if (ip[0] != 0x45 || get16(ip + 6) & 0x3fff)
			return false;
		total = get16(ip + 2);
		proto = ip[9];
		ret->ttl = ip[8];
		ret->df = ip[6] & 0x40;
	}
	if (proto != 6 && proto != 17)
		return false;
	l4_header = proto == 6 ? 20 : 8;
	if (total < header + l4_header || f->len < ETHER + total)
		return false;
	l4 = ip + header;
	ret->family = v6 ? FL_IPV6 : FL_IPV4;
	ret->proto = proto;
	ret->l4 = ETHER + header;
	ret->ip_len = total;
	ret->t.src = address(v6, ip + (v6 ? 8 : 12));
	ret->t.dst = address(v6, ip + (v6 ? 24 : 16));
	/* an IPv4 address in an IPv6 header is none of the network's (RFC 4291) */
	if (v6 && (fl_ip_family(&ret->t.src) == FL_IPV4 || fl_ip_family(&ret->t.dst) == FL_IPV4))
		return false;
	ret->t.sport = (uint16_t)get16(l4);
	ret->t.dport = (uint16_t)get16(l4 + 2);
	if (!ret->t.sport || !ret->t.dport)
		return false;
	if (proto == 6) {
		rest = (uint32_t)(l4[12] >> 4) * 4;
		if (rest < 20 || header + rest > total)
			return false;
		l4_header = rest;
		ret->seq = get32(l4 + 4);
		ret->ack = get32(l4 + 8);
		ret->flags = l4[13];
	}
	ret->payload = total - header - l4_header;
	return true;
}

static void put_address(bool v6, uint8_t *p, const struct fl_ip *ip)
{
	memcpy(p, ip->b + (v6 ? 0 : 12), v6 ? 16 : 4);
}

/* The number that makes up for the difference, so that a wrong sum is as wrong as it was. */
static uint32_t makes_up(uint32_t want, uint32_t sum)
{
	return want >= sum ? want - sum : want + 0xffff - sum;
}

void model_rewrite(const struct model_frame *in, const struct model_packet *p,
		   const struct model_tuple *to, bool forward, struct model_frame *out)
{
	const bool v6 = p->family == FL_IPV6, tcp = p->proto == 6;
	const uint32_t len = p->ip_len - (p->l4 - ETHER);
	uint8_t *ip = out->b + ETHER, *l4 = out->b + p->l4, *check = l4 + (tcp ? 16 : 6);
	const uint32_t ip_sum = v6 ? 0 : add(0, in->b + ETHER, 20);
	const uint32_t l4_sum = sum_l4(in, v6, p->l4, len, p->proto);
	uint32_t sum;

	out->len = in->len;
	memcpy(out->b, in->b, in->len);
	put_address(v6, ip + (v6 ? 8 : 12), &to->src);
	put_address(v6, ip + (v6 ? 24 : 16), &to->dst);
	put16(l4, to->sport);
	put16(l4 + 2, to->dport);
	if (forward)
		ip[v6 ? 7 : 8]--;
	if (!v6) {
		put16(ip + 10, 0);
		put16(ip + 10, makes_up(ip_sum, add(0, ip, 20)));
	}
	if (!tcp && !get16(check))
		return; /* there is none */
	put16(check, 0);
	sum = makes_up(l4_sum, sum_l4(out, v6, p->l4, len, p->proto));
	put16(check, sum || tcp ? sum : 0xffff);
}

void model_answer(const struct model_frame *in, const struct model_packet *p,
		  enum model_answer kind, uint32_t mtu, struct model_frame *out)
{
	const bool v6 = p->family == FL_IPV6, big = kind == ANSWER_TOO_BIG,
		   expired = kind == ANSWER_TTL_EXCEEDED;
	const uint32_t header = v6 ? 40 : 20, quote = header + 8, len = 8 + quote;
	uint8_t *ip = out->b + ETHER, *icmp = ip + header;

	memset(out->b, 0, ETHER + header + len);
	out->len = ETHER + header + len;
	memcpy(out->b, in->b + 6, 6);
	memcpy(out->b + 6, in->b, 6);
	memcpy(out->b + 12, in->b + 12, 2);
	put_address(v6, ip + (v6 ? 8 : 12), &p->t.dst);
	put_address(v6, ip + (v6 ? 24 : 16), &p->t.src);
	memcpy(icmp + 8, in->b + ETHER, quote);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, len);
		ip[6] = 58;
		ip[7] = 64;
		icmp[0] = big ? 2 : expired ? 3 : 1;
		icmp[1] = big || expired ? 0 : 4;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, header + len);
		ip[8] = 64;
		ip[9] = 1;
		icmp[0] = expired ? 11 : 3;
		icmp[1] = expired ? 0 : big ? 4 : 3;
		put16(ip + 10, ~add(0, ip, 20));
	}
	if (big)
		put16(icmp + 6, mtu);
	put16(icmp + 2, v6 ? ~sum_l4(out, true, ETHER + header, len, 58) : ~add(0, icmp, len));
}
