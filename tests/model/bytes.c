// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets as bytes: RFC 791, 8200, 9293, 768, 792, 4443. Sums are made anew over the whole. */
#include <string.h>

#include "tests/model/model.h"
#include "tests/model/wire.h"

#define ETHER 14

enum {
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_MSS = 2, /* of TCP */
	OPTION_LOOSE_ROUTE = 131,
	OPTION_STRICT_ROUTE = 137,
};

uint32_t model_sum(uint64_t sum, const uint8_t *p, uint32_t len)
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

/* RFC 9293, 3.7.1 */
static void parse_mss(const struct model_frame *f, uint32_t at, uint32_t end,
		      struct model_packet *ret)
{
	while (at + 1 < end && f->b[at] != OPTION_END) {
		if (f->b[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (f->b[at + 1] < 2 || at + f->b[at + 1] > end)
			return;
		if (f->b[at] == OPTION_MSS && f->b[at + 1] == 4) {
			ret->mss_at = at + 2;
			ret->mss = get16(f->b + at + 2);
			return;
		}
		at += f->b[at + 1];
	}
}

/* With the pseudo header; 0xffff where the sum inside is right. */
static uint32_t sum_l4(const struct model_frame *f, bool v6, uint32_t l4, uint32_t len,
		       uint8_t proto)
{
	uint32_t sum = model_sum(proto + len, f->b + ETHER + (v6 ? 8 : 12), v6 ? 32 : 8);

	return model_sum(sum, f->b + l4, len);
}

/* RFC 791: options that name a route, or make no sense, are for the stack to judge. */
static bool options_are_plain(const uint8_t *option, uint32_t len)
{
	for (uint32_t at = 0; at < len && option[at] != OPTION_END;) {
		if (option[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (option[at] == OPTION_LOOSE_ROUTE || option[at] == OPTION_STRICT_ROUTE ||
		    at + 1 >= len || option[at + 1] < 2 || at + option[at + 1] > len)
			return false;
		at += option[at + 1];
	}
	return true;
}

static bool parse_ipv4(const struct model_frame *f, struct model_packet *ret)
{
	const uint8_t *ip = f->b + ETHER;
	const uint32_t header = (ip[0] & 15) * 4U;
	const uint32_t word = get16(ip + 6);
	const bool fragment = word & 0x3fff;

	if (ip[0] >> 4 != 4)
		return false;
	ret->family = FL_IPV4;
	ret->proto = ip[9];
	ret->ttl = ip[8];
	ret->df = ip[6] & 0x40;
	ret->t.src = address(false, ip + 12);
	ret->t.dst = address(false, ip + 16);
	ret->ip_len = get16(ip + 2);
	ret->l4 = ETHER + header;
	ret->odd = (ret->proto == 6 || ret->proto == 17) && (header > 20 || fragment);
	ret->id = get16(ip + 4);
	ret->at = (word & 0x1fff) * 8;
	ret->more = word & 0x2000;
	if (header < 20 || ret->ip_len < header ||
	    (header > 20 && (f->len < ETHER + header || !options_are_plain(ip + 20, header - 20))))
		return false;
	ret->size = ret->ip_len - header;
	ret->fragment = fragment && ret->odd && f->len >= ETHER + ret->ip_len;
	return !fragment || ret->fragment;
}

#define HOP_BY_HOP 0
#define DESTINATION 60
#define FRAGMENT 44
#define EXTENSIONS 4

/* Headers that ask nothing of a router that does not know them are stepped over. */
static bool parse_ipv6(const struct model_frame *f, struct model_packet *ret)
{
	const uint8_t *ip = f->b + ETHER;
	uint32_t at = ETHER + 40;

	if (ip[0] >> 4 != 6)
		return false;
	ret->family = FL_IPV6;
	ret->proto = ip[6];
	ret->ttl = ip[7];
	ret->df = true; /* no router divides it */
	ret->t.src = address(true, ip + 8);
	ret->t.dst = address(true, ip + 24);
	ret->ip_len = 40 + get16(ip + 4);
	ret->odd = ret->proto == HOP_BY_HOP || ret->proto == DESTINATION || ret->proto == FRAGMENT;
	for (int i = 0; i < EXTENSIONS; i++) {
		const bool fragment = ret->proto == FRAGMENT && !ret->fragment_header;

		if (!fragment && ret->proto != DESTINATION && (ret->proto != HOP_BY_HOP || i))
			break;
		if (f->len < at + 8)
			return false;
		ret->proto = f->b[at];
		if (fragment) {
			ret->fragment_header = at;
			ret->at = get16(f->b + at + 2) & 0xfff8;
			ret->more = f->b[at + 3] & 1;
			ret->id = get32(f->b + at + 4);
		}
		at += fragment ? 8 : (f->b[at + 1] + 1U) * 8;
		/* what follows is in the first one only */
		if (ret->at)
			break;
	}
	ret->l4 = at;
	if (ret->ip_len < at - ETHER)
		return false;
	ret->size = ret->ip_len - (at - ETHER);
	ret->fragment =
		(ret->at || ret->more) && f->len >= ETHER + ret->ip_len &&
		(ret->proto == 6 || ret->proto == 17 || (ret->at && ret->proto == DESTINATION));
	return !(ret->at || ret->more) || ret->fragment;
}

static bool parse_l4(const struct model_frame *f, struct model_packet *ret)
{
	const uint8_t *l4 = f->b + ret->l4;
	const uint32_t size = ret->ip_len - (ret->l4 - ETHER);
	uint32_t header = ret->proto == 6 ? 20 : 8;

	if ((ret->proto != 6 && ret->proto != 17) || size < header ||
	    f->len < ETHER + ret->ip_len || ret->at)
		return false;
	ret->t.sport = (uint16_t)get16(l4);
	ret->t.dport = (uint16_t)get16(l4 + 2);
	if (ret->proto == 6) {
		header = (uint32_t)(l4[12] >> 4) * 4;
		/* D1: what says so of itself makes no sense */
		if (header < 20 || size < header)
			return false;
		ret->seq = get32(l4 + 4);
		ret->ack = get32(l4 + 8);
		ret->flags = l4[13];
		parse_mss(f, ret->l4 + 20, ret->l4 + header, ret);
	}
	ret->payload = size - header;
	ret->has_ports = true;
	return ret->t.sport && ret->t.dport;
}

/* An IPv4 address in an IPv6 header is none of the network's (RFC 4291). */
static bool has_mapped(const struct model_packet *p)
{
	return fl_ip_family(&p->t.src) == FL_IPV4 || fl_ip_family(&p->t.dst) == FL_IPV4;
}

bool model_parse(const struct model_frame *f, struct model_packet *ret)
{
	const uint32_t type = f->len >= ETHER ? get16(f->b + 12) : 0;

	memset(ret, 0, sizeof(*ret));
	if (type == 0x86dd) {
		const bool known = f->len >= ETHER + 40 && parse_ipv6(f, ret) && parse_l4(f, ret);

		if (!has_mapped(ret))
			return known;
		ret->mapped = known;
		ret->fragment = false;
		return false;
	}
	return type == 0x0800 && f->len >= ETHER + 20 && parse_ipv4(f, ret) && parse_l4(f, ret);
}

void model_addresses(const struct model_frame *f, struct fl_ip *ret_src, struct fl_ip *ret_dst)
{
	const bool v6 = get16(f->b + 12) == 0x86dd;

	*ret_src = address(v6, f->b + ETHER + (v6 ? 8 : 12));
	*ret_dst = address(v6, f->b + ETHER + (v6 ? 24 : 16));
}

/* The number that makes up for the difference, so that a wrong sum is as wrong as it was. */
uint32_t model_makes_up(uint32_t want, uint32_t sum)
{
	return want >= sum ? want - sum : want + 0xffff - sum;
}

void model_rewrite(const struct model_frame *in, const struct model_packet *p,
		   const struct model_tuple *to, bool forward, uint32_t id, struct model_frame *out)
{
	const bool v6 = p->family == FL_IPV6, tcp = p->proto == 6;
	const uint32_t len = p->ip_len - (p->l4 - ETHER);
	uint8_t *ip = out->b + ETHER, *l4 = out->b + p->l4, *check = l4 + (tcp ? 16 : 6);
	const uint32_t header = p->l4 - ETHER,
		       ip_sum = v6 ? 0 : model_sum(0, in->b + ETHER, header);
	const uint32_t l4_sum = sum_l4(in, v6, p->l4, len, p->proto);
	uint32_t sum;

	out->len = in->len;
	memcpy(out->b, in->b, in->len);
	put_address(v6, ip + (v6 ? 8 : 12), &to->src);
	put_address(v6, ip + (v6 ? 24 : 16), &to->dst);
	if (forward)
		ip[v6 ? 7 : 8]--;
	if (p->fragment && v6)
		put32(out->b + p->fragment_header + 4, id);
	else if (p->fragment)
		put16(ip + 4, id);
	if (!v6) {
		put16(ip + 10, 0);
		put16(ip + 10, model_makes_up(ip_sum, model_sum(0, ip, header)));
	}
	if (p->at)
		return; /* nothing else of it is known */
	put16(l4, to->sport);
	put16(l4 + 2, to->dport);
	if (!tcp && !get16(check))
		return; /* there is none */
	put16(check, 0);
	sum = model_makes_up(l4_sum, sum_l4(out, v6, p->l4, len, p->proto));
	put16(check, sum || tcp ? sum : 0xffff);
}

void model_lower_mss(struct model_frame *f, const struct model_packet *p, uint32_t most)
{
	const bool v6 = p->family == FL_IPV6;
	const uint32_t len = p->ip_len - (p->l4 - ETHER);
	uint8_t *check = f->b + p->l4 + 16;
	uint32_t sum;

	if (!p->mss_at || p->mss <= most)
		return;
	sum = sum_l4(f, v6, p->l4, len, p->proto);
	put16(f->b + p->mss_at, most);
	put16(check, 0);
	put16(check, model_makes_up(sum, sum_l4(f, v6, p->l4, len, p->proto)));
}

uint32_t model_divide(const struct model_frame *whole, uint32_t outer, uint32_t most, uint32_t n,
		      struct model_frame *out)
{
	const uint8_t *from = whole->b + ETHER + outer;
	const uint32_t size = get16(from + 2) - 20, each = (most - 20) & ~7U, at = n * each;
	const uint32_t here = size - at < each ? size - at : each;
	uint8_t *ip = out->b + ETHER + outer, *first = out->b + ETHER;

	memcpy(out->b, whole->b, ETHER + outer + 20);
	memcpy(ip + 20, from + 20 + at, here);
	out->len = ETHER + outer + 20 + here;
	put16(ip + 2, 20 + here);
	put16(ip + 6, at / 8 | (at + here < size ? 0x2000 : 0));
	put16(ip + 10, 0);
	put16(ip + 10, ~model_sum(0, ip, 20));
	if (outer) {
		put16(first + 2, outer + 20 + here);
		put16(first + 10, 0);
		put16(first + 10, ~model_sum(0, first, 20));
	}
	if (outer > 20)
		put16(first + 24, outer + here);
	return (size + each - 1) / each;
}

/* What is quoted has nothing between the IP header and TCP or UDP. */
static void quote_without_options(uint8_t *ip, bool v6, const struct model_packet *p)
{
	const uint32_t header = v6 ? 40 : 20, extra = p->l4 - ETHER - header;

	if (!extra)
		return;
	if (v6) {
		put16(ip + 4, p->ip_len - extra - header);
		ip[6] = p->proto;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, p->ip_len - extra);
		put16(ip + 10, 0);
		put16(ip + 10, ~model_sum(0, ip, header));
	}
}

/* With the number that the client expects, or of one that acknowledges nothing with what that is
 * (RFC 9293, 3.10.7.1). */
static void answer_reset(const struct model_frame *in, const struct model_packet *p,
			 struct model_frame *out)
{
	const bool v6 = p->family == FL_IPV6;
	const uint32_t header = v6 ? 40 : 20;
	uint8_t *ip = out->b + ETHER, *tcp = ip + header;

	memset(out->b, 0, ETHER + header + 20);
	out->len = ETHER + header + 20;
	memcpy(out->b, in->b + 6, 6);
	memcpy(out->b + 6, in->b, 6);
	memcpy(out->b + 12, in->b + 12, 2);
	put_address(v6, ip + (v6 ? 8 : 12), &p->t.dst);
	put_address(v6, ip + (v6 ? 24 : 16), &p->t.src);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, 20);
		ip[6] = 6;
		ip[7] = 64;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, header + 20);
		put16(ip + 6, 0x4000);
		ip[8] = 64;
		ip[9] = 6;
		put16(ip + 10, ~model_sum(0, ip, 20));
	}
	put16(tcp, p->t.dport);
	put16(tcp + 2, p->t.sport);
	tcp[12] = 5 << 4;
	tcp[13] = M_RST;
	if (p->flags & M_ACK) {
		put32(tcp + 4, p->ack);
	} else {
		tcp[13] |= M_ACK;
		put32(tcp + 8, model_end_of(p));
	}
	put16(tcp + 16, ~sum_l4(out, v6, ETHER + header, 20, 6));
}

void model_answer(const struct model_frame *in, const struct model_packet *p,
		  enum model_answer kind, uint32_t mtu, struct model_frame *out)
{
	const bool v6 = p->family == FL_IPV6, big = kind == ANSWER_TOO_BIG,
		   expired = kind == ANSWER_TTL_EXCEEDED, host = kind == ANSWER_HOST_UNREACHABLE;
	const uint32_t header = v6 ? 40 : 20, quote = header + 8, len = 8 + quote;
	uint8_t *ip = out->b + ETHER, *icmp = ip + header;

	if (kind == ANSWER_RESET) {
		answer_reset(in, p, out);
		return;
	}
	memset(out->b, 0, ETHER + header + len);
	out->len = ETHER + header + len;
	memcpy(out->b, in->b + 6, 6);
	memcpy(out->b + 6, in->b, 6);
	memcpy(out->b + 12, in->b + 12, 2);
	put_address(v6, ip + (v6 ? 8 : 12), &p->t.dst);
	put_address(v6, ip + (v6 ? 24 : 16), &p->t.src);
	memcpy(icmp + 8, in->b + ETHER, header);
	/* a later fragment is quoted as it is, but a first one as if it were whole */
	memcpy(icmp + 8 + header, in->b + (p->at ? ETHER + header : p->l4), 8);
	if (!p->at)
		quote_without_options(icmp + 8, v6, p);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, len);
		ip[6] = 58;
		ip[7] = 64;
		icmp[0] = big ? 2 : expired ? 3 : 1;
		icmp[1] = big || expired ? 0 : host ? 3 : 4;
	} else {
		ip[0] = 0x45;
		put16(ip + 2, header + len);
		ip[8] = 64;
		ip[9] = 1;
		icmp[0] = expired ? 11 : 3;
		icmp[1] = expired ? 0 : big ? 4 : host ? 1 : 3;
		put16(ip + 10, ~model_sum(0, ip, 20));
	}
	if (big)
		put32(icmp + 4, mtu);
	put16(icmp + 2,
	      v6 ? ~sum_l4(out, true, ETHER + header, len, 58) : ~model_sum(0, icmp, len));
}
