// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Robustness D2: options of IPv4 and extension headers of IPv6. */
#include "tests/packet/datagram.h"
#include "tests/packet/packet.h"

#include <netinet/in.h>
#include <string.h>

struct extra {
	struct row row;
	uint8_t bytes[24], size;
	uint8_t next; /* IPv6: the header that they are */
	bool passes;  /* unchanged */
};

static const struct extra extras[] = {
	{ROW("router alert", .families = ONLY_IPV4), {148, 4, 0, 0}, 4, 0, false},
	{ROW("nothing but padding", .families = ONLY_IPV4), {1, 1, 1, 0}, 4, 0, false},
	{ROW("timestamps", .families = ONLY_IPV4), {68, 12, 5, 0}, 12, 0, false},
	{ROW("a loose route", .families = ONLY_IPV4), {131, 7, 4, 10, 0, 0, 9, 0}, 8, 0, true},
	{ROW("a strict route behind padding", .families = ONLY_IPV4),
	 {1, 137, 7, 4, 10, 0, 0, 9},
	 8,
	 0,
	 true},
	{ROW("an option of no length", .families = ONLY_IPV4), {148, 0, 0, 0}, 4, 0, true},
	{ROW("an option that reaches behind the header", .families = ONLY_IPV4),
	 {1, 148, 4, 0},
	 4,
	 0,
	 true},
	{ROW("an option whose length is behind the header", .families = ONLY_IPV4),
	 {1, 1, 1, 7},
	 4,
	 0,
	 true},
	{ROW("hop-by-hop", .families = ONLY_IPV6), {IPPROTO_UDP, 0, 1, 4}, 8, 0, false},
	{ROW("destination options", .families = ONLY_IPV6), {IPPROTO_UDP, 1, 1, 12}, 16, 60, false},
	{ROW("an atomic fragment", .families = ONLY_IPV6),
	 {IPPROTO_UDP, 0, 0, 0, 1, 2, 3, 4},
	 8,
	 44,
	 false},
	{ROW("a route", .families = ONLY_IPV6), {IPPROTO_UDP, 0, 4, 0}, 8, 43, true},
};

static void with_extra(const struct frame *plain, const struct extra *extra, uint8_t proto,
		       struct frame *ret_frame)
{
	uint8_t bytes[sizeof(extra->bytes)];

	memcpy(bytes, extra->bytes, sizeof(bytes));
	if (bytes[0] == IPPROTO_UDP && plain->b[12] == 0x86)
		bytes[0] = proto;
	frame_insert(plain, bytes, extra->size, extra->next, ret_frame);
}

static void headers_in_between(struct trial *t)
{
	const struct extra *extra = t->row;
	struct packet packet = packet_of(t);
	struct whole w = whole_of(t, t->hook, hook_dev(t->hook), &packet);
	struct frame frame, want;

	with_extra(&w.frame, extra, t->proto, &frame);
	feed_frame(t, w.hook, w.dev, &frame);
	if (extra->passes) {
		expect_untouched(t);
		expect_flows(t, 0);
		return;
	}
	whole_learn(&w);
	with_extra(&w.wanted, extra, t->proto, &want);
	if (t->network == AT_POD)
		expect_outcome(t, PASSED);
	else
		expect_outcome(t, SENT);
	do_expect_frame(AT_LINE(t), &want);
	expect_flows(t, 1);
}

/* What is refused is answered as without them. */
static void headers_in_between_are_answered(struct trial *t)
{
	const struct extra *extra = t->row;
	struct packet packet = packet_of(t);
	struct frame plain, frame, want;

	serve_none(t);
	frame_build(&packet, &plain);
	with_extra(&plain, extra, t->proto, &frame);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	if (extra->passes) {
		expect_untouched(t);
		return;
	}
	frame_build_icmp(&packet, ICMP_PORT_UNREACHABLE, 0, &want);
	expect_outcome(t, SENT);
	do_expect_frame(AT_LINE(t), &want);
	expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
}

#define BY_TC (ON_XDP_TC | ON_TC_INGRESS)

static const struct test tests[] = {
	{"D2: options and extension headers are carried along", CHECK(headers_in_between),
	 ROWS(extras), .hooks = BY_TC, .networks = IN(AT_POD) | IN(AT_TX)},
	{"... and what is refused is answered", CHECK(headers_in_between_are_answered),
	 ROWS(extras), .hooks = BY_TC, .protos = ONLY_UDP},
};

const struct topic headers_topic = {"headers", TESTS(tests)};
