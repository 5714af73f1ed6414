// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * DSR on the backend's side: what a node has encapsulated for a pod of this one. Anything else that
 * is encapsulated stays as it is, and what pretends to be a client's is dropped (robustness D5).
 */
#include "tests/packet/tunnel.h"

#include <bpf/bpf.h>
#include <string.h>

#include "nodeport/next_hop.h"

/* A node of the cluster, and somebody else. */
static struct fl_ip node(const struct trial *t)
{
	return addr(t->family, AT_EXT0, 2);
}

static struct fl_ip stranger(const struct trial *t)
{
	return addr(t->family, AT_EXT0, 77);
}

static void know_the_node(struct trial *t)
{
	struct fl_ip peer = node(t);

	peer_add(t, &peer);
}

static enum outcome feed_wrapped(struct trial *t, const struct packet *packet,
				 const struct outer *outer)
{
	struct frame frame;

	frame_build(packet, &frame);
	frame_wrap(&frame, outer);
	return feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

static struct outer to_pod(const struct trial *t, unsigned int pod)
{
	return outer_came(t, node(t), pod);
}

/* The inner packet, for the pod. */
static void expect_unpacked(struct trial *t, const struct packet *packet, unsigned int pod)
{
	struct packet want = *packet;

	want.dst = addr(t->family, AT_POD, pod);
	want.dport = BACKEND_PORT;
	expect_stack(t, &want);
}

/* The pod answers: with the address that the client has asked. */
static void reply(struct trial *t, const struct packet *asked, unsigned int pod, uint8_t flags)
{
	struct packet answer = packet_reverse(asked), want;

	answer.src = addr(t->family, AT_POD, pod);
	answer.sport = BACKEND_PORT;
	answer.flags = flags;
	answer.seq = BACKEND_ISN;
	answer.ack = asked->seq + 1;
	answer.src_mac = t->p->net->mac[DEV_EXT0];
	answer.dst_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	want = answer;
	want.src = asked->dst;
	want.sport = asked->dport;
	feed_dev(t, HOOK_TC_EGRESS, DEV_EXT0, &answer);
	expect_stack(t, &want);
}

/* A connection by the node has begun: the client's next segment. */
static struct packet begin(struct trial *t, const struct outer *outer)
{
	struct packet packet = packet_of(t);

	know_the_node(t);
	feed_wrapped(t, &packet, outer);
	expect_unpacked(t, &packet, 1);
	reply(t, &packet, 1, SYN | ACK);
	packet.flags = ACK;
	packet.seq++;
	packet.ack = BACKEND_ISN + 1;
	return packet;
}

static void connection_is_unpacked_and_answered(struct trial *t)
{
	struct outer outer = to_pod(t, 1);
	struct packet packet = begin(t, &outer);

	for (uint16_t i = 0; i < 10; i++) {
		packet.payload = (uint16_t)(i * 100);
		feed_wrapped(t, &packet, &outer);
		expect_unpacked(t, &packet, 1);
		packet.seq += t->proto == IPPROTO_TCP ? packet.payload : 0;
	}
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
	if (t->proto == IPPROTO_TCP)
		assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_ESTABLISHED);
}

/* A connection that one node has sent goes on when another one sends it, or the client itself. */
static void any_node_goes_on(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 1);
	struct fl_ip other = addr(t->family, AT_EXT0, 3);

	know_the_node(t);
	peer_add(t, &other);
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
	reply(t, &packet, 1, SYN | ACK);
	packet.flags = ACK;
	packet.seq++;
	packet.ack = BACKEND_ISN + 1;
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
	outer.src = other;
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
	feed(t, &packet);
	expect_unpacked(t, &packet, 1);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

/* The outer address says which pod, whatever the table would. */
static void each_pod_gets_its_own(struct trial *t)
{
	know_the_node(t);
	for (unsigned int pod = 1; pod <= 5; pod++) {
		struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT);
		struct outer outer = to_pod(t, pod);

		packet.sport += pod;
		feed_wrapped(t, &packet, &outer);
		expect_unpacked(t, &packet, pod);
		reply(t, &packet, pod, SYN | ACK);
	}
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 5);
}

/* One pod, one client, one port, two frontends: each answer gets its own. */
static void two_frontends_are_kept_apart(struct trial *t)
{
	struct packet one = packet_of(t), other = one, answer, want;
	struct outer outer = to_pod(t, 1);
	struct fl_flow flow;

	know_the_node(t);
	other.dst = t->fe[1].ip;
	feed_wrapped(t, &one, &outer);
	expect_unpacked(t, &one, 1);
	feed_wrapped(t, &other, &outer);
	expect_outcome(t, PASSED);
	flow = expect_flow(t, &other);
	assert_int_not_equal(flow.source_port, one.sport);
	reply(t, &one, 1, SYN | ACK);
	answer = packet_reverse(&other);
	answer.src = addr(t->family, AT_POD, 1);
	answer.sport = BACKEND_PORT;
	answer.dport = flow.source_port;
	answer.flags = SYN | ACK;
	answer.src_mac = t->p->net->mac[DEV_EXT0];
	answer.dst_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	want = answer;
	want.src = other.dst;
	want.sport = other.dport;
	want.dport = other.sport;
	feed_dev(t, HOOK_TC_EGRESS, DEV_EXT0, &answer);
	expect_stack(t, &want);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 2);
}

/* A node port is asked at the address of the node that the client has written to. */
static void node_port_of_another_node(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 1);

	know_the_node(t);
	packet.dst = node(t);
	packet.dport = NODE_PORT;
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
	reply(t, &packet, 1, SYN | ACK);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

/* Whether there is a flow already or not. */
static void stranger_is_dropped(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 1);

	know_the_node(t);
	outer.src = stranger(t);
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_SOURCE);
	expect_flows(t, 0);
	outer.src = node(t);
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
	reply(t, &packet, 1, SYN | ACK);
	packet.flags = ACK;
	packet.seq++;
	packet.ack = BACKEND_ISN + 1;
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
	outer.src = stranger(t);
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_SOURCE);
	expect_counter(t, FL_COUNTER_FLOW_UNPACKED, 1);
}

/* A connection by the node, which goes on as it is: *ret_packet is the next segment of it. */
static void go_on(struct trial *t, const struct outer *outer, struct packet *ret_packet)
{
	struct packet packet = begin(t, outer);

	for (int i = 0; i < 3; i++) {
		feed_wrapped(t, &packet, outer);
		expect_unpacked(t, &packet, 1);
	}
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
	*ret_packet = packet;
}

static void flow_in_use_is_seen(struct trial *t)
{
	const struct outer outer = to_pod(t, 1);
	struct packet packet;
	struct fl_flow flow;

	go_on(t, &outer, &packet);
	flow = expect_flow(t, &packet);
	flow_age(t->p, &flow, 2 * t->p->config.hz);
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
	assert_true(plane_now(t->p) - plane_head(t->p, t->family, flow.slot)->last_seen <
		    t->p->config.hz);
}

/* What was remembered of it is forgotten, as by the agent that has changed the map. */
static void node_that_has_left_is_a_stranger(struct trial *t)
{
	const struct outer outer = to_pod(t, 1);
	const struct fl_ip from = node(t);
	struct packet packet;

	go_on(t, &outer, &packet);
	assert_int_equal(bpf_map_delete_elem(t->p->maps.peers_fd, &from), 0);
	fl_next_hops_forget(t->p->maps.meta);
	for (int i = 0; i < 2; i++) {
		feed_wrapped(t, &packet, &outer);
		expect_drop(t, FL_REASON_TUNNEL_SOURCE);
	}
	know_the_node(t);
	for (int i = 0; i < 2; i++) {
		feed_wrapped(t, &packet, &outer);
		expect_unpacked(t, &packet, 1);
	}
}

/* Likewise: the outer destination has become an address of this node, or is none any more. */
static void addresses_that_move_are_looked_up_again(struct trial *t)
{
	const struct outer outer = to_pod(t, 1);
	const uint32_t flags = by_geneve(t) ? 0 : FL_LOCAL_NODE;
	struct packet packet;

	go_on(t, &outer, &packet);
	assert_int_equal(bpf_map_update_elem(t->p->maps.local_fd, &outer.dst, &flags, 0), 0);
	fl_next_hops_forget(t->p->maps.meta);
	for (int i = 0; i < 2; i++) {
		feed_wrapped(t, &packet, &outer);
		expect_untouched(t);
	}
}

/* One address does not vouch for the other, nor in another place: the pod's is no node's. */
static void what_is_remembered_is_what_it_was(struct trial *t)
{
	const struct outer outer = to_pod(t, 1);
	struct outer other = outer;
	struct packet packet;

	go_on(t, &outer, &packet);
	other.src = outer.dst;
	feed_wrapped(t, &packet, &other);
	expect_drop(t, FL_REASON_TUNNEL_SOURCE);
	other = outer;
	other.dst = by_geneve(t) ? addr(t->family, AT_POD, 1) : addr(t->family, AT_EXT0, 1);
	feed_wrapped(t, &packet, &other);
	expect_untouched(t);
	other.dst = outer.src;
	feed_wrapped(t, &packet, &other);
	if (by_geneve(t))
		expect_untouched(t);
	else
		expect_unpacked(t, &packet, 1); /* no address of this node, and a flow of it */
	feed_wrapped(t, &packet, &outer);
	expect_unpacked(t, &packet, 1);
}

/* For longer than a generation of next hops is good. */
static void it_goes_on_when_what_was_remembered_is_over(struct trial *t)
{
	const struct outer outer = to_pod(t, 1);
	struct packet packet;

	go_on(t, &outer, &packet);
	fl_next_hops_keep(t->p->maps.meta, plane_now(t->p) - 1);
	for (int i = 0; i < 3; i++) {
		feed_wrapped(t, &packet, &outer);
		expect_unpacked(t, &packet, 1);
	}
}

static void nobody_is_known(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 1);

	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_SOURCE);
}

enum inner {
	INNER_NO_FRONTEND,
	INNER_OTHER_PORT,
	INNER_NESTED,
	INNER_OF_POD,
	OUTER_TO_NODE,
	OUTER_FRAGMENT,
	OUTER_OTHER_PROTO,
};

static const struct foreign {
	struct row row;
	enum inner what;
} foreigners[] = {
	{ROW("for no frontend"), INNER_NO_FRONTEND},
	{ROW("for another port of a frontend's address"), INNER_OTHER_PORT},
	{ROW("nested"), INNER_NESTED},
	{ROW("for a pod, past all frontends"), INNER_OF_POD},
	{ROW("to the node, of Geneve to a pod"), OUTER_TO_NODE},
	{ROW("in pieces", .families = ONLY_IPV4), OUTER_FRAGMENT},
	{ROW("with another protocol"), OUTER_OTHER_PROTO},
};

/* Whoever sends it. */
static void what_is_not_ours_stays_as_it_is(struct trial *t)
{
	const struct foreign *row = t->row;

	know_the_node(t);
	for (int i = 0; i < 2; i++) {
		struct packet packet = packet_of(t);
		struct outer outer = to_pod(t, 1);
		struct frame frame;

		outer.src = i ? stranger(t) : node(t);
		if (row->what == INNER_NO_FRONTEND)
			packet.dst = addr(t->family, AT_FOREIGN, 5);
		if (row->what == INNER_OTHER_PORT)
			packet.dport++;
		if (row->what == INNER_OF_POD) {
			packet.dst = addr(t->family, AT_POD, 1);
			packet.dport = BACKEND_PORT;
		}
		if (row->what == OUTER_TO_NODE)
			outer.dst = by_geneve(t) ? addr(t->family, AT_POD, 1)
						 : addr(t->family, AT_EXT0, 1);
		if (row->what == OUTER_FRAGMENT) {
			outer.fragment = 0x2000;
			/* a first fragment that there could be, of UDP */
			packet.payload = t->proto == IPPROTO_TCP ? 4 : 8;
		}
		if (row->what == OUTER_OTHER_PROTO)
			outer.proto = IPPROTO_GRE;
		frame_build(&packet, &frame);
		if (row->what == INNER_NESTED)
			frame_wrap(&frame, &outer);
		frame_wrap(&frame, &outer);
		feed_frame(t, t->hook, hook_dev(t->hook), &frame);
		if (by_geneve(t) && row->what == OUTER_FRAGMENT && t->hook == HOOK_XDP)
			expect_left_to_tc(t); /* as fragments of any datagram */
		else
			expect_untouched(t);
		expect_flows(t, 0);
	}
}

enum forged {
	FROM_LOOPBACK,
	FROM_NODE,
	FROM_FRONTEND,
	FROM_MULTICAST,
};

static const struct forgery {
	struct row row;
	enum forged what;
} forgeries[] = {
	{ROW("loopback"), FROM_LOOPBACK},
	{ROW("this node"), FROM_NODE},
	{ROW("a frontend"), FROM_FRONTEND},
	{ROW("multicast"), FROM_MULTICAST},
};

/* D6, D11: sources that no client has, even if a node has let them through. */
static void inner_source_that_no_client_has(struct trial *t)
{
	static const char *const text[FL_FAMILIES][4] = {
		[FL_IPV4] = {[FROM_LOOPBACK] = "127.0.0.1", [FROM_MULTICAST] = "224.0.0.1"},
		[FL_IPV6] = {[FROM_LOOPBACK] = "::1", [FROM_MULTICAST] = "ff02::1"},
	};
	const struct forgery *row = t->row;
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 1);

	know_the_node(t);
	if (text[t->family][row->what])
		packet.src = ip(text[t->family][row->what]);
	if (row->what == FROM_NODE)
		packet.src = addr(t->family, AT_EXT0, 1);
	if (row->what == FROM_FRONTEND) {
		packet.src = t->fe[1].ip;
		packet.sport = SERVICE_PORT;
	}
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_CONTENT);
	expect_flows(t, 0);
}

static void only_a_syn_opens_a_flow(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 1);

	know_the_node(t);
	packet.flags = ACK;
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 0);
}

static void pod_that_is_no_backend(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 9);

	know_the_node(t);
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	expect_flows(t, 0);
}

/* Sent here in error, it would go round. */
static void backend_of_another_node(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct outer outer = to_pod(t, 1);

	*(by_geneve(t) ? &outer.pod : &outer.dst) = addr(t->family, t->network, 1);
	know_the_node(t);
	feed_wrapped(t, &packet, &outer);
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	expect_flows(t, 0);
}

static const struct marks {
	struct row row;
	uint8_t outer, inner, becomes;
	bool drop;
} marks[] = {
	{ROW("congested, ECT(0)"), 3, 2, 3, false},
	{ROW("congested, ECT(1)"), 3, 1, 3, false},
	{ROW("congested already"), 3, 3, 3, false},
	{ROW("congested, and does not know the mark"), 3, 0, 0, true},
	{ROW("not congested"), 2, 2, 2, false},
};

/* Write this traffic class. */
static void mark(struct frame *frame, enum fl_family family, uint8_t class)
{
	const uint8_t v6[] = {0x60, (uint8_t)(class << 4)};

	if (family == FL_IPV4)
		frame_write(frame, ETH_HLEN + 1, &class, 1);
	else
		frame_write(frame, ETH_HLEN, v6, sizeof(v6));
}

static void congestion_goes_over(struct trial *t)
{
	const struct marks *row = t->row;
	struct packet packet = packet_of(t), want = packet;
	struct outer outer = to_pod(t, 1);
	struct frame frame, out;

	know_the_node(t);
	frame_build(&packet, &frame);
	mark(&frame, t->family, row->inner);
	outer.tos = row->outer;
	frame_wrap(&frame, &outer);
	feed_frame(t, t->hook, hook_dev(t->hook), &frame);
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
	if (row->drop) {
		expect_drop(t, FL_REASON_TUNNEL_CONTENT);
		return;
	}
	want.dst = addr(t->family, AT_POD, 1);
	want.dport = BACKEND_PORT;
	frame_build(&want, &out);
	mark(&out, t->family, row->becomes);
	expect_outcome(t, PASSED);
	expect_frame(t, &out);
}

#define HERE .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD)

static const struct test tests[] = {
	{"DSR: the pod gets the inner packet, the client its answer",
	 CHECK(connection_is_unpacked_and_answered), HERE, .scene = {.more_flags = FL_TUNNEL}},
	{"also while this node does not know the mode yet",
	 CHECK(connection_is_unpacked_and_answered), HERE},
	{"the flow is the client's, whoever has sent it on", CHECK(any_node_goes_on), HERE},
	{"the outer address names the pod", CHECK(each_pod_gets_its_own), HERE,
	 .scene = {.backends = 5}},
	{"two frontends, one pod, one client's port", CHECK(two_frontends_are_kept_apart), HERE},
	{"node ports of other nodes", CHECK(node_port_of_another_node), HERE},
	{"D5: only nodes are unpacked", CHECK(stranger_is_dropped), HERE},
	{"D5: where no node is known, nobody is", CHECK(nobody_is_known), HERE},
	{"a flow that goes on is seen once a second", CHECK(flow_in_use_is_seen), HERE},
	{"D5: a node that has left the cluster", CHECK(node_that_has_left_is_a_stranger), HERE},
	{"the node's addresses may change", CHECK(addresses_that_move_are_looked_up_again), HERE},
	{"D5: who is remembered, and as what", CHECK(what_is_remembered_is_what_it_was), HERE},
	{"and for how long", CHECK(it_goes_on_when_what_was_remembered_is_over), HERE},
	{"D5: what is for no frontend is not unpacked", CHECK(what_is_not_ours_stays_as_it_is),
	 HERE, ROWS(foreigners)},
	{"D6, D11: sources that no client has", CHECK(inner_source_that_no_client_has), HERE,
	 ROWS(forgeries)},
	{"only SYN opens a flow", CHECK(only_a_syn_opens_a_flow), HERE, .protos = ONLY_TCP},
	{"only for backends", CHECK(pod_that_is_no_backend), HERE},
	{"only for backends of this node", CHECK(backend_of_another_node),
	 .hooks = ON_XDP | ON_TC_INGRESS},
	{"RFC 6040: a mark of congestion goes over", CHECK(congestion_goes_over), HERE,
	 ROWS(marks)},
};

const struct topic unpack_topic = {"unpack", TESTS(tests)};
const struct topic unpack_geneve_topic = {"unpack geneve", TESTS(tests), .plane = PLANE_GENEVE};
