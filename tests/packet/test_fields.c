// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The tests' own eyes: a byte that differs is reported by the name of its field, and a wrong
 * checksum is seen. */
#include "tests/packet/fields.h"
#include "tests/packet/packet.h"

#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

struct where {
	struct row row;
	bool icmp;   /* of an answer, not of the packet itself */
	uint32_t at; /* byte of the frame */
	const char *field;
};

static const struct where wheres[] = {
	{ROW("MAC"), false, 7, "Ethernet source MAC (byte 6)"},
	{ROW("TTL", .families = ONLY_IPV4), false, 22,
	 "IPv4 TTL (byte 22): expected 64 (0x40), got 65 (0x41)"},
	{ROW("address", .families = ONLY_IPV4), false, 33,
	 "IPv4 destination address (byte 30): expected 10.96.0.10, got 10.96.0.11"},
	{ROW("address", .families = ONLY_IPV6), false, 53,
	 "IPv6 destination address (byte 38): expected fd96::a, got fd96::b"},
	{ROW("port", .families = ONLY_IPV4), false, 35,
	 "source port (byte 34): expected 4000 (0x0fa0)"},
	{ROW("TCP flags", .families = ONLY_IPV6, .protos = ONLY_TCP), false, 67,
	 "TCP flags (byte 67)"},
	{ROW("UDP checksum", .families = ONLY_IPV4, .protos = ONLY_UDP), false, 41,
	 "UDP checksum (byte 40)"},
	{ROW("payload", .families = ONLY_IPV4, .protos = ONLY_UDP), false, 44,
	 "payload from byte (byte 44)"},
	{ROW("ICMP code", .families = ONLY_IPV4), true, 35, "ICMP code (byte 35)"},
	{ROW("quoted address", .families = ONLY_IPV6), true, 14 + 40 + 8 + 8,
	 "quoted IPv6 source address"},
	{ROW("quoted port", .families = ONLY_IPV4), true, 14 + 20 + 8 + 20,
	 "source port (byte 62)"},
};

static void difference_is_named(struct trial *t)
{
	const struct where *where = t->row;
	_cleanup_free_ char *text = NULL;
	struct packet packet = packet_of(t);
	struct frame want, got;
	size_t len;
	FILE *out;

	if (where->icmp)
		frame_build_icmp(&packet, ICMP_PORT_UNREACHABLE, 0, &want);
	else
		frame_build(&packet, &want);
	got = want;
	out = open_memstream(&text, &len);
	assert_true(frames_equal(&got, &want, out));
	got.b[where->at] ^= 1;
	assert_false(frames_equal(&got, &want, out));
	fclose(out);
	if (!strstr(text, where->field) || strchr(text, '\n') != text + strlen(text) - 1)
		trial_fail(t, "expected one line with \"%s\", got:\n%s", where->field, text);
}

static void every_byte_has_a_name(struct trial *t)
{
	struct packet packet = packet_of(t);
	uint32_t headers = frame_len(&packet) - packet.payload;
	struct frame frame;

	frame_build(&packet, &frame);
	for (uint32_t at = 0; at < frame.len; at++) {
		struct field_at where = field_find(&frame, at);

		assert_true(where.at <= at &&
			    (!where.field.len || at < where.at + where.field.len));
		assert_int_equal(!where.field.len, at >= headers);
	}
}

static void wrong_checksum_is_seen(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct frame frame;

	frame_build(&packet, &frame);
	assert_true(frame_sums_right(&frame));
	for (uint32_t at = l4_offset(t->family); at < frame.len; at++) {
		frame.b[at] ^= 1;
		assert_false(frame_sums_right(&frame));
		frame.b[at] ^= 1;
	}
	frame_build_icmp(&packet, ICMP_PACKET_TOO_BIG, NARROW_MTU, &frame);
	assert_true(frame_sums_right(&frame));
	frame.b[frame.len - 1] ^= 1;
	assert_false(frame_sums_right(&frame));
}

static const struct test tests[] = {
	{"a byte that differs is reported as its field", CHECK(difference_is_named), ROWS(wheres)},
	{"headers are fields from end to end", CHECK(every_byte_has_a_name)},
	{"a wrong checksum is seen", CHECK(wrong_checksum_is_seen)},
};

const struct topic fields_topic = {"fields", TESTS(tests)};
