// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets of ours that cannot be sent on: each under its name, none silently, none recorded. */
#include "nodeport/next_hop.h"
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <string.h>

#define REMOTE (IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC))

struct used_up {
	struct row row;
	uint8_t ttl;
};

static const struct used_up used_up[] = {
	{ROW("TTL 1"), 1},
	{ROW("TTL 0"), 0},
};

/* From the address that was asked, as a router's: no flow is made. */
static void used_up_ttl_is_answered(struct trial *t)
{
	const struct used_up *row = t->row;
	struct packet packet = packet_of(t);

	packet.ttl = row->ttl;
	feed(t, &packet);
	expect_answer(t, &packet, ICMP_TTL_EXCEEDED, 0, FL_REASON_TTL_EXCEEDED);
	expect_flows(t, 0);
}

static void used_up_ttl_of_a_known_flow(struct trial *t)
{
	const struct used_up *row = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk.client.ttl = row->ttl;
	talk_send(&talk, ACK);
	expect_answer(t, &talk.client, ICMP_TTL_EXCEEDED, 0, FL_REASON_TTL_EXCEEDED);
	talk.inner.ttl = row->ttl;
	talk_reply(&talk, ACK);
	expect_answer(t, &talk.reply, ICMP_TTL_EXCEEDED, 0, FL_REASON_TTL_EXCEEDED);
	talk.client.ttl = 2;
	talk_send(&talk, ACK);
	talk_expect_request(&talk);
}

/* To a local backend it is the stack that counts down. */
static void used_up_ttl_is_left_to_the_stack(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk.client.ttl = 1;
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
}

static void no_route_is_a_named_drop(struct trial *t)
{
	struct packet packet = packet_of(t);

	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_ROUTE);
	expect_flows(t, 0);
}

static void route_of_a_known_flow_goes(struct trial *t)
{
	const uint32_t generation = fl_hops_generation(t->p->maps.meta->next_hops);
	struct packet packet = packet_of(t);

	/* as if there had been a route: the backend remembers a way */
	t->p->maps.next_hops[1] = (struct fl_next_hop){
		.word = generation << 1,
		.ifindex = t->p->net->ifindex[DEV_EXT0],
		.mtu = 1500,
		.flags = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL,
	};
	t->p->maps.backends[1].next_hop = 1;
	t->p->maps.backends[1].next_hop_generation = (uint16_t)generation;
	feed(t, &packet);
	expect_outcome(t, SENT);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_NEW);
	fl_next_hops_forget(t->p->maps.meta);
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_ROUTE);
}

struct law {
	struct row row;
	const char *words; /* of `ip rule` */
};

static const struct law laws[] = {
	{ROW("unreachable"), "unreachable"},
	{ROW("prohibit"), "prohibit"},
	{ROW("blackhole"), "blackhole"},
};

/* The kernel's lookup answers most of them as it does for an address of its own. */
static void rule_that_forbids_is_no_route(struct trial *t)
{
	const struct law *law = t->row;
	struct packet packet = packet_of(t);

	assert_int_equal(net_rule(t->family, "add", t->network, law->words), 0);
	feed(t, &packet);
	assert_int_equal(net_rule(t->family, "del", t->network, law->words), 0);
	expect_drop(t, FL_REASON_NO_ROUTE);
	expect_flows(t, 0);
}

struct exit {
	struct row row;
	uint32_t flags; /* enum fl_device_flags of the way out */
	uint64_t counted;
};

static const struct exit exits[] = {
	{ROW("not served"), 0, 1},
	{ROW("containers of this machine"), FL_DEVICE_INSIDE, 0},
	{ROW("pods"), FL_DEVICE_POD, 0},
};

/* It keeps its source, since replies would not be seen. */
static void unserved_way_out_is_counted(struct trial *t)
{
	const struct exit *way = t->row;
	struct fl_device device = {.flags = way->flags, .mtu = 1500};
	struct packet packet = packet_of(t);

	assert_int_equal(bpf_map_update_elem(t->p->maps.devices_fd,
					     &t->p->net->ifindex[net_dev(t->network)], &device, 0),
			 0);
	for (int i = 0; i < 2; i++) {
		feed(t, &packet);
		expect_outcome(t, PASSED);
		expect_counter(t, FL_COUNTER_FLOW_UNSERVED_EXIT, way->counted);
	}
}

static void set_addresses(struct trial *t, enum dev dev, const struct fl_ip *ip)
{
	struct fl_device device = {.flags = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL, .mtu = 1500};

	if (ip && t->family == FL_IPV4)
		memcpy(&device.addr4, ip, sizeof(device.addr4));
	else if (ip)
		memcpy(&device.addr6, ip, sizeof(device.addr6));
	assert_int_equal(
		bpf_map_update_elem(t->p->maps.devices_fd, &t->p->net->ifindex[dev], &device, 0),
		0);
}

/* This plane has no node address to fall back on. */
static void no_masquerade_address_is_a_named_drop(struct trial *t)
{
	struct packet packet = packet_of(t);

	set_addresses(t, net_dev(t->network), NULL);
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_MASQUERADE_ADDRESS);
	expect_flows(t, 0);
}

static void node_address_stands_in(struct trial *t)
{
	struct fl_ip node = addr(t->family, AT_EXT0, 1);
	struct packet packet = packet_of(t);
	struct fl_flow flow;

	set_addresses(t, net_dev(t->network), NULL);
	feed(t, &packet);
	expect_outcome(t, SENT);
	flow = expect_flow(t, &packet);
	expect_address(t, &flow.source, &node);
}

struct size {
	struct row row;
	uint16_t over; /* bytes above the MTU */
	bool answered;
};

static const struct size sizes[] = {
	{ROW("fits"), 0, false},
	{ROW("a byte too big"), 1, true},
	{ROW("90 bytes too big"), 90, true},
};

static uint16_t payload_of(const struct packet *packet, uint32_t ip_len)
{
	return (uint16_t)(ip_len - (frame_len(packet) - packet->payload - ETH_HLEN));
}

/* From the frontend's address, with the MTU of the route. */
static void too_big_is_answered(struct trial *t)
{
	const struct size *size = t->row;
	struct talk talk = talk_begin(t);

	talk.client.payload = payload_of(&talk.client, NARROW_MTU + size->over);
	talk_send(&talk, SYN);
	if (!size->answered) {
		talk_expect_request(&talk);
		return;
	}
	expect_answer(t, &talk.client, ICMP_PACKET_TOO_BIG, NARROW_MTU, FL_REASON_TOO_BIG);
	expect_flows(t, 0);
	/* small again: the flow is made */
	talk.client.payload = 100;
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
}

static void too_big_for_a_known_flow(struct trial *t)
{
	const struct size *size = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk.client.payload = payload_of(&talk.client, NARROW_MTU + size->over);
	talk_send(&talk, ACK);
	if (size->answered)
		expect_answer(t, &talk.client, ICMP_PACKET_TOO_BIG, NARROW_MTU, FL_REASON_TOO_BIG);
	else
		talk_expect_request(&talk);
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
}

/* As in generic XDP, where GRO makes packets larger than the device sends. */
static void unchecked_sizes_go_on(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk.client.payload = payload_of(&talk.client, NARROW_MTU + 90);
	talk_send(&talk, ACK);
	talk_expect_request(&talk);
}

static const struct test tests[] = {
	{"D7: a TTL that is used up is answered, of a new flow", CHECK(used_up_ttl_is_answered),
	 .hooks = ON_INGRESS, .networks = REMOTE, ROWS(used_up)},
	{"and of a known flow, in both directions", CHECK(used_up_ttl_of_a_known_flow),
	 .hooks = ON_INGRESS, .networks = REMOTE, ROWS(used_up)},
	{"to local backends the stack counts down", CHECK(used_up_ttl_is_left_to_the_stack),
	 .hooks = ON_INGRESS, .networks = IN(AT_POD)},
	{"no route is a drop under its name", CHECK(no_route_is_a_named_drop), .hooks = ON_INGRESS,
	 .networks = IN(AT_NOWHERE)},
	{"so it is for a flow whose route goes", CHECK(route_of_a_known_flow_goes),
	 .hooks = ON_INGRESS, .networks = IN(AT_NOWHERE)},
	{"so it is where a rule forbids", CHECK(rule_that_forbids_is_no_route), .hooks = ON_INGRESS,
	 .networks = IN(AT_REDIRECT), ROWS(laws)},
	{"a flow that leaves by a device that is not served is counted",
	 CHECK(unserved_way_out_is_counted), .hooks = ON_INGRESS, .networks = IN(AT_REDIRECT),
	 ROWS(exits)},
	{"no address to masquerade with is a drop under its name",
	 CHECK(no_masquerade_address_is_a_named_drop), .hooks = ON_INGRESS, .plane = PLANE_SMALL},
	{"a device without an address masquerades with the node's", CHECK(node_address_stands_in),
	 .hooks = ON_INGRESS, .networks = IN(AT_REDIRECT)},
	{"D9: what is too big for the way out is answered with its MTU", CHECK(too_big_is_answered),
	 .hooks = ON_INGRESS, .networks = IN(AT_NARROW), .frontends = EVERY_FRONTEND, ROWS(sizes)},
	{"D9: known flows are held to the MTU as well", CHECK(too_big_for_a_known_flow),
	 .hooks = ON_INGRESS, .networks = IN(AT_NARROW), ROWS(sizes)},
	{"where sizes are not checked, big packets go on", CHECK(unchecked_sizes_go_on),
	 .hooks = ON_INGRESS, .networks = IN(AT_NARROW), .plane = PLANE_SMALL},
};

const struct topic unroutable_topic = {"unroutable", TESTS(tests)};
