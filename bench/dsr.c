// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Row 1d: DSR. A packet of an established flow that goes to its backend's node behind an outer
 * header, and one that has come so and goes on to a pod, each beside an ordinary packet of row 1
 * (a datapath of its own) in the same rounds. What comes out is compared with what should, byte for
 * byte, before each measurement, and nothing may be dropped in it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "bench/contenders.h"
#include "lb/base/cleanup.h"

#define TCP_ACK 0x10
#define TCP_HEADER 20
#define SIZES 8

enum side {
	ROW_1,
	SENT,	  /* the node that has been asked: packets leave it encapsulated */
	UNPACKED, /* the backend's node */
	SIDES,
};

static const char *const side_names[SIDES] = {
	[ROW_1] = "row 1", [SENT] = "sent on", [UNPACKED] = "unpacked"};

struct dsr {
	struct bench_arena *arenas[SIDES];
	enum bench_outer_kind outer;
	bool v6;
	const char *proto;
	uint32_t repeat, singles, endpoints;
	uint64_t sizes[SIZES];
	size_t n_sizes;
};

/* What is measured, in turn. Net of an empty program, of the same packets at the same hook. */
static const struct item {
	enum side column, side;
	enum bench_contender contender;
	bool single;
	const char *name;
} items[] = {
	{SENT, ROW_1, BENCH_EMPTY, false, NULL},
	{SENT, ROW_1, BENCH_FAIRLEAD, false, "row 1"},
	{SENT, SENT, BENCH_BARE_ENCAP, false, "bare-encap"},
	{SENT, SENT, BENCH_FAIRLEAD, false, "fairlead"},
	/* a program may encapsulate an skb once only */
	{SENT, ROW_1, BENCH_EMPTY_TC, true, NULL},
	{SENT, ROW_1, BENCH_TC_INGRESS, true, "row 1 at tc"},
	{SENT, SENT, BENCH_BARE_ENCAP_TC, true, "bare-encap at tc"},
	{SENT, SENT, BENCH_TC_INGRESS, true, "tc-ingress"},
	{UNPACKED, ROW_1, BENCH_EMPTY, false, NULL},
	{UNPACKED, ROW_1, BENCH_FAIRLEAD, false, "row 1"},
	{UNPACKED, UNPACKED, BENCH_EMPTY, false, NULL},
	{UNPACKED, UNPACKED, BENCH_BARE_DECAP, false, "bare-decap"},
	{UNPACKED, UNPACKED, BENCH_FAIRLEAD, false, "fairlead"},
	{UNPACKED, ROW_1, BENCH_EMPTY_TC, false, NULL},
	{UNPACKED, ROW_1, BENCH_TC_INGRESS, false, "row 1 at tc"},
	{UNPACKED, UNPACKED, BENCH_EMPTY_TC, false, NULL},
	{UNPACKED, UNPACKED, BENCH_BARE_DECAP_TC, false, "bare-decap at tc"},
	{UNPACKED, UNPACKED, BENCH_TC_INGRESS, false, "tc-ingress"},
};

static uint32_t ip_size(const struct dsr *dsr)
{
	return dsr->v6 ? 40 : 20;
}

/* Of what a client sends. */
static uint32_t packet_size(const struct dsr *dsr)
{
	return ip_size(dsr) + TCP_HEADER;
}

static enum bench_outer_kind outer_of(const struct dsr *dsr, enum side side)
{
	return side == UNPACKED ? dsr->outer : BENCH_NO_OUTER;
}

/* Expected bytes */

static uint32_t get32(const uint8_t *at)
{
	uint32_t word;

	memcpy(&word, at, sizeof(word));
	return ntohl(word);
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value & 0xff;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static uint32_t sum_of(const uint8_t *at, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += at[i] << 8 | at[i + 1];
	return sum;
}

static void sum_ip4(uint8_t *ip)
{
	put16(ip + 10, 0);
	put16(ip + 10, ~folded(sum_of(ip, 20)));
}

/* Address and port of the endpoint over those that the client has asked; as in RFC 1624. */
static void set_endpoint(const struct dsr *dsr, uint8_t *ip, uint32_t endpoint)
{
	const size_t size = dsr->v6 ? 16 : 4;
	uint8_t *to = ip + ip_size(dsr) - size, *l4 = ip + ip_size(dsr), *check = l4 + 16;
	const uint32_t net6 = htonl(BENCH_POD_NET6), low = htonl(endpoint);
	uint32_t sum = (uint16_t) ~(check[0] << 8 | check[1]);

	sum += (uint16_t)~folded(sum_of(to, size)) + (uint16_t)~folded(sum_of(l4 + 2, 2));
	memset(to, 0, size);
	memcpy(to, &net6, sizeof(net6));
	memcpy(to + size - sizeof(low), &low, sizeof(low));
	put16(l4 + 2, BENCH_POD_PORT);
	sum += sum_of(to, size) + sum_of(l4 + 2, 2);
	put16(check, ~folded(sum));
	if (!dsr->v6)
		sum_ip4(ip);
}

static bool is_endpoint(const struct dsr *dsr, uint32_t addr)
{
	return addr - (BENCH_POD_NET + 1) < dsr->endpoints;
}

/* `want`: the packet as it came, to become as it has to leave; of what is the node's to choose, as
 * it is in `got`. Returns the frame's length, 0: the node has chosen what is none. */
static uint32_t expect_sent(const struct dsr *dsr, const uint8_t *got, uint8_t *want)
{
	static const uint8_t gateway[ETH_ALEN] = {2, 0, 0, 0, 0, 2};
	const uint32_t size = bench_outer_size(dsr->v6, dsr->outer), l3 = ip_size(dsr);
	const uint8_t *outer = got + ETH_HLEN, *to = outer + l3 - 4;
	struct bench_outer o = {
		.from_net6 = BENCH_NODE_NET6,
		.from = dsr->v6 ? BENCH_NODE_LOW6 : BENCH_NODE,
		.to_net6 = BENCH_POD_NET6,
		.to = get32(to),
		.label = get32(outer) & 0xfffff,
		.inner = packet_size(dsr),
	};
	uint8_t *ip = want + ETH_HLEN + size;

	if (dsr->outer == BENCH_GENEVE) {
		o.pod_net6 = BENCH_POD_NET6;
		o.pod = get32(outer + size - 8);
		o.pod_port = BENCH_POD_PORT;
		o.sport = get32(outer + l3) >> 16;
		o.to_net6 = BENCH_PEER_NET6;
		o.to = dsr->v6 ? BENCH_PEER_LOW6 : BENCH_PEER;
		/* RFC 6335: not a port that is somebody's */
		if (o.sport < 49152)
			return 0;
	}
	if (!is_endpoint(dsr, dsr->outer == BENCH_GENEVE ? o.pod : o.to))
		return 0;
	memmove(ip, want + ETH_HLEN, packet_size(dsr));
	ip[dsr->v6 ? 7 : 8]--;
	if (!dsr->v6)
		sum_ip4(ip);
	bench_outer_write(want + ETH_HLEN, dsr->v6, dsr->outer, &o);
	memcpy(want, gateway, ETH_ALEN);
	memcpy(want + ETH_ALEN, bench_arena_mac(dsr->arenas[SENT]), ETH_ALEN);
	return ETH_HLEN + size + packet_size(dsr);
}

static uint32_t expect_unpacked(const struct dsr *dsr, uint64_t x, uint8_t *want)
{
	const uint32_t size = bench_outer_size(dsr->v6, dsr->outer);

	memmove(want + ETH_HLEN, want + ETH_HLEN + size, packet_size(dsr));
	set_endpoint(dsr, want + ETH_HLEN, bench_endpoint(x, dsr->endpoints));
	return ETH_HLEN + packet_size(dsr);
}

static int run_one(const struct dsr *dsr, const struct item *item, enum bench_contender c,
		   uint64_t x, uint8_t *out, uint32_t *ret_len, struct fl_err *err)
{
	struct bench_run run = {.first = x,
				.repeat = 1,
				.tcp_flags = TCP_ACK,
				.dsr = true,
				.outer = outer_of(dsr, item->side),
				.checksums = true,
				.single = item->single,
				.out = out};
	int rc = bench_arena_run(dsr->arenas[item->side], c, &run, err);

	*ret_len = run.out_len;
	return rc;
}

/* Pass a packet of flow x through, and look at what comes out. */
static int check_flow(const struct dsr *dsr, const struct item *item, uint64_t x,
		      struct fl_err *err)
{
	const uint32_t outer = bench_outer_size(dsr->v6, dsr->outer);
	uint8_t want[BENCH_OUT_LEN] = {0}, got[BENCH_OUT_LEN] = {0};
	uint32_t before, after, len;
	int rc = run_one(dsr, item, bench_contender_empty(item->contender), x, want, &before, err);

	if (!rc)
		rc = run_one(dsr, item, item->contender, x, got, &after, err);
	if (rc)
		return rc;
	len = item->side == SENT ? expect_sent(dsr, got, want) : expect_unpacked(dsr, x, want);
	if (len && after - before == (item->side == SENT ? outer : -outer) &&
	    !memcmp(got, want, len))
		return 0;
	for (uint32_t i = 0; i < len; i++)
		if (got[i] != want[i])
			return fl_err_set(err, -EPROTO,
					  "%s, flow %llu, %s: byte %u is %#x instead of %#x",
					  item->name, (unsigned long long)x, side_names[item->side],
					  i, got[i], want[i]);
	return fl_err_set(err, -EPROTO, "%s, flow %llu, %s: %u bytes came of %u", item->name,
			  (unsigned long long)x, side_names[item->side], after, before);
}

/* Measuring */

static bool is_judged(const struct item *item)
{
	return item->side != ROW_1 &&
	       (item->contender == BENCH_FAIRLEAD || item->contender == BENCH_TC_INGRESS);
}

#define CHECKED 64

static int check_some(const struct dsr *dsr, const struct item *item, uint64_t flows,
		      struct fl_err *err)
{
	uint64_t x = 0;
	int rc = 0;

	for (int i = 0; i < CHECKED && !rc; i++) {
		rc = check_flow(dsr, item, x, err);
		x = bench_next(x, flows);
	}
	return rc;
}

/* In the embryonic state in which the flows of SENT are, a newcomer takes the place of the oldest
 * where five share a bucket of four: of so many flows one may be made again. */
#define CREATED_OF 1000

static int measure(const struct dsr *dsr, const struct item *item, uint64_t flows, double *ret_ns,
		   struct fl_err *err)
{
	struct bench_arena *arena = dsr->arenas[item->side];
	struct bench_fairlead *fairlead = bench_arena_fairlead(arena);
	struct bench_run run = {.flows = flows,
				.repeat = flows < 65536 ? flows : 65536,
				.tcp_flags = TCP_ACK,
				.dsr = true,
				.outer = outer_of(dsr, item->side),
				.single = item->single};
	uint64_t dropped, created;
	int rc = is_judged(item) ? check_some(dsr, item, flows, err) : 0;

	if (!rc)
		rc = bench_arena_run(arena, item->contender, &run, err); /* warm what can be */
	dropped = bench_fairlead_dropped(fairlead);
	created = bench_fairlead_counter(fairlead, FL_COUNTER_FLOW_NEW);
	run.repeat = item->single ? dsr->singles : dsr->repeat;
	if (!rc)
		rc = bench_arena_run(arena, item->contender, &run, err);
	if (rc)
		return rc;
	*ret_ns = run.ns;
	dropped = bench_fairlead_dropped(fairlead) - dropped;
	created = bench_fairlead_counter(fairlead, FL_COUNTER_FLOW_NEW) - created;
	if (dropped || created > (item->side == SENT ? run.repeat / CREATED_OF : 0))
		return fl_err_set(err, -EPROTO, "%s: %llu packets dropped, %llu flows made again",
				  side_names[item->side], (unsigned long long)dropped,
				  (unsigned long long)created);
	return 0;
}

static int round_of(const struct dsr *dsr, uint64_t flows, uint32_t round, struct fl_err *err)
{
	double empty[SIDES][2] = {{0}};

	for (size_t i = 0; i < sizeof(items) / sizeof(*items); i++) {
		const struct item *item = &items[i];
		const bool skb = bench_contender_empty(item->contender) == BENCH_EMPTY_TC;
		double ns;
		int rc;

		if (!bench_arena_has(dsr->arenas[item->side], item->contender))
			continue;
		rc = measure(dsr, item, flows, &ns, err);
		if (rc)
			return rc;
		if (!item->name) {
			empty[item->side][skb] = ns;
			continue;
		}
		/* what is sent on comes as that of row 1 does */
		printf("{\"row\":\"1d\",\"contender\":\"%s\",\"proto\":\"%s\",\"way\":\"%s\","
		       "\"flows\":%llu,\"round\":%u,\"ns\":%.2f,\"gross_ns\":%.2f}\n",
		       item->name, dsr->proto, side_names[item->column], (unsigned long long)flows,
		       round, ns - empty[item->side == UNPACKED ? UNPACKED : ROW_1][skb], ns);
	}
	return 0;
}

static void close_arenas(struct dsr *dsr)
{
	for (int side = 0; side < SIDES; side++)
		bench_arena_close(&dsr->arenas[side]);
}

static int open_arenas(struct dsr *dsr, uint32_t entries, const char *only, struct fl_err *err)
{
	static const enum bench_service_kind kinds[SIDES] = {
		[ROW_1] = BENCH_SERVED, [SENT] = BENCH_TUNNEL, [UNPACKED] = BENCH_ON_NODE};
	int rc = 0;

	for (int side = 0; side < SIDES && !rc; side++) {
		struct bench_arena_options options = {
			.only = only,
			.no_textbook = true,
			.services = 1,
			.endpoints = dsr->endpoints,
			.kind = kinds[side],
			.outer = side == ROW_1 ? BENCH_NO_OUTER : dsr->outer,
			.entries = entries,
			.proto = IPPROTO_TCP,
			.v6 = dsr->v6,
		};

		rc = bench_arena_open(&options, &dsr->arenas[side], err);
	}
	return rc;
}

static int prepare(const struct dsr *dsr, struct fl_err *err)
{
	int rc = 0;

	for (int side = 0; side < SIDES && !rc; side++) {
		uint64_t refused;

		rc = bench_arena_prepare(dsr->arenas[side], BENCH_FAIRLEAD,
					 dsr->sizes[dsr->n_sizes - 1], false, &refused, err);
		if (!rc && refused)
			rc = fl_err_set(err, -EPROTO, "%s: %llu flows were refused",
					side_names[side], (unsigned long long)refused);
	}
	return rc;
}

static int measure_all(struct dsr *dsr, uint32_t rounds, struct fl_err *err)
{
	int rc = prepare(dsr, err);

	for (uint32_t round = 0; round < rounds && !rc; round++)
		for (size_t i = 0; i < dsr->n_sizes && !rc; i++)
			rc = round_of(dsr, dsr->sizes[i], round, err);
	return rc;
}

int bench_dsr(int argc, char **argv, struct fl_err *err)
{
	const char *dispatch = bench_option_text(argc, argv, "--dispatch", "ipip");
	struct dsr dsr = {
		.outer = strcmp(dispatch, "geneve") ? BENCH_IPIP : BENCH_GENEVE,
		.proto = bench_option_text(argc, argv, "--proto", "tcp4"),
		.repeat = bench_option(argc, argv, "--repeat", 1000000),
		.singles = bench_option(argc, argv, "--singles", 20000),
		.endpoints = bench_option(argc, argv, "--endpoints", 256),
	};
	const uint32_t rounds = bench_option(argc, argv, "--rounds", 5);
	int rc = bench_pin_to_cpu(bench_last_cpu(), err);

	dsr.v6 = !strcmp(dsr.proto, "tcp6");
	if (!rc)
		rc = bench_sizes(bench_option_text(argc, argv, "--sizes", "1,65536"), SIZES,
				 dsr.sizes, &dsr.n_sizes, err);
	if (!rc && (dsr.endpoints & (dsr.endpoints - 1) || !dsr.endpoints))
		rc = fl_err_set(err, -EINVAL, "--endpoints: not a power of two");
	if (!rc)
		rc = open_arenas(&dsr, bench_option(argc, argv, "--entries", 1 << 20),
				 bench_option_text(argc, argv, "--only", NULL), err);
	if (!rc)
		rc = measure_all(&dsr, rounds, err);
	close_arenas(&dsr);
	return rc;
}
