// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Robustness D3: fragments that are tiny, overlap, or lie where their datagram has none. */
#include "tests/packet/datagram.h"
#include "tests/packet/packet.h"

struct bad {
	struct row row;
	struct piece before[2], piece; /* size 0: none */
	enum fl_reason reason;
};

static const struct bad bads[] = {
	{ROW("a first one without all of the header", .protos = ONLY_TCP),
	 {},
	 {0, 16, true},
	 FL_REASON_FRAGMENT_TINY},
	{ROW("one over the header", .protos = ONLY_TCP),
	 {},
	 {8, 64, true},
	 FL_REASON_FRAGMENT_TINY},
	{ROW("the last byte of the header", .protos = ONLY_TCP),
	 {},
	 {16, 64, true},
	 FL_REASON_FRAGMENT_TINY},
	{ROW("not a multiple of eight bytes"), {}, {0, 484, true}, FL_REASON_FRAGMENT_MALFORMED},
	{ROW("beyond 64 KB"), {}, {65496, 64, false}, FL_REASON_FRAGMENT_MALFORMED},
	{ROW("the same again"),
	 {{0, 480, true}, {480, 480, true}},
	 {480, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("the first one again"), {{0, 480, true}}, {0, 480, true}, FL_REASON_FRAGMENT_OVERLAP},
	{ROW("over the end of the first one"),
	 {{0, 480, true}},
	 {472, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("into the next one"),
	 {{0, 480, true}, {960, 64, true}},
	 {480, 488, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("all of the others"),
	 {{0, 480, true}, {640, 64, true}},
	 {480, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("over one that waits"),
	 {{480, 480, true}},
	 {952, 64, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("a first one over one that waits"),
	 {{472, 480, true}},
	 {0, 480, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("a last one before another"),
	 {{0, 480, true}, {960, 64, true}},
	 {480, 240, false},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("a last one before another that waits"),
	 {{960, 64, true}},
	 {480, 240, false},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("one behind the last one"),
	 {{0, 480, true}, {960, 64, false}},
	 {1024, 64, true},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("another last one behind it"),
	 {{0, 480, true}, {960, 64, false}},
	 {1200, 64, false},
	 FL_REASON_FRAGMENT_OVERLAP},
	{ROW("another last one before it"),
	 {{0, 480, true}, {960, 64, false}},
	 {480, 64, false},
	 FL_REASON_FRAGMENT_OVERLAP},
};

static void bad_ones_are_refused(struct trial *t)
{
	const struct bad *bad = t->row;
	struct whole w = whole_request(t);

	for (size_t i = 0; i < N(bad->before) && bad->before[i].size; i++) {
		whole_feed(&w, bad->before[i]);
		if (t->outcome == DROPPED)
			trial_fail(t, "dropped before the time");
	}
	whole_feed(&w, bad->piece);
	allow_counter(t, FL_COUNTER_FRAGMENT);
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
	expect_outcome(t, DROPPED);
	expect_counter(t, bad->reason, 1);
	/* what waited is dropped with the first one */
	if (!bad->piece.at && bad->before[0].at) {
		expect_counter(t, FL_REASON_FRAGMENT_REFUSED, 1);
		t->dropped++;
	}
}

/* A first one that is refused does not make its datagram complete, after which another one might
 * have the number. */
static void refused_bytes_do_not_count(struct trial *t)
{
	const struct piece first = {0, 480, true}, last = {472, 480, false};
	struct whole w = whole_request(t);

	whole_feed(&w, last);
	expect_outcome(t, HELD);
	whole_feed(&w, first);
	expect_outcome(t, DROPPED);
	whole_feed(&w, last);
	expect_outcome(t, DROPPED);
	expect_counter(t, FL_REASON_FRAGMENT_OVERLAP, 2);
	expect_counter(t, FL_REASON_FRAGMENT_REFUSED, 1);
	t->dropped++; /* the one that waited */
	allow_counter(t, FL_COUNTER_FRAGMENT_HELD);
}

struct datagram_end {
	struct row row;
	struct piece before[2], wrong;
};

/* With `wrong` as many bytes would have been seen as the datagram had then. */
static const struct datagram_end ends[] = {
	{ROW("too early"), {{0, 480, true}, {960, 240, true}}, {480, 64, false}},
	{ROW("behind the end"), {{0, 480, true}, {960, 64, false}}, {1024, 480, true}},
};

/* A datagram is not complete for what lies behind its end, after which another one might have the
 * number. */
static void datagrams_end_once(struct trial *t)
{
	const struct datagram_end *end = t->row;
	struct whole w = whole_request(t);

	for (size_t i = 0; i < N(end->before); i++) {
		whole_feed(&w, end->before[i]);
		expect_outcome(t, t->network == AT_POD ? PASSED : SENT);
	}
	whole_feed(&w, end->wrong);
	expect_outcome(t, DROPPED);
	whole_feed(&w, end->before[0]);
	expect_outcome(t, DROPPED);
	expect_counter(t, FL_REASON_FRAGMENT_OVERLAP, 2);
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

/* Neighbouring bytes are no overlap, whatever words their bits are in. */
static void neighbours_are_none(struct trial *t)
{
	struct whole w = whole_request(t);
	uint32_t at = 0;

	for (uint32_t size = 64; at < 1200; size = size % 200 + 8) {
		const uint32_t left = 1200 - at;
		const struct piece piece = {(uint16_t)at, (uint16_t)(size < left ? size : left),
					    true};

		whole_feed(&w, piece);
		expect_outcome(t, SENT);
		at += piece.size;
	}
	allow_counter(t, FL_COUNTER_FRAGMENT);
}

/* What a first one is refused for, the others are too. */
static void refused_with_the_first(struct trial *t)
{
	struct whole w = whole_request(t);

	serve_none(t);
	whole_feed(&w, (struct piece){0, 480, true});
	expect_outcome(t, SENT);
	expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
	whole_feed(&w, (struct piece){480, 480, true});
	expect_drop(t, FL_REASON_FRAGMENT_REFUSED);
}

#define BY_TC (ON_XDP_TC | ON_TC_INGRESS)

static const struct test tests[] = {
	{"D3: tiny and overlapping fragments are refused by name", CHECK(bad_ones_are_refused),
	 ROWS(bads), .hooks = BY_TC, .networks = IN(AT_TX) | IN(AT_POD)},
	{"D3: refused bytes do not make a datagram complete", CHECK(refused_bytes_do_not_count),
	 .hooks = BY_TC, .networks = IN(AT_TX) | IN(AT_POD)},
	{"D3: a datagram ends once", CHECK(datagrams_end_once), ROWS(ends), .hooks = BY_TC,
	 .networks = IN(AT_TX) | IN(AT_POD)},
	{"fragments side by side are no overlap", CHECK(neighbours_are_none), .hooks = BY_TC},
	{"a refused first one is answered, the others are dropped", CHECK(refused_with_the_first),
	 .hooks = BY_TC},
};

const struct topic fragments_refused_topic = {"fragments refused", TESTS(tests)};
