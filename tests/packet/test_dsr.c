// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* DSR on the client's side: packets of outside clients go to backends of other nodes as they are,
 * behind an outer header; any node takes a connection over. */
#include "tests/packet/tunnel.h"

#include <string.h>

/* The packet as it leaves for a backend: one hop less, and nothing else changed. */
static void expect_wrapped(struct trial *t, const struct packet *packet, unsigned int backend,
			   uint8_t tos)
{
	struct outer outer = outer_sent(t, backend);
	const struct packet inner = inner_sent(t, packet);
	struct frame want;

	outer.tos = tos;
	frame_build(&inner, &want);
	if (tos && t->family == FL_IPV4)
		frame_write(&want, ETH_HLEN + 1, &tos, 1);
	frame_wrap(&want, &outer);
	expect_sent_frame(t, net_dev(t->network), &want);
}

static struct packet client_says(struct trial *t, uint8_t flags, uint16_t payload, uint32_t seq)
{
	struct packet packet = packet_of(t);

	packet.flags = flags;
	packet.payload = payload;
	packet.seq = CLIENT_ISN + seq;
	packet.ack = flags & ACK ? BACKEND_ISN + 1 : 0;
	return packet;
}

static void expect_tunnelled(struct trial *t, uint64_t flows, uint64_t taken_over)
{
	expect_counter(t, FL_COUNTER_FLOW_NEW, flows);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, flows);
	expect_counter(t, FL_COUNTER_FLOW_TAKEN_OVER, taken_over);
}

/* The backend sees the client. */
static void flow_says_what_the_backend_sees(struct trial *t)
{
	for (unsigned int host = 50; host < 53; host++) {
		const struct packet packet = from_client(t, host, CLIENT_PORT);
		struct fl_flow flow;

		feed(t, &packet);
		assert_true(find_flow(t->p, &packet, &flow));
		assert_true(fl_ip_equal(&flow.source, &packet.src));
		assert_int_equal(flow.source_port, packet.sport);
	}
	expect_tunnelled(t, 3, 0);
}

static void whole_connection_goes_as_it_is(struct trial *t)
{
	struct packet packet = client_says(t, SYN, 0, 0);
	struct fl_flow flow;

	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	for (uint16_t i = 0; i < 20; i++) {
		packet = client_says(t, ACK | PSH, (uint16_t)(i * 70), 1);
		feed(t, &packet);
		expect_wrapped(t, &packet, 1, 0);
	}
	packet = client_says(t, FIN | ACK, 0, 1);
	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	expect_tunnelled(t, 1, 0);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 1);
	assert_true(find_flow(t->p, &packet, &flow));
	assert_false(flow.reply_known);
	assert_int_equal(flow.state, FL_FLOW_NEW);
	assert_int_equal(flow.packets, 22);
}

/* Backends of this node get the packet without any outer header, and answer by this node. */
static void local_backend_is_served_as_always(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk_expect_both(&talk);
}

static void pods_are_masqueraded(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct fl_flow flow;

	packet.src = addr(t->family, AT_POD, 9);
	feed(t, &packet);
	expect_outcome(t, SENT);
	flow = expect_flow(t, &packet);
	assert_true(flow.flags & FL_FLOW_SNAT);
}

/* What a node that has never seen the connection does with its segments. */
static void segments_of_no_flow_find_the_same_backend(struct trial *t)
{
	for (uint16_t i = 0; i < 40; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, (uint16_t)(CLIENT_PORT + i));
		struct fl_flow flow;

		packet.flags = SYN;
		feed(t, &packet);
		assert_true(find_flow(t->p, &packet, &flow));
		expect_wrapped(t, &packet, flow.backend_id, 0);
		plane_flows_clear(t->p);
		packet.flags = ACK;
		packet.seq = CLIENT_ISN + 5000;
		packet.ack = BACKEND_ISN + 7000;
		packet.payload = 300;
		feed(t, &packet);
		expect_wrapped(t, &packet, flow.backend_id, 0);
		feed(t, &packet);
		expect_wrapped(t, &packet, flow.backend_id, 0);
	}
	expect_tunnelled(t, 80, 40);
}

/* It goes on to its backend after the table has changed, once it is known. */
static void taken_over_connection_stays(struct trial *t)
{
	struct packet packet = client_says(t, ACK, 10, 9000);
	struct service other = {.id = 1,
				.family = t->family,
				.proto = t->proto,
				.flags = FL_TUNNEL | MASQUERADE_ALL,
				.ids = {{2}, {2}}};
	struct fl_ip second = addr(t->family, t->network, 2);

	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	backend_add(t->p, 2, &second, BACKEND_PORT, t->proto, 0);
	service_replace(t->p, t->fe, other);
	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	packet.sport++;
	feed(t, &packet);
	expect_wrapped(t, &packet, 2, 0);
	expect_tunnelled(t, 2, 2);
}

static const struct ending {
	struct row row;
	uint8_t flags;
} endings[] = {
	{ROW("FIN"), FIN | ACK},
	{ROW("RST"), RST},
	{ROW("SYN-ACK"), SYN | ACK},
};

static void endings_of_no_flow_are_sent_on_and_not_remembered(struct trial *t)
{
	const struct ending *row = t->row;
	struct packet packet = client_says(t, row->flags, 0, 9000);

	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	expect_flows(t, 0);
	expect_tunnelled(t, 0, 0);
}

static void segments_for_local_backends_are_not_taken_over(struct trial *t)
{
	struct packet packet = client_says(t, ACK, 10, 9000);

	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 0);
}

/* A connection that began before keeps its way, both ways round. */
static void running_flows_keep_their_way(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT + 7);

	talk_establish(&talk);
	serve(t, (struct scene){.more_flags = FL_TUNNEL});
	talk_expect_both(&talk);
	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	serve(t, (struct scene){});
	talk_expect_both(&talk);
	packet.flags = ACK;
	packet.seq++;
	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 2);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
}

static void new_connection_leaves_a_backend_that_is_gone(struct trial *t)
{
	struct packet packet = client_says(t, SYN, 0, 0);
	struct service other = {.id = 1,
				.family = t->family,
				.proto = t->proto,
				.flags = FL_TUNNEL | MASQUERADE_ALL,
				.ids = {{2}, {2}}};
	struct fl_ip second = addr(t->family, t->network, 2);

	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	backend_add(t->p, 2, &second, BACKEND_PORT, t->proto, 0);
	service_replace(t->p, t->fe, other);
	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	backend_remove(t->p, 1);
	feed(t, &packet);
	expect_wrapped(t, &packet, 2, 0);
	expect_tunnelled(t, 2, 0);
	expect_counter(t, FL_COUNTER_FLOW_RESTEERED, 1);
}

static void what_does_not_fit_is_answered(struct trial *t)
{
	const uint32_t outer = outer_size(t),
		       headers = l3_size(t) + (t->proto == IPPROTO_TCP ? 20 : 8);
	struct packet packet = client_says(t, ACK, 0, 1);
	const uint16_t most = (uint16_t)(NARROW_MTU - outer - headers);

	for (int i = 0; i < 2; i++) {
		packet.payload = most;
		feed(t, &packet);
		expect_wrapped(t, &packet, 1, 0);
		packet.payload = most + 1;
		feed(t, &packet);
		expect_answer(t, &packet, ICMP_PACKET_TOO_BIG, NARROW_MTU - outer,
			      FL_REASON_TOO_BIG);
	}
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
}

static void used_up_ttl_is_answered(struct trial *t)
{
	struct packet packet = client_says(t, SYN, 0, 0);

	feed(t, &packet);
	expect_wrapped(t, &packet, 1, 0);
	packet = client_says(t, ACK, 1, 1);
	packet.ttl = 1;
	feed(t, &packet);
	expect_answer(t, &packet, ICMP_TTL_EXCEEDED, 0, FL_REASON_TTL_EXCEEDED);
	expect_tunnelled(t, 1, 0);
}

static void class_of_service_is_copied(struct trial *t)
{
	struct packet packet = client_says(t, SYN, 0, 0);
	const uint8_t tos = 0xb9;
	struct frame frame;

	for (int i = 0; i < 2; i++) {
		frame_build(&packet, &frame);
		frame_write(&frame, ETH_HLEN + 1, &tos, 1);
		feed_frame(t, t->hook, DEV_EXT0, &frame);
		expect_wrapped(t, &packet, 1, tos);
		packet = client_says(t, ACK, 100, 1);
	}
	expect_tunnelled(t, 1, 0);
}

/* No packet of a flow has another outer source, or by Geneve source port, than the others, and
 * flows differ. */
static void sources_are_spread_by_flow(struct trial *t)
{
	const uint32_t at =
		by_geneve(t) ? l4_offset(t->family) : ETH_HLEN + (t->family == FL_IPV4 ? 12 : 8);
	uint8_t seen[64][16] = {0};
	unsigned int differ = 0;

	for (uint16_t i = 0; i < 64; i++) {
		struct packet packet = from_client(t, CLIENT_HOST, (uint16_t)(CLIENT_PORT + i));
		uint8_t *src = seen[i];
		const uint32_t size = by_geneve(t) ? 2 : t->family == FL_IPV4 ? 4 : 16;

		feed(t, &packet);
		expect_outcome(t, SENT);
		memcpy(src, t->r.out.b + at, size);
		if (by_geneve(t))
			assert_true(src[0] >= 0xc0);
		else
			assert_memory_equal(src,
					    t->family == FL_IPV4 ? (const void *)"\xc6\x13"
								 : (const void *)"\xfd\xaa",
					    2);
		packet.flags = ACK;
		packet.seq++;
		feed(t, &packet);
		expect_outcome(t, SENT);
		assert_memory_equal(src, t->r.out.b + at, size);
		differ += i && memcmp(src, seen[i - 1], size);
	}
	assert_true(differ > 60);
	expect_tunnelled(t, 64, 0);
}

#define DSR                                                                                        \
	{                                                                                          \
		.more_flags = FL_TUNNEL                                                            \
	}
#define ALL_WAYS ON_XDP | ON_XDP_TC | ON_TC_INGRESS
#define REMOTE (IN(AT_TX) | IN(AT_REDIRECT))

static const struct source {
	struct row row;
	const char *ip;
	bool known;
} tunnel_sources[] = {
	{ROW("first of IPv4", .families = ONLY_IPV4), "198.19.0.0", true},
	{ROW("last of IPv4", .families = ONLY_IPV4), "198.19.255.255", true},
	{ROW("before IPv4", .families = ONLY_IPV4), "198.18.255.255", false},
	{ROW("behind IPv4", .families = ONLY_IPV4), "198.20.0.0", false},
	{ROW("first of IPv6", .families = ONLY_IPV6), "fdaa::", true},
	{ROW("last of IPv6", .families = ONLY_IPV6), "fdaa::ffff", true},
	{ROW("behind IPv6", .families = ONLY_IPV6), "fdaa::1:0", false},
	{ROW("another prefix", .families = ONLY_IPV6), "fdab::1", false},
	{ROW("another network", .families = ONLY_IPV6), "fdaa:0:1::1", false},
	{ROW("another interface", .families = ONLY_IPV6), "fdaa::1:0:0:1", false},
};

/* What other nodes send has such sources as well: nobody else is unpacked for. */
static void nodes_have_sources_of_the_range(struct trial *t)
{
	const struct source *source = t->row;
	struct packet packet = packet_of(t);
	/* nodes that speak Geneve have no range */
	const bool known = source->known && !by_geneve(t);
	struct outer outer;
	struct frame frame;
	struct fl_ip ip;

	assert_int_equal(fl_ip_parse(source->ip, &ip), 0);
	outer = outer_came(t, ip, 1);
	/* the second time by what is remembered of the first */
	for (int i = 0; i < 2; i++) {
		frame_build(&packet, &frame);
		frame_wrap(&frame, &outer);
		feed_frame(t, t->hook, hook_dev(t->hook), &frame);
		if (known)
			expect_outcome(t, PASSED);
		else
			expect_drop(t, FL_REASON_TUNNEL_SOURCE);
		packet.sport++;
	}
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, known ? 2 : 0);
	allow_counter(t, FL_COUNTER_FLOW_NEW);
}

static const struct test tests[] = {
	{"DSR: packets go behind an outer header, with one hop less",
	 CHECK(whole_connection_goes_as_it_is), .hooks = ALL_WAYS, .networks = REMOTE,
	 .frontends = EVERY_FRONTEND, .scene = DSR},
	{"what is known of a flow says what its backend sees",
	 CHECK(flow_says_what_the_backend_sees), .hooks = ALL_WAYS, .scene = DSR},
	{"DSR by a device that XDP cannot use", CHECK(whole_connection_goes_as_it_is),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS, .networks = IN(AT_TC), .scene = DSR},
	{"DSR is for backends of other nodes", CHECK(local_backend_is_served_as_always),
	 .hooks = ALL_WAYS, .networks = IN(AT_POD), .scene = DSR},
	{"DSR is for clients from outside", CHECK(pods_are_masqueraded), .scene = DSR},
	{"any node takes a connection over, by the table",
	 CHECK(segments_of_no_flow_find_the_same_backend), .hooks = ALL_WAYS, .protos = ONLY_TCP,
	 .scene = {.more_flags = FL_TUNNEL, .backends = 5}},
	{"a connection that was taken over is remembered", CHECK(taken_over_connection_stays),
	 .hooks = ALL_WAYS, .protos = ONLY_TCP, .scene = DSR},
	{"what ends a connection begins none",
	 CHECK(endings_of_no_flow_are_sent_on_and_not_remembered), .hooks = ALL_WAYS,
	 .protos = ONLY_TCP, .scene = DSR, ROWS(endings)},
	{"only SYN opens a flow to a backend of this node",
	 CHECK(segments_for_local_backends_are_not_taken_over), .hooks = ALL_WAYS,
	 .protos = ONLY_TCP, .networks = IN(AT_POD), .scene = DSR},
	{"a change of the mode is for new flows", CHECK(running_flows_keep_their_way),
	 .hooks = ALL_WAYS},
	{"a SYN does not stay with a backend that is gone",
	 CHECK(new_connection_leaves_a_backend_that_is_gone), .hooks = ALL_WAYS, .scene = DSR},
	{"D4: what does not fit with its outer header is answered",
	 CHECK(what_does_not_fit_is_answered), .hooks = ALL_WAYS, .networks = IN(AT_NARROW),
	 .scene = DSR},
	{"an expired TTL is answered", CHECK(used_up_ttl_is_answered), .hooks = ALL_WAYS,
	 .scene = DSR},
	{"RFC 6040: the class of service is copied", CHECK(class_of_service_is_copied),
	 .families = ONLY_IPV4, .hooks = ALL_WAYS, .scene = DSR},
	{"tunnelSources: each flow has its outer source", CHECK(sources_are_spread_by_flow),
	 .hooks = ALL_WAYS, .scene = DSR, .plane = PLANE_SMALL},
	{"D5: and such sources are known", CHECK(nodes_have_sources_of_the_range),
	 .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD), .plane = PLANE_SMALL,
	 ROWS(tunnel_sources)},
};

const struct topic dsr_topic = {"dsr", TESTS(tests)};
const struct topic dsr_geneve_topic = {"dsr by geneve", TESTS(tests), .plane = PLANE_GENEVE};
