// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Frames on the wire through attached programs: XDP, the tc program behind it that gets what XDP
 * marked, the kernel's own forwarding, and tc on the way out.
 */
#include "tests/packet/packet.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TCX_INGRESS 46 /* newer than libbpf's headers */
#define TCX_EGRESS 47
#define DEADLINE_MS 3000

/* The far end of a veth: frames sent there arrive at the device, frames that left the device are
 * read there. */
static int wire(const struct plane *p, enum dev dev)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)p->net->peer_ifindex[dev],
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail_msg("cannot listen to a device: %s", strerror(errno));
	return fd;
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait for exactly this frame; the kernel's own chatter is passed over. */
static void expect_on_wire(int fd, const struct spec *spec, const char *what)
{
	int64_t deadline = now_ms() + DEADLINE_MS;
	uint32_t l4 = l4_offset(spec->family);
	struct frame want, got;

	frame_build(spec, &want);
	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t n;

		if (left <= 0 || poll(&pfd, 1, (int)left) <= 0)
			fail_msg("%s: nothing came", what);
		n = recvfrom(fd, got.b, sizeof(got.b), 0, (struct sockaddr *)&from, &from_len);
		if (n < (ssize_t)l4 + 8 || from.sll_pkttype == PACKET_OUTGOING ||
		    memcmp(got.b + l4, want.b + l4, 4))
			continue;
		got.len = (uint32_t)n;
		frame_expect(&got, &want, what);
		return;
	}
}

static void put_on_wire(int fd, const struct spec *spec)
{
	struct frame f;

	frame_build(spec, &f);
	assert_int_equal(send(fd, f.b, f.len, 0), f.len);
}

/* Attach a tc program; -1: this kernel has no tcx. */
static int attach(const struct plane *p, enum prog prog, enum dev dev, int type)
{
	return bpf_link_create(p->prog_fd[prog], (int)p->net->ifindex[dev],
			       (enum bpf_attach_type)type, NULL);
}

struct live {
	int xdp_in, tc_in, tc_out; /* links */
	int ext0, far;		   /* wires */
};

/* Everything on ext0, as the agent does it; `back`: the far device's way in, for replies. */
static bool live_begin(struct plane *p, enum dev far, struct live *ret_live)
{
	struct live l = {.xdp_in = -1, .tc_in = -1, .tc_out = -1, .ext0 = -1, .far = -1};

	l.tc_in = attach(p, PROG_TC_FROM_XDP, DEV_EXT0, TCX_INGRESS);
	l.tc_out = attach(p, PROG_TC_EGRESS, DEV_EXT0, TCX_EGRESS);
	*ret_live = l;
	if (l.tc_in < 0 || l.tc_out < 0)
		return false;
	assert_int_equal(bpf_link_update(p->net->xdp_link_fd[DEV_EXT0], p->prog_fd[PROG_XDP], NULL),
			 0);
	if (far == DEV_EXT2)
		ret_live->xdp_in = attach(p, PROG_TC_INGRESS, far, TCX_INGRESS);
	ret_live->ext0 = wire(p, DEV_EXT0);
	ret_live->far = wire(p, far);
	return true;
}

static void live_end(struct plane *p, struct live *l)
{
	const int fds[] = {l->xdp_in, l->tc_in, l->tc_out, l->ext0, l->far};

	for (size_t i = 0; i < N(fds); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	bpf_link_update(p->net->xdp_link_fd[DEV_EXT0], p->net->pass_fd, NULL);
}

/* XDP cannot send by ext2: it marks, tc translates and sends; the reply comes in by a device that
 * has tc only. */
static void test_second_stage_on_the_wire(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TC);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_flow flow;
		struct spec s, inner, back;
		struct live l;

		plane_reset(p);
		scene_set(p, &scene, fe);
		if (!live_begin(p, DEV_EXT2, &l)) {
			live_end(p, &l);
			print_error("SKIP: no tcx before Linux 6.6\n");
			skip();
		}
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		put_on_wire(l.ext0, &s);
		/* the same tuple cannot be read back before the datapath has recorded it */
		for (int64_t end = now_ms() + DEADLINE_MS;
		     !find_flow(p, &s, &flow) && now_ms() < end;)
			;
		flow = expect_flow(p, &s);
		inner = translated(&s, &flow);
		inner.ttl--;
		inner.dst_mac = p->net->gateway_mac[AT_TC];
		inner.src_mac = p->net->mac[DEV_EXT2];
		expect_on_wire(l.far, &inner, "request by tc");
		assert_int_equal(plane_counter(p, FL_COUNTER_TO_TC), 1);

		back = spec_reverse(&inner);
		back.flags = SYN | ACK;
		back.ttl = 64;
		back.dst_mac = p->net->mac[DEV_EXT2];
		back.src_mac = p->net->gateway_mac[AT_TC];
		put_on_wire(l.far, &back);
		back = spec_reverse(&s);
		back.flags = SYN | ACK;
		back.ttl = 63;
		back.dst_mac = p->net->gateway_mac[AT_OUTSIDE];
		back.src_mac = p->net->mac[DEV_EXT0];
		expect_on_wire(l.ext0, &back, "reply by tc");
		live_end(p, &l);
	}
}

/* A local backend: XDP translates and passes, the kernel routes to the pod; its reply is translated
 * where it leaves. */
static void test_local_backend_on_the_wire(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_POD);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec s, inner, back;
		struct live l;

		plane_reset(p);
		scene_set(p, &scene, fe);
		if (!live_begin(p, DEV_POD, &l)) {
			live_end(p, &l);
			print_error("SKIP: no tcx before Linux 6.6\n");
			skip();
		}
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		put_on_wire(l.ext0, &s);
		inner = s;
		inner.dst = addr(scene.family, AT_POD, 1);
		inner.dport = BACKEND_PORT;
		inner.ttl--;
		inner.dst_mac = p->net->gateway_mac[AT_POD];
		inner.src_mac = p->net->mac[DEV_POD];
		expect_on_wire(l.far, &inner, "request to the pod");

		back = spec_reverse(&inner);
		back.flags = SYN | ACK;
		back.ttl = 64;
		back.dst_mac = p->net->mac[DEV_POD];
		back.src_mac = p->net->gateway_mac[AT_POD];
		put_on_wire(l.far, &back);
		back = spec_reverse(&s);
		back.flags = SYN | ACK;
		back.ttl = 63;
		back.dst_mac = p->net->gateway_mac[AT_OUTSIDE];
		back.src_mac = p->net->mac[DEV_EXT0];
		expect_on_wire(l.ext0, &back, "reply of the pod");
		assert_int_equal(expect_flow(p, &s).state, FL_FLOW_REPLIED);
		live_end(p, &l);
	}
}

int live_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_stage_on_the_wire),
		cmocka_unit_test(test_local_backend_on_the_wire),
	};

	return run_topic("on the wire", tests, N(tests), world);
}
