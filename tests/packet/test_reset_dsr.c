// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Resets by DSR: the node that forwards sees only what the client sends, and knows the connection's
 * numbers from that.
 */
#include "tests/packet/tunnel.h"

/* Initial numbers; which half of the circle they are in must not matter. */
struct numbers {
	struct row row;
	uint32_t client, server;
};

static const struct numbers numbers[] = {
	{ROW("both low"), CLIENT_ISN, BACKEND_ISN},
	{ROW("the server's high"), CLIENT_ISN, 0x90000000},
	{ROW("the client's high"), 0xa0000000, BACKEND_ISN},
	{ROW("both high"), 0xa0000000, 0xfffff000},
	{ROW("the client's goes round"), 0xffffffff, 0x7fffffff},
};

/* What a client sends: how far it is, and what it has got. */
struct client {
	struct trial *t;
	struct packet packet;
	uint32_t next, got;
};

static struct client client_of(struct trial *t, const struct numbers *n)
{
	return (struct client){t, packet_of(t), n->client, n->server + 1};
}

static void say(struct client *c, uint8_t flags, uint16_t payload)
{
	c->packet.flags = flags;
	c->packet.payload = payload;
	c->packet.seq = c->next;
	c->packet.ack = flags & ACK ? c->got : 0;
	c->next += payload + !!(flags & (SYN | FIN));
	feed(c->t, &c->packet);
}

static void expect_sent_on(const struct client *c)
{
	struct outer outer = outer_sent(c->t, 1);
	const struct packet inner = inner_sent(c->t, &c->packet);
	struct frame want;

	frame_build(&inner, &want);
	frame_wrap(&want, &outer);
	expect_sent_frame(c->t, net_dev(c->t->network), &want);
}

static void say_and_go_on(struct client *c, uint8_t flags, uint16_t payload)
{
	say(c, flags, payload);
	expect_sent_on(c);
}

static void establish(struct client *c)
{
	say_and_go_on(c, SYN, 0);
	say_and_go_on(c, ACK, 0);
	allow_counter(c->t, FL_COUNTER_FLOW_TUNNELLED);
}

static void abandon(struct client *c)
{
	plane_abandon(c->t->p, c->t->family);
}

/* The entry is kept for as long as it would be without a word: each segment that is still under
 * way is answered, and none goes to the backend that the table has now. */
static void every_segment_is_reset(struct trial *t)
{
	struct client c = client_of(t, t->row);

	establish(&c);
	abandon(&c);
	for (int i = 0; i < 3; i++) {
		say(&c, ACK | PSH, 200);
		expect_reset(t, &c.packet);
	}
	expect_flows(t, 1);
}

static void after_a_talk(struct trial *t)
{
	struct client c = client_of(t, t->row), again;

	establish(&c);
	for (int i = 0; i < 20; i++) {
		again = c;
		say_and_go_on(&c, ACK | PSH, 1000);
		c.got += 1400;
		say_and_go_on(&c, ACK, 0);
	}
	abandon(&c);
	again.got = c.got;
	say(&again, ACK | PSH, 1000);
	expect_reset(t, &again.packet);
	say(&c, ACK, 0);
	expect_reset(t, &c.packet);
}

/* Once a second the fast path writes that a flow was seen. */
static void after_some_seconds(struct trial *t)
{
	struct client c = client_of(t, t->row);
	struct fl_flow flow;

	establish(&c);
	for (int i = 0; i < 3; i++) {
		assert_true(find_flow(t->p, &c.packet, &flow));
		plane_head(t->p, t->family, flow.slot)->last_seen =
			plane_now(t->p) - 2 * t->p->config.hz;
		say_and_go_on(&c, ACK | PSH, 100);
	}
	abandon(&c);
	say(&c, ACK, 0);
	expect_reset(t, &c.packet);
}

/* Where the next hop is forgotten again and again, the slow path has every segment. */
static void after_a_talk_on_the_slow_path(struct trial *t)
{
	struct client c = client_of(t, t->row);
	struct fl_flow flow;

	establish(&c);
	for (int i = 0; i < 80; i++) {
		assert_true(find_flow(t->p, &c.packet, &flow));
		plane_head(t->p, t->family, flow.slot)->next_hop = 0;
		say_and_go_on(&c, ACK | PSH, 1000);
	}
	abandon(&c);
	say(&c, ACK, 0);
	expect_reset(t, &c.packet);
}

/* Of what was sent last, the backend may have got nothing. */
static void what_was_sent_is_repeated(struct trial *t)
{
	struct client c = client_of(t, t->row), again;

	establish(&c);
	again = c;
	for (int i = 0; i < 400; i++)
		say_and_go_on(&c, ACK | PSH, 1000);
	abandon(&c);
	say(&again, ACK | PSH, 1000);
	expect_reset(t, &again.packet);
}

/* The half that the client has closed. */
static void after_a_fin(struct trial *t)
{
	struct client c = client_of(t, t->row);

	establish(&c);
	say_and_go_on(&c, ACK | FIN, 0);
	c.got += 10000;
	abandon(&c);
	say(&c, ACK, 0);
	expect_reset(t, &c.packet);
}

/* The handshake's SYN is lost and repeated. */
static void a_syn_was_repeated(struct trial *t)
{
	struct client c = client_of(t, t->row), again = c;

	say_and_go_on(&c, SYN, 0);
	say_and_go_on(&again, SYN, 0);
	say_and_go_on(&again, ACK, 0);
	say_and_go_on(&again, ACK | PSH, 9);
	abandon(&again);
	say(&again, ACK, 0);
	expect_reset(t, &again.packet);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
}

/* Another connection from the same port, while the entry of the last one is there. */
static void the_port_was_used_before(struct trial *t)
{
	struct client c = client_of(t, t->row), again;

	establish(&c);
	say_and_go_on(&c, ACK | FIN, 0);
	c.next += 0x30000000;
	c.got -= 0x50000000;
	establish(&c);
	again = c;
	say_and_go_on(&c, ACK | PSH, 10);
	abandon(&c);
	say(&again, ACK | PSH, 10);
	expect_reset(t, &again.packet);
}

/* Of a connection that another node has forwarded until now. */
static void taken_over(struct trial *t)
{
	struct client c = client_of(t, t->row);

	c.next += 70000;
	say_and_go_on(&c, ACK | PSH, 1000);
	c.got += 3000;
	say_and_go_on(&c, ACK, 0);
	abandon(&c);
	say(&c, ACK | PSH, 1000);
	expect_reset(t, &c.packet);
	allow_counter(t, FL_COUNTER_FLOW_TUNNELLED);
	allow_counter(t, FL_COUNTER_FLOW_TAKEN_OVER);
}

static const struct guess {
	struct row row;
	uint32_t seq_off, ack_off;
} guesses[] = {
	{ROW("far ahead"), 0x50000000, 0},
	{ROW("far behind"), 0xb0000000, 0},
	{ROW("near, another acknowledgement"), 1000, 0x50000000},
	{ROW("just behind, another acknowledgement"), 0U - 5000, 0x50000000},
};

/* B10: who sees nothing of the connection can neither have it ended nor an answer sent for it. */
static void what_is_made_up_changes_nothing(struct trial *t)
{
	static const struct numbers usual = {.client = CLIENT_ISN, .server = BACKEND_ISN};
	const struct guess *guess = t->row;
	struct client c = client_of(t, &usual), forger;

	establish(&c);
	forger = c;
	forger.next += guess->seq_off;
	forger.got += guess->ack_off;
	say_and_go_on(&forger, ACK, 0);
	abandon(&c);
	say(&forger, ACK, 0);
	expect_drop(t, FL_REASON_NO_FLOW);
	say(&forger, RST, 0);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 1);
	say(&c, ACK, 0);
	expect_reset(t, &c.packet);
}

static void a_reset_is_not_answered(struct trial *t)
{
	struct client c = client_of(t, t->row);

	establish(&c);
	abandon(&c);
	say(&c, RST | ACK, 0);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 0);
}

/* 7.9 */
static void a_syn_begins_another_flow(struct trial *t)
{
	struct client c = client_of(t, t->row);

	establish(&c);
	abandon(&c);
	c.next += 100000;
	say_and_go_on(&c, SYN, 0);
	say_and_go_on(&c, ACK, 0);
	expect_flows(t, 1);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 1);
}

/* The backend's node */

static enum outcome feed_wrapped(struct trial *t, const struct packet *packet)
{
	const struct outer outer = outer_came(t, addr(t->family, AT_EXT0, 2), 1);
	struct frame frame;

	frame_build(packet, &frame);
	frame_wrap(&frame, &outer);
	return feed_frame(t, t->hook, hook_dev(t->hook), &frame);
}

/* As the pod sends it: not yet from the address that was asked. */
static struct packet reply_to(struct trial *t, const struct packet *packet)
{
	struct packet reply = packet_reverse(packet);

	reply.src = addr(t->family, AT_POD, 1);
	reply.sport = BACKEND_PORT;
	reply.seq = packet->ack;
	reply.ack = packet->seq;
	reply.src_mac = t->p->net->mac[DEV_EXT0];
	reply.dst_mac = t->p->net->gateway_mac[AT_OUTSIDE];
	return reply;
}

/* A connection that came by another node: the client's next segment. */
static struct packet come_by_a_node(struct trial *t)
{
	const struct fl_ip node = addr(t->family, AT_EXT0, 2);
	struct packet packet = packet_of(t), answer;

	peer_add(t, &node);
	feed_wrapped(t, &packet);
	answer = reply_to(t, &packet);
	answer.flags = SYN | ACK;
	answer.seq = BACKEND_ISN;
	answer.ack++;
	feed_dev(t, HOOK_TC_EGRESS, DEV_EXT0, &answer);
	expect_outcome(t, PASSED);
	packet.flags = ACK;
	packet.seq++;
	packet.ack = BACKEND_ISN + 1;
	feed_wrapped(t, &packet);
	expect_outcome(t, PASSED);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_ESTABLISHED);
	allow_counter(t, FL_COUNTER_FLOW_UNPACKED);
	return packet;
}

/* The node that the client writes to tells it; what the pod has sent before it went is the client's
 * all the same, and the flow is over soon. */
static void the_backends_node_says_nothing(struct trial *t)
{
	struct packet packet = come_by_a_node(t), answer = reply_to(t, &packet), want = answer;

	plane_abandon(t->p, t->family);
	packet.payload = 300;
	feed_wrapped(t, &packet);
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_CLOSING);
	answer.payload = want.payload = 20;
	feed_dev(t, HOOK_TC_EGRESS, DEV_EXT0, &answer);
	want.src = packet.dst;
	want.sport = packet.dport;
	expect_stack(t, &want);
	feed_wrapped(t, &packet);
	expect_drop(t, FL_REASON_TUNNEL_FRONTEND);
	expect_flows(t, 1);
	packet.flags = RST;
	feed_wrapped(t, &packet);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_flows(t, 0);
}

static void no_guess_ends_it_there(struct trial *t)
{
	const struct guess *guess = t->row;
	struct packet packet = come_by_a_node(t);

	plane_abandon(t->p, t->family);
	packet.seq += guess->seq_off;
	packet.ack += guess->ack_off;
	feed_wrapped(t, &packet);
	expect_drop(t, FL_REASON_NO_FLOW);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_ESTABLISHED);
}

/* 7.9 */
static void a_syn_begins_another_flow_there(struct trial *t)
{
	struct packet packet = come_by_a_node(t);

	plane_abandon(t->p, t->family);
	packet.flags = SYN;
	packet.seq += 100000;
	feed_wrapped(t, &packet);
	expect_outcome(t, PASSED);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_NEW);
	expect_counter(t, FL_COUNTER_FLOW_RESTARTED, 1);
}

#define FORWARDS                                                                                   \
	.protos = ONLY_TCP, .hooks = ON_XDP | ON_XDP_TC | ON_TC_INGRESS,                           \
	.scene = {.more_flags = FL_TUNNEL}
#define UNPACKS .protos = ONLY_TCP, .hooks = ON_XDP | ON_TC_INGRESS, .networks = IN(AT_POD)
#define ONE_ROW .rows = numbers, .row_size = sizeof(numbers[0]), .n_rows = 2

static const struct test tests[] = {
	{"by DSR, a client whose backend is gone is told", CHECK(every_segment_is_reset), FORWARDS,
	 ROWS(numbers)},
	{"whatever was said before", CHECK(after_a_talk), FORWARDS, ROWS(numbers)},
	{"and for how long", CHECK(after_some_seconds), FORWARDS, ROWS(numbers)},
	{"and where the slow path has it all", CHECK(after_a_talk_on_the_slow_path), FORWARDS,
	 ROWS(numbers)},
	{"also with what was sent long before", CHECK(what_was_sent_is_repeated), FORWARDS,
	 ROWS(numbers)},
	{"and behind its FIN", CHECK(after_a_fin), FORWARDS, ROWS(numbers)},
	{"behind a SYN that was repeated", CHECK(a_syn_was_repeated), FORWARDS, ROWS(numbers)},
	{"from a port that was in use before", CHECK(the_port_was_used_before), FORWARDS,
	 ROWS(numbers)},
	{"and of a connection that was taken over", CHECK(taken_over), FORWARDS, ROWS(numbers)},
	{"B10: what is made up changes nothing", CHECK(what_is_made_up_changes_nothing), FORWARDS,
	 ROWS(guesses)},
	{"a reset is not answered by one", CHECK(a_reset_is_not_answered), FORWARDS, ONE_ROW},
	{"7.9: a SYN is no segment of it", CHECK(a_syn_begins_another_flow), FORWARDS, ONE_ROW},
	{"the backend's node leaves that to the first", CHECK(the_backends_node_says_nothing),
	 UNPACKS},
	{"B10: what is made up ends nothing there", CHECK(no_guess_ends_it_there), UNPACKS,
	 ROWS(guesses)},
	{"7.9: a SYN begins another flow there", CHECK(a_syn_begins_another_flow_there), UNPACKS},
};

const struct topic reset_dsr_topic = {"resets by dsr", TESTS(tests)};
const struct topic reset_geneve_topic = {"resets by geneve", TESTS(tests), .plane = PLANE_GENEVE};
