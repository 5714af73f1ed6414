// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What becomes of flows when their service changes under them: rules 5.1, 5.7.3, 7.1 to 7.3, 7.8.
 */
#include "lb/dp/frontend_table.h"
#include "tests/packet/follow.h"
#include "tests/packet/packet.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#define EVERYWHERE (IN(AT_POD) | IN(AT_TX))

/* Give every frontend the one backend `id`; 0: none, which rejects. */
static void move_service(struct trial *t, uint32_t id)
{
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .flags = MASQUERADE_ALL,
					 .ids = {{id}, {id}}});
}

/* Datagrams move at once, streams stay. */
static void backend_goes_another_is_left(struct trial *t)
{
	bool udp = t->proto == IPPROTO_UDP;
	struct talk talk = talk_begin(t);
	struct fl_flow flow;
	uint32_t old;

	talk_establish(&talk);
	old = expect_flow(t, &talk.client).backend_id;
	backend_remove(t->p, old);
	move_service(t, 3 - old);
	for (int i = 0; i < 2; i++) {
		talk_send(&talk, ACK);
		talk_expect_request(&talk);
		flow = expect_flow(t, &talk.client);
		assert_int_equal(flow.backend_id, udp ? 3 - old : old);
		assert_int_equal(flow.state, udp ? FL_FLOW_NEW : FL_FLOW_ESTABLISHED);
		expect_counter(t, FL_COUNTER_FLOW_RESTEERED, udp);
		expect_flows(t, 1);
	}
}

/* A flow that remembers the old generation does not get the new one's endpoint. */
static void id_is_given_to_another(struct trial *t)
{
	struct fl_ip other = addr(t->family, t->network, 7);
	bool udp = t->proto == IPPROTO_UDP;
	struct talk talk = talk_begin(t);
	struct fl_ip before;

	talk_establish(&talk);
	before = talk.inner.dst;
	backend_add(t->p, 1, &other, BACKEND_PORT, t->proto,
		    t->network == AT_POD ? FL_BACKEND_LOCAL : 0);
	talk_send(&talk, ACK);
	expect_address(t, &talk.inner.dst, udp ? &other : &before);
	expect_outcome(t, talk.masqueraded ? SENT : PASSED);
	expect_counter(t, FL_COUNTER_FLOW_RESTEERED, udp);
}

struct when {
	struct row row;
	enum fl_flow_state before, after; /* the reply */
	uint8_t flags;
};

static const struct when whens[] = {
	{ROW("its first reply"), FL_FLOW_NEW, FL_FLOW_REPLIED, SYN | ACK},
	{ROW("of an established flow"), FL_FLOW_ESTABLISHED, FL_FLOW_ESTABLISHED, ACK},
};

/* It may finish what it was asked. */
static void reply_of_a_removed_backend_arrives(struct trial *t)
{
	const struct when *when = t->row;
	struct talk talk = talk_begin(t);

	talk_bring_to(&talk, when->before);
	backend_remove(t->p, 1);
	talk_reply(&talk, when->flags);
	talk_expect_reply(&talk);
	talk_expect_state(&talk, when->after);
}

static void delete_frontend(struct trial *t)
{
	struct fl_frontend_table table = fl_frontend_table_of(&t->p->maps);
	struct fl_frontend_key key = {.port = htons(t->to->port), .proto = t->proto};

	if (t->to->type != FL_FRONTEND_NODE_PORT)
		memcpy(&key.addr, &t->to->ip, sizeof(key.addr));
	else if (t->family == FL_IPV4)
		key.addr.w[2] = htonl(0xffff);
	fl_frontend_table_remove(&table, &key);
}

struct end_of_service {
	struct row row;
	bool deleted; /* the frontend too */
};

static const struct end_of_service ends[] = {
	{ROW("no endpoint is left"), false},
	{ROW("the service is deleted"), true},
};

/* Verdicts are for new flows: what is open goes on, but datagrams. */
static void last_backend_goes(struct trial *t)
{
	const struct end_of_service *end = t->row;
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	backend_remove(t->p, 1);
	move_service(t, 0);
	if (end->deleted)
		delete_frontend(t);
	talk_send(&talk, ACK);
	if (t->proto == IPPROTO_TCP) {
		talk_expect_request(&talk);
		talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
		return;
	}
	expect_no_flow(t, &talk.client);
	expect_counter(t, FL_COUNTER_FLOW_RESTEERED, 1);
	if (end->deleted)
		expect_untouched(t);
	else
		expect_answer(t, &talk.client, ICMP_PORT_UNREACHABLE, 0,
			      FL_REASON_REJECT_NO_ENDPOINT);
}

struct end_of_frontend {
	struct row row;
	uint32_t service; /* whose frontend it is now; 0: nobody's */
	uint32_t id;	  /* the backend it has; 0: none */
	bool stays;
};

static const struct end_of_frontend ends_of_frontend[] = {
	{ROW("it is deleted"), 0, 0, false},
	{ROW("it has another backend"), 1, 2, false},
	{ROW("it has no backend"), 1, 0, false},
	{ROW("it is another Service's, with another backend"), 3, 2, false},
	{ROW("it is another Service's, with the same backend"), 3, 1, true},
	{ROW("nothing has changed"), 1, 1, true},
};

/* Where the datagram goes that the client sends next. */
static void expect_next(struct trial *t, struct talk *talk, const struct end_of_frontend *end)
{
	talk_send(talk, 0);
	if (end->id) {
		assert_int_equal(expect_flow(t, &talk->client).backend_id, end->id);
		talk_expect_request(talk);
		return;
	}
	expect_no_flow(t, &talk->client);
	if (end->service)
		expect_answer(t, &talk->client, ICMP_PORT_UNREACHABLE, 0,
			      FL_REASON_REJECT_NO_ENDPOINT);
	else if (t->to->type == FL_FRONTEND_CLUSTER_IP ||
		 (t->to->type != FL_FRONTEND_NODE_PORT && t->hook != HOOK_POD_INGRESS))
		expect_answer(t, &talk->client, ICMP_PORT_UNREACHABLE, 0,
			      FL_REASON_REJECT_UNKNOWN_PORT);
	else
		expect_untouched(t);
}

/* The backend lives on, for another Service. Stale is what the flow's own frontend does not serve
 * now, whatever it served in between. */
static void datagrams_follow_their_frontend(struct trial *t)
{
	const struct end_of_frontend *end = t->row;
	struct fl_ip other = addr(t->family, t->network, 2);
	struct service service = {.id = end->service,
				  .family = t->family,
				  .proto = t->proto,
				  .flags = MASQUERADE_ALL,
				  .ids = {{end->id}, {end->id}}};
	struct talk talk = talk_begin(t);

	backend_add(t->p, 2, &other, BACKEND_PORT, t->proto,
		    t->network == AT_POD ? FL_BACKEND_LOCAL : 0);
	talk_establish(&talk);
	if (end->service)
		service_replace(t->p, t->fe, service);
	else
		delete_frontend(t);
	assert_int_equal(clients_follow(t->p), end->stays ? 0 : 1);
	/* a reply that is under way still gets home */
	talk_reply(&talk, 0);
	talk_expect_reply(&talk);
	expect_next(t, &talk, end);
	expect_counter(t, FL_COUNTER_FLOW_RESTEERED, !end->stays);
	assert_int_equal(clients_follow(t->p), 0);
}

/* The choice sticks whatever the list becomes, as long as its backend is there. */
static void more_backends_move_no_flow(struct trial *t)
{
	struct talk talks[40];

	for (size_t i = 0; i < N(talks); i++) {
		talks[i] = talk_from(t, CLIENT_HOST, (uint16_t)(CLIENT_PORT + i), t->to);
		talk_establish(&talks[i]);
	}
	for (uint32_t id = 3; id < MAX_IDS; id++) {
		struct fl_ip ip = addr(t->family, t->network, id);

		backend_add(t->p, id, &ip, BACKEND_PORT, t->proto, 0);
	}
	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .flags = MASQUERADE_ALL,
					 .ids = {{7, 6, 5, 4, 3, 2, 1}, {7, 6, 5, 4, 3, 2, 1}}});
	for (size_t i = 0; i < N(talks); i++)
		talk_expect_both(&talks[i]);
}

static void new_flows_spread(struct trial *t)
{
	unsigned int hits[6] = {0};

	for (uint16_t i = 0; i < 500; i++) {
		struct packet packet =
			from_client(t, CLIENT_HOST + i % 7, (uint16_t)(CLIENT_PORT + i));

		/* before they crowd one another out */
		if (i % 50 == 0)
			plane_flows_clear(t->p);
		feed(t, &packet);
		hits[expect_flow(t, &packet).backend_id]++;
	}
	for (int i = 1; i <= 5; i++)
		assert_in_range(hits[i], 60, 140);
}

static const struct test tests[] = {
	{"7.1 to 7.3, 7.8: the endpoint goes, datagrams move to another at once, streams stay",
	 CHECK(backend_goes_another_is_left), .hooks = ON_INGRESS, .networks = EVERYWHERE,
	 .scene = {.backends = 2}},
	{"B5: an id that is given to another endpoint takes no stream along",
	 CHECK(id_is_given_to_another), .hooks = ON_INGRESS, .networks = EVERYWHERE},
	{"7.8: replies of an endpoint that is gone still arrive",
	 CHECK(reply_of_a_removed_backend_arrives), .hooks = ON_INGRESS, .networks = EVERYWHERE,
	 ROWS(whens)},
	{"5.7.3, 7.8: verdicts are for new flows, what is open goes on", CHECK(last_backend_goes),
	 .hooks = ON_INGRESS, .networks = EVERYWHERE, .frontends = 1 << 3, ROWS(ends)},
	{"7.1 to 7.7: datagrams follow their frontend, though the backend lives on",
	 CHECK(datagrams_follow_their_frontend), .protos = ONLY_UDP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, .frontends = EVERY_FRONTEND, ROWS(ends_of_frontend)},
	{"5.1.2: the choice sticks whatever the list becomes", CHECK(more_backends_move_no_flow),
	 .hooks = ON_INGRESS, .scene = {.backends = 2}},
	{"5.1.1: new flows spread over all backends", CHECK(new_flows_spread), .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, .scene = {.backends = 5}},
};

const struct topic change_topic = {"changes", TESTS(tests)};
