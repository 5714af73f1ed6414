// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames that a switch floods, or that a device takes in for another host, are that host's. Only
 * frames to the device's own address are balanced (XDP), and only what the kernel calls PACKET_HOST
 * (tc, pod side), or to an address that the stack above takes: a bridge's, a macvlan's.
 */
#include "tests/packet/packet.h"

#include <string.h>

static const uint8_t another_host[ETH_ALEN] = {0x02, 0xaa, 0, 0, 0, 1};

static void frame_for_another_host_opens_no_flow(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.dst_mac = another_host;
	feed(t, &packet);
	expect_untouched(t);
	expect_flows(t, 0);
	assert_int_equal(plane_counter(t->p, FL_COUNTER_FLOW_NEW), 0);
	assert_int_equal(plane_counter(t->p, FL_COUNTER_FIB_LOOKUP), 0);
	/* the same to us is served */
	packet = packet_of(t);
	feed(t, &packet);
	expect_flows(t, 1);
}

/* A second copy of what was sent to us: this node must not send it on as well. */
static void frame_for_another_host_is_of_no_flow(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet packet;

	talk_establish(&talk);
	packet = talk.client;
	packet.flags = ACK | PSH;
	packet.dst_mac = another_host;
	feed(t, &packet);
	expect_untouched(t);
	assert_int_equal(expect_flow(t, &talk.client).packets, 2);
}

static void reply_to_another_host_is_of_no_flow(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet reply;

	talk_establish(&talk);
	talk_reply(&talk, ACK);
	talk_expect_reply(&talk);
	reply = talk.reply;
	reply.dst_mac = another_host;
	feed_dev(t, talk.reply_hook, talk.reply_dev, &reply);
	expect_untouched(t);
}

static void frame_for_another_host_is_not_answered(struct trial *t)
{
	struct packet packet = packet_of(t);

	service_replace(t->p, t->fe,
			(struct service){.id = 1, .family = t->family, .proto = t->proto});
	packet.dst_mac = another_host;
	feed(t, &packet);
	expect_untouched(t);
	packet.dport++; /* 2.22 */
	feed(t, &packet);
	expect_untouched(t);
}

struct other {
	struct row row;
	bool at_another_device; /* the address is listed for that one */
	bool shared_place;	/* another device has the shortcut */
};

static const struct other others[] = {
	{ROW("an address above the device"), false, false},
	{ROW("one above another device"), true, false},
	{ROW("its own, the shortcut is another device's"), false, true},
};

/* As of a bridge that has the device, or VRRP's macvlan on it. */
static void address_above_the_device_is_ours(struct trial *t)
{
	const struct other *other = t->row;
	enum dev dev = hook_dev(t->hook);
	struct packet packet = packet_of(t);

	if (other->shared_place) {
		memset(t->p->maps.own_macs, 0x55,
		       t->p->maps.n_own_macs * sizeof(*t->p->maps.own_macs));
	} else {
		packet.dst_mac = another_host;
		mac_add(t->p, t->p->net->ifindex[other->at_another_device ? DEV_EXT2 : dev],
			another_host);
	}
	feed(t, &packet);
	if (other->at_another_device)
		expect_untouched(t);
	expect_flows(t, !other->at_another_device);
}

static const struct test tests[] = {
	{"a frame for another host opens no flow", CHECK(frame_for_another_host_opens_no_flow),
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD) | IN(AT_TC)},
	{"nor is it of one that is known", CHECK(frame_for_another_host_is_of_no_flow),
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD)},
	{"nor are replies", CHECK(reply_to_another_host_is_of_no_flow), .hooks = ON_INGRESS,
	 .networks = IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC)},
	{"5.7.1, 2.22: and it is not answered", CHECK(frame_for_another_host_is_not_answered),
	 .hooks = ON_INGRESS},
	{"what a bridge or macvlan above the device takes is ours",
	 CHECK(address_above_the_device_is_ours), .hooks = ON_INGRESS, ROWS(others)},
};

const struct topic link_topic = {"link", TESTS(tests)};
