/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets as the tests say them, and as bytes. Checksums are computed over the whole packet, with
 * no code of the datapath, so that building the packet that should come out checks every byte of
 * what did.
 */
#pragma once

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lb/base/ip.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

struct spec {
	enum fl_family family;
	uint8_t proto; /* TCP or UDP */
	struct fl_ip src, dst;
	uint16_t sport, dport; /* host byte order */
	uint8_t flags;	       /* TCP */
	uint8_t ttl;
	uint16_t payload; /* bytes */
	bool no_checksum; /* UDP: the field is zero */
	const uint8_t *dst_mac, *src_mac;
};

struct frame {
	uint32_t len;
	uint8_t b[2048];
};

void frame_build(const struct spec *spec, struct frame *ret_frame);

/* The packet back the same way: ends of the conversation exchanged. */
struct spec spec_reverse(const struct spec *spec);

/* One's complement sum of bytes, folded, starting with `sum`; not inverted. */
uint16_t sum16(uint32_t sum, const void *data, uint32_t len);
/* Of an L4 packet with its pseudo header; 0xffff when the checksum inside is right. */
uint16_t sum_l4(const struct frame *frame, uint8_t proto);

/* Offset of the L4 header in a frame made by frame_build(). */
static inline uint32_t l4_offset(enum fl_family family)
{
	return ETH_HLEN + (family == FL_IPV4 ? 20 : 40);
}

static inline uint32_t frame_len(const struct spec *spec)
{
	return l4_offset(spec->family) + (spec->proto == IPPROTO_TCP ? 20 : 8) + spec->payload;
}

enum icmp_kind {
	ICMP_PORT_UNREACHABLE,
	ICMP_PACKET_TOO_BIG,
};

/*
 * The ICMP error that answers `spec`: from the address that was asked, with the IP header and eight
 * bytes of what it answers. MACs exchanged.
 */
void frame_build_icmp(const struct spec *spec, enum icmp_kind kind, uint32_t mtu,
		      struct frame *ret_frame);

/* Fail, showing both, unless they are the same bytes. */
void frame_expect(const struct frame *got, const struct frame *want, const char *what);
