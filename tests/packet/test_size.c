// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packets that are larger than the way out and may be fragmented, and frames of several buffers. */
#include "tests/packet/packet.h"
#include "tests/packet/wire.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

/* Larger than the MTU of the way out, without DF. */
static struct packet large_packet(const struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.may_be_fragmented = true;
	packet.payload = 1420;
	return packet;
}

/*
 * What XDP leaves to tc goes out in fragments; the last one is what comes back from a test run. Its
 * offset is 1376, the most of 1400 - 20 bytes that divides by 8.
 */
static void expect_fragments(struct trial *t)
{
	const uint8_t *ip = t->r.out.b + ETH_HLEN;
	const uint32_t header = t->proto == IPPROTO_TCP ? 20 : 8;

	expect_counter(t, FL_REASON_TOO_BIG, 0);
	if (t->hook == HOOK_XDP) {
		expect_left_to_tc(t);
		return;
	}
	expect_outcome(t, SENT);
	assert_int_equal(ip[6] << 8 | ip[7], 1376 / 8);
	assert_int_equal(t->r.out.len, l4_offset(FL_IPV4) + header + 1420 - 1376);
}

/* RFC 1191: only a packet with DF is answered "fragmentation needed". */
static void without_df_in_fragments(struct trial *t)
{
	struct packet packet = large_packet(t);

	feed(t, &packet);
	expect_fragments(t);
}

/* ... of a known flow as well. */
static void without_df_in_fragments_of_a_known_flow(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_establish(&talk);
	talk.client.may_be_fragmented = true;
	talk.client.payload = 1420;
	talk_send(&talk, ACK);
	expect_fragments(t);
}

/* The kernel tells no MTU of such a way, and loses without a word what the device does not take. */
static void too_big_for_an_unresolved_way(struct trial *t)
{
	const uint32_t header = t->proto == IPPROTO_TCP ? 20 : 8;
	const uint32_t most = 1500 - (l4_offset(t->family) - ETH_HLEN) - header;
	struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT);

	packet.payload = (uint16_t)(most + 1);
	for (int i = 0; i < 2; i++) {
		feed(t, &packet);
		expect_answer(t, &packet, ICMP_PACKET_TOO_BIG, 1500, FL_REASON_TOO_BIG);
		/* a flow by then, of which the next one is */
		packet.payload = (uint16_t)most;
		feed(t, &packet);
		expect_outcome(t, SENT);
		packet.payload = (uint16_t)(most + 1);
	}
}

/* Of the running trial. */
static struct {
	struct tc_link tc[2];
	int xdp; /* a link */
	int ext0, ext1;
} wires = {{TC_LINK_NONE, TC_LINK_NONE}, -1, -1, -1};

static void close_wires(struct trial *t)
{
	tc_detach(&wires.tc[0]);
	tc_detach(&wires.tc[1]);
	if (wires.xdp >= 0)
		close(wires.xdp);
	wires.xdp = -1;
	if (wires.ext0 >= 0)
		close(wires.ext0);
	if (wires.ext1 >= 0)
		close(wires.ext1);
	wires.ext0 = wires.ext1 = -1;
	bpf_link_update(t->p->net->xdp_link_fd[DEV_EXT0], t->p->net->pass_fd, NULL);
}

/* The backend gets it in fragments, translated, with the bytes that were sent. */
static void arrives_in_fragments(struct trial *t)
{
	struct packet packet = large_packet(t), want;
	uint32_t header = t->proto == IPPROTO_TCP ? 20 : 8, total = header + packet.payload;
	struct frame whole, first, second;
	const struct net *net = t->p->net;
	struct fl_flow flow;

	tc_attach(t->p, PROG_TC_FROM_XDP, net->ifindex[DEV_EXT0], BPF_TC_INGRESS, &wires.tc[0]);
	tc_attach(t->p, PROG_TC_EGRESS, net->ifindex[DEV_EXT1], BPF_TC_EGRESS, &wires.tc[1]);
	bpf_link_update(net->xdp_link_fd[DEV_EXT0], t->p->prog_fd[PROG_XDP], NULL);
	wires.ext0 = wire_open(net->peer_ifindex[DEV_EXT0], false);
	wires.ext1 = wire_open(net->peer_ifindex[DEV_EXT1], false);
	wire_send(wires.ext0, &packet);
	flow = wire_expect_flow(t, &packet);
	want = translated(&packet, &flow);
	frame_build(&want, &whole);
	/* the ports are in the first one */
	wire_receive(t, wires.ext1, &whole, 4, NULL, &first);
	assert_true(first.b[20] & 0x20); /* more fragments */
	wire_receive(t, wires.ext1, &whole, 0, NULL, &second);
	assert_false(second.b[20] & 0x20);
	assert_int_equal(first.len + second.len, 2 * l4_offset(FL_IPV4) + total);
	assert_memory_equal(first.b + l4_offset(FL_IPV4), whole.b + l4_offset(FL_IPV4),
			    first.len - l4_offset(FL_IPV4));
	assert_memory_equal(second.b + l4_offset(FL_IPV4), whole.b + first.len,
			    second.len - l4_offset(FL_IPV4));
	expect_counter(t, FL_REASON_TOO_BIG, 0);
}

static void remove_device(struct trial *t)
{
	struct fl_err err;

	close_wires(t);
	net_batch("link del big0\n", &err);
}

/* A program that takes frames of several buffers can be attached there. */
static void xdp_takes_large_frames(struct trial *t)
{
	struct fl_err err;

	if (!t->p->config.xdp_frags) {
		print_message("SKIP: this kernel has no XDP frames of several buffers\n");
		skip();
	}
	assert_int_equal(net_batch("link add big0 mtu 9000 type veth peer name big0p mtu 9000\n"
				   "link set big0 up\nlink set big0p up\n",
				   &err),
			 0);
	wires.xdp = bpf_link_create(t->p->prog_fd[PROG_XDP], (int)if_nametoindex("big0"), BPF_XDP,
				    NULL);
	if (wires.xdp < 0)
		trial_fail(t, "cannot attach XDP to a device with an MTU of 9000");
}

#define LARGE 8000

/* Of such a frame XDP sees the beginning; tc gets the whole. */
static void large_frame_is_left_to_tc(struct trial *t)
{
	struct packet packet = packet_of(t);
	static uint8_t large[LARGE];
	struct xdp_md in = {.data_end = LARGE, .ingress_ifindex = t->p->net->ifindex[DEV_EXT0]},
		      out;
	static uint8_t back[LARGE + 64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = large, .data_size_in = LARGE,
		    .data_out = back, .data_size_out = sizeof(back), .ctx_in = &in,
		    .ctx_size_in = sizeof(in), .ctx_out = &out, .ctx_size_out = sizeof(out));
	uint16_t length = htons(LARGE - ETH_HLEN - (t->family == FL_IPV6 ? 40 : 0));
	struct frame frame;
	uint32_t mark;

	if (!t->p->config.xdp_frags) {
		print_message("SKIP: this kernel has no XDP frames of several buffers\n");
		skip();
	}
	frame_build(&packet, &frame);
	frame_write(&frame, ETH_HLEN + (t->family == FL_IPV6 ? 4 : 2), &length, sizeof(length));
	memcpy(large, frame.b, frame.len);
	assert_int_equal(bpf_prog_test_run_opts(t->p->prog_fd[PROG_XDP], &opts), 0);
	assert_int_equal(opts.retval, XDP_PASS);
	memcpy(&mark, back, sizeof(mark));
	assert_int_equal(out.data, sizeof(mark));
	assert_int_equal(mark, MARK_FOR_TC);
	assert_memory_equal(back + sizeof(mark), large, LARGE);
	expect_flows(t, 0);
	allow_counter(t, FL_COUNTER_TO_TC);
	t->left++;
}

static const struct test tests[] = {
	{"RFC 1191: without DF it goes out in fragments", CHECK(without_df_in_fragments),
	 .families = ONLY_IPV4, .hooks = ON_INGRESS, .networks = IN(AT_NARROW),
	 .frontends = EVERY_FRONTEND},
	{"of a known flow as well", CHECK(without_df_in_fragments_of_a_known_flow),
	 .families = ONLY_IPV4, .hooks = ON_INGRESS, .networks = IN(AT_NARROW)},
	{"D9: what is too big is answered before the neighbour is known",
	 CHECK(too_big_for_an_unresolved_way), .hooks = ON_TC_INGRESS | ON_POD_INGRESS,
	 .networks = IN(AT_UNRESOLVED), .frontends = EVERY_FRONTEND},
	{"D9: the backend gets it in fragments", CHECK(arrives_in_fragments), .undo = close_wires,
	 .families = ONLY_IPV4, .hooks = ON_WIRE, .networks = IN(AT_NARROW)},
	{"XDP can be attached where frames are large", CHECK(xdp_takes_large_frames),
	 .undo = remove_device, .families = ONLY_IPV4, .protos = ONLY_TCP, .hooks = ON_WIRE,
	 .no_service = true},
	{"a frame of several buffers is left to tc", CHECK(large_frame_is_left_to_tc)},
};

const struct topic size_topic = {"sizes", TESTS(tests)};
