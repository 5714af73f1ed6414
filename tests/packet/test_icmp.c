// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Rule 5.1.5, robustness D4: ICMP errors about translated packets arrive where these came from,
 * translated like them, outside and inside, and leave no trace; RFC 792, 4443, 5508.
 */
#include "tests/packet/packet.h"
#include "tests/packet/talk.h"

#include <string.h>

#define EVERY_NETWORK (IN(AT_POD) | IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC))
#define REMOTE (IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC))

/* An error on its way, and what it must become. */
struct passage {
	struct icmp_error in, want;
	enum hook hook;
	enum dev dev, to; /* the device that it comes by, and leaves by */
	bool stack;	  /* it does not leave, but goes on in the stack */
};

/* As it looked where it could not go on: some hops later. */
#define HOPS_LEFT 17

static struct packet between(struct packet packet, const struct packet *like)
{
	packet.src = like->src;
	packet.dst = like->dst;
	packet.sport = like->sport;
	packet.dport = like->dport;
	return packet;
}

static bool leaves(enum hook hook)
{
	return ON_EGRESS & 1 << hook;
}

static void set_macs(const struct talk *talk, struct icmp_error *error, enum dev dev,
		     enum network network, bool leaving)
{
	const struct net *net = talk->t->p->net;

	error->src_mac = leaving ? net->mac[dev] : net->gateway_mac[network];
	error->dst_mac = leaving ? net->gateway_mac[network] : net->mac[dev];
}

/* Sent on by us: one hop less, and the addresses of the link it is sent to. */
static void send_on(const struct talk *talk, struct passage *passage, enum network network)
{
	passage->to = net_dev(network);
	passage->want.ttl--;
	set_macs(talk, &passage->want, passage->to, network, true);
}

/* About the client's last packet, which the backend was to get; from there, or from a router on the
 * way there. */
static struct passage about_request(const struct talk *talk, const struct fl_ip *router)
{
	const enum network client = client_network(talk->t->hook);
	struct passage p = {.hook = talk->reply_hook, .dev = talk->reply_dev};

	p.in = (struct icmp_error){
		.ttl = 64,
		.src = router ? *router : talk->inner.dst,
		.dst = talk->inner.src,
		.quoted = between(talk->client, &talk->inner),
	};
	p.in.quoted.ttl = HOPS_LEFT;
	set_macs(talk, &p.in, p.dev,
		 !leaves(p.hook)    ? talk->t->network
		 : p.dev == DEV_POD ? AT_POD
				    : AT_OUTSIDE,
		 leaves(p.hook));
	p.want = p.in;
	p.want.quoted = between(p.in.quoted, &talk->client);
	/* nobody else behind us has an address that the client knows */
	p.want.src = talk->client.dst;
	p.want.dst = talk->client.src;
	p.stack = leaves(p.hook) || (!talk->masqueraded && !talk->own_frontend);
	if (!p.stack)
		send_on(talk, &p, client);
	return p;
}

/* About the backend's last packet, which the client was to get. */
static struct passage about_reply(const struct talk *talk, const struct fl_ip *router)
{
	const struct packet inner = packet_reverse(&talk->inner),
			    client = packet_reverse(&talk->client);
	struct passage p = {.hook = talk->hook, .dev = talk->dev};

	p.in = (struct icmp_error){
		.ttl = 64,
		.src = router ? *router : talk->client.src,
		.dst = talk->client.dst,
		.dst_mac = talk->client.dst_mac,
		.src_mac = talk->client.src_mac,
		.quoted = between(talk->reply, &client),
	};
	p.in.quoted.ttl = HOPS_LEFT;
	p.want = p.in;
	p.want.quoted = between(p.in.quoted, &inner);
	p.want.dst = talk->inner.dst;
	p.stack = !talk->masqueraded;
	if (talk->masqueraded) {
		p.want.src = talk->inner.src;
		send_on(talk, &p, talk->t->network);
	}
	return p;
}

/* Which of the two directions, and from whom. */
struct way {
	struct row row;
	bool about_reply;
	bool router; /* not from the end itself */
};

static const struct way ways[] = {
	{ROW("about a request, from the backend"), false, false},
	{ROW("about a request, from a router"), false, true},
	{ROW("about a reply, from the client"), true, false},
	{ROW("about a reply, from a router"), true, true},
};

static struct passage passage_of(const struct talk *talk, const struct way *way)
{
	const struct fl_ip router = addr(talk->t->family, AT_FOREIGN, 7);

	return (way->about_reply ? about_reply : about_request)(talk, way->router ? &router : NULL);
}

/* A flow with a packet each way, as long as routers may quote them whole. */
static struct talk talk_both_ways(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk.client.payload = 40;
	talk.inner.payload = 60;
	talk_send(&talk, ACK);
	talk_expect_request(&talk);
	talk.inner.payload = 60;
	talk_reply(&talk, ACK);
	talk_expect_reply(&talk);
	return talk;
}

static void feed_error(struct trial *t, const struct passage *passage)
{
	struct frame frame;

	frame_build_error(&passage->in, &frame);
	feed_frame(t, passage->hook, passage->dev, &frame);
}

#define expect_passage(t, passage) do_expect_passage(AT_LINE(t), passage)
static void do_expect_passage(struct trial *t, const struct passage *passage)
{
	struct frame frame;

	frame_build_error(&passage->want, &frame);
	if (!passage->stack) {
		do_expect_sent_frame(t, passage->to, &frame);
		return;
	}
	do_expect_outcome(t, PASSED);
	do_expect_frame(t, &frame);
}

/* Both entries of the flow. */
struct entries {
	struct fl_flow_head request, reply;
};

static struct entries entries_of(const struct talk *talk)
{
	struct trial *t = talk->t;
	struct fl_flow flow = expect_flow(t, &talk->client);

	return (struct entries){
		.request = *plane_head(t->p, t->family, flow.slot),
		.reply = *plane_head(t->p, t->family, flow.reply_slot),
	};
}

static void expect_entries(const struct talk *talk, const struct entries *before)
{
	const struct entries after = entries_of(talk);

	if (memcmp(&after, before, sizeof(after)))
		trial_fail(talk->t, "the error has changed the flow");
}

struct message {
	struct row row;
	enum icmp_kind kind;
	uint32_t info;
};

static const struct message messages[] = {
	{ROW("port unreachable"), ICMP_PORT_UNREACHABLE, 0},
	{ROW("too big"), ICMP_PACKET_TOO_BIG, 1280},
	{ROW("TTL exceeded"), ICMP_TTL_EXCEEDED, 0},
	{ROW("no route"), ICMP_NO_ROUTE, 0},
	{ROW("host unreachable"), ICMP_HOST_UNREACHABLE, 0},
	{ROW("prohibited"), ICMP_PROHIBITED, 0},
	{ROW("reassembly time exceeded"), ICMP_REASSEMBLY_EXCEEDED, 0},
	{ROW("parameter problem"), ICMP_BAD_HEADER, 0x01000000},
	{ROW("source quench, private"), ICMP_SOURCE_QUENCH, 0},
};

static void error_is_translated(struct trial *t)
{
	const struct message *message = t->row;
	struct talk talk = talk_both_ways(t);
	const struct entries before = entries_of(&talk);
	uint64_t n = 0;

	for (size_t i = 0; i < N(ways); i++) {
		struct passage passage = passage_of(&talk, &ways[i]);

		passage.in.kind = passage.want.kind = message->kind;
		passage.in.info = passage.want.info = message->info;
		feed_error(t, &passage);
		expect_passage(t, &passage);
		/* where XDP leaves it to tc, only the latter translates */
		expect_counter(t, FL_COUNTER_ICMP_ERROR, ++n);
	}
	expect_entries(&talk, &before);
	talk_expect_both(&talk);
}

/* How much of the packet is quoted, and in what form. */
struct quotation {
	struct row row;
	uint16_t l4; /* bytes behind the IP header */
	uint8_t options, quoted_header;
	uint16_t damage;
	bool bad_sum;
};

static const struct quotation quotations[] = {
	{ROW("8 bytes of L4"), 8, 0, 0, 0, false},
	{ROW("the ports alone"), 4, 0, 0, 0, false},
	{ROW("7 bytes", .protos = ONLY_TCP), 7, 0, 0, 0, false},
	{ROW("9 bytes"), 9, 0, 0, 0, false},
	{ROW("17 bytes", .protos = ONLY_UDP), 17, 0, 0, 0, false},
	{ROW("18 bytes"), 18, 0, 0, 0, false},
	{ROW("20 bytes"), 20, 0, 0, 0, false},
	{ROW("all of it"), 1000, 0, 0, 0, false},
	{ROW("a checksum that was wrong"), 1000, 0, 0, 0x4321, false},
	{ROW("a wrong checksum of its own"), 1000, 0, 0, 0, true},
	{ROW("options in the quotation", .families = ONLY_IPV4), 8, 0, 12, 0, false},
	{ROW("as many options as there may be", .families = ONLY_IPV4), 20, 40, 40, 0, false},
	{ROW("a fragment header in it", .families = ONLY_IPV6), 8, 0, 8, 0, false},
	{ROW("the ports alone behind it", .families = ONLY_IPV6), 4, 0, 8, 0, false},
	{ROW("options before the message", .families = ONLY_IPV4), 8, 8, 0, 0, false},
	{ROW("and a checksum", .families = ONLY_IPV4), 20, 40, 0, 0, false},
};

static void quotation_may_be_truncated(struct trial *t)
{
	const struct quotation *quotation = t->row;
	struct talk talk = talk_both_ways(t);
	const struct entries before = entries_of(&talk);

	for (size_t i = 0; i < N(ways); i++) {
		struct passage passage = passage_of(&talk, &ways[i]);
		struct icmp_error *const both[] = {&passage.in, &passage.want};

		for (size_t e = 0; e < N(both); e++) {
			both[e]->cut = (uint16_t)(l4_offset(t->family) - ETH_HLEN +
						  quotation->quoted_header + quotation->l4);
			both[e]->options = quotation->options;
			both[e]->quoted_header = quotation->quoted_header;
			both[e]->damage = quotation->damage;
			both[e]->bad_sum = quotation->bad_sum;
		}
		feed_error(t, &passage);
		expect_passage(t, &passage);
	}
	expect_entries(&talk, &before);
}

/* Which stays as it is: nobody can tell whether it is right. */
static void half_a_checksum_is_left(struct trial *t)
{
	const uint16_t l4 = t->proto == IPPROTO_TCP ? 17 : 7;
	struct talk talk = talk_both_ways(t);

	for (size_t i = 0; i < N(ways); i++) {
		struct passage passage = passage_of(&talk, &ways[i]);
		struct frame frame;

		passage.in.cut = passage.want.cut =
			(uint16_t)(l4_offset(t->family) - ETH_HLEN + l4);
		feed_error(t, &passage);
		frame_build_error(&passage.want, &frame);
		frame.b[frame.len - 1] = t->in.b[t->in.len - 1];
		frame_sum_icmp(&frame);
		if (passage.stack)
			expect_frame(t, &frame);
		else
			expect_sent_frame(t, passage.to, &frame);
	}
}

/* A datagram without a checksum has none in the quotation either. */
static void no_checksum_stays_none(struct trial *t)
{
	struct talk talk = talk_both_ways(t);

	for (size_t i = 0; i < N(ways); i++) {
		struct passage passage = passage_of(&talk, &ways[i]);

		passage.in.quoted.no_checksum = passage.want.quoted.no_checksum = true;
		feed_error(t, &passage);
		expect_passage(t, &passage);
	}
}

/* What makes an error one that is about no flow. */
struct stray {
	struct row row;
	void (*change)(struct trial *t, struct icmp_error *error);
};

static void other_port(struct trial *t, struct icmp_error *error)
{
	error->quoted.sport++;
	error->quoted.dport++;
}

static void other_source(struct trial *t, struct icmp_error *error)
{
	error->quoted.src = addr(t->family, AT_FOREIGN, 9);
}

static void other_destination(struct trial *t, struct icmp_error *error)
{
	error->quoted.dst = addr(t->family, AT_FOREIGN, 9);
}

static void loopback(struct trial *t, struct icmp_error *error)
{
	error->quoted.dst = ip(t->family == FL_IPV4 ? "127.0.0.1" : "::1");
}

static void group(struct trial *t, struct icmp_error *error)
{
	error->quoted.dst = addr(t->family, AT_FOREIGN, 9);
	error->quoted.dst.b[t->family == FL_IPV4 ? 12 : 0] = t->family == FL_IPV4 ? 224 : 0xff;
}

static void unspecified(struct trial *t, struct icmp_error *error)
{
	error->quoted.dst = fl_ip_unspecified(t->family);
}

static void no_ports(struct trial *t, struct icmp_error *error)
{
	error->cut = (uint16_t)(l4_offset(t->family) - ETH_HLEN + 3);
}

static void nothing(struct trial *t, struct icmp_error *error)
{
	error->cut = 1;
}

static void half_a_header(struct trial *t, struct icmp_error *error)
{
	error->cut = 19;
}

static const struct stray strays[] = {
	{ROW("other ports"), other_port},
	{ROW("a quoted source that does not get it"), other_source},
	{ROW("another quoted destination"), other_destination},
	{ROW("a quoted loopback address"), loopback},
	{ROW("a quoted group"), group},
	{ROW("a quoted address of nobody"), unspecified},
	{ROW("without ports"), no_ports},
	{ROW("without anything"), nothing},
	{ROW("half a quoted header"), half_a_header},
};

/* The backend's side has an address of ours, or knows the client's: the stack sees to it. The
 * other's has a Service's, which is nobody's. */
static void error_about_no_flow(struct trial *t)
{
	const struct stray *stray = t->row;
	struct talk talk = talk_both_ways(t);
	const struct entries before = entries_of(&talk);
	struct passage passage;

	for (size_t i = 0; i < N(ways); i++) {
		passage = passage_of(&talk, &ways[i]);
		stray->change(t, &passage.in);
		feed_error(t, &passage);
		if (!ways[i].about_reply || talk.own_frontend ||
		    (passage.hook == HOOK_POD_INGRESS && t->to->type != FL_FRONTEND_CLUSTER_IP))
			expect_untouched(t);
		else
			expect_drop(t, FL_REASON_NO_FLOW);
	}
	expect_entries(&talk, &before);
	expect_flows(t, 1);
	expect_counter(t, FL_COUNTER_ICMP_ERROR, 0);
}

struct liar {
	struct row row;
	const char *source; /* NULL: an address of this node */
	bool looping;
};

static const struct liar liars[] = {
	{ROW("127.0.0.1", .families = ONLY_IPV4), "127.0.0.1", false},
	{ROW("0.0.0.0", .families = ONLY_IPV4), "0.0.0.0", false},
	{ROW("224.0.0.1", .families = ONLY_IPV4), "224.0.0.1", false},
	{ROW("255.255.255.255", .families = ONLY_IPV4), "255.255.255.255", false},
	{ROW("169.254.1.1", .families = ONLY_IPV4), "169.254.1.1", false},
	{ROW("::1", .families = ONLY_IPV6), "::1", false},
	{ROW("::", .families = ONLY_IPV6), "::", false},
	{ROW("ff02::1", .families = ONLY_IPV6), "ff02::1", false},
	{ROW("fe80::1", .families = ONLY_IPV6), "fe80::1", false},
	{ROW("mapped IPv4", .families = ONLY_IPV6), "192.0.2.10", false},
	{ROW("the node's own"), NULL, false},
	{ROW("the address that it is for"), NULL, true},
};

/* Sent on under an address of ours, they would be made respectable. */
static void impossible_sources_pass(struct trial *t)
{
	const struct liar *liar = t->row;
	struct talk talk = talk_both_ways(t);
	const struct entries before = entries_of(&talk);

	for (size_t i = 0; i < N(ways); i++) {
		struct passage passage = passage_of(&talk, &ways[i]);

		passage.in.src = liar->looping	? passage.in.dst
				 : liar->source ? ip(liar->source)
						: addr(t->family, AT_EXT1, 1);
		feed_error(t, &passage);
		/* D7: the kernel would send it on, perhaps back to us */
		if (liar->looping && fl_ip_equal(&passage.in.dst, &t->to->ip))
			expect_drop(t, FL_REASON_FRONTEND_SOURCE);
		else
			expect_untouched(t);
	}
	expect_entries(&talk, &before);
}

/* A redirect is for the node, if for anybody. */
static void redirect_is_left_alone(struct trial *t)
{
	struct talk talk = talk_both_ways(t);

	for (size_t i = 0; i < N(ways); i++) {
		struct passage passage = passage_of(&talk, &ways[i]);

		passage.in.kind = ICMP_REDIRECTED;
		feed_error(t, &passage);
		expect_untouched(t);
	}
}

/* RFC 1122, 3.2.2: no error about an error. */
static void error_is_never_answered(struct trial *t)
{
	struct talk talk = talk_both_ways(t);

	for (size_t i = 0; i < N(ways); i++) {
		struct passage passage = passage_of(&talk, &ways[i]);

		passage.in.ttl = 1;
		feed_error(t, &passage);
		expect_drop(t, FL_REASON_TTL_EXCEEDED);
	}
}

/* As some routers quote as much as there is. */
static void large_error(struct trial *t)
{
	const struct way *way = t->row;
	struct talk talk = talk_both_ways(t);
	struct passage passage = passage_of(&talk, way);
	const uint32_t headers = l4_offset(t->family) - ETH_HLEN + 8;

	/* as large as the way out takes, and a byte more */
	for (uint16_t over = 0; over < 2; over++) {
		passage.in.cut = passage.want.cut = (uint16_t)(NARROW_MTU - headers + over);
		passage.in.quoted.payload = passage.want.quoted.payload = 1450;
		feed_error(t, &passage);
		if (!over)
			expect_passage(t, &passage);
		else if (t->family == FL_IPV4 && t->hook == HOOK_XDP)
			expect_left_to_tc(t); /* which could divide it */
		else
			expect_drop(t, FL_REASON_TOO_BIG);
	}
}

/* The client and the backend end it with a RST; what is late is still theirs. */
static void error_about_a_flow_that_is_over(struct trial *t)
{
	struct talk talk = talk_both_ways(t);
	struct passage passage;
	struct fl_flow flow;

	talk_reply(&talk, RST | ACK);
	flow = expect_flow(t, &talk.client);
	for (size_t i = 0; i < N(ways); i++) {
		passage = passage_of(&talk, &ways[i]);
		feed_error(t, &passage);
		expect_passage(t, &passage);
	}
	flow_age(t->p, &flow, 86401 * t->p->config.hz);
	passage = passage_of(&talk, &ways[2]);
	feed_error(t, &passage);
	expect_drop(t, FL_REASON_NO_FLOW);
}

static const struct test tests[] = {
	{"5.1.5: an ICMP error about a flow is translated, and changes nothing of it",
	 CHECK(error_is_translated), .hooks = ON_INGRESS, .networks = EVERY_NETWORK,
	 ROWS(messages)},
	{"5.1.5: of each frontend", CHECK(error_is_translated), .hooks = ON_XDP,
	 .networks = IN(AT_POD) | IN(AT_TX), .frontends = EVERY_FRONTEND, .rows = messages,
	 .row_size = sizeof(messages[0]), .n_rows = 2},
	{"5.1.5: of a flow that keeps its source", CHECK(error_is_translated), .hooks = ON_NETWORK,
	 .networks = REMOTE, .frontends = EVERY_FRONTEND, .scene = {.keep_source = true},
	 .rows = messages, .row_size = sizeof(messages[0]), .n_rows = 2},
	{"D4: of the quoted packet the ports are enough, and every checksum stays as right or "
	 "wrong "
	 "as it was",
	 CHECK(quotation_may_be_truncated), .hooks = ON_INGRESS, .networks = IN(AT_POD) | IN(AT_TX),
	 ROWS(quotations)},
	{"D4: half a checksum stays as it is", CHECK(half_a_checksum_is_left), .hooks = ON_INGRESS,
	 .networks = IN(AT_POD) | IN(AT_TX)},
	{"D8: a quoted datagram without a checksum stays so", CHECK(no_checksum_stays_none),
	 .protos = ONLY_UDP, .hooks = ON_INGRESS, .networks = IN(AT_POD) | IN(AT_TX)},
	{"D4: an error about no flow is the stack's, or for a Service's address nobody's",
	 CHECK(error_about_no_flow), .hooks = ON_INGRESS, .networks = IN(AT_POD) | IN(AT_TX),
	 ROWS(strays)},
	{"D4: at each frontend", CHECK(error_about_no_flow), .hooks = ON_INGRESS,
	 .networks = IN(AT_TX), .frontends = EVERY_FRONTEND, .rows = strays,
	 .row_size = sizeof(strays[0]), .n_rows = 1},
	{"D6: an error from an address that never comes from a wire, or our own, passes",
	 CHECK(impossible_sources_pass), .hooks = ON_INGRESS, .networks = IN(AT_TX), ROWS(liars)},
	{"a redirect is left to the stack", CHECK(redirect_is_left_alone), .hooks = ON_INGRESS,
	 .networks = IN(AT_TX)},
	{"D7: an error whose TTL is used up is dropped, not answered",
	 CHECK(error_is_never_answered), .hooks = ON_INGRESS, .networks = REMOTE},
	{"D9: so is one that is too big for the way out", CHECK(large_error), .hooks = ON_INGRESS,
	 .networks = IN(AT_NARROW), .rows = &ways[2], .row_size = sizeof(ways[0]), .n_rows = 2},
	{"D4: late errors about a flow are translated until it is forgotten",
	 CHECK(error_about_a_flow_that_is_over), .protos = ONLY_TCP, .hooks = ON_NETWORK,
	 .networks = IN(AT_TX)},
};

const struct topic icmp_topic = {"icmp errors", TESTS(tests)};
