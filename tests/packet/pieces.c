// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Taking packets to pieces, byte by byte, without any code of the datapath. */
#include "tests/packet/pieces.h"

#include <string.h>

#include "tests/packet/packet.h"
#include "tests/packet/wire.h"

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static bool is_ipv6(const struct frame *frame)
{
	return frame->b[12] == 0x86;
}

static void sum_header(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, (uint16_t)~sum16(0, ip, (ip[0] & 15) * 4U));
}

void piece_build(const struct frame *whole, uint32_t id, struct piece piece,
		 struct frame *ret_frame)
{
	const bool v6 = is_ipv6(whole);
	const uint32_t l4 = l4_offset(v6 ? FL_IPV6 : FL_IPV4), header = v6 ? 8 : 0;
	uint8_t *ip = ret_frame->b + ETH_HLEN;

	memset(ret_frame, 0, sizeof(*ret_frame));
	assert_true(l4 + header + piece.size <= sizeof(ret_frame->b));
	memcpy(ret_frame->b, whole->b, l4);
	if (l4 + piece.at < whole->len) {
		const uint32_t there = whole->len - l4 - piece.at;

		memcpy(ret_frame->b + l4 + header, whole->b + l4 + piece.at,
		       there < piece.size ? there : piece.size);
	}
	ret_frame->len = l4 + header + piece.size;
	if (v6) {
		put16(ip + 4, header + piece.size);
		ip[40] = ip[6];
		ip[6] = IPPROTO_FRAGMENT;
		put16(ip + 42, piece.at | piece.more);
		put16(ip + 44, id >> 16);
		put16(ip + 46, id);
		return;
	}
	put16(ip + 2, 20U + piece.size);
	put16(ip + 4, id);
	put16(ip + 6, (uint32_t)piece.at / 8 | (piece.more ? 0x2000U : 0));
	sum_header(ip);
}

uint32_t piece_id(const struct frame *frame)
{
	const uint8_t *ip = frame->b + ETH_HLEN;

	if (!is_ipv6(frame))
		return (uint32_t)ip[4] << 8 | ip[5];
	return (uint32_t)ip[44] << 24 | (uint32_t)ip[45] << 16 | (uint32_t)ip[46] << 8 | ip[47];
}

void piece_receive(struct trial *t, int fd, const struct frame *like, struct frame *ret_frame)
{
	const bool v6 = is_ipv6(like);
	const uint32_t at = ETH_HLEN + (v6 ? 42 : 4), n = v6 ? 6 : 4;

	do {
		do_wire_receive(t, fd, like, 0, NULL, ret_frame);
	} while (memcmp(ret_frame->b + at, like->b + at, n) != 0);
}

void frame_insert(const struct frame *plain, const uint8_t *bytes, uint8_t size, uint8_t header,
		  struct frame *ret_frame)
{
	const bool v6 = is_ipv6(plain);
	const uint32_t l4 = l4_offset(v6 ? FL_IPV6 : FL_IPV4);
	uint8_t *ip = ret_frame->b + ETH_HLEN;

	*ret_frame = *plain;
	memcpy(ret_frame->b + l4, bytes, size);
	memcpy(ret_frame->b + l4 + size, plain->b + l4, plain->len - l4);
	ret_frame->len += size;
	if (v6) {
		put16(ip + 4, ret_frame->len - l4);
		ip[6] = header;
		return;
	}
	ip[0] = (uint8_t)(0x40 | (20 + size) / 4);
	put16(ip + 2, ret_frame->len - ETH_HLEN);
	sum_header(ip);
}
