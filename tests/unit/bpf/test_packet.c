// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What kind of packet a frame is, and where its headers lie: the parser of the programs, compiled
 * for this machine. Frames are of exactly their length in memory, so that a build with ASan sees a
 * read beyond.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "bpf/lib/packet.bpf.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

/* A frame, at an address where the IP header is aligned, as the kernel has it. */
struct frame {
	uint8_t *memory, *data;
	size_t len;
};

static void frame_init(struct frame *f, size_t len)
{
	f->memory = malloc(len + 2);
	assert_non_null(f->memory);
	f->data = f->memory + 2;
	f->len = len;
	memset(f->data, 0, len);
}

static void frame_fini(struct frame *f)
{
	free(f->memory);
}

static enum fl_packet_kind parse(const struct frame *f, bool v6, struct fl_packet *ret_p)
{
	memset(ret_p, 0xa5, sizeof(*ret_p));
	return fl_packet_parse(f->data, f->data + f->len, (__u32)f->len, false, v6, ret_p);
}

/* Behind the IP header (and its options): ports 0x1234 and 0x0050, or an ICMP header. */
#define TCP "\x12\x34\x00\x50\0\0\0\1\0\0\0\2\x50\x02\xff\xff\0\0\0\0"
#define TCP_OPTIONS "\x12\x34\x00\x50\0\0\0\1\0\0\0\2\x60\x10\xff\xff\0\0\0\0\2\4\5\xb4"
#define UDP "\x12\x34\x00\x50\0\x0c\0\0data"
#define ICMP(type) type "\0\0\0\0\0\0\0quoted"

struct row {
	const char *name;
	uint8_t proto;
	const char *l4;
	size_t l4_len;
	enum fl_packet_kind kind;
	/* how it differs from an ordinary packet */
	uint8_t options;     /* IPv4: bytes */
	uint16_t frag_off;   /* IPv4 */
	uint8_t fragment_of; /* IPv6: protocol behind the fragment header that `l4` begins with */
	int missing;	     /* bytes that the IP header counts and the frame does not have */
	uint8_t first_byte;  /* of the IP header */
};

/* clang-format off */
#define ROW(row_name, row_proto, bytes, row_kind, ...) \
	{.name = row_name, .proto = row_proto, .l4 = bytes, .l4_len = sizeof(bytes) - 1, .kind = row_kind, __VA_ARGS__}
/* clang-format on */

static size_t l4_header_len(const struct row *row)
{
	return row->proto == IPPROTO_TCP ? (size_t)((uint8_t)row->l4[12] >> 4) * 4 : 8;
}

static void run(const struct row *row, bool v6)
{
	const size_t l3_len = v6 ? 40 : 20u + row->options, ip_len = l3_len + row->l4_len;
	uint8_t *ip;
	struct fl_packet p;
	struct frame f;

	frame_init(&f, 14 + ip_len - row->missing);
	ip = malloc(ip_len);
	assert_non_null(ip);
	memset(ip, 0, ip_len);
	if (v6) {
		ip[0] = 0x60;
		ip[4] = row->l4_len >> 8;
		ip[5] = (uint8_t)row->l4_len;
		ip[6] = row->proto;
		ip[7] = 61;
		memset(ip + 8, 0x11, 16);
		memset(ip + 24, 0x22, 16);
	} else {
		ip[0] = 0x40 | (5 + row->options / 4);
		ip[2] = ip_len >> 8;
		ip[3] = (uint8_t)ip_len;
		ip[6] = row->frag_off >> 8;
		ip[7] = (uint8_t)row->frag_off;
		ip[8] = 61;
		ip[9] = row->proto;
		memset(ip + 12, 0x11, 4);
		memset(ip + 16, 0x22, 4);
	}
	if (row->first_byte)
		ip[0] = row->first_byte;
	memcpy(ip + l3_len, row->l4, row->l4_len);
	memcpy(f.data + 14, ip, ip_len - row->missing);

	if (parse(&f, v6, &p) != row->kind)
		fail_msg("%s: kind %d", row->name, p.kind);
	assert_int_equal(p.kind, row->kind);
	if (p.kind != FL_PACKET_OTHER) {
		const uint8_t proto = row->fragment_of ? row->fragment_of : row->proto;
		const size_t l4 = 14 + l3_len + (row->fragment_of ? 8 : 0);

		if (p.proto != proto || p.l3 != 14 || p.l4 != l4 || p.len != ip_len || p.ttl != 61)
			fail_msg("%s: proto %d, l3 %d, l4 %d, len %u, ttl %d", row->name, p.proto,
				 p.l3, p.l4, p.len, p.ttl);
		assert_memory_equal(&p.tuple.saddr.w[3], "\x11\x11\x11\x11", 4);
		assert_memory_equal(&p.tuple.daddr.w[3], "\x22\x22\x22\x22", 4);
		assert_int_equal(fl_addr_is_mapped(&p.tuple.saddr), !v6);
		assert_int_equal(fl_addr_is_mapped(&p.tuple.daddr), !v6);
	}
	if (p.kind == FL_PACKET_FLOW) {
		assert_int_equal(p.tuple.sport, bpf_htons(0x1234));
		assert_int_equal(p.tuple.dport, bpf_htons(0x50));
		assert_int_equal(p.headers, l3_len + l4_header_len(row));
		assert_int_equal(p.tcp_flags, row->proto == IPPROTO_TCP ? (uint8_t)row->l4[13] : 0);
	} else if (p.kind != FL_PACKET_OTHER) {
		assert_int_equal(fl_ports(&p.tuple), 0);
		assert_int_equal(p.headers, 0);
		assert_int_equal(p.tcp_flags, 0);
	}
	free(ip);
	frame_fini(&f);
}

static void test_kinds_of_ipv4(void **state)
{
	static const struct row rows[] = {
		ROW("TCP", IPPROTO_TCP, TCP, FL_PACKET_FLOW),
		ROW("TCP with options", IPPROTO_TCP, TCP_OPTIONS, FL_PACKET_FLOW),
		ROW("UDP", IPPROTO_UDP, UDP, FL_PACKET_FLOW),
		ROW("don't fragment", IPPROTO_UDP, UDP, FL_PACKET_FLOW, .frag_off = 0x4000),
		ROW("source port 0", IPPROTO_UDP, "\0\0\0\x50\0\x08\0\0", FL_PACKET_OTHER),
		ROW("target port 0", IPPROTO_UDP, "\x12\x34\0\0\0\x08\0\0", FL_PACKET_OTHER),
		ROW("half a TCP header", IPPROTO_TCP, "\x12\x34\0\x50\0\0\0\1", FL_PACKET_OTHER),
		ROW("IP options before TCP", IPPROTO_TCP, TCP, FL_PACKET_OTHER, .options = 4),
		ROW("IP options before UDP", IPPROTO_UDP, UDP, FL_PACKET_OTHER, .options = 40),
		ROW("GRE", 47, UDP, FL_PACKET_OTHER),
		ROW("ICMP of IPv6", IPPROTO_ICMPV6, ICMP("\1"), FL_PACKET_OTHER),

		ROW("echo reply", IPPROTO_ICMP, ICMP("\0"), FL_PACKET_OTHER),
		ROW("unreachable", IPPROTO_ICMP, ICMP("\3"), FL_PACKET_ICMP_ERROR),
		ROW("source quench", IPPROTO_ICMP, ICMP("\4"), FL_PACKET_ICMP_ERROR),
		ROW("redirect", IPPROTO_ICMP, ICMP("\5"), FL_PACKET_OTHER),
		ROW("echo", IPPROTO_ICMP, ICMP("\x08"), FL_PACKET_ECHO),
		ROW("echo behind options", IPPROTO_ICMP, ICMP("\x08"), FL_PACKET_ECHO,
		    .options = 8),
		ROW("time exceeded", IPPROTO_ICMP, ICMP("\x0b"), FL_PACKET_ICMP_ERROR),
		ROW("parameter problem", IPPROTO_ICMP, ICMP("\x0c"), FL_PACKET_ICMP_ERROR),
		ROW("time stamp", IPPROTO_ICMP, ICMP("\x0d"), FL_PACKET_OTHER),
		ROW("type 35, which is 3 of 32", IPPROTO_ICMP, ICMP("\x23"), FL_PACKET_OTHER),
		ROW("error behind options", IPPROTO_ICMP, ICMP("\3"), FL_PACKET_ICMP_ERROR,
		    .options = 40),
		ROW("half an ICMP header", IPPROTO_ICMP, "\3\1\0\0", FL_PACKET_OTHER),

		ROW("first fragment", IPPROTO_TCP, TCP, FL_PACKET_FRAGMENT, .frag_off = 0x2000),
		ROW("middle fragment", IPPROTO_UDP, UDP, FL_PACKET_FRAGMENT, .frag_off = 0x20b9),
		ROW("last fragment, of 3 bytes", IPPROTO_UDP, "abc", FL_PACKET_FRAGMENT,
		    .frag_off = 0x00b9),
		ROW("fragment of an error", IPPROTO_ICMP, ICMP("\3"), FL_PACKET_FRAGMENT,
		    .frag_off = 0x2000),
		ROW("fragment with options", IPPROTO_TCP, TCP, FL_PACKET_FRAGMENT,
		    .frag_off = 0x2000, .options = 8),

		ROW("IPv6 by its version", IPPROTO_TCP, TCP, FL_PACKET_OTHER, .first_byte = 0x65),
		ROW("header of 16 bytes", IPPROTO_TCP, TCP, FL_PACKET_OTHER, .first_byte = 0x44),
		ROW("header beyond the packet", IPPROTO_ICMP, ICMP("\3"), FL_PACKET_OTHER,
		    .first_byte = 0x4f),
		ROW("TCP cut short", IPPROTO_TCP, TCP_OPTIONS, FL_PACKET_OTHER, .missing = 1),
		ROW("error cut short", IPPROTO_ICMP, ICMP("\3"), FL_PACKET_OTHER, .missing = 1),
		ROW("fragment cut short", IPPROTO_TCP, TCP, FL_PACKET_OTHER, .frag_off = 0x2000,
		    .missing = 1),
		ROW("nothing behind the header", IPPROTO_TCP, "", FL_PACKET_OTHER),
	};

	for (size_t i = 0; i < N(rows); i++)
		run(&rows[i], false);
}

#define FRAGMENT(proto, rest) proto "\0\0\1\0\0\0\7" rest

static void test_kinds_of_ipv6(void **state)
{
	static const struct row rows[] = {
		ROW("TCP", IPPROTO_TCP, TCP, FL_PACKET_FLOW),
		ROW("TCP with options", IPPROTO_TCP, TCP_OPTIONS, FL_PACKET_FLOW),
		ROW("UDP", IPPROTO_UDP, UDP, FL_PACKET_FLOW),
		ROW("target port 0", IPPROTO_UDP, "\x12\x34\0\0\0\x08\0\0", FL_PACKET_OTHER),
		ROW("hop-by-hop options", IPPROTO_HOPOPTS, "\x06\0\1\4\0\0\0\0" TCP,
		    FL_PACKET_OTHER),
		ROW("ICMP of IPv4", IPPROTO_ICMP, ICMP("\3"), FL_PACKET_OTHER),

		ROW("unreachable", IPPROTO_ICMPV6, ICMP("\1"), FL_PACKET_ICMP_ERROR),
		ROW("too big", IPPROTO_ICMPV6, ICMP("\2"), FL_PACKET_ICMP_ERROR),
		ROW("time exceeded", IPPROTO_ICMPV6, ICMP("\3"), FL_PACKET_ICMP_ERROR),
		ROW("parameter problem", IPPROTO_ICMPV6, ICMP("\4"), FL_PACKET_ICMP_ERROR),
		ROW("the last error there may be", IPPROTO_ICMPV6, ICMP("\x7f"),
		    FL_PACKET_ICMP_ERROR),
		ROW("echo", IPPROTO_ICMPV6, ICMP("\x80"), FL_PACKET_ECHO),
		ROW("echo reply", IPPROTO_ICMPV6, ICMP("\x81"), FL_PACKET_OTHER),
		ROW("echo of IPv4", IPPROTO_ICMPV6, ICMP("\x08"), FL_PACKET_ICMP_ERROR),
		ROW("neighbour solicitation", IPPROTO_ICMPV6, ICMP("\x87"), FL_PACKET_OTHER),
		ROW("half an ICMP header", IPPROTO_ICMPV6, "\1\1\0\0", FL_PACKET_OTHER),

		ROW("first fragment", IPPROTO_FRAGMENT, FRAGMENT("\x06", TCP), FL_PACKET_FRAGMENT,
		    .fragment_of = IPPROTO_TCP),
		ROW("fragment of 1 byte", IPPROTO_FRAGMENT, FRAGMENT("\x11", "x"),
		    FL_PACKET_FRAGMENT, .fragment_of = IPPROTO_UDP),
		ROW("fragment of an error", IPPROTO_FRAGMENT, FRAGMENT("\x3a", ICMP("\1")),
		    FL_PACKET_FRAGMENT, .fragment_of = IPPROTO_ICMPV6),
		ROW("half a fragment header", IPPROTO_FRAGMENT, "\x06\0\0\1", FL_PACKET_OTHER),

		ROW("IPv4 by its version", IPPROTO_TCP, TCP, FL_PACKET_OTHER, .first_byte = 0x45),
		ROW("TCP cut short", IPPROTO_TCP, TCP_OPTIONS, FL_PACKET_OTHER, .missing = 1),
		ROW("error cut short", IPPROTO_ICMPV6, ICMP("\1"), FL_PACKET_OTHER, .missing = 1),
		ROW("fragment cut short", IPPROTO_FRAGMENT, FRAGMENT("\x06", TCP), FL_PACKET_OTHER,
		    .missing = 1),
		ROW("nothing behind the header", IPPROTO_UDP, "", FL_PACKET_OTHER),
	};

	for (size_t i = 0; i < N(rows); i++)
		run(&rows[i], true);
}

/* Ethernet pads small frames: what lies behind the IP packet is no part of it. */
static void test_padding_is_not_the_packet(void **state)
{
	struct fl_packet p;
	struct frame f;

	frame_init(&f, 60);
	memcpy(f.data + 14, "\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\1\1\1\1\2\2\2\2", 20);
	memcpy(f.data + 34, UDP, 8);
	assert_int_equal(parse(&f, false, &p), FL_PACKET_FLOW);
	assert_int_equal(p.len, 28);
	/* TCP's header would have to come out of the padding */
	f.data[14 + 9] = IPPROTO_TCP;
	assert_int_equal(parse(&f, false, &p), FL_PACKET_OTHER);
	frame_fini(&f);
}

static uint8_t roll(uint32_t *seed)
{
	*seed = *seed * 1103515245 + 12345;
	return (uint8_t)(*seed >> 16);
}

/* Noise in the form of a packet, or near enough to be one now and then. */
static void make_likely(struct frame *f, bool v6, uint32_t *seed)
{
	static const uint8_t protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6,
					 IPPROTO_FRAGMENT};
	const uint8_t proto = protos[roll(seed) % N(protos)];
	uint8_t *ip = f->data + 14, options = roll(seed) & 1 ? 0 : roll(seed) & 15;

	if (v6) {
		ip[0] = 0x60;
		ip[4] = 0;
		ip[5] &= 63;
		ip[6] = proto;
		ip[40] &= 0x83; /* of ICMP: an echo now and then */
		return;
	}
	ip[0] = options < 4 ? 0x45 : 0x40 | options;
	ip[2] = 0;
	ip[3] &= 127;
	ip[6] = roll(seed) & 1 ? 0x40 : ip[6];
	ip[7] = roll(seed) & 1 ? 0 : ip[7];
	ip[9] = proto;
	ip[20] &= 15;
}

/* The sum that RFC 793 and RFC 8200 define, word by word: over pseudo header and, for a finished
 * checksum, the segment. */
static uint16_t plain_sum(const struct frame *f, bool v6, uint8_t proto, bool segment)
{
	const size_t l4 = FL_ETH_LEN + (v6 ? 40 : 20), from = FL_ETH_LEN + (v6 ? 8 : 12);
	uint32_t sum = proto + (uint32_t)(f->len - l4);

	for (size_t i = from; i < (segment ? f->len : l4); i += 2)
		sum += (uint32_t)f->data[i] << 8 | (i + 1 < f->len ? f->data[i + 1] : 0);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* A checksum that the sender left to its device is the folded sum of the pseudo header. */
static void test_unfinished_checksums(void **state)
{
	for (int i = 0; i < 16; i++) {
		const bool v6 = i & 1, tcp = i & 2, finished = i & 4, empty = i & 8;
		const char *l4 = tcp ? TCP : UDP;
		const size_t l4_at = FL_ETH_LEN + (v6 ? 40 : 20),
			     l4_len = tcp ? 20 : 12 - 4 * empty;
		uint8_t *check, *ip;
		struct fl_packet p;
		struct frame f;
		uint16_t sum;

		frame_init(&f, l4_at + l4_len);
		ip = f.data + FL_ETH_LEN;
		if (v6) {
			ip[0] = 0x60;
			ip[5] = (uint8_t)l4_len;
			ip[6] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		} else {
			ip[0] = 0x45;
			ip[3] = (uint8_t)(20 + l4_len);
			ip[9] = tcp ? IPPROTO_TCP : IPPROTO_UDP;
		}
		for (size_t at = v6 ? 8 : 12; at < l4_at - FL_ETH_LEN; at++)
			ip[at] = (uint8_t)(0xf1 + 7 * at);
		memcpy(f.data + l4_at, l4, l4_len);
		check = f.data + l4_at + (tcp ? 16 : 6);
		sum = plain_sum(&f, v6, tcp ? IPPROTO_TCP : IPPROTO_UDP, finished);
		if (finished)
			sum = (uint16_t)~sum;
		check[0] = (uint8_t)(sum >> 8);
		check[1] = (uint8_t)sum;
		assert_int_equal(parse(&f, v6, &p), FL_PACKET_FLOW);
		assert_int_equal(fl_packet_sum_unfinished(f.data, f.data + f.len, v6, &p),
				 !finished);
		frame_fini(&f);
	}
}

/* BIG TCP: a merged packet of IPv4 that is too long for its header has no length there. */
static void test_merged_segments_of_more_than_64_kb(void **state)
{
	struct frame f;
	struct fl_packet p = {0};

	frame_init(&f, 14 + 20 + 70000);
	memcpy(f.data + 14, "\x45\0\0\0\0\0\x40\0\x40\x06\0\0\x0a\0\0\1\x0a\0\0\2", 20);
	memcpy(f.data + 34, TCP, sizeof(TCP) - 1);
	assert_int_equal(fl_packet_parse(f.data, f.data + f.len, (__u32)f.len, true, false, &p),
			 FL_PACKET_FLOW);
	assert_int_equal(p.len, 20 + 70000);
	assert_int_equal(parse(&f, false, &p), FL_PACKET_OTHER);
	frame_fini(&f);
}

/* Whatever arrives: nothing beyond the frame is read, and offsets lie within the packet. */
static void test_noise(void **state)
{
	size_t kinds[2][FL_PACKET_FRAGMENT + 1] = {{0}};
	uint32_t seed = 7;

	for (int i = 0; i < 60000; i++) {
		const bool v6 = i & 1;
		struct fl_packet p;
		struct frame f;

		frame_init(&f, roll(&seed) & 127);
		for (size_t b = 0; b < f.len; b++)
			f.data[b] = roll(&seed);
		if (f.len > 14 + 40 && roll(&seed) & 7)
			make_likely(&f, v6, &seed);
		parse(&f, v6, &p);
		assert_in_range(p.kind, FL_PACKET_OTHER, FL_PACKET_FRAGMENT);
		kinds[v6][p.kind]++;
		if (p.kind != FL_PACKET_OTHER) {
			assert_int_equal(p.l3, 14);
			assert_in_range(p.l4, p.l3 + (v6 ? 40 : 20), p.l3 + p.len);
			assert_true(p.l3 + p.len <= f.len);
		}
		frame_fini(&f);
	}
	/* the noise was not all of one kind */
	for (int kind = 0; kind <= FL_PACKET_FRAGMENT; kind++)
		if (kinds[0][kind] < 5 || kinds[1][kind] < 5)
			fail_msg("kind %d: %zu of IPv4, %zu of IPv6", kind, kinds[0][kind],
				 kinds[1][kind]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds_of_ipv4),
		cmocka_unit_test(test_kinds_of_ipv6),
		cmocka_unit_test(test_padding_is_not_the_packet),
		cmocka_unit_test(test_unfinished_checksums),
		cmocka_unit_test(test_merged_segments_of_more_than_64_kb),
		cmocka_unit_test(test_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
