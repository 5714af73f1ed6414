// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What begins a flow: for TCP a SYN and nothing else. The rest of no flow passes as it is, or is
 * dropped under a name; it takes no port and reaches no backend.
 */
#include "tests/packet/packet.h"

/* Left alone where the address is the node's own, otherwise dropped. */
static void expect_not_served(struct trial *t, const struct packet *packet)
{
	if (t->to->type == FL_FRONTEND_NODE_PORT)
		expect_untouched(t);
	else
		expect_drop(t, FL_REASON_NO_FLOW);
	expect_no_flow(t, packet);
	assert_int_equal(plane_counter(t->p, FL_COUNTER_FLOW_NEW), 0);
}

struct segment {
	struct row row;
	uint8_t flags;
};

static const struct segment segments[] = {
	{ROW("RST"), RST},
	{ROW("RST and ACK"), RST | ACK},
	{ROW("FIN and ACK"), FIN | ACK},
	{ROW("FIN"), FIN},
	{ROW("SYN and ACK"), SYN | ACK},
	{ROW("ACK"), ACK},
	{ROW("no flag"), 0},
	{ROW("every flag"), 0x3f},
	{ROW("SYN and FIN"), SYN | FIN},
	{ROW("SYN and RST"), SYN | RST},
};

static void only_syn_opens_a_flow(struct trial *t)
{
	const struct segment *segment = t->row;
	struct packet packet = packet_of(t);

	packet.flags = segment->flags;
	feed(t, &packet);
	expect_not_served(t, &packet);
	packet.flags = SYN;
	feed(t, &packet);
	expect_flow(t, &packet);
}

/* ... nor is it rejected: a verdict is for new flows (5.7.3). */
static void only_syn_is_rejected(struct trial *t)
{
	const struct segment *segment = t->row;
	struct packet packet = packet_of(t);

	service_replace(t->p, t->fe,
			(struct service){.id = 1, .family = t->family, .proto = t->proto});
	packet.flags = segment->flags;
	feed(t, &packet);
	expect_not_served(t, &packet);
}

/* It was there before a Service got that node port: nothing of its beginning was seen. */
static void open_connection_at_a_new_node_port(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.sport = 443;
	packet.flags = ACK | PSH;
	packet.payload = 100;
	feed(t, &packet);
	expect_not_served(t, &packet);
}

static const struct test tests[] = {
	{"only a SYN opens a flow", CHECK(only_syn_opens_a_flow), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD), .frontends = EVERY_FRONTEND,
	 ROWS(segments)},
	{"5.7.3: and only a SYN is rejected", CHECK(only_syn_is_rejected), .protos = ONLY_TCP,
	 .hooks = ON_INGRESS, .frontends = EVERY_FRONTEND, ROWS(segments)},
	{"a connection of the node that was there before the node port is left alone",
	 CHECK(open_connection_at_a_new_node_port), .protos = ONLY_TCP, .hooks = ON_NETWORK,
	 .frontends = 1 << 3},
};

const struct topic opening_topic = {"opening", TESTS(tests)};
