// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* A frontend claims the packets of flows that begin with it: not the answers to what the node asked
 * itself, nor what pretends to come from a frontend. */
#include "tests/packet/packet.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/packet/sockets.h"

static void expect_martian(struct trial *t, const struct packet *packet)
{
	expect_drop(t, FL_REASON_FRONTEND_SOURCE);
	expect_no_flow(t, packet);
}

struct martian {
	struct row row;
	/* the packet comes from the address of so many frontends further; 0: another cluster IP */
	unsigned int next;
	uint16_t sport;
};

/* The reflection of CVE-2024-2169: each answers the other, for ever. */
static const struct martian martians[] = {
	{ROW("address and port of another frontend"), 1, SERVICE_PORT},
	{ROW("address and port of a third"), 2, SERVICE_PORT},
	{ROW("a cluster IP, any port"), 0, 4000},
};

static struct packet martian_of(const struct trial *t)
{
	const struct martian *martian = t->row;
	struct packet packet = packet_of(t);

	/* the fourth is the node port, whose address is the node's */
	packet.src = t->fe[(t->frontend + martian->next) % 3].ip;
	if (!martian->next) {
		packet.src = addr(t->family, AT_SERVICE, 12);
		vip_add(t->p, &packet.src, true);
	}
	packet.sport = martian->sport;
	return packet;
}

static void frontend_address_is_no_source(struct trial *t)
{
	struct packet packet = martian_of(t);

	feed(t, &packet);
	expect_martian(t, &packet);
}

/* An answer from one frontend to the other would go round as well. */
static void frontend_address_is_not_answered(struct trial *t)
{
	struct packet packet = martian_of(t);

	packet.dport = 81; /* 2.22 */
	feed(t, &packet);
	if (t->hook == HOOK_POD_INGRESS && t->to->type != FL_FRONTEND_CLUSTER_IP)
		expect_untouched(t);
	else
		expect_martian(t, &packet);
}

/* Some give Services the addresses of their nodes, which send from other ports. */
static void external_address_may_be_a_machine(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk.client.src = t->fe[t->frontend == 1 ? 2 : 1].ip;
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
}

/*
 * A connection that the node began itself, from a source port that is a node port. The egress hook
 * sees it begin; what comes back is its own, not the Service's.
 */
static void own_connection_from_a_node_port(struct trial *t)
{
	struct packet out = {
		.family = t->family,
		.proto = t->proto,
		.src = addr(t->family, AT_EXT0, 1),
		.dst = addr(t->family, AT_OUTSIDE, CLIENT_HOST),
		.sport = NODE_PORT,
		.dport = 443,
		.flags = SYN,
		.seq = CLIENT_ISN,
		.ttl = 64,
		.payload = t->proto == IPPROTO_UDP ? 20 : 0,
		.dst_mac = t->p->net->gateway_mac[AT_OUTSIDE],
		.src_mac = t->p->net->mac[DEV_EXT0],
	};
	static const uint8_t flags[][2] = {{SYN, SYN | ACK}, {ACK, ACK}, {ACK | PSH, ACK}};

	for (size_t i = 0; i < N(flags); i++) {
		struct packet in;

		out.flags = flags[i][0];
		feed_at(t, HOOK_TC_EGRESS, &out);
		expect_untouched(t);
		in = packet_reverse(&out);
		in.dst_mac = t->p->net->mac[DEV_EXT0];
		in.src_mac = t->p->net->gateway_mac[AT_OUTSIDE];
		in.flags = flags[i][1];
		feed(t, &in);
		expect_untouched(t);
	}
	expect_flows(t, 0);
}

/* A datagram of the node's own, from the frontend to the client whose packet this is. */
static struct packet own_datagram(const struct trial *t, const struct packet *packet)
{
	struct packet out = packet_reverse(packet);

	out.src_mac = t->p->net->mac[DEV_EXT0];
	out.dst_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	return out;
}

/* The records of what the node has asked look as if nothing had used them for so long. */
static void age_own(struct trial *t, const struct packet *answer, uint32_t seconds)
{
	struct fl_own_key key = {
		.tuple = {.sport = htons(answer->sport), .dport = htons(answer->dport)}};
	uint32_t seen;

	memcpy(&key.tuple.saddr, answer->src.b, sizeof(key.tuple.saddr));
	memcpy(&key.tuple.daddr, answer->dst.b, sizeof(key.tuple.daddr));
	assert_int_equal(bpf_map_lookup_elem(t->p->maps.own_flows_fd, &key, &seen), 0);
	seen -= seconds * t->p->config.hz;
	assert_int_equal(bpf_map_update_elem(t->p->maps.own_flows_fd, &key, &seen, BPF_EXIST), 0);
}

/* What the frontend says to a client of its may be a backend's answer, which another hook has
 * translated. So it is no flow of the node's own, also when the client's is over. */
static void said_to_a_client(struct trial *t)
{
	struct packet packet = packet_of(t), out = own_datagram(t, &packet);
	struct fl_flow flow;

	feed(t, &packet);
	flow = expect_flow(t, &packet);
	feed_at(t, HOOK_TC_EGRESS, &out);
	expect_untouched(t);
	flow_age(t->p, &flow, 1000 * t->p->config.hz);
	feed(t, &packet);
	expect_flow(t, &packet);
	expect_flows(t, 1);
}

/* A flow that has expired is over, whoever notices that first. */
static void said_after_a_client(struct trial *t)
{
	struct packet packet = packet_of(t), out = own_datagram(t, &packet);
	struct fl_flow flow;

	feed(t, &packet);
	flow = expect_flow(t, &packet);
	flow_age(t->p, &flow, 1000 * t->p->config.hz);
	feed_at(t, HOOK_TC_EGRESS, &out);
	expect_untouched(t);
	feed(t, &packet);
	expect_untouched(t);
}

/* Until its answers have stopped for as long as a flow of UDP lasts. */
static void own_flow_ends(struct trial *t)
{
	struct packet packet = packet_of(t), out = own_datagram(t, &packet);
	const uint32_t timeout = t->p->config.timeout[FL_TIMEOUT_UDP_ESTABLISHED] / t->p->config.hz;

	feed_at(t, HOOK_TC_EGRESS, &out);
	expect_untouched(t);
	for (int i = 0; i < 3; i++) {
		age_own(t, &packet, timeout - 2);
		feed(t, &packet);
		expect_untouched(t);
	}
	age_own(t, &packet, timeout - 2);
	feed_at(t, HOOK_TC_EGRESS, &out);
	expect_untouched(t);
	age_own(t, &packet, timeout - 2);
	feed(t, &packet);
	expect_untouched(t);
	expect_flows(t, 0);
	age_own(t, &packet, timeout + 2);
	feed(t, &packet);
	expect_flow(t, &packet);
}

struct bound {
	struct row row;
	bool connected, other_peer;
	bool reported; /* which ports have sockets is known; this one's, where it is `seen` */
	bool seen;
};

static const struct bound bounds[] = {
	{ROW("connected to the sender"), true, false, false, false},
	{ROW("connected to another"), true, true, false, false},
	{ROW("not connected"), false, false, false, false},
	{ROW("at a port that is known to have a socket"), true, false, true, true},
	{ROW("at a port that is known to have none"), true, false, true, false},
};

static int own_socket = -1;

static void close_own_socket(struct trial *t)
{
	if (own_socket >= 0)
		close(own_socket);
	own_socket = -1;
}

/* It was there before the Service got the node port, and nothing of its beginning was seen. */
static void own_socket_at_a_new_node_port(struct trial *t)
{
	const struct bound *bound = t->row;
	struct packet packet = packet_of(t);
	union sockaddr_any sa;
	socklen_t len = to_sockaddr(&packet.dst, packet.dport, false, &sa);

	own_socket = socket(sa.sa.sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(own_socket >= 0);
	assert_int_equal(bind(own_socket, &sa.sa, len), 0);
	len = to_sockaddr(&packet.src, (uint16_t)(packet.sport + bound->other_peer), false, &sa);
	if (bound->connected)
		assert_int_equal(connect(own_socket, &sa.sa, len), 0);
	if (bound->reported)
		t->p->maps.meta->bound_ports_stamp = plane_now(t->p);
	if (bound->seen)
		t->p->maps.bound_ports[FL_BOUND_WORD(t->proto, packet.dport)] |=
			1ULL << (packet.dport & 63);
	feed(t, &packet);
	if (bound->connected && !bound->other_peer && bound->reported == bound->seen) {
		expect_untouched(t);
		expect_flows(t, 0);
	} else {
		/* as with kube-proxy, the node port beats a socket that is bound there */
		expect_flow(t, &packet);
	}
}

/* What a local backend answers leaves here; from the network comes somebody who sends as if he were
 * it. */
static void reply_of_a_local_backend_from_outside(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct packet forged;

	talk_establish(&talk);
	forged = packet_reverse(&talk.inner);
	forged.flags = ACK;
	forged.dst_mac = t->p->net->mac[DEV_EXT0];
	forged.src_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	feed(t, &forged);
	expect_untouched(t);
}

/* Replies of masqueraded flows come from the network, by whatever device of that. */
static void reply_by_another_way(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk.reply_dev = talk.reply_dev == DEV_EXT0 ? DEV_EXT1 : DEV_EXT0;
	for (int i = 0; i < 2; i++) {
		talk_reply(&talk, ACK);
		talk_expect_reply(&talk);
	}
	talk_expect_both(&talk);
}

/* A pod of this node sends as if it were the backend of another one. */
static void reply_of_a_remote_backend_from_a_pod(struct trial *t)
{
	const uint8_t flags[] = {ACK, SYN | ACK, FIN | ACK, RST | ACK};
	struct talk talk = talk_begin(t);
	struct packet forged;

	talk_establish(&talk);
	for (size_t i = 0; i < sizeof(flags); i++) {
		forged = packet_reverse(&talk.inner);
		forged.flags = flags[i];
		forged.dst_mac = t->p->net->mac[DEV_POD];
		forged.src_mac = t->p->net->gateway_mac[AT_POD];
		feed_at(t, HOOK_POD_INGRESS, &forged);
		expect_untouched(t);
	}
	talk_expect_state(&talk, FL_FLOW_ESTABLISHED);
	talk_expect_both(&talk);
}

/* The network sends as if it were a pod of this node, whose clients are masqueraded. */
static void reply_of_a_masqueraded_local_backend_from_outside(struct trial *t)
{
	struct packet packet = packet_of(t), forged;
	struct fl_flow flow;

	/* where XDP leaves it */
	feed_at(t, HOOK_TC_INGRESS, &packet);
	flow = expect_flow(t, &packet);
	assert_true(flow.flags & FL_FLOW_SNAT);
	forged = translated(&packet, &flow);
	forged = packet_reverse(&forged);
	forged.flags = SYN | ACK;
	forged.ack = packet.seq + 1;
	forged.dst_mac = t->p->net->mac[DEV_EXT0];
	forged.src_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	feed(t, &forged);
	expect_untouched(t);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_NEW);
	/* the pod itself is believed */
	forged.dst_mac = t->p->net->mac[DEV_POD];
	forged.src_mac = t->p->net->gateway_mac[AT_POD];
	assert_int_equal(feed_at(t, HOOK_POD_INGRESS, &forged), SENT);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_REPLIED);
}

/* What the bits say is certain: nothing else is looked at. */
static void what_has_no_bit_is_left_alone(struct trial *t)
{
	struct packet packet = packet_of(t);

	memset(t->p->maps.filter, 0, t->p->maps.n_filter * sizeof(*t->p->maps.filter));
	feed(t, &packet);
	expect_untouched(t);
	expect_flows(t, 0);
	memset(t->p->maps.filter, 0xff, t->p->maps.n_filter * sizeof(*t->p->maps.filter));
	feed(t, &packet);
	expect_flow(t, &packet);
}

static const struct test tests[] = {
	{"D7: a frontend's address as source is a martian", CHECK(frontend_address_is_no_source),
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD), .frontends = EVERY_FRONTEND,
	 ROWS(martians)},
	{"D7: and it is not answered", CHECK(frontend_address_is_not_answered), .hooks = ON_INGRESS,
	 .frontends = 7, ROWS(martians)},
	{"an external IP or load balancer may be a machine that asks",
	 CHECK(external_address_may_be_a_machine), .hooks = ON_INGRESS, .networks = IN(AT_TX),
	 .frontends = EVERY_FRONTEND},
	{"what comes back to the node's own connection is no traffic of a node port",
	 CHECK(own_connection_from_a_node_port), .hooks = ON_NETWORK, .frontends = 1 << 3},
	{"the frontend's answer to a client is no datagram of the node's own",
	 CHECK(said_to_a_client), .protos = ONLY_UDP, .hooks = ON_NETWORK, .frontends = 1 << 3},
	{"but what the node sends when the client's flow has expired is",
	 CHECK(said_after_a_client), .protos = ONLY_UDP, .hooks = ON_NETWORK, .frontends = 1 << 3},
	{"it lasts as long as a flow of UDP", CHECK(own_flow_ends), .protos = ONLY_UDP,
	 .hooks = ON_NETWORK, .frontends = 1 << 3},
	{"nor is what a connected socket waits for that was there before it",
	 CHECK(own_socket_at_a_new_node_port), .undo = close_own_socket, .protos = ONLY_UDP,
	 .hooks = ON_NETWORK, .frontends = 1 << 3, ROWS(bounds)},
	{"D11: a reply of a local backend does not come from the network",
	 CHECK(reply_of_a_local_backend_from_outside), .hooks = ON_NETWORK, .networks = IN(AT_POD)},
	{"D11: nor where its clients are masqueraded",
	 CHECK(reply_of_a_masqueraded_local_backend_from_outside), .hooks = ON_NETWORK,
	 .networks = IN(AT_POD), .plane = PLANE_LIMITED},
	{"D11: nor do pods send as another node's", CHECK(reply_of_a_remote_backend_from_a_pod),
	 .hooks = ON_NETWORK, .networks = IN(AT_TX) | IN(AT_REDIRECT) | IN(AT_TC)},
	{"replies may come by any device of the network", CHECK(reply_by_another_way),
	 .hooks = ON_NETWORK, .networks = IN(AT_TX) | IN(AT_REDIRECT)},
	{"a packet without a bit in the filter is left alone", CHECK(what_has_no_bit_is_left_alone),
	 .hooks = ON_INGRESS, .frontends = EVERY_FRONTEND},
};

const struct topic own_topic = {"own", TESTS(tests)};
