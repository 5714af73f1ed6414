// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The headers of RFC 791, 8200, 9293, 768, 792 and 4443 as tables of fields. */
#include "tests/packet/fields.h"

#include <string.h>

#include "tests/packet/packet.h"

struct layer {
	const char *name;
	const struct field *fields; /* ended by one without a name */
};

static const struct field ethernet[] = {
	{"destination MAC", 6, FIELD_MAC},
	{"source MAC", 6, FIELD_MAC},
	{"type", 2, FIELD_NUMBER},
	{NULL, 0, 0},
};

static const struct field ipv4[] = {
	{"version and header length", 1, FIELD_NUMBER},
	{"type of service", 1, FIELD_NUMBER},
	{"total length", 2, FIELD_NUMBER},
	{"identification", 2, FIELD_NUMBER},
	{"flags and fragment offset", 2, FIELD_NUMBER},
	{"TTL", 1, FIELD_NUMBER},
	{"protocol", 1, FIELD_NUMBER},
	{"header checksum", 2, FIELD_NUMBER},
	{"source address", 4, FIELD_ADDRESS},
	{"destination address", 4, FIELD_ADDRESS},
	{NULL, 0, 0},
};

static const struct field ipv6[] = {
	{"version, class and flow label", 4, FIELD_NUMBER},
	{"payload length", 2, FIELD_NUMBER},
	{"next header", 1, FIELD_NUMBER},
	{"hop limit", 1, FIELD_NUMBER},
	{"source address", 16, FIELD_ADDRESS},
	{"destination address", 16, FIELD_ADDRESS},
	{NULL, 0, 0},
};

static const struct field tcp[] = {
	{"source port", 2, FIELD_NUMBER},     {"destination port", 2, FIELD_NUMBER},
	{"sequence number", 4, FIELD_NUMBER}, {"acknowledgement", 4, FIELD_NUMBER},
	{"data offset", 1, FIELD_NUMBER},     {"flags", 1, FIELD_NUMBER},
	{"window", 2, FIELD_NUMBER},	      {"checksum", 2, FIELD_NUMBER},
	{"urgent pointer", 2, FIELD_NUMBER},  {NULL, 0, 0},
};

static const struct field udp[] = {
	{"source port", 2, FIELD_NUMBER},
	{"destination port", 2, FIELD_NUMBER},
	{"length", 2, FIELD_NUMBER},
	{"checksum", 2, FIELD_NUMBER},
	{NULL, 0, 0},
};

static const struct field icmp[] = {
	{"type", 1, FIELD_NUMBER},
	{"code", 1, FIELD_NUMBER},
	{"checksum", 2, FIELD_NUMBER},
	{"unused or MTU", 4, FIELD_NUMBER},
	{NULL, 0, 0},
};

/* What follows an IP header. */
static const struct {
	uint8_t proto;
	struct layer layer, quoted;
} l4_layers[] = {
	{IPPROTO_TCP, {"TCP", tcp}, {"quoted TCP", tcp}},
	{IPPROTO_UDP, {"UDP", udp}, {"quoted UDP", udp}},
	{IPPROTO_ICMP, {"ICMP", icmp}, {"quoted ICMP", icmp}},
	{IPPROTO_ICMPV6, {"ICMPv6", icmp}, {"quoted ICMPv6", icmp}},
};

static const struct layer ip_layers[2][FL_FAMILIES] = {
	{{"IPv4", ipv4}, {"IPv6", ipv6}},
	{{"quoted IPv4", ipv4}, {"quoted IPv6", ipv6}},
};

static uint32_t layer_len(const struct layer *layer)
{
	uint32_t len = 0;

	for (const struct field *f = layer->fields; f->name; f++)
		len += f->len;
	return len;
}

#define MAX_LAYERS 5 /* Ethernet, IP, ICMP, and what that quotes: IP, L4 */

/* The headers of a frame from its beginning; returns how many there are. */
static unsigned int layers_of(const struct frame *f, struct layer ret_layers[MAX_LAYERS])
{
	uint32_t at = ETH_HLEN;
	unsigned int n = 1;
	bool v4 = f->b[12] == 0x08 && f->b[13] == 0x00, v6 = f->b[12] == 0x86 && f->b[13] == 0xdd;

	ret_layers[0] = (struct layer){"Ethernet", ethernet};
	if (!v4 && !v6)
		return n;
	for (int quoted = 0; quoted < 2; quoted++) {
		uint8_t proto = f->b[at + (v4 ? 9 : 6)];
		const struct layer *l4 = NULL;

		ret_layers[n++] = ip_layers[quoted][v4 ? FL_IPV4 : FL_IPV6];
		for (size_t i = 0; i < N(l4_layers); i++)
			if (l4_layers[i].proto == proto)
				l4 = quoted ? &l4_layers[i].quoted : &l4_layers[i].layer;
		if (!l4)
			return n;
		ret_layers[n++] = *l4;
		if (proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6)
			return n;
		at += (v4 ? 20 : 40) + 8;
		if (at + (v4 ? 20 : 40) > f->len)
			return n;
	}
	return n;
}

struct field_at field_find(const struct frame *f, uint32_t at)
{
	struct layer layers[MAX_LAYERS];
	unsigned int n = layers_of(f, layers);
	uint32_t begin = 0;

	for (unsigned int i = 0; i < n; i++) {
		if (at >= begin + layer_len(&layers[i])) {
			begin += layer_len(&layers[i]);
			continue;
		}
		for (const struct field *field = layers[i].fields; field->name; field++) {
			if (at < begin + field->len)
				return (struct field_at){layers[i].name, *field, begin};
			begin += field->len;
		}
	}
	return (struct field_at){"payload", {"from byte", 0, FIELD_BYTES}, at};
}

static void print_value(const struct frame *f, const struct field_at *where, FILE *out)
{
	const uint8_t *b = f->b + where->at;
	struct fl_ip ip;
	char text[FL_IP_STRLEN];
	uint32_t value = 0;

	if (where->at + where->field.len > f->len) {
		fputs("(the frame ends before)", out);
		return;
	}
	switch (where->field.kind) {
	case FIELD_NUMBER:
		for (int i = 0; i < where->field.len; i++)
			value = value << 8 | b[i];
		fprintf(out, "%u (0x%0*x)", value, where->field.len * 2, value);
		break;
	case FIELD_MAC:
		fprintf(out, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
		break;
	case FIELD_ADDRESS:
		if (!fl_ip_from_bytes(b, where->field.len, &ip))
			fputs(fl_ip_format(&ip, text), out);
		break;
	case FIELD_BYTES:
		for (uint32_t i = where->at; i < f->len && i < where->at + 16; i++)
			fprintf(out, "%02x ", f->b[i]);
		break;
	}
}

static void print_difference(const struct frame *got, const struct frame *want,
			     const struct field_at *where, FILE *out)
{
	fprintf(out, "  %s %s (byte %u): expected ", where->layer, where->field.name, where->at);
	print_value(want, where, out);
	fputs(", got ", out);
	print_value(got, where, out);
	fputs("\n", out);
}

bool frames_equal(const struct frame *got, const struct frame *want, FILE *out)
{
	uint32_t shorter = got->len < want->len ? got->len : want->len;

	if (got->len == want->len && !memcmp(got->b, want->b, got->len))
		return true;
	if (got->len != want->len)
		fprintf(out, "  length: expected %u bytes, got %u\n", want->len, got->len);
	for (uint32_t at = 0; at < shorter;) {
		struct field_at where = field_find(want, at);
		uint32_t len = where.field.len ? where.field.len : shorter - at;

		if (at + len > shorter)
			len = shorter - at;
		if (where.field.len && memcmp(got->b + at, want->b + at, len))
			print_difference(got, want, &where, out);
		/* of the payload only where it begins to differ */
		while (!where.field.len && where.at < shorter &&
		       got->b[where.at] == want->b[where.at])
			where.at++;
		if (!where.field.len && where.at < shorter)
			print_difference(got, want, &where, out);
		at += len;
	}
	return false;
}
