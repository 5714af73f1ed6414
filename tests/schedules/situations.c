// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The situations: flows in all states, full tables, and what comes together there. */
#include "tests/schedules/situations.h"

#include <stdio.h>
#include <stdlib.h>

static uint32_t address(uint32_t n)
{
	return n << 24 | 1;
}

static struct packet packet_of(const struct act *a)
{
	const bool keeps_source = a->backend >= KEEPS_SOURCE;
	const struct tuple request = {address(10 + a->client),
				      address((a->other ? 60 : 50) + a->backend), 1000, 80},
			   reply = {address(100 + a->backend),
				    keeps_source ? request.src : 0x01000001, 80,
				    keeps_source ? request.sport : PORT};
	const uint32_t isn = 1000 * (1 + a->client), backend_isn = isn + 500;
	const bool by_backend = a->what == SYN_ACK || a->what == ANSWER;
	struct packet p = {
		.t = by_backend ? reply : request,
		.proto = a->what == DATAGRAM || a->what == ANSWER ? IPPROTO_UDP : IPPROTO_TCP,
		.backend = by_backend ? 0 : address(100 + a->backend),
		.keeps_source = keeps_source,
		.seq = isn + 1,
		.ack = backend_isn + 1,
	};

	switch (a->what) {
	case SYN:
		p.flags = F_SYN;
		p.seq = isn;
		p.ack = 0;
		break;
	case SYN_ACK:
		p.flags = F_SYN | F_ACK;
		p.seq = backend_isn;
		p.ack = isn + 1;
		break;
	case RST:
		p.flags = F_RST;
		break;
	default:
		p.flags = F_ACK;
	}
	return p;
}

struct outcome act(unsigned int processor, const struct act *a, bool served)
{
	struct outcome out = {0};
	struct packet p;
	uint64_t begun;

	if (a->what == SWEEP) {
		sweep_run();
	} else if (a->what == FLUSH) {
		flush_run();
	} else {
		begun = step_now();
		p = packet_of(a);
		packet_run(processor, &p, &out);
		if (processor_now() >= 0)
			oracle_packet(&p, &out, begun, served);
	}
	return out;
}

/* What is there when it begins */

static bool did(enum what what, uint32_t client, uint32_t backend)
{
	const struct act a = {.what = what, .client = client, .backend = backend};

	return act(PROCESSORS, &a, false).translated;
}

static void must(bool yes)
{
	if (yes)
		return;
	printf("Bail out! what is there at the beginning cannot be made\n");
	exit(1);
}

static void establish(uint32_t client, uint32_t backend)
{
	must(did(SYN, client, backend) && did(SYN_ACK, client, backend) &&
	     did(ACK, client, backend));
}

static void age(uint32_t seconds)
{
	for (unsigned int slot = 0; slot < table_slots(); slot++)
		entry_age(slot, seconds);
}

static void nothing(void)
{
}

/* Two entries are another flow's for good. */
static void half_full(void)
{
	establish(90, 90);
}

static void embryonic(void)
{
	half_full();
	must(did(SYN, 0, 0));
}

/* Its reply was taken by a newcomer that is gone. */
static void embryonic_half(void)
{
	struct content c;

	embryonic();
	for (unsigned int slot = 0; slot < table_slots(); slot++)
		if (entry_content(slot, &c) && is_reply(&c) && c.rewrite.dst == address(10))
			*entry_word(slot) = (word_generation(*entry_word(slot)) + 1) << 8;
}

static void replied(void)
{
	half_full();
	must(did(SYN, 0, 0) && did(SYN_ACK, 0, 0));
}

static void established(void)
{
	half_full();
	establish(0, 0);
}

static void reset(void)
{
	establish(0, 0);
	must(did(RST, 0, 0));
}

/* And over for so long that a newcomer may have its entries. */
static void reset_long_ago(void)
{
	establish(0, 0);
	must(did(RST, 0, 0));
	age(20);
	half_full();
}

static void expired(void)
{
	must(did(SYN, 0, 0));
	age(100);
	half_full();
}

static void silent(void)
{
	must(did(SYN, 0, 0));
	age(5);
	half_full();
}

static void datagrams(void)
{
	half_full();
	must(did(DATAGRAM, 0, 0) && did(ANSWER, 0, 0));
}

static void datagrams_long_ago(void)
{
	must(did(DATAGRAM, 0, 0) && did(ANSWER, 0, 0));
	age(30);
	must(did(DATAGRAM, 0, 0));
	age(30);
	half_full();
}

/* An established flow that has lost an entry, and looks at that again. */
static void lose(bool reply)
{
	struct content c;

	establish(0, 0);
	for (unsigned int slot = 0; slot < table_slots(); slot++)
		if (entry_content(slot, &c) && is_reply(&c) == reply)
			*entry_word(slot) = (word_generation(*entry_word(slot)) + 1) << 8;
	age(2);
	half_full();
}

static void without_reply(void)
{
	lose(true);
}

static void without_original(void)
{
	lose(false);
}

/* All entries of two buckets but two, of which there are then choices. */
static void crowded(void)
{
	establish(90, 90);
	establish(91, 91);
	establish(92, 92);
}

/* Half of them: the second choice is for those that follow. */
static void half_crowded(void)
{
	establish(90, 90);
	establish(91, 91);
}

static void crowded_embryonic(void)
{
	crowded();
	must(did(SYN, 0, 0));
}

static void crowded_replied(void)
{
	crowded();
	must(did(SYN, 0, 0) && did(SYN_ACK, 0, 0));
}

/* All entries of two buckets, of which embryonic flows have half. Both entries of each of these
 * flows lie apart, as do those of clients 3 and 20. */
static void full_embryonic(void)
{
	establish(14, 14);
	establish(15, 15);
	must(did(SYN, 2, 2) && did(SYN, 8, 8));
}

/* Half of a bucket, where the reply's first choice of client 3 is; the other bucket is empty. */
static void reply_half_full(void)
{
	establish(0, 0);
}

static void full_replied(void)
{
	full_embryonic();
	must(did(SYN_ACK, 2, 2));
}

static void full_datagrams(void)
{
	establish(14, 14);
	establish(15, 15);
	must(did(DATAGRAM, 2, 2) && did(ANSWER, 2, 2) && did(SYN, 8, 8));
}

static void kept_embryonic(void)
{
	half_full();
	must(did(SYN, 0, KEEPS_SOURCE));
}

static void kept_replied(void)
{
	half_full();
	must(did(SYN, 0, KEEPS_SOURCE) && did(SYN_ACK, 0, KEEPS_SOURCE));
}

static void kept_datagrams(void)
{
	half_full();
	must(did(DATAGRAM, 0, KEEPS_SOURCE) && did(ANSWER, 0, KEEPS_SOURCE));
}

const struct situation situations[] = {
	{"two clients want the only source port", nothing, 1, {{{SYN, 0, 0}}, {{SYN, 1, 0}}}},
	{"three clients want the only source port",
	 nothing,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 0}}, {{SYN, 2, 0}}}},
	{"the first packets of a flow come twice",
	 nothing,
	 2,
	 {{{SYN, 0, 0}}, {{SYN, 0, 0}}},
	 .served = true},
	{"a flow that was not answered goes on while a newcomer needs room",
	 embryonic,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow that has lost its reply goes on while a newcomer wants its source port",
	 embryonic_half,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 0}}}},
	{"a flow is answered while a newcomer needs room",
	 embryonic,
	 1,
	 {{{SYN_ACK, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow is answered while a newcomer needs room and then is answered itself",
	 embryonic,
	 1,
	 {{{SYN_ACK, 0, 0}}, {{SYN, 1, 1}, {SYN_ACK, 1, 1}}}},
	{"a flow is answered while a newcomer has its entries and is answered on two processors",
	 embryonic,
	 1,
	 {{{SYN_ACK, 0, 0}}, {{SYN, 1, 1}}, {{SYN_ACK, 1, 1}}},
	 .deviations = 2},
	{"a flow proves itself while a newcomer needs room",
	 replied,
	 1,
	 {{{ACK, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow proves itself while a newcomer needs room and then is answered itself",
	 replied,
	 1,
	 {{{ACK, 0, 0}}, {{SYN, 1, 1}, {SYN_ACK, 1, 1, .sent = true}, {ACK, 1, 1, .sent = true}}},
	 .deviations = 2},
	{"a flow proves itself and goes on while a newcomer needs room",
	 replied,
	 1,
	 {{{ACK, 0, 0}, {ACK, 0, 0}}, {{SYN, 2, 2}}},
	 .deviations = 2},
	{"a flow proves itself on two processors while a newcomer needs room",
	 replied,
	 1,
	 {{{ACK, 0, 0}}, {{ACK, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow proves itself while a newcomer wants its source port",
	 replied,
	 1,
	 {{{ACK, 0, 0}}, {{SYN, 1, 0}}, {{SYN_ACK, 0, 0}}}},
	{"a silent flow speaks while a newcomer wants its source port",
	 silent,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 0}, {SYN_ACK, 1, 0}}}},
	{"an established flow is removed while it goes on and a newcomer comes",
	 established,
	 1,
	 {{{ACK, 0, 0}}, {{FLUSH, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow that was reset begins again while it goes on",
	 reset,
	 2,
	 {{{SYN, 0, 0}}, {{ACK, 0, 0}}}},
	{"a flow that was reset goes on while it is removed and a newcomer wants its source port",
	 reset,
	 1,
	 {{{ACK, 0, 0}}, {{FLUSH, 0, 0}}, {{SYN, 1, 0}}},
	 .deviations = 2},
	{"a flow begins and is answered while all are removed and a newcomer wants its source port",
	 nothing,
	 1,
	 {{{SYN, 0, 0}, {SYN_ACK, 0, 0}}, {{FLUSH, 0, 0}}, {{SYN, 1, 0}}},
	 .deviations = 2},
	{"a flow that was reset begins again while a newcomer needs room",
	 reset_long_ago,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow that was reset goes on while a newcomer needs room",
	 reset_long_ago,
	 1,
	 {{{ACK, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow that has expired begins again while it is swept",
	 expired,
	 1,
	 {{{SYN, 0, 0}}, {{SWEEP, 0, 0}}}},
	{"a flow that has expired is swept while a newcomer takes its entries and goes on",
	 expired,
	 1,
	 {{{SYN, 1, 1}, {SYN_ACK, 1, 1, .sent = true}, {ACK, 1, 1, .sent = true}},
	  {{SWEEP, 0, 0}}}},
	{"a flow that has expired is answered while it is swept and a newcomer comes",
	 expired,
	 1,
	 {{{SYN_ACK, 0, 0}}, {{SWEEP, 0, 0}}, {{SYN, 1, 0}}}},
	/* this one's first choice is where the reply lies */
	{"datagrams go on while a newcomer takes the reply's entry first",
	 datagrams,
	 1,
	 {{{DATAGRAM, 0, 0}, {DATAGRAM, 0, 0}}, {{DATAGRAM, 6, 6}}}},
	{"datagrams go on while a newcomer needs room",
	 datagrams,
	 1,
	 {{{DATAGRAM, 0, 0}}, {{DATAGRAM, 1, 1}}}},
	{"datagrams are answered while a newcomer needs room",
	 datagrams,
	 1,
	 {{{ANSWER, 0, 0}}, {{DATAGRAM, 1, 1}}}},
	{"datagrams that stopped go on while a newcomer needs room",
	 datagrams_long_ago,
	 1,
	 {{{DATAGRAM, 0, 0}}, {{SYN, 1, 1}}}},
	{"a flow without its reply is mended on two processors",
	 without_reply,
	 1,
	 {{{ACK, 0, 0}}, {{ACK, 0, 0}}},
	 .halves = true},
	{"a flow without its reply is mended while a newcomer wants its source port",
	 without_reply,
	 1,
	 {{{ACK, 0, 0}}, {{SYN, 1, 0}}},
	 .halves = true},
	{"two buckets: a flow without its reply is mended while a newcomer with its source port is "
	 "answered",
	 without_reply,
	 1,
	 {{{ACK, 0, 0}}, {{SYN, 1, 0}, {SYN_ACK, 1, 0}}},
	 .halves = true,
	 .buckets = 2},
	{"a flow without its original is mended while it is swept",
	 without_original,
	 1,
	 {{{SYN_ACK, 0, 0}}, {{SWEEP, 0, 0}}},
	 .halves = true},
	/* two frontends of one backend would have the same replies */
	{"a client asks two frontends of one backend at once, with its own address",
	 nothing,
	 1,
	 {{{SYN, 0, KEEPS_SOURCE}}, {{SYN, 0, KEEPS_SOURCE, .other = true}}}},
	{"a client's own address: its flow is answered while a newcomer needs room",
	 kept_embryonic,
	 1,
	 {{{SYN_ACK, 0, KEEPS_SOURCE}}, {{SYN, 1, KEEPS_SOURCE + 1}}}},
	{"a client's own address: its flow proves itself while another frontend of the backend is "
	 "asked",
	 kept_replied,
	 1,
	 {{{ACK, 0, KEEPS_SOURCE}}, {{SYN, 0, KEEPS_SOURCE, .other = true}}}},
	{"a client's own address: datagrams go on while a newcomer needs room",
	 kept_datagrams,
	 1,
	 {{{DATAGRAM, 0, KEEPS_SOURCE}}, {{DATAGRAM, 1, KEEPS_SOURCE + 1}}}},
	{"two buckets: a flow that was not answered goes on while a newcomer needs room",
	 crowded_embryonic,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 1}}},
	 .buckets = 2},
	{"two buckets: a flow is answered while a newcomer needs room and then is answered itself",
	 crowded_embryonic,
	 1,
	 {{{SYN_ACK, 0, 0}}, {{SYN, 1, 1}, {SYN_ACK, 1, 1}}},
	 .buckets = 2},
	{"two buckets: a flow proves itself while a newcomer needs room",
	 crowded_replied,
	 1,
	 {{{ACK, 0, 0}}, {{SYN, 1, 1}}},
	 .buckets = 2},
	{"two buckets: two clients want the only source port",
	 half_crowded,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 0}}},
	 .buckets = 2},
	{"IPv6: a client asks two frontends of one backend at once, with its own address",
	 nothing,
	 1,
	 {{{SYN, 0, KEEPS_SOURCE}}, {{SYN, 0, KEEPS_SOURCE, .other = true}}},
	 .v6 = true},
	{"IPv6: two clients want the only source port",
	 nothing,
	 1,
	 {{{SYN, 0, 0}}, {{SYN, 1, 0}}},
	 .v6 = true},
	{"IPv6: a flow is answered while a newcomer needs room and then is answered itself",
	 embryonic,
	 1,
	 {{{SYN_ACK, 0, 0}}, {{SYN, 1, 1}, {SYN_ACK, 1, 1}}},
	 .v6 = true},
	{"IPv6: an established flow is removed while it goes on and a newcomer comes",
	 established,
	 1,
	 {{{ACK, 0, 0}}, {{FLUSH, 0, 0}}, {{SYN, 1, 1}}},
	 .v6 = true},
	{"IPv6: datagrams go on while a newcomer needs room",
	 datagrams,
	 1,
	 {{{DATAGRAM, 0, 0}}, {{DATAGRAM, 1, 1}}},
	 .v6 = true},
	{"IPv6: a flow that has expired begins again while it is swept",
	 expired,
	 1,
	 {{{SYN, 0, 0}}, {{SWEEP, 0, 0}}},
	 .v6 = true},
	{"a look through each bucket: two clients want the only source port",
	 nothing,
	 1,
	 {{{SYN, 3, 3}}, {{SYN, 20, 3}}},
	 .buckets = 2,
	 .scanned = true},
	{"a look through each bucket: two clients want the only source port, and one of them is "
	 "led "
	 "to another bucket",
	 reply_half_full,
	 1,
	 {{{SYN, 3, 3}}, {{SYN, 20, 3}}},
	 .buckets = 4,
	 .scanned = true},
	{"a look through each bucket: the first packets of a flow come twice",
	 nothing,
	 2,
	 {{{SYN, 3, 3}}, {{SYN, 3, 3}}},
	 .served = true,
	 .buckets = 2,
	 .scanned = true},
	{"a look through each bucket: a flow is answered while a newcomer needs room and then is "
	 "answered itself",
	 full_embryonic,
	 1,
	 {{{SYN_ACK, 2, 2}}, {{SYN, 3, 3}, {SYN_ACK, 3, 3}}},
	 .buckets = 2,
	 .scanned = true},
	{"a look through each bucket: a flow proves itself while a newcomer needs room",
	 full_replied,
	 1,
	 {{{ACK, 2, 2}}, {{SYN, 3, 3}}},
	 .buckets = 2,
	 .scanned = true},
	{"a look through each bucket: two newcomers need room while a flow goes on",
	 full_embryonic,
	 1,
	 {{{SYN, 3, 3}}, {{SYN, 20, 20}}, {{SYN, 2, 2}}},
	 .buckets = 2,
	 .scanned = true},
	{"a look through each bucket: datagrams go on while a newcomer needs room",
	 full_datagrams,
	 1,
	 {{{DATAGRAM, 2, 2}}, {{DATAGRAM, 3, 3}}},
	 .buckets = 2,
	 .scanned = true},
	/* which is left to the general way */
	{"a look through each bucket: datagrams go on while a newcomer wants the reply's entry",
	 full_datagrams,
	 1,
	 {{{DATAGRAM, 2, 2}, {DATAGRAM, 2, 2}}, {{DATAGRAM, 9, 9}}},
	 .buckets = 2},
	{"a look through each bucket: a client asks two frontends of one backend at once, with its "
	 "own address",
	 nothing,
	 1,
	 {{{SYN, 3, KEEPS_SOURCE + 3}}, {{SYN, 3, KEEPS_SOURCE + 3, .other = true}}},
	 .buckets = 2,
	 .scanned = true},
	{"IPv6: a look through each bucket: two clients want the only source port",
	 nothing,
	 1,
	 {{{SYN, 3, 3}}, {{SYN, 20, 3}}},
	 .buckets = 2,
	 .v6 = true,
	 .scanned = true},
	{"IPv6: a look through each bucket: a flow is answered while a newcomer needs room and "
	 "then is "
	 "answered itself",
	 full_embryonic,
	 1,
	 {{{SYN_ACK, 2, 2}}, {{SYN, 3, 3}, {SYN_ACK, 3, 3}}},
	 .buckets = 2,
	 .v6 = true,
	 .scanned = true},
};

const size_t n_situations = sizeof(situations) / sizeof(situations[0]);
