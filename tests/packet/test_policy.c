// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Verdicts by client class (rules 5.4 and 5.7) and source ranges (rules 5.6). */
#include "tests/packet/packet.h"

enum answer {
	FORWARDED,
	SILENCE,  /* dropped, NO_LOCAL_ENDPOINT */
	REJECTED, /* port unreachable, REJECT_NO_ENDPOINT */
};

/* A row of table 5.7 as the planner hands it over: a verdict for each side of a frontend. */
struct verdicts {
	struct row row;
	uint8_t internal, external; /* enum fl_service_verdict */
	enum answer outside, pod;
};

static const struct verdicts verdicts[] = {
	{ROW("endpoints for everybody"), FL_VERDICT_FORWARD, FL_VERDICT_FORWARD, FORWARDED,
	 FORWARDED},
	{ROW("none anywhere"), FL_VERDICT_REJECT, FL_VERDICT_REJECT, REJECTED, REJECTED},
	{ROW("ClusterIP, iTP Local, none local"), FL_VERDICT_DROP, FL_VERDICT_DROP, SILENCE,
	 SILENCE},
	{ROW("external, eTP Local, none local"), FL_VERDICT_FORWARD, FL_VERDICT_DROP, SILENCE,
	 FORWARDED},
	{ROW("inside none, outside some"), FL_VERDICT_REJECT, FL_VERDICT_FORWARD, FORWARDED,
	 REJECTED},
	{ROW("not filled in"), FL_VERDICT_NONE, FL_VERDICT_NONE, REJECTED, REJECTED},
};

static void set_verdicts(struct trial *t, const struct verdicts *row)
{
	struct service service = {
		.id = 1,
		.family = t->family,
		.proto = t->proto,
		.flags = MASQUERADE_ALL,
		.verdict = {row->internal, row->external},
	};

	for (int side = 0; side < FL_SIDES; side++)
		service.ids[side][0] = service.verdict[side] == FL_VERDICT_FORWARD;
	service_replace(t->p, t->fe, service);
}

static void expect_the(struct trial *t, enum answer answer, struct talk *talk)
{
	talk_send(talk, SYN);
	switch (answer) {
	case FORWARDED:
		talk_expect_request(talk);
		return;
	case SILENCE:
		expect_drop(t, FL_REASON_NO_LOCAL_ENDPOINT);
		break;
	case REJECTED:
		expect_answer(t, &talk->client, ICMP_PORT_UNREACHABLE, 0,
			      FL_REASON_REJECT_NO_ENDPOINT);
		break;
	}
	expect_flows(t, 0);
}

static void outside_gets_the_external_verdict(struct trial *t)
{
	const struct verdicts *row = t->row;
	struct talk talk = talk_begin(t);

	set_verdicts(t, row);
	expect_the(t, row->outside, &talk);
}

/* From the network: another node's. */
static struct fl_ip a_pod(const struct trial *t)
{
	return t->hook == HOOK_POD_INGRESS ? addr(t->family, AT_POD, CLIENT_HOST)
					   : addr(t->family, AT_REDIRECT, 200);
}

static void pods_get_the_internal_verdict(struct trial *t)
{
	const struct verdicts *row = t->row;
	struct talk talk = talk_begin(t);

	set_verdicts(t, row);
	talk.client.src = a_pod(t);
	/* 5.3.6: a pod of another node has come over the network, so it is outside */
	expect_the(t, t->hook == HOOK_POD_INGRESS ? row->pod : row->outside, &talk);
}

/*
 * A pod of another node that asks here has come over the network, so for a Local Service it is
 * outside: it gets a local endpoint or silence. The short circuit is for this node's own pods.
 */
static void pod_of_another_node_is_outside_for_local(struct trial *t)
{
	struct packet packet = packet_of(t);

	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .flags = MASQUERADE_ALL,
					 .verdict = {FL_VERDICT_FORWARD, FL_VERDICT_DROP},
					 .ids = {{1}, {0}}});
	packet.src = addr(t->family, AT_REDIRECT, 200);
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_LOCAL_ENDPOINT);
	expect_flows(t, 0);
}

/* The plane has no detector and does not take pods by their device. */
static void without_a_detector_all_are_outside(struct trial *t)
{
	const struct verdicts *row = t->row;
	struct talk talk = talk_begin(t);

	set_verdicts(t, row);
	talk.client.src = a_pod(t);
	expect_the(t, row->outside, &talk);
}

struct source {
	struct row row;
	enum network network;
	unsigned int host;
	bool allowed;
};

static const struct source sources[] = {
	{ROW("first of a range"), AT_OUTSIDE, 1, true},
	{ROW("last of a range"), AT_OUTSIDE, 15, true},
	{ROW("behind the range"), AT_OUTSIDE, 16, false},
	{ROW("a range of one"), AT_OUTSIDE, 64, true},
	{ROW("beside the range of one"), AT_OUTSIDE, 65, false},
	{ROW("of no range"), AT_FOREIGN, 1, false},
	{ROW("pod in a range"), AT_TX, 200, true},
	{ROW("pod in none"), AT_REDIRECT, 200, false},
};

static void add_ranges(struct trial *t)
{
	static const char *const ranges[FL_FAMILIES][3] = {
		{"192.0.2.0/28", "192.0.2.64/32", "10.1.2.0/24"},
		{"2001:db8::/124", "2001:db8::40/128", "fd01:0:0:2::/64"},
	};

	for (size_t i = 0; i < 3; i++)
		range_add(t->p, 1, ranges[t->family][i]);
	/* another service's */
	range_add(t->p, 2, t->family == FL_IPV4 ? "0.0.0.0/0" : "::/0");
}

static void source_ranges_filter(struct trial *t)
{
	const struct source *source = t->row;
	struct talk talk = talk_begin(t);

	add_ranges(t);
	talk.client.src = addr(t->family, source->network, source->host);
	talk_send(&talk, SYN);
	if (source->allowed) {
		talk_expect_request(&talk);
	} else {
		expect_drop(t, FL_REASON_SOURCE_RANGE);
		expect_flows(t, 0);
	}
}

static void source_ranges_come_before_verdicts(struct trial *t)
{
	const struct source *source = t->row;
	struct packet packet = packet_of(t);

	add_ranges(t);
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .flags = FL_SOURCE_RANGES});
	packet.src = addr(t->family, source->network, source->host);
	feed(t, &packet);
	if (source->allowed)
		expect_answer(t, &packet, ICMP_PORT_UNREACHABLE, 0, FL_REASON_REJECT_NO_ENDPOINT);
	else
		expect_drop(t, FL_REASON_SOURCE_RANGE);
}

static void source_ranges_leave_open_flows_alone(struct trial *t)
{
	struct talk open = talk_from(t, 200, CLIENT_PORT, t->to), late = open;

	talk_establish(&open);
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .flags = MASQUERADE_ALL | FL_SOURCE_RANGES,
					 .ids = {{1}, {1}}});
	add_ranges(t);
	talk_expect_both(&open);
	late.client.sport++;
	talk_send(&late, SYN);
	expect_drop(t, FL_REASON_SOURCE_RANGE);
}

#define WITH_RANGES .frontends = 1 << 2, .scene = {.more_flags = FL_SOURCE_RANGES}

static const struct test tests[] = {
	{"5.4.2, 5.7: clients outside get the external verdict",
	 CHECK(outside_gets_the_external_verdict), .hooks = ON_NETWORK, .frontends = EVERY_FRONTEND,
	 ROWS(verdicts)},
	{"5.4.2, 5.7: pods of this node get the internal verdict, those of others do not",
	 CHECK(pods_get_the_internal_verdict), .hooks = ON_INGRESS, .frontends = EVERY_FRONTEND,
	 ROWS(verdicts)},
	{"5.3.6, 5.7.2: a pod of another node is outside for externalTrafficPolicy Local",
	 CHECK(pod_of_another_node_is_outside_for_local), .hooks = ON_NETWORK,
	 .frontends = 1 << 1 | 1 << 2 | 1 << 3},
	{"5.3.2: without a detector all clients are outside",
	 CHECK(without_a_detector_all_are_outside), .hooks = ON_INGRESS, .plane = PLANE_SMALL,
	 ROWS(verdicts)},
	{"5.6.3, 5.6.4: a source in no range is dropped, pods too", CHECK(source_ranges_filter),
	 .hooks = ON_INGRESS, WITH_RANGES, ROWS(sources)},
	{"5.6.7: without endpoints the disallowed are dropped and the allowed rejected",
	 CHECK(source_ranges_come_before_verdicts), .hooks = ON_INGRESS, WITH_RANGES,
	 ROWS(sources)},
	{"5.6.3: what is open when the ranges change goes on",
	 CHECK(source_ranges_leave_open_flows_alone), .hooks = ON_NETWORK, .frontends = 1 << 2},
};

const struct topic policy_topic = {"policies", TESTS(tests)};
