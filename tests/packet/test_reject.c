// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules 5.7.1 and 5.7.2: an ICMP error to the client that asked, or silence, at every hook; RFC
 * 792, RFC 4443. */
#include "tests/packet/packet.h"

#include <string.h>

#define EVERY_HOOK (ON_INGRESS | ON_EGRESS)

/* A service that has no endpoint, or the verdict that the test wants. */
static void serve_none(struct trial *t, uint8_t verdict)
{
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .verdict = {verdict, verdict}});
}

struct size {
	struct row row;
	uint16_t payload;
};

static const struct size sizes[] = {
	{ROW("no payload"), 0},	 {ROW("1 byte"), 1},	    {ROW("2 bytes"), 2},
	{ROW("7 bytes"), 7},	 {ROW("8 bytes"), 8},	    {ROW("9 bytes"), 9},
	{ROW("500 bytes"), 500}, {ROW("1400 bytes"), 1400},
};

static void port_unreachable(struct trial *t)
{
	const struct size *size = t->row;
	struct packet packet = packet_of(t);

	serve_none(t, FL_VERDICT_REJECT);
	packet.payload = size->payload;
	feed(t, &packet);
	expect_answer(t, &packet, ICMP_PORT_UNREACHABLE, 0, FL_REASON_REJECT_NO_ENDPOINT);
	expect_flows(t, 0);
}

/* Its checksum, its TTL, its identification and DF, its flow label. */
static void quote_is_the_packet_as_it_was(struct trial *t)
{
	uint32_t quoted = l4_offset(t->family) + 8;
	uint32_t len = l4_offset(t->family) - ETH_HLEN + 8;
	struct packet packet = packet_of(t);
	struct frame frame;

	serve_none(t, FL_VERDICT_REJECT);
	packet.ttl = 3;
	frame_build(&packet, &frame);
	if (t->family == FL_IPV4)
		frame_write(&frame, ETH_HLEN + 4, "\xbe\xef\x40\x00", 4);
	else
		frame_write(&frame, ETH_HLEN + 1, "\x0a\xbc\xde", 3);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	expect_outcome(t, SENT);
	assert_int_equal(t->r.out.len, quoted + len);
	assert_memory_equal(t->r.out.b + quoted, frame.b + ETH_HLEN, len);
	assert_true(frame_sums_right(&t->r.out));
	expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
}

static void drop_is_silent(struct trial *t)
{
	struct packet packet = packet_of(t);

	serve_none(t, FL_VERDICT_DROP);
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_LOCAL_ENDPOINT);
	expect_flows(t, 0);
}

static const struct test tests[] = {
	{"5.7.1: a service without endpoints is port unreachable", CHECK(port_unreachable),
	 .hooks = EVERY_HOOK, ROWS(sizes)},
	{"5.7.1: of each frontend", CHECK(port_unreachable), .hooks = ON_INGRESS,
	 .frontends = EVERY_FRONTEND, .rows = sizes, .row_size = sizeof(sizes[0]), .n_rows = 1},
	{"RFC 792, RFC 4443: what is quoted is the packet as it came in",
	 CHECK(quote_is_the_packet_as_it_was), .hooks = EVERY_HOOK},
	{"5.7.2, 5.7.4: a drop is silent, on the way out too", CHECK(drop_is_silent),
	 .hooks = EVERY_HOOK},
	{"5.7.2: of each frontend", CHECK(drop_is_silent), .hooks = ON_INGRESS,
	 .frontends = EVERY_FRONTEND},
};

const struct topic reject_topic = {"rejections", TESTS(tests)};
