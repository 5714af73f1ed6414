// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* ICMP errors about fragments: which of them are answered, and with what (RFC 1812, RFC 4443). */
#include "tests/packet/packet.h"
#include "tests/packet/pieces.h"

#include <string.h>

#define FIRST 480 /* bytes of the first fragment */

static const struct bar {
	struct row row;
	uint16_t size;
	uint8_t ttl;
	enum icmp_kind kind;
	enum fl_reason reason;
} bars[] = {
	{ROW("TTL used up"), 480, 1, ICMP_TTL_EXCEEDED, FL_REASON_TTL_EXCEEDED},
	{ROW("TTL used up, eight bytes"), 8, 1, ICMP_TTL_EXCEEDED, FL_REASON_TTL_EXCEEDED},
	{ROW("too big"), 1400, 64, ICMP_PACKET_TOO_BIG, FL_REASON_TOO_BIG},
};

/* Of one datagram for each trial: what is known of fragments outlives it. */
static void feed_piece(struct trial *t, const struct packet *packet, struct piece piece,
		       uint8_t ttl)
{
	static uint32_t id = 0x4321;
	const bool v4 = t->family == FL_IPV4;
	struct frame whole, frame;
	uint8_t df;

	frame_build(packet, &whole);
	piece_build(&whole, piece.at ? id : ++id, piece, &frame);
	frame_write(&frame, ETH_HLEN + (v4 ? 8 : 7), &ttl, 1);
	/* some senders set it in fragments too, and no router takes those to pieces */
	df = frame.b[ETH_HLEN + 6] | 0x40;
	if (v4)
		frame_write(&frame, ETH_HLEN + 6, &df, 1);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

/* An error about what came in: its IP header, and eight bytes behind that. */
static void expect_quoted(struct trial *t, const struct packet *packet, enum icmp_kind kind,
			  uint32_t mtu)
{
	const uint32_t ip = l4_offset(t->family) - ETH_HLEN;
	struct frame want;

	frame_build_icmp(packet, kind, mtu, &want);
	memcpy(want.b + ETH_HLEN + ip + 8, t->in.b + ETH_HLEN, ip + 8);
	frame_sum_icmp(&want);
	expect_sent_frame(t, t->dev, &want);
}

/*
 * RFC 1812, 4.3.2.7: no error about another fragment than the first. RFC 4443, 2.4 (e) has no such
 * rule, and the kernel answers those of IPv6 as well.
 */
static void later_one_is_answered_in_ipv6_only(struct trial *t)
{
	const struct bar *bar = t->row;
	struct packet packet = packet_of(t);

	packet.payload = 1200;
	feed_piece(t, &packet, (struct piece){0, FIRST, true}, 64);
	expect_outcome(t, SENT);
	feed_piece(t, &packet, (struct piece){FIRST, bar->size, true}, bar->ttl);
	if (t->family == FL_IPV4) {
		expect_drop(t, bar->reason);
	} else {
		expect_quoted(t, &packet, bar->kind,
			      bar->kind == ICMP_PACKET_TOO_BIG ? NARROW_MTU : 0);
		expect_counter(t, bar->reason, 1);
	}
	expect_counter(t, FL_COUNTER_FRAGMENT, 1);
}

/* The first one is answered in both, as the whole packet would be. */
static void first_one_is_answered(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.payload = FIRST - (t->proto == IPPROTO_TCP ? 20 : 8);
	feed_piece(t, &packet, (struct piece){0, FIRST, true}, 1);
	expect_outcome(t, SENT);
	assert_int_equal(t->r.out.b[l4_offset(t->family)], t->family == FL_IPV4 ? 11 : 3);
	expect_counter(t, FL_REASON_TTL_EXCEEDED, 1);
	feed_piece(t, &packet, (struct piece){FIRST, 480, true}, 64);
	expect_drop(t, FL_REASON_FRAGMENT_REFUSED);
}

#define BY_TC (ON_XDP_TC | ON_TC_INGRESS)

static const struct test tests[] = {
	{"RFC 1812, 4.3.2.7: no error about a later fragment of IPv4",
	 CHECK(later_one_is_answered_in_ipv6_only), ROWS(bars), .hooks = BY_TC,
	 .networks = IN(AT_NARROW)},
	{"... but about the first one", CHECK(first_one_is_answered), .hooks = BY_TC,
	 .networks = IN(AT_NARROW)},
};

const struct topic fragment_errors_topic = {"fragment errors", TESTS(tests)};
