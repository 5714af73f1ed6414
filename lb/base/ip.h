/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * IP addresses and prefixes as values. IPv4 is held as ::ffff:a.b.c.d, the same bytes as struct
 * fl_addr of bpf/abi, so copying 16 bytes converts one into the other.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fl_family {
	FL_IPV4,
	FL_IPV6,
	FL_FAMILIES,
};

struct fl_ip {
	uint8_t b[16]; /* network byte order */
};

struct fl_prefix {
	struct fl_ip ip; /* host bits are zero */
	uint8_t len;	 /* of the mapped form: an IPv4 /24 has 120 */
};

#define FL_IP_STRLEN 46			     /* with the final NUL */
#define FL_IP_PORT_STRLEN (FL_IP_STRLEN + 8) /* "[v6]:65535" */
#define FL_PREFIX_STRLEN (FL_IP_STRLEN + 4)

/* Parse text. IPv4 octets may have leading zeros, read as decimal (rule 1.20). 0 or -EINVAL. */
int fl_ip_parse(const char *text, struct fl_ip *ret_ip);
/* From the 4 octets of an IPv4 address, in network byte order. */
struct fl_ip fl_ip_from_ipv4(const void *octets);
/*
 * From 4 or 16 bytes in network byte order, as netlink has them. 0 or -EINVAL for another length.
 */
int fl_ip_from_bytes(const void *bytes, size_t len, struct fl_ip *ret_ip);
/* 0.0.0.0 or :: */
struct fl_ip fl_ip_unspecified(enum fl_family family);
enum fl_family fl_ip_family(const struct fl_ip *ip);
int fl_ip_cmp(const struct fl_ip *a, const struct fl_ip *b); /* <0, 0, >0: byte order */
bool fl_ip_equal(const struct fl_ip *a, const struct fl_ip *b);
/* Write the canonical text (RFC 5952 for IPv6; plain dotted quad for IPv4) and return buf. */
const char *fl_ip_format(const struct fl_ip *ip, char buf[static FL_IP_STRLEN]);
/* "10.0.0.1:80" or "[fd00::1]:80" */
const char *fl_ip_port_format(const struct fl_ip *ip, uint16_t port,
			      char buf[static FL_IP_PORT_STRLEN]);

bool fl_ip_is_loopback(const struct fl_ip *ip);
bool fl_ip_is_link_local(const struct fl_ip *ip);
bool fl_ip_is_multicast(const struct fl_ip *ip);   /* IPv4 broadcast counts */
bool fl_ip_is_unspecified(const struct fl_ip *ip); /* 0.0.0.0/8 or :: */

/* "10.0.0.0/8"; blanks around it are not accepted. Host bits are cleared. 0 or -EINVAL. */
int fl_prefix_parse(const char *text, struct fl_prefix *ret_prefix);
bool fl_prefix_contains(const struct fl_prefix *prefix, const struct fl_ip *ip);
enum fl_family fl_prefix_family(const struct fl_prefix *prefix);
const char *fl_prefix_format(const struct fl_prefix *prefix, char buf[static FL_PREFIX_STRLEN]);
