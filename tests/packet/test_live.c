// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames on the wire through attached programs: XDP, the tc program behind it that gets what XDP
 * marked, the kernel's own forwarding, and tc on the way out.
 */
#include "tests/packet/packet.h"
#include "tests/packet/wire.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Of the running trial. */
static struct {
	struct tc_link tc_in, tc_out, far_in;
	int peer_xdp;  /* a link: veth takes frames of XDP only where there is XDP */
	int ext0, far; /* wires */
	int client;    /* a socket of the node */
} live = {TC_LINK_NONE, TC_LINK_NONE, TC_LINK_NONE, -1, -1, -1, -1};

/* Everything on ext0, as the agent does it; on another device that replies come in by, tc. */
static void begin(struct trial *t, enum dev far)
{
	const struct net *net = t->p->net;

	tc_attach(t->p, PROG_TC_FROM_XDP, net->ifindex[DEV_EXT0], BPF_TC_INGRESS, &live.tc_in);
	tc_attach(t->p, PROG_TC_EGRESS, net->ifindex[DEV_EXT0], BPF_TC_EGRESS, &live.tc_out);
	assert_int_equal(bpf_link_update(net->xdp_link_fd[DEV_EXT0], t->p->prog_fd[PROG_XDP], NULL),
			 0);
	live.peer_xdp =
		bpf_link_create(net->pass_fd, (int)net->peer_ifindex[DEV_EXT0], BPF_XDP, NULL);
	assert_true(live.peer_xdp >= 0);
	if (far == DEV_EXT2)
		tc_attach(t->p, PROG_TC_INGRESS, net->ifindex[far], BPF_TC_INGRESS, &live.far_in);
	live.ext0 = wire_open(net->peer_ifindex[DEV_EXT0], false);
	live.far = wire_open(net->peer_ifindex[far], false);
}

static void end(struct trial *t)
{
	int *fds[] = {&live.peer_xdp, &live.ext0, &live.far, &live.client};

	tc_detach(&live.tc_in);
	tc_detach(&live.tc_out);
	tc_detach(&live.far_in);
	for (size_t i = 0; i < N(fds); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	bpf_link_update(t->p->net->xdp_link_fd[DEV_EXT0], t->p->net->pass_fd, NULL);
}

/* One hop on, over the link to a network. */
static struct packet hop(const struct trial *t, struct packet packet, enum network network)
{
	packet.ttl--;
	packet.dst_mac = t->p->net->gateway_mac[network];
	packet.src_mac = t->p->net->mac[net_dev(network)];
	return packet;
}

/* As the backend answers, over the link from its network. */
static struct packet answer(const struct trial *t, const struct packet *packet)
{
	struct packet back = packet_reverse(packet);

	back.flags = SYN | ACK;
	back.seq = BACKEND_ISN;
	back.ack = packet->seq + 1;
	back.ttl = 64;
	back.dst_mac = t->p->net->mac[net_dev(t->network)];
	back.src_mac = t->p->net->gateway_mac[t->network];
	return back;
}

/* The client sees the frontend answer, over its own link. */
static struct packet answered(const struct trial *t, const struct packet *packet,
			      const struct packet *reply)
{
	struct packet back = *reply;

	back.src = packet->dst;
	back.sport = packet->dport;
	back.dst = packet->src;
	back.dport = packet->sport;
	return hop(t, back, AT_OUTSIDE);
}

/* XDP cannot send by ext2: it marks, tc translates and sends. */
static void second_stage_on_the_wire(struct trial *t)
{
	struct packet packet = packet_of(t), inner, reply;
	struct fl_flow flow;

	begin(t, DEV_EXT2);
	wire_send(live.ext0, &packet);
	flow = wire_expect_flow(t, &packet);
	inner = translated(&packet, &flow);
	inner = hop(t, inner, AT_TC);
	wire_expect(t, live.far, &inner);
	expect_counter(t, FL_COUNTER_TO_TC, 1);

	reply = answer(t, &inner);
	wire_send(live.far, &reply);
	reply = answered(t, &packet, &reply);
	wire_expect(t, live.ext0, &reply);
}

/* XDP turns the packet round. */
static void xdp_sends_on_the_wire(struct trial *t)
{
	struct packet packet = packet_of(t), inner, reply;
	struct fl_flow flow;

	begin(t, DEV_EXT0);
	wire_send(live.ext0, &packet);
	flow = wire_expect_flow(t, &packet);
	inner = translated(&packet, &flow);
	inner = hop(t, inner, AT_TX);
	wire_expect(t, live.ext0, &inner);

	reply = answer(t, &inner);
	wire_send(live.ext0, &reply);
	reply = answered(t, &packet, &reply);
	wire_expect(t, live.ext0, &reply);
	expect_counter(t, FL_COUNTER_TO_TC, 0);
}

/*
 * XDP translates and passes, the kernel routes to the pod; its reply is translated where it leaves.
 */
static void local_backend_on_the_wire(struct trial *t)
{
	struct packet packet = packet_of(t), inner = packet, reply;

	begin(t, DEV_POD);
	wire_send(live.ext0, &packet);
	inner.dst = addr(t->family, AT_POD, 1);
	inner.dport = BACKEND_PORT;
	inner = hop(t, inner, AT_POD);
	wire_expect(t, live.far, &inner);

	reply = answer(t, &inner);
	wire_send(live.far, &reply);
	reply = answered(t, &packet, &reply);
	wire_expect(t, live.ext0, &reply);
	assert_int_equal(expect_flow(t, &packet).state, FL_FLOW_REPLIED);
}

static void forget_neighbour(struct trial *t)
{
	end(t);
	neighbour_forget(t);
}

/* XDP cannot wait for it: tc leaves the packet to the kernel, which asks and then sends it. */
static void neighbour_is_found(struct trial *t)
{
	struct packet packet = packet_of(t), inner;
	struct fl_flow flow;

	begin(t, DEV_EXT1);
	neighbour_seek(t);
	wire_send(live.ext0, &packet);
	flow = wire_expect_flow(t, &packet);
	neighbour_answer(t);
	inner = translated(&packet, &flow);
	inner = hop(t, inner, AT_UNRESOLVED);
	inner.dst_mac = neighbour_mac;
	wire_expect(t, live.far, &inner);
	expect_counter(t, FL_COUNTER_TO_TC, 1);
}

struct way_out {
	struct row row;
	enum prog prog;
	enum dev dev;
	enum network network; /* of the address that is asked */
};

static const struct way_out ways_out[] = {
	{ROW("to the network"), PROG_TC_EGRESS, DEV_EXT0, AT_VIP},
	{ROW("to a pod's device"), PROG_POD_EGRESS, DEV_POD, AT_POD},
};

/* One datagram of a socket of the node that no hook has translated; the error it gets. */
static int ask(struct trial *t, const struct fl_ip *ip, uint16_t port)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	bool v4 = t->family == FL_IPV4;
	struct pollfd pfd = {.events = POLLIN};
	socklen_t len = sizeof(int);
	int error = 0;

	memcpy(&in4.sin_addr, ip->b + 12, 4);
	memcpy(&in6.sin6_addr, ip->b, 16);
	live.client = pfd.fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (connect(pfd.fd, v4 ? (struct sockaddr *)&in4 : (struct sockaddr *)&in6,
		    v4 ? sizeof(in4) : sizeof(in6)) ||
	    send(pfd.fd, "x", 1, 0) != 1)
		return errno;
	if (poll(&pfd, 1, DEADLINE_MS) <= 0)
		return ETIMEDOUT;
	getsockopt(pfd.fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error;
}

static void answer_on_the_way_out_reaches_the_sender(struct trial *t)
{
	const struct way_out *way = t->row;
	struct fl_ip ip = addr(t->family, way->network, 20);
	int error;

	service_add(t->p, &(struct service){.id = 2,
					    .type = FL_FRONTEND_EXTERNAL_IP,
					    .ip = ip,
					    .port = SERVICE_PORT,
					    .proto = t->proto});
	tc_attach(t->p, way->prog, t->p->net->ifindex[way->dev], BPF_TC_EGRESS, &live.tc_out);
	error = ask(t, &ip, SERVICE_PORT);
	if (error != ECONNREFUSED)
		trial_fail(t, "expected %s, got %s", strerror(ECONNREFUSED), strerror(error));
	expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
}

static const struct test tests[] = {
	{"what XDP leaves to tc is translated and sent by tc", CHECK(second_stage_on_the_wire),
	 .undo = end, .hooks = ON_WIRE, .networks = IN(AT_TC)},
	{"what XDP can send is sent by XDP", CHECK(xdp_sends_on_the_wire), .undo = end,
	 .hooks = ON_WIRE},
	{"a local backend is reached through the stack, and answers through it",
	 CHECK(local_backend_on_the_wire), .undo = end, .hooks = ON_WIRE, .networks = IN(AT_POD)},
	{"a neighbour that is not known yet is asked for, and the packet sent then",
	 CHECK(neighbour_is_found), .undo = forget_neighbour, .hooks = ON_WIRE,
	 .networks = IN(AT_UNRESOLVED)},
	{"5.7.4: what is rejected on its way out is answered to the node's own socket",
	 CHECK(answer_on_the_way_out_reaches_the_sender), .undo = end, .protos = ONLY_UDP,
	 .hooks = ON_WIRE, ROWS(ways_out)},
};

const struct topic live_topic = {"wire", TESTS(tests)};
