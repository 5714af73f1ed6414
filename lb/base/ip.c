/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP addresses and prefixes: text to value and back, and the classes of address that rules
 * distinguish. IPv6 text is written here rather than by inet_ntop(), because C libraries disagree
 * on when to write a dotted tail.
 */
#include "lb/base/ip.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

#define MAPPED_BITS 96

/* Read "a.b.c.d" up to the final NUL; octets are decimal whatever zeros lead them (rule 1.20). */
static int parse_ipv4(const char *text, uint8_t ret_octets[4])
{
	uint8_t octets[4];

	for (int i = 0; i < 4; i++) {
		unsigned int value = 0;

		if (i > 0 && *text++ != '.')
			return -EINVAL;
		if (*text < '0' || *text > '9')
			return -EINVAL;
		while (*text >= '0' && *text <= '9') {
			value = value * 10 + (unsigned int)(*text++ - '0');
			if (value > 255)
				return -EINVAL;
		}
		octets[i] = (uint8_t)value;
	}
	if (*text)
		return -EINVAL;
	memcpy(ret_octets, octets, sizeof(octets));
	return 0;
}

int fl_ip_parse(const char *text, struct fl_ip *ret_ip)
{
	uint8_t octets[4];
	struct fl_ip ip;

	if (strchr(text, ':')) {
		if (inet_pton(AF_INET6, text, ip.b) != 1)
			return -EINVAL;
	} else {
		if (parse_ipv4(text, octets))
			return -EINVAL;
		ip = fl_ip_from_ipv4(octets);
	}
	*ret_ip = ip;
	return 0;
}

struct fl_ip fl_ip_from_ipv4(const void *octets)
{
	struct fl_ip ip;

	memcpy(ip.b, mapped, sizeof(mapped));
	memcpy(ip.b + sizeof(mapped), octets, sizeof(ip.b) - sizeof(mapped));
	return ip;
}

int fl_ip_from_bytes(const void *bytes, size_t len, struct fl_ip *ret_ip)
{
	if (len == sizeof(ret_ip->b))
		memcpy(ret_ip->b, bytes, len);
	else if (len == 4)
		*ret_ip = fl_ip_from_ipv4(bytes);
	else
		return -EINVAL;
	return 0;
}

struct fl_ip fl_ip_unspecified(enum fl_family family)
{
	static const uint8_t zeroes[4];

	return family == FL_IPV4 ? fl_ip_from_ipv4(zeroes) : (struct fl_ip){{0}};
}

enum fl_family fl_ip_family(const struct fl_ip *ip)
{
	return memcmp(ip->b, mapped, sizeof(mapped)) ? FL_IPV6 : FL_IPV4;
}

int fl_ip_cmp(const struct fl_ip *a, const struct fl_ip *b)
{
	return memcmp(a->b, b->b, sizeof(a->b));
}

bool fl_ip_equal(const struct fl_ip *a, const struct fl_ip *b)
{
	return fl_ip_cmp(a, b) == 0;
}

static void format_ipv6(const struct fl_ip *ip, char buf[static FL_IP_STRLEN])
{
	unsigned int group[8];
	int zeros_at = -1, zeros = 1; /* RFC 5952, 4.2.2: a single zero group is not shortened */
	size_t len = 0;

	for (int i = 0; i < 8; i++)
		group[i] = (unsigned int)ip->b[2 * i] << 8 | ip->b[2 * i + 1];
	for (int i = 0; i < 8; i++) {
		int end = i;

		while (end < 8 && !group[end])
			end++;
		if (end - i > zeros) {
			zeros_at = i;
			zeros = end - i;
		}
		if (end > i)
			i = end;
	}
	for (int i = 0; i < 8; i++) {
		if (i == zeros_at) {
			len += (size_t)snprintf(buf + len, FL_IP_STRLEN - len, "::");
			i += zeros - 1;
			continue;
		}
		len += (size_t)snprintf(buf + len, FL_IP_STRLEN - len, "%s%x",
					i > 0 && buf[len - 1] != ':' ? ":" : "", group[i]);
	}
}

const char *fl_ip_format(const struct fl_ip *ip, char buf[static FL_IP_STRLEN])
{
	if (fl_ip_family(ip) == FL_IPV4)
		snprintf(buf, FL_IP_STRLEN, "%u.%u.%u.%u", ip->b[12], ip->b[13], ip->b[14],
			 ip->b[15]);
	else
		format_ipv6(ip, buf);
	return buf;
}

const char *fl_ip_port_format(const struct fl_ip *ip, uint16_t port,
			      char buf[static FL_IP_PORT_STRLEN])
{
	char text[FL_IP_STRLEN];

	snprintf(buf, FL_IP_PORT_STRLEN, fl_ip_family(ip) == FL_IPV4 ? "%s:%u" : "[%s]:%u",
		 fl_ip_format(ip, text), port);
	return buf;
}

bool fl_ip_is_loopback(const struct fl_ip *ip)
{
	static const struct fl_ip one = {.b = {[15] = 1}};

	return fl_ip_family(ip) == FL_IPV4 ? ip->b[12] == 127 : fl_ip_equal(ip, &one);
}

bool fl_ip_is_link_local(const struct fl_ip *ip)
{
	if (fl_ip_family(ip) == FL_IPV4)
		return ip->b[12] == 169 && ip->b[13] == 254;
	return ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

bool fl_ip_is_multicast(const struct fl_ip *ip)
{
	static const uint8_t broadcast[4] = {255, 255, 255, 255};

	if (fl_ip_family(ip) == FL_IPV4)
		return (ip->b[12] & 0xf0) == 224 ||
		       !memcmp(ip->b + 12, broadcast, sizeof(broadcast));
	return ip->b[0] == 0xff;
}

bool fl_ip_is_unspecified(const struct fl_ip *ip)
{
	static const struct fl_ip zero;

	return fl_ip_family(ip) == FL_IPV4 ? ip->b[12] == 0 : fl_ip_equal(ip, &zero);
}

static void clear_host_bits(struct fl_ip *ip, unsigned int len)
{
	for (unsigned int i = 0; i < 16; i++) {
		unsigned int keep = len > 8 * i ? len - 8 * i : 0;

		if (keep < 8)
			ip->b[i] &= (uint8_t)(0xff00 >> keep);
	}
}

int fl_prefix_parse(const char *text, struct fl_prefix *ret_prefix)
{
	const char *slash = strchr(text, '/');
	char addr[64]; /* an address with many leading zeros is no longer than this in practice */
	unsigned int len = 0, max = 128, base = 0;
	struct fl_ip ip;

	if (!slash || (size_t)(slash - text) >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	if (fl_ip_parse(addr, &ip))
		return -EINVAL;
	if (!strchr(addr, ':')) {
		base = MAPPED_BITS;
		max = 32;
	}
	for (text = slash + 1; *text >= '0' && *text <= '9' && len <= max; text++)
		len = len * 10 + (unsigned int)(*text - '0');
	if (*text || text == slash + 1 || text - slash > 4 || len > max)
		return -EINVAL;
	clear_host_bits(&ip, base + len);
	ret_prefix->ip = ip;
	ret_prefix->len = (uint8_t)(base + len);
	return 0;
}

/* A family never holds the other's addresses: ::/0 does not contain 10.0.0.1. */
bool fl_prefix_contains(const struct fl_prefix *prefix, const struct fl_ip *ip)
{
	struct fl_ip masked = *ip;

	if (fl_prefix_family(prefix) != fl_ip_family(ip))
		return false;
	clear_host_bits(&masked, prefix->len);
	return fl_ip_equal(&masked, &prefix->ip);
}

enum fl_family fl_prefix_family(const struct fl_prefix *prefix)
{
	return prefix->len >= MAPPED_BITS ? fl_ip_family(&prefix->ip) : FL_IPV6;
}

const char *fl_prefix_format(const struct fl_prefix *prefix, char buf[static FL_PREFIX_STRLEN])
{
	bool ipv4 = fl_prefix_family(prefix) == FL_IPV4;
	char text[FL_IP_STRLEN];

	snprintf(buf, FL_PREFIX_STRLEN, "%s/%d", fl_ip_format(&prefix->ip, text),
		 ipv4 ? prefix->len - MAPPED_BITS : prefix->len);
	return buf;
}
