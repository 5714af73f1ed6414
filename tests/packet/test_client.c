// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which class a client is of, and with which source it is sent on: rules 5.2 and 5.3, hairpins, and
 * sources that cannot be. */
#include "tests/packet/packet.h"

#include <string.h>

#define REMOTE (IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC))

struct masquerade {
	struct row row;
	enum network source;
	uint16_t flags; /* which classes are masqueraded */
	bool masqueraded;
};

/* The agent sets a bit for each class; the datapath finds the class. */
static const struct masquerade masquerades[] = {
	{ROW("outside", .hooks = ON_NETWORK), AT_OUTSIDE, FL_MASQUERADE_OUTSIDE, true},
	{ROW("outside, kept", .hooks = ON_NETWORK), AT_OUTSIDE,
	 FL_MASQUERADE_POD | FL_MASQUERADE_NODE, false},
	{ROW("pod by its network", .hooks = ON_NETWORK), AT_NARROW, FL_MASQUERADE_POD, true},
	/* 5.3.6: the backend would answer it directly */
	{ROW("pod of another node, kept by the agent", .hooks = ON_NETWORK), AT_NARROW,
	 FL_MASQUERADE_OUTSIDE | FL_MASQUERADE_NODE, true},
	{ROW("pod by its device", .hooks = ON_POD_INGRESS), AT_OUTSIDE, FL_MASQUERADE_POD, true},
	{ROW("pod by its device, kept", .hooks = ON_POD_INGRESS), AT_OUTSIDE, FL_MASQUERADE_OUTSIDE,
	 false},
	{ROW("no class"), AT_OUTSIDE, 0, false},
};

static void class_decides_on_masquerading(struct trial *t)
{
	const struct masquerade *row = t->row;
	struct talk talk = talk_begin(t);

	serve(t, (struct scene){.keep_source = true, .more_flags = row->flags});
	talk.client.src = addr(t->family, row->source, 99);
	talk.masqueraded = row->masqueraded;
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
	if (!row->masqueraded)
		assert_int_equal(talk.inner.sport, CLIENT_PORT);
}

/* What is only masqueraded because its replies must come back this way: not if they cannot. */
static void only_external_devices_masquerade(struct trial *t)
{
	struct fl_ip inside = addr(t->family, AT_POD, 20);
	struct talk talk = talk_begin(t);

	/* a backend behind a device that is not external, though not on this node's list */
	backend_add(t->p, 1, &inside, BACKEND_PORT, t->proto, 0);
	talk_send(&talk, SYN);
	expect_outcome(t, PASSED);
	expect_address(t, &talk.inner.src, &talk.client.src);
}

/* The reply comes in from the network and is translated for the stack, or where the frontend is an
 * address of the node, sent on. */
static void kept_source_to_another_node(struct trial *t)
{
	struct talk talk = talk_begin(t);

	for (int i = 0; i < 3; i++) {
		talk_send(&talk, i ? ACK : SYN);
		talk_expect_request(&talk);
		talk_reply(&talk, i ? ACK : SYN | ACK);
		talk_expect_reply(&talk);
	}
}

struct impossible {
	struct row row;
	const char *source; /* NULL: the node's own address */
	bool looping;	    /* the address and port that is asked */
};

static const struct impossible impossibles[] = {
	{ROW("0.0.0.0", .families = ONLY_IPV4), "0.0.0.0", false},
	{ROW("0.1.2.3", .families = ONLY_IPV4), "0.1.2.3", false},
	{ROW("127.0.0.1", .families = ONLY_IPV4), "127.0.0.1", false},
	{ROW("127.255.0.9", .families = ONLY_IPV4), "127.255.0.9", false},
	{ROW("169.254.1.1", .families = ONLY_IPV4), "169.254.1.1", false},
	{ROW("224.0.0.1", .families = ONLY_IPV4), "224.0.0.1", false},
	{ROW("239.1.1.1", .families = ONLY_IPV4), "239.1.1.1", false},
	{ROW("255.255.255.255", .families = ONLY_IPV4), "255.255.255.255", false},
	{ROW("::", .families = ONLY_IPV6), "::", false},
	{ROW("::1", .families = ONLY_IPV6), "::1", false},
	{ROW("fe80::1", .families = ONLY_IPV6), "fe80::1", false},
	{ROW("febf::9", .families = ONLY_IPV6), "febf::9", false},
	{ROW("ff02::1", .families = ONLY_IPV6), "ff02::1", false},
	{ROW("ff0e::5", .families = ONLY_IPV6), "ff0e::5", false},
	{ROW("mapped IPv4", .families = ONLY_IPV6), "192.0.2.10", false},
	{ROW("the node's own"), NULL, false},
	{ROW("the address that is asked"), NULL, true},
};

static struct packet impossible_packet(const struct trial *t)
{
	const struct impossible *row = t->row;
	struct packet packet = packet_of(t);

	packet.src = row->looping  ? packet.dst
		     : row->source ? ip(row->source)
				   : addr(t->family, AT_EXT1, 1);
	if (row->looping)
		packet.sport = packet.dport;
	return packet;
}

/* Whether the address that is asked is nobody's. */
static bool stands_for(const struct trial *t)
{
	return t->to->type == FL_FRONTEND_CLUSTER_IP ||
	       (t->to->type != FL_FRONTEND_NODE_PORT && t->hook != HOOK_POD_INGRESS);
}

static void impossible_sources_pass(struct trial *t)
{
	const struct impossible *row = t->row;
	struct packet packet = impossible_packet(t);

	feed(t, &packet);
	/* D7: the kernel would send it on, perhaps back to us */
	if (row->looping && stands_for(t))
		expect_drop(t, FL_REASON_FRONTEND_SOURCE);
	else
		expect_untouched(t);
	expect_flows(t, 0);
}

static void impossible_sources_are_not_answered(struct trial *t)
{
	const struct impossible *row = t->row;
	struct packet packet = impossible_packet(t);

	packet.dport++; /* 2.22 */
	feed(t, &packet);
	if (row->looping && stands_for(t))
		expect_drop(t, FL_REASON_FRONTEND_SOURCE);
	else
		expect_untouched(t);
}

/* Only the broadcast address is not an address. */
static void class_e_clients_are_served(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk.client.src = ip("240.10.0.1");
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
}

struct mapped {
	struct row row;
	enum fl_frontend_type type;
	uint16_t port;
};

static const struct mapped mappeds[] = {
	{ROW("a frontend"), FL_FRONTEND_CLUSTER_IP, SERVICE_PORT},
	{ROW("an unknown port"), FL_FRONTEND_CLUSTER_IP, 81},
	{ROW("a node port"), FL_FRONTEND_NODE_PORT, NODE_PORT},
};

/* Its key would be that of the IPv4 frontend. */
static void mapped_destination_passes(struct trial *t)
{
	const struct mapped *row = t->row;
	struct packet packet = packet_of(t);

	packet.family = FL_IPV6;
	packet.src = addr(FL_IPV6, client_network(t->hook), CLIENT_HOST);
	packet.dst = t->fe[row->type == FL_FRONTEND_NODE_PORT ? 3 : 0].ip;
	packet.dport = row->port;
	feed(t, &packet);
	expect_untouched(t);
	assert_int_equal(plane_count(t->p, FL_IPV4) + plane_count(t->p, FL_IPV6), 0);
}

/* Through the stack's neighbour tables to the pod's device, as one of ours. */
static struct packet to_pod(const struct trial *t, struct packet packet)
{
	packet.ttl--;
	packet.dst_mac = t->p->net->gateway_mac[AT_POD];
	packet.src_mac = t->p->net->mac[DEV_POD];
	return packet;
}

static void pod_reaches_itself(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	struct packet packet = from_client(t, 1, CLIENT_PORT), want;
	struct fl_flow flow;

	feed(t, &packet);
	flow = expect_flow(t, &packet);
	expect_address(t, &flow.source, &node);
	assert_true(plane_may_use_port(t->p, flow.source_port));
	want = translated(&packet, &flow);
	want = to_pod(t, want);
	expect_sent(t, DEV_POD, &want);

	want = packet_reverse(&want);
	want.dst_mac = packet.dst_mac;
	want.src_mac = packet.src_mac;
	want.flags = SYN | ACK;
	want.ttl = 64;
	feed(t, &want);
	want.src = packet.dst;
	want.sport = packet.dport;
	want.dst = packet.src;
	want.dport = packet.sport;
	want = to_pod(t, want);
	expect_sent(t, DEV_POD, &want);
}

struct local_masquerade {
	struct row row;
	bool keep; /* the agent wants the source kept */
};

static const struct local_masquerade local_masquerades[] = {
	{ROW("masqueraded"), false},
	{ROW("kept by the agent"), true},
};

static void local_backends_are_masqueraded_on_request(struct trial *t)
{
	const struct local_masquerade *row = t->row;
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	struct packet packet = packet_of(t), want;
	struct fl_flow flow;

	serve(t, (struct scene){.keep_source = row->keep});
	feed(t, &packet);
	flow = expect_flow(t, &packet);
	expect_address(t, &flow.source, row->keep ? &packet.src : &node);
	want = translated(&packet, &flow);
	if (row->keep) {
		expect_stack(t, &want);
		return;
	}
	want = to_pod(t, want);
	expect_sent(t, DEV_POD, &want);
}

static const struct test tests[] = {
	{"5.3: the class of a client decides whether its source is masqueraded",
	 CHECK(class_decides_on_masquerading), .hooks = ON_INGRESS, .networks = REMOTE,
	 ROWS(masquerades)},
	{"only what leaves by an external device is masqueraded",
	 CHECK(only_external_devices_masquerade), .hooks = ON_INGRESS},
	{"a source that is kept: the reply of another node is translated too",
	 CHECK(kept_source_to_another_node), .hooks = ON_NETWORK, .networks = REMOTE,
	 .frontends = EVERY_FRONTEND, .scene = {.keep_source = true}},
	{"D6: sources that never come from a wire, and our own, pass",
	 CHECK(impossible_sources_pass), .hooks = ON_INGRESS, ROWS(impossibles)},
	{"2.22: nor are they answered", CHECK(impossible_sources_are_not_answered),
	 .hooks = ON_INGRESS, ROWS(impossibles)},
	{"240.0.0.0/4 is used as if it were private", CHECK(class_e_clients_are_served),
	 .families = ONLY_IPV4, .hooks = ON_INGRESS, .networks = IN(AT_POD)},
	{"a mapped destination in IPv6 is not the IPv4 one", CHECK(mapped_destination_passes),
	 .families = ONLY_IPV4, .hooks = ON_INGRESS, ROWS(mappeds)},
	{"5.3.3: a pod that reaches itself is masqueraded, whatever the policy",
	 CHECK(pod_reaches_itself), .hooks = ON_POD_INGRESS, .networks = IN(AT_POD),
	 .frontends = EVERY_FRONTEND, .scene = {.keep_source = true}},
	{"5.4.4: --masquerade-local masquerades for local backends",
	 CHECK(local_backends_are_masqueraded_on_request), .hooks = ON_TC_INGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_POD), .plane = PLANE_LIMITED, ROWS(local_masquerades)},
};

const struct topic client_topic = {"clients", TESTS(tests)};
