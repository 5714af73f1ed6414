// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Backends on other nodes: both addresses rewritten, sent on by the device that leads there, and
 * the way back. */
#include "nodeport/next_hop.h"
#include "tests/packet/packet.h"

#include <string.h>

#define REMOTE (IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC))

struct hops {
	struct row row;
	uint8_t ttl;
};

static const struct hops hops[] = {
	{ROW("TTL 2"), 2},
	{ROW("TTL 255"), 255},
};

static void request_is_sent_on(struct trial *t)
{
	const struct hops *row = t->row;
	struct talk talk = talk_begin(t);

	talk.client.ttl = row->ttl;
	talk.client.payload = 100;
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
}

static void reply_goes_to_the_client(struct trial *t)
{
	const struct hops *row = t->row;
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	talk.inner.ttl = row->ttl;
	talk.inner.payload = 200;
	talk_reply(&talk, SYN | ACK);
	talk_expect_reply(&talk);
}

static void conversation_asks_the_way_once(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	for (uint16_t i = 0; i < 50; i++) {
		talk.client.payload = (uint16_t)(i * 29);
		talk_send(&talk, ACK | PSH);
		talk_expect_request(&talk);
		talk_reply(&talk, ACK);
		talk_expect_reply(&talk);
	}
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 2);
}

/* The agent begins another generation when routes change; flows live on. */
static void generation_makes_ways_be_asked_again(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 2);
	fl_next_hops_forget(t->p->maps.meta);
	for (int i = 0; i < 3; i++) {
		talk_send(&talk, ACK);
		talk_expect_request(&talk);
	}
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 3);
	talk_reply(&talk, ACK);
	talk_expect_reply(&talk);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 4);
}

/* The generation in force. */
static uint32_t generation(const struct trial *t)
{
	return fl_hops_generation(t->p->maps.meta->next_hops);
}

/* Each remembered way that is in use. */
static void change_ways(struct trial *t, void (*change)(struct trial *t, struct fl_next_hop *hop))
{
	for (size_t i = 0; i < t->p->maps.n_next_hops; i++)
		if (t->p->maps.next_hops[i].word)
			change(t, &t->p->maps.next_hops[i]);
}

/* Nobody watches the network: the datapath itself begins another generation, once. */
static void old_ways_are_asked_again(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct fl_meta *meta = t->p->maps.meta;
	const uint32_t before = generation(t);

	talk_establish(&talk);
	meta->next_hops = fl_hops_word(before, plane_now(t->p) - 1);
	for (int i = 0; i < 3; i++) {
		talk_send(&talk, ACK);
		talk_expect_request(&talk);
	}
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 3);
	assert_int_equal(generation(t), before + 1);
	assert_false(fl_hops_over(meta->next_hops, plane_now(t->p)));
}

/* What one flow has asked for anew is good for the others to its backend, and for nothing else. */
static void look_up_is_good_for_its_destination(struct trial *t)
{
	struct talk talk = talk_begin(t), other = talk_from(t, CLIENT_HOST, CLIENT_PORT + 1, t->to);

	talk_establish(&talk);
	talk_establish(&other);
	fl_next_hops_forget(t->p->maps.meta);
	/* the second flow took over what its backend remembers */
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 3);
	fl_next_hops_forget(t->p->maps.meta);
	talk_expect_both(&talk);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 5);
	/* the client's neighbour has the same place again, but was not asked for by this one */
	talk_expect_both(&other);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 6);
	/* by now it is its own */
	talk_expect_both(&other);
	expect_counter(t, FL_COUNTER_FIB_LOOKUP, 6);
}

#define PLACE 77 /* of the cache of next hops */

/* A way there that no flow has. */
static void lead_astray(struct trial *t)
{
	t->p->maps.next_hops[PLACE] = (struct fl_next_hop){
		.word = fl_hops_generation(t->p->maps.meta->next_hops) << 1,
		.ifindex = 999,
		.mtu = 1500,
		.flags = FL_DEVICE_XDP_TX,
	};
}

/* The id belongs to another endpoint by now, whose way leads elsewhere; TCP stays where it was. */
static void way_of_another_backend_is_not_taken(struct trial *t)
{
	struct fl_meta *meta = t->p->maps.meta;
	struct talk talk = talk_begin(t);
	struct fl_backend *backend;

	talk_establish(&talk);
	fl_next_hops_forget(meta);
	lead_astray(t);
	for (uint32_t id = 1; id < t->p->maps.n_backends; id++) {
		backend = &t->p->maps.backends[id];
		if (!(backend->flags & FL_BACKEND_LIVE))
			continue;
		backend->addr.w[3] ^= htonl(1);
		backend->next_hop = PLACE;
		backend->next_hop_generation = (uint16_t)fl_hops_generation(meta->next_hops);
	}
	for (int i = 0; i < 3; i++) {
		talk_send(&talk, ACK);
		talk_expect_request(&talk);
	}
}

/* Flows of an earlier agent's, whose backend was not found any more, have no way in common. */
static void unknown_backends_are_not_the_same(struct trial *t)
{
	struct fl_meta *meta = t->p->maps.meta;
	struct talk talk = talk_begin(t);
	struct fl_flow_head *head;

	talk_establish(&talk);
	head = plane_head(t->p, t->family, expect_flow(t, &talk.client).slot);
	head->backend_low = 0;
	head->backend_high = 0;
	fl_next_hops_forget(meta);
	/* what another such flow would have found */
	lead_astray(t);
	t->p->maps.backends[0].next_hop = PLACE;
	t->p->maps.backends[0].next_hop_generation = (uint16_t)fl_hops_generation(meta->next_hops);
	talk_send(&talk, ACK);
	t->p->maps.backends[0] = (struct fl_backend){0};
	head->backend_low = 1;
	talk_expect_request(&talk);
}

static void give_to_a_stranger(struct trial *t, struct fl_next_hop *hop)
{
	hop->word = generation(t) << 1;
	memset(hop->dst_mac, 0xee, sizeof(hop->dst_mac));
}

static void way_of_a_stranger_is_not_used(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	fl_next_hops_forget(t->p->maps.meta);
	change_ways(t, give_to_a_stranger);
	talk_send(&talk, ACK);
	talk_expect_request(&talk);
}

/* A device got another address: the old one is replaced, not refreshed. */
static void give_an_old_source(struct trial *t, struct fl_next_hop *hop)
{
	memset(hop->src_mac, 0x99, sizeof(hop->src_mac));
}

static void old_source_mac_is_not_remembered_again(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	change_ways(t, give_an_old_source);
	fl_next_hops_forget(t->p->maps.meta);
	for (int i = 0; i < 3; i++) {
		talk_send(&talk, ACK);
		talk_expect_request(&talk);
	}
}

/* All places for remembered ways, filled with one that is fresh. */
static void fill_ways(struct trial *t, struct fl_next_hop hop)
{
	hop.word = generation(t) << 1;
	hop.mtu = 1500;
	for (size_t i = 1; i < t->p->maps.n_next_hops; i++)
		t->p->maps.next_hops[i] = hop;
}

/* There is no place to remember this one at: it is asked for each time; of a SYN that comes again
 * once for the flow that it may begin, and once for the one that there is. */
static void fresh_ways_of_others_stay(struct trial *t)
{
	const struct fl_next_hop others = {.ifindex = 999, .dst_mac = {2, 9, 9, 9, 9, 9}};
	const uint32_t again = t->proto == IPPROTO_TCP ? 2 : 1;
	struct talk talk = talk_begin(t);

	fill_ways(t, others);
	for (uint32_t i = 0; i < 3; i++) {
		talk_send(&talk, SYN);
		talk_expect_request(&talk);
		expect_counter(t, FL_COUNTER_FIB_LOOKUP, 1 + i * again);
	}
	for (size_t i = 1; i < t->p->maps.n_next_hops; i++)
		assert_int_equal(t->p->maps.next_hops[i].ifindex, others.ifindex);
}

/* A router with one MAC address on two links. */
static void ways_differ_by_their_device(struct trial *t)
{
	enum dev other = net_dev(t->network) == DEV_EXT0 ? DEV_EXT1 : DEV_EXT0;
	struct fl_next_hop hop = {.ifindex = t->p->net->ifindex[other],
				  .flags = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL};
	struct talk talk = talk_begin(t);

	memcpy(hop.dst_mac, t->p->net->gateway_mac[t->network], ETH_ALEN);
	memcpy(hop.src_mac, t->p->net->mac[net_dev(t->network)], ETH_ALEN);
	fill_ways(t, hop);
	for (int i = 0; i < 3; i++) {
		talk_send(&talk, SYN);
		talk_expect_request(&talk);
	}
}

/* Devices that cannot take frames from XDP, and neighbours that are yet to be found. */
static void xdp_leaves_to_tc_what_it_cannot_send(struct trial *t)
{
	struct packet packet = packet_of(t);

	feed_at(t, HOOK_XDP, &packet);
	expect_left_to_tc(t);
	expect_no_flow(t, &packet);

	feed_at(t, HOOK_TC_INGRESS, &packet);
	expect_outcome(t, SENT);
	expect_flow(t, &packet);

	/* known now, but still tc's, which counts it */
	packet.flags = ACK;
	feed_at(t, HOOK_XDP, &packet);
	expect_left_to_tc(t);
	assert_int_equal(expect_flow(t, &packet).packets, 1);
}

static void second_stage_wants_the_mark(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct frame frame;

	frame_build(&packet, &frame);
	run_tc(t->p, PROG_TC_FROM_XDP, DEV_EXT0, &frame, &t->r);
	assert_int_equal(t->r.verdict, TC_ACT_UNSPEC);
	expect_frame(t, &frame);
	expect_flows(t, 0);
}

static const struct test tests[] = {
	{"source one of ours, a port we may use, one hop less, the next hop's MACs",
	 CHECK(request_is_sent_on), .hooks = ON_INGRESS, .networks = REMOTE,
	 .frontends = EVERY_FRONTEND, ROWS(hops)},
	{"back at this node: client and frontend again, towards the client's next hop",
	 CHECK(reply_goes_to_the_client), .hooks = ON_INGRESS, .networks = REMOTE,
	 .frontends = EVERY_FRONTEND, ROWS(hops)},
	{"the kernel's tables are asked once for each direction",
	 CHECK(conversation_asks_the_way_once), .hooks = ON_INGRESS, .networks = REMOTE},
	{"ways are asked for again in another generation",
	 CHECK(generation_makes_ways_be_asked_again), .hooks = ON_INGRESS, .networks = REMOTE},
	{"what one flow has looked up is good for those to the same backend alone",
	 CHECK(look_up_is_good_for_its_destination), .hooks = ON_INGRESS, .networks = REMOTE},
	{"nor is the way good of a backend that has its backend's id",
	 CHECK(way_of_another_backend_is_not_taken), .hooks = ON_INGRESS, .networks = REMOTE,
	 .protos = ONLY_TCP},
	{"nor is a way kept for all flows whose backend is not known",
	 CHECK(unknown_backends_are_not_the_same), .hooks = ON_INGRESS, .networks = REMOTE},
	{"ways are asked for again when they are old", CHECK(old_ways_are_asked_again),
	 .hooks = ON_INGRESS, .networks = REMOTE},
	{"a remembered way that was given to another next hop is not used",
	 CHECK(way_of_a_stranger_is_not_used), .hooks = ON_INGRESS, .networks = REMOTE},
	{"a fresh way of another next hop is not given up", CHECK(fresh_ways_of_others_stay),
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_REDIRECT)},
	{"one MAC address at two devices is two ways", CHECK(ways_differ_by_their_device),
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_REDIRECT)},
	{"the source MAC of a device that has another one now is not used again",
	 CHECK(old_source_mac_is_not_remembered_again), .hooks = ON_INGRESS, .networks = REMOTE},
	{"XDP leaves to tc, unchanged and unrecorded, what it cannot send",
	 CHECK(xdp_leaves_to_tc_what_it_cannot_send), .hooks = ON_XDP_TC,
	 .networks = IN(AT_TC) | IN(AT_UNRESOLVED)},
	{"the tc program behind XDP wants the mark", CHECK(second_stage_wants_the_mark),
	 .hooks = ON_XDP_TC, .networks = IN(AT_TC)},
};

const struct topic remote_topic = {"remote", TESTS(tests)};
