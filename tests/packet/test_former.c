// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DSR: connections that began under a table before the one in force. A segment of no flow that may
 * be one of those is sent from node to node until one knows it (nodeport/former.bpf.h).
 */
#include "tests/packet/tunnel.h"

/* Backends 1 and 2 are those of the trial's network, as is 4; 3 is a pod of this node. */
#define HERE 3
#define FOREIGN 9 /* a pod that no table has */

static struct fl_ip node(const struct trial *t)
{
	return addr(t->family, AT_EXT0, 2);
}

/* The Service's table has been those, the newest first, and is `now`. */
static void tables(struct trial *t, uint32_t now, const uint32_t before[static FL_FORMERS])
{
	struct service service = {.id = 1,
				  .family = t->family,
				  .proto = t->proto,
				  .flags = FL_TUNNEL | MASQUERADE_ALL,
				  .ids = {{now}, {now}}};
	const struct fl_ip here = addr(t->family, AT_POD, HERE), peer = node(t);

	for (uint32_t id = 1; id <= 4; id++) {
		const struct fl_ip away = addr(t->family, t->network, id);

		/* of the scene, or of an earlier table */
		if (t->p->maps.backends[id].generation)
			continue;
		backend_add(t->p, id, id == HERE ? &here : &away, BACKEND_PORT, t->proto,
			    id == HERE ? FL_BACKEND_LOCAL : 0);
	}
	service_replace(t->p, t->fe, service);
	for (int i = 0; i < FL_FORMERS; i++)
		former_set(t->p, 1, i, before[i]);
	peer_add(t, &peer);
}

static void tables_were(struct trial *t, uint32_t now, uint32_t first, uint32_t second,
			uint32_t third)
{
	tables(t, now, (uint32_t[]){first, second, third});
}

static struct packet segment(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.flags = ACK;
	packet.payload = 100;
	packet.seq = CLIENT_ISN + 5000;
	packet.ack = BACKEND_ISN + 7000;
	return packet;
}

static void expect_went(struct trial *t, const struct packet *packet, uint32_t backend, uint8_t ttl)
{
	struct outer outer = outer_sent(t, backend);
	const struct packet inner = inner_sent(t, packet);
	struct frame want;

	outer.ttl = ttl;
	frame_build(&inner, &want);
	frame_wrap(&want, &outer);
	expect_sent_frame(t, net_dev(t->network), &want);
}

/* It left for that backend, and nothing is remembered of it. */
static void expect_asked(struct trial *t, const struct packet *packet, uint32_t backend,
			 uint8_t ttl)
{
	expect_went(t, packet, backend, ttl);
	expect_flows(t, 0);
}

/* By the node that its client's packets come to */

static void moved_place_is_asked_and_not_remembered(struct trial *t)
{
	struct packet packet = segment(t);

	tables_were(t, 1, 2, 0, 0);
	for (int i = 0; i < 3; i++) {
		feed(t, &packet);
		expect_asked(t, &packet, 1, 64);
	}
	expect_counter(t, FL_COUNTER_FLOW_NEW, 0);
}

/* A place that has always been the same one's is certain. */
static void place_that_did_not_move(struct trial *t)
{
	struct packet packet = segment(t);
	struct fl_flow flow;

	tables_were(t, 1, 1, 1, 1);
	feed(t, &packet);
	assert_true(find_flow(t->p, &packet, &flow));
	assert_int_equal(flow.backend_id, 1);
	expect_counter(t, FL_COUNTER_FLOW_TAKEN_OVER, 1);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

static void own_pod_would_know_it(struct trial *t)
{
	struct packet packet = segment(t);

	tables_were(t, HERE, HERE, 2, 1);
	feed(t, &packet);
	expect_asked(t, &packet, 2, 64);
}

static void own_pods_only(struct trial *t)
{
	struct packet packet = segment(t);

	tables_were(t, HERE, HERE, 0, HERE);
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 0);
}

static void syn_goes_by_the_table_in_force(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct fl_flow flow;

	tables_were(t, 1, 2, 4, 0);
	feed(t, &packet);
	assert_true(find_flow(t->p, &packet, &flow));
	assert_int_equal(flow.backend_id, 1);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
}

static void tables_of_another_service(struct trial *t)
{
	struct packet packet = segment(t);

	tables_were(t, HERE, 1, 2, 0);
	t->p->maps.formers[1].service_id = 1 + FL_FORMER_LISTS;
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_FLOW);
}

/* By a node that another one has sent it to */

static void feed_outer(struct trial *t, const struct packet *packet, const struct outer *outer)
{
	struct frame frame;

	frame_build(packet, &frame);
	frame_wrap(&frame, outer);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

static void feed_asking(struct trial *t, const struct packet *packet, unsigned int pod, uint8_t ttl)
{
	struct outer outer = outer_came(t, node(t), pod);

	outer.ttl = ttl;
	feed_outer(t, packet, &outer);
}

static const struct order {
	struct row row;
	uint32_t now, before[FL_FORMERS];
	unsigned int pod; /* that it came for */
	uint32_t next;	  /* the backend that it goes on to; 0: none */
} orders[] = {
	{ROW("the table before"), HERE, {1}, HERE, 1},
	{ROW("the newest first"), HERE, {2, 1}, HERE, 2},
	{ROW("no gap counts"), HERE, {0, 0, 2}, HERE, 2},
	{ROW("one behind this one"), 1, {HERE, 2}, HERE, 2},
	{ROW("none is asked twice"), 1, {HERE, 1, 2}, HERE, 2},
	{ROW("nor this one"), HERE, {HERE, HERE, 4}, HERE, 4},
	{ROW("this is the last one"), 1, {2, HERE}, HERE, 0},
	{ROW("no table but this"), HERE, {0}, HERE, 0},
	{ROW("sent by a node that has seen no change yet, or one more"), 1, {2}, FOREIGN, 1},
};

static void candidates_are_asked_in_order(struct trial *t)
{
	const struct order *row = t->row;
	const struct packet packet = segment(t);

	tables(t, row->now, row->before);
	feed_asking(t, &packet, row->pod, 64);
	if (row->next)
		expect_asked(t, &packet, row->next, 48);
	else
		expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 0);
	expect_counter(t, FL_COUNTER_SEGMENT_PASSED_ON, row->next != 0);
}

static const struct ttl {
	struct row row;
	uint8_t came, goes; /* 0: it does not */
} ttls[] = {
	{ROW("64"), 64, 48}, {ROW("49"), 49, 48}, {ROW("48"), 48, 32},
	{ROW("33"), 33, 32}, {ROW("32"), 32, 16}, {ROW("17"), 17, 16},
	{ROW("16"), 16, 0},  {ROW("1"), 1, 0},	  {ROW("255"), 255, 48},
};

static void each_node_takes_a_step_of_the_ttl(struct trial *t)
{
	const struct ttl *row = t->row;
	const struct packet packet = segment(t);

	tables_were(t, HERE, 1, 2, 4);
	feed_asking(t, &packet, HERE, row->came);
	if (row->goes)
		expect_asked(t, &packet, 1, row->goes);
	else
		expect_drop(t, FL_REASON_NO_FLOW);
	expect_counter(t, FL_COUNTER_SEGMENT_PASSED_ON, row->goes != 0);
}

static const struct kind {
	struct row row;
	uint8_t flags;
	bool goes;
} kinds[] = {
	{ROW("data"), ACK | PSH, true},
	{ROW("FIN"), FIN | ACK, true},
	{ROW("RST"), RST, true},
	{ROW("SYN-ACK"), SYN | ACK, false},
};

static void what_a_connection_may_have(struct trial *t)
{
	const struct kind *row = t->row;
	struct packet packet = segment(t);

	packet.flags = row->flags;
	tables_were(t, HERE, 1, 0, 0);
	feed_asking(t, &packet, HERE, 64);
	if (row->goes)
		expect_asked(t, &packet, 1, 48);
	else
		expect_drop(t, FL_REASON_NO_FLOW);
	expect_counter(t, FL_COUNTER_SEGMENT_PASSED_ON, row->goes);
}

static void connection_that_is_here_stays(struct trial *t)
{
	struct packet packet = packet_of(t);

	tables_were(t, HERE, 0, 0, 0);
	feed_asking(t, &packet, HERE, 64);
	expect_outcome(t, PASSED);
	tables_were(t, 1, HERE, 0, 0);
	packet.flags = ACK;
	packet.seq++;
	feed_asking(t, &packet, HERE, 48);
	expect_outcome(t, PASSED);
	expect_counter(t, FL_COUNTER_SEGMENT_PASSED_ON, 0);
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
	allow_counter(t, FL_COUNTER_FLOW_NEW);
}

/* This node has sent it there itself, before the client's packets came by another one. */
static void own_flow_says_where(struct trial *t)
{
	struct packet packet = packet_of(t);

	tables_were(t, 4, 0, 0, 0);
	feed(t, &packet);
	tables_were(t, 1, HERE, 2, 0);
	packet = segment(t);
	feed_asking(t, &packet, HERE, 64);
	expect_went(t, &packet, 4, 48);
	packet.flags = SYN;
	feed_asking(t, &packet, HERE, 64);
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	expect_counter(t, FL_COUNTER_SEGMENT_PASSED_ON, 1);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
	allow_counter(t, FL_COUNTER_FLOW_NEW);
}

/* The other dispatch is another node's: nothing is put into it here. */
static void only_by_the_way_it_came(struct trial *t)
{
	const struct packet packet = segment(t);
	struct outer outer = outer_came(t, node(t), HERE);

	tables_were(t, HERE, 1, 0, 0);
	if (by_geneve(t)) {
		outer = (struct outer){.src = node(t), .dst = outer.pod};
	} else {
		outer.pod = outer.dst;
		outer.port = BACKEND_PORT;
		outer.dst = addr(t->family, AT_EXT0, 1);
		outer.sport = 50123;
		outer.geneve = true;
	}
	feed_outer(t, &packet, &outer);
	expect_drop(t, FL_REASON_NO_FLOW);
}

static const struct marks {
	struct row row;
	uint8_t came, goes; /* class of the outer header; inside it is ECT(0) */
} marks[] = {
	{ROW("congested"), 3, 3},
	{ROW("not congested"), 2, 2},
};

/* RFC 6040: it reaches the node that takes the outer header off. */
static void mark_of_congestion_stays(struct trial *t)
{
	const struct marks *row = t->row;
	const struct packet packet = segment(t);
	const uint8_t v4[] = {2}, v6[] = {0x60, 2 << 4};
	struct outer outer = outer_came(t, node(t), HERE);
	struct packet inner;
	struct frame frame;

	tables_were(t, HERE, 1, 0, 0);
	frame_build(&packet, &frame);
	if (t->family == FL_IPV4)
		frame_write(&frame, ETH_HLEN + 1, v4, sizeof(v4));
	else
		frame_write(&frame, ETH_HLEN, v6, sizeof(v6));
	outer.tos = row->came;
	frame_wrap(&frame, &outer);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	inner = inner_sent(t, &packet);
	frame_build(&inner, &frame);
	if (t->family == FL_IPV4)
		frame_write(&frame, ETH_HLEN + 1, v4, sizeof(v4));
	else
		frame_write(&frame, ETH_HLEN, v6, sizeof(v6));
	outer = outer_sent(t, 1);
	outer.tos = row->goes;
	outer.ttl = 48;
	frame_wrap(&frame, &outer);
	expect_sent_frame(t, net_dev(t->network), &frame);
	expect_counter(t, FL_COUNTER_SEGMENT_PASSED_ON, 1);
}

/* D5: who is no node has nothing sent on. */
static void stranger_has_nothing_sent_on(struct trial *t)
{
	const struct packet packet = segment(t);
	struct outer outer = outer_came(t, addr(t->family, AT_EXT0, 77), HERE);

	tables_were(t, HERE, 1, 0, 0);
	feed_outer(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_SOURCE);
}

/* 5.3.3: nor is a backend sent its own packets. */
static void not_to_its_sender(struct trial *t)
{
	struct packet packet = segment(t);

	tables_were(t, HERE, 1, 2, 0);
	packet.src = addr(t->family, t->network, 1);
	feed_asking(t, &packet, HERE, 64);
	expect_asked(t, &packet, 2, 48);
	expect_counter(t, FL_COUNTER_SEGMENT_PASSED_ON, 1);
}

static void inner_ttl_is_used_up(struct trial *t)
{
	struct packet packet = segment(t);

	tables_were(t, HERE, 1, 0, 0);
	packet.ttl = 1;
	feed_asking(t, &packet, HERE, 64);
	expect_drop(t, FL_REASON_TTL_EXCEEDED);
}

#define DSR .scene = {.more_flags = FL_TUNNEL}, .protos = ONLY_TCP
#define ALL_WAYS .hooks = ON_XDP | ON_XDP_TC | ON_TC_INGRESS

static const struct test tests[] = {
	{"a place that has moved: the table in force is asked first",
	 CHECK(moved_place_is_asked_and_not_remembered), ALL_WAYS, DSR},
	{"a place that has not: the connection is remembered", CHECK(place_that_did_not_move),
	 ALL_WAYS, DSR},
	{"a pod of this node is not asked", CHECK(own_pod_would_know_it), ALL_WAYS, DSR},
	{"nobody else is left", CHECK(own_pods_only), ALL_WAYS, DSR},
	{"a SYN is the table's in force", CHECK(syn_goes_by_the_table_in_force), ALL_WAYS, DSR},
	{"tables of another Service", CHECK(tables_of_another_service), ALL_WAYS, DSR},
	{"the order of candidates", CHECK(candidates_are_asked_in_order), ALL_WAYS, DSR,
	 ROWS(orders)},
	{"by a device that XDP cannot use", CHECK(candidates_are_asked_in_order),
	 .hooks = ON_XDP_TC | ON_TC_INGRESS, .networks = IN(AT_TC), DSR, ROWS(orders)},
	{"D7: a segment goes over four nodes at most", CHECK(each_node_takes_a_step_of_the_ttl),
	 ALL_WAYS, DSR, ROWS(ttls)},
	{"segments, and no SYN", CHECK(what_a_connection_may_have), ALL_WAYS, DSR, ROWS(kinds)},
	{"a flow that is known is nobody else's", CHECK(connection_that_is_here_stays), ALL_WAYS,
	 DSR},
	{"this node has sent it somewhere", CHECK(own_flow_says_where), ALL_WAYS, DSR},
	{"only by the dispatch that it came by", CHECK(only_by_the_way_it_came), ALL_WAYS, DSR},
	{"RFC 6040: a mark of congestion stays", CHECK(mark_of_congestion_stays), ALL_WAYS, DSR,
	 ROWS(marks)},
	{"D5: only for nodes", CHECK(stranger_has_nothing_sent_on), ALL_WAYS, DSR},
	{"5.3.3: not to who has sent it", CHECK(not_to_its_sender), ALL_WAYS, DSR},
	{"D6: with one hop less", CHECK(inner_ttl_is_used_up), ALL_WAYS, DSR},
};

const struct topic former_topic = {"former", TESTS(tests)};
const struct topic former_geneve_topic = {"former geneve", TESTS(tests), .plane = PLANE_GENEVE};
