/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Packets as the tests describe them, and as bytes. Checksums are computed over the whole packet,
 * with no code of the datapath, so that building the packet that should come out checks every byte
 * of what did.
 */
#pragma once

#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lb/base/ip.h"

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10

struct packet {
	enum fl_family family;
	uint8_t proto; /* TCP or UDP */
	struct fl_ip src, dst;
	uint16_t sport, dport; /* host byte order */
	uint8_t flags;	       /* TCP */
	uint32_t seq, ack;     /* TCP */
	uint8_t ttl;
	uint16_t payload;	/* bytes */
	bool may_be_fragmented; /* IPv4: DF is clear, as hardly any system sends it */
	bool no_checksum;	/* UDP: the field is zero */
	const uint8_t *dst_mac, *src_mac;
};

struct frame {
	uint32_t len;
	uint8_t b[2048];
};

void frame_build(const struct packet *packet, struct frame *ret_frame);

/* An IP header of the same family in front of a packet; with Geneve behind it, whose option names a
 * backend. */
struct outer {
	struct fl_ip src, dst;
	uint8_t tos;
	uint8_t proto;	   /* 0: that of a packet in a packet */
	uint8_t ttl;	   /* 0: 64 */
	uint32_t label;	   /* IPv6 */
	uint16_t fragment; /* IPv4: offset and "more", without DF then */
	bool geneve;
	struct fl_ip pod;
	uint16_t port, sport;
};
void frame_wrap(struct frame *frame, const struct outer *outer);
#define GENEVE_PORT 6081

/* The packet back the same way: addresses and ports exchanged; everything else is kept. */
struct packet packet_reverse(const struct packet *packet);

/* Write bytes over a frame; an IPv4 header checksum that was right is right again afterwards. */
void frame_write(struct frame *frame, uint32_t at, const void *bytes, uint32_t len);

/* One's complement sum of bytes, folded, starting with `sum`; not inverted. */
uint16_t sum16(uint32_t sum, const void *data, uint32_t len);
/* Of an L4 packet with its pseudo header; 0xffff when the checksum inside is right. */
uint16_t sum_l4(const struct frame *frame, uint8_t proto);
/* Every checksum of an IP packet with TCP, UDP, ICMP or ICMPv6 is right (or absent, for UDP). */
bool frame_sums_right(const struct frame *frame);

/* Offset of the L4 header in a frame made by frame_build(). */
static inline uint32_t l4_offset(enum fl_family family)
{
	return ETH_HLEN + (family == FL_IPV4 ? 20 : 40);
}

static inline uint32_t frame_len(const struct packet *packet)
{
	return l4_offset(packet->family) + (packet->proto == IPPROTO_TCP ? 20 : 8) +
	       packet->payload;
}

/* The reset that answers a TCP segment, by RFC 9293: with the number that it acknowledges. MAC
 * addresses are exchanged. */
void frame_build_reset(const struct packet *packet, struct frame *ret_frame);

/* ICMP errors: the same of both families, where there is one. */
enum icmp_kind {
	ICMP_PORT_UNREACHABLE,
	ICMP_PACKET_TOO_BIG, /* IPv4: fragmentation needed */
	ICMP_TTL_EXCEEDED,
	ICMP_NO_ROUTE,
	ICMP_HOST_UNREACHABLE,
	ICMP_PROHIBITED,
	ICMP_REASSEMBLY_EXCEEDED,
	ICMP_BAD_HEADER, /* parameter problem */
	ICMP_SOURCE_QUENCH,
	ICMP_REDIRECTED,
	ICMP_KINDS,
};

/* An ICMP error, and the packet that it quotes. */
struct icmp_error {
	enum icmp_kind kind;
	uint32_t info; /* MTU, pointer: what stands behind the checksum */
	struct fl_ip src, dst;
	uint8_t ttl;
	const uint8_t *dst_mac, *src_mac;
	uint8_t options; /* bytes of IPv4 options before the message */
	struct packet quoted;
	uint16_t cut;	       /* bytes of the quoted packet; 0: its IP header and 8 more */
	uint8_t quoted_header; /* IPv4: bytes of options; IPv6: 8 for a fragment header */
	uint16_t damage;       /* by how much the checksum of the quoted TCP or UDP is wrong */
	bool bad_sum;	       /* so is the message's own */
};

void frame_build_error(const struct icmp_error *error, struct frame *ret_frame);

/* Correct the checksum of ICMP. */
void frame_sum_icmp(struct frame *frame);

/*
 * The ICMP error that answers `packet`: from the address that was asked, with the IP header and
 * eight bytes of what it answers. MAC addresses are exchanged.
 */
void frame_build_icmp(const struct packet *packet, enum icmp_kind kind, uint32_t mtu,
		      struct frame *ret_frame);

/* An echo request with `payload` bytes, between the packet's addresses; or the reply to it. */
void frame_build_echo(const struct packet *packet, bool reply, struct frame *ret_frame);
