// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The way out, and the devices of pods: what is translated where, and only once. */
#include "tests/packet/packet.h"
#include "tests/packet/pieces.h"

#include <netinet/in.h>

struct verdict {
	struct row row;
	uint8_t flags;	 /* TCP */
	uint8_t verdict; /* enum fl_service_verdict, of the internal side */
	uint16_t more_flags;
	enum fl_reason reason; /* of a drop or a rejection; none: it passes */
};

/* What the socket hooks left alone meets the same verdicts on its way out; open flows and
 * translated ones do not. */
static const struct verdict verdicts[] = {
	{ROW("forwarded elsewhere"), SYN, FL_VERDICT_FORWARD, 0, FL_REASON_NONE},
	{ROW("no endpoint"), SYN, FL_VERDICT_REJECT, 0, FL_REASON_REJECT_NO_ENDPOINT},
	{ROW("none here"), SYN, FL_VERDICT_DROP, 0, FL_REASON_NO_LOCAL_ENDPOINT},
	{ROW("not in the ranges"), SYN, FL_VERDICT_FORWARD, FL_SOURCE_RANGES,
	 FL_REASON_SOURCE_RANGE},
	{ROW("in its middle, drop", .protos = ONLY_TCP), ACK, FL_VERDICT_DROP, 0, FL_REASON_NONE},
	{ROW("in its middle, reject", .protos = ONLY_TCP), ACK, FL_VERDICT_REJECT, 0,
	 FL_REASON_NONE},
	{ROW("an answer", .protos = ONLY_TCP), SYN | ACK, FL_VERDICT_REJECT, 0, FL_REASON_NONE},
};

static void verdicts_on_the_way_out(struct trial *t)
{
	const struct verdict *row = t->row;
	struct packet packet = packet_of(t);

	service_add(t->p, &(struct service){.id = 1,
					    .type = t->to->type,
					    .ip = t->to->ip,
					    .port = t->to->port,
					    .proto = t->proto,
					    .flags = row->more_flags,
					    .verdict = {row->verdict, FL_VERDICT_FORWARD},
					    .ids = {{1}, {1}}});
	packet.src = addr(t->family, AT_EXT0, 1);
	packet.flags = row->flags;
	feed(t, &packet);
	if (row->reason == FL_REASON_REJECT_NO_ENDPOINT)
		expect_answer(t, &packet, ICMP_PORT_UNREACHABLE, 0, row->reason);
	else if (row->reason)
		expect_drop(t, row->reason);
	else
		expect_untouched(t);
	expect_flows(t, 0);
}

/* As it is, and with an option of IPv4 or a header of IPv6 that nobody minds. */
static void expect_leaves(struct trial *t, enum dev dev, const struct packet *packet)
{
	const uint8_t options[] = {1, 1, 1, 0}, header[] = {t->proto, 0, 1, 4, 0, 0, 0, 0};
	struct frame frame, with;

	feed_dev(t, HOOK_TC_EGRESS, dev, packet);
	expect_untouched(t);
	frame_build(packet, &frame);
	if (t->family == FL_IPV4)
		frame_insert(&frame, options, sizeof(options), 0, &with);
	else
		frame_insert(&frame, header, sizeof(header), IPPROTO_DSTOPTS, &with);
	feed_frame(t, HOOK_TC_EGRESS, dev, &with);
	expect_untouched(t);
}

/* What was masqueraded on the way in meets the egress hook as well, which leaves it as it is: the
 * request, the reply as the backend sent it, and as the client gets it. */
static void translated_packets_pass_the_way_out(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet packet;

	for (int i = 0; i < 2; i++) {
		talk_send(&talk, i ? ACK : SYN);
		expect_leaves(t, net_dev(t->network), &talk.inner);
		packet = packet_reverse(&talk.inner);
		packet.flags = i ? ACK : SYN | ACK;
		expect_leaves(t, DEV_EXT0, &packet);
		packet = packet_reverse(&talk.client);
		packet.flags = i ? ACK : SYN | ACK;
		expect_leaves(t, DEV_EXT0, &packet);
		talk_reply(&talk, i ? ACK : SYN | ACK);
		talk_expect_reply(&talk);
		talk_grow_old(&talk);
	}
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
}

/* East-west by packets: a pod asks a cluster IP, another pod of this node answers. */
static void pod_to_pod_is_translated_once(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet reply;

	for (int i = 0; i < 3; i++) {
		talk_send(&talk, i ? ACK : SYN);
		talk_expect_request(&talk);
		/* at the backend's device the request is what it shall be */
		feed_at(t, HOOK_POD_EGRESS, &talk.inner);
		expect_untouched(t);
		/* the reply is translated where it reaches the client, not where it begins */
		reply = packet_reverse(&talk.inner);
		reply.flags = i ? ACK : SYN | ACK;
		feed_at(t, HOOK_POD_INGRESS, &reply);
		expect_untouched(t);
		talk_reply(&talk, i ? ACK : SYN | ACK);
		talk_expect_reply(&talk);
		talk_grow_old(&talk);
	}
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
}

/* To the stack, which routes it; the reply is translated where it comes in. */
static void pod_to_another_node(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct frame at_client;

	talk.reply_hook = HOOK_XDP;
	for (int i = 0; i < 3; i++) {
		talk_send(&talk, i ? ACK : SYN);
		talk_expect_request(&talk);
		feed_dev(t, HOOK_TC_EGRESS, DEV_EXT0, &talk.inner);
		expect_untouched(t);
		talk_reply(&talk, i ? ACK : SYN | ACK);
		talk_expect_reply(&talk);
		at_client = t->r.out;
		feed_frame(t, HOOK_POD_EGRESS, DEV_POD, &at_client);
		expect_untouched(t);
	}
}

static const struct test tests[] = {
	{"5.7.4: what the node sends itself meets the verdicts on its way out",
	 CHECK(verdicts_on_the_way_out), .hooks = ON_EGRESS, .frontends = 7, ROWS(verdicts)},
	{"what was translated on the way in passes the way out",
	 CHECK(translated_packets_pass_the_way_out), .hooks = ON_NETWORK,
	 .networks = IN(AT_TX) | IN(AT_TC)},
	{"from pod to pod each packet is translated once", CHECK(pod_to_pod_is_translated_once),
	 .hooks = ON_POD_INGRESS, .networks = IN(AT_POD), .frontends = EVERY_FRONTEND,
	 .scene = {.keep_source = true}},
	{"a pod's packet to another node's pod is left to the stack", CHECK(pod_to_another_node),
	 .hooks = ON_POD_INGRESS, .scene = {.keep_source = true}},
};

const struct topic egress_topic = {"egress", TESTS(tests)};
