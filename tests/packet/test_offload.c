// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets as tc gets them from pods and in virtual machines: the checksum still to be filled in,
 * many segments at once, or a VLAN tag beside the packet.
 */
#include "tests/packet/packet.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCX_INGRESS 46 /* newer than libbpf's headers */
#define DEADLINE_MS 3000

/* What the far end reads and writes. */
struct raw {
	struct virtio_net_hdr h;
	uint8_t b[sizeof(((struct frame *)0)->b)];
} __attribute__((packed));

/* A device of its own, without XDP, which would fill the checksum in and part the segments. */
struct offload {
	int link; /* fl_tc_ingress on the device */
	int fd;	  /* the far end */
};

static void offload_begin(struct plane *p, struct offload *ret_offload)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	const int on = 1;
	struct fl_err err;

	assert_int_equal(net_batch("link add off0 type veth peer name off0p\n"
				   "link set off0 up\nlink set off0p up\n",
				   &err),
			 0);
	at.sll_ifindex = (int)if_nametoindex("off0p");
	ret_offload->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));
	assert_true(ret_offload->fd >= 0);
	assert_int_equal(setsockopt(ret_offload->fd, SOL_PACKET, PACKET_VNET_HDR, &on, sizeof(on)),
			 0);
	assert_int_equal(bind(ret_offload->fd, (struct sockaddr *)&at, sizeof(at)), 0);
	ret_offload->link =
		bpf_link_create(p->prog_fd[PROG_TC_INGRESS], (int)if_nametoindex("off0"),
				(enum bpf_attach_type)TCX_INGRESS, NULL);
}

static void offload_end(struct offload *o)
{
	struct fl_err err;

	close(o->fd);
	if (o->link >= 0)
		close(o->link);
	assert_int_equal(net_batch("link del off0\n", &err), 0);
}

static bool offload_missing(struct offload *o)
{
	if (o->link >= 0)
		return false;
	offload_end(o);
	print_error("SKIP: no tcx before Linux 6.6\n");
	return true;
}

static void offload_write(struct offload *o, const struct raw *raw, uint32_t len)
{
	ssize_t n = (ssize_t)(sizeof(raw->h) + len);

	assert_int_equal(send(o->fd, raw, (size_t)n, 0), n);
}

/* Send it with the pseudo header alone summed up; with `mss` as segments of so many bytes. */
static void offload_send(struct offload *o, const struct spec *s, uint16_t mss)
{
	const bool v4 = s->family == FL_IPV4;
	const uint32_t l4 = l4_offset(s->family), at = s->proto == IPPROTO_TCP ? 16 : 6;
	struct raw raw = {.h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				.csum_start = (uint16_t)l4,
				.csum_offset = (uint16_t)at}};
	struct frame f;
	uint16_t sum;

	frame_build(s, &f);
	sum = sum16(s->proto + f.len - l4, f.b + ETH_HLEN + (v4 ? 12 : 8), v4 ? 8 : 32);
	memcpy(raw.b, f.b, f.len);
	raw.b[l4 + at] = (uint8_t)(sum >> 8);
	raw.b[l4 + at + 1] = (uint8_t)sum;
	if (mss) {
		raw.h.gso_type = v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		raw.h.gso_size = mss;
		raw.h.hdr_len = (uint16_t)(l4 + 20);
	}
	offload_write(o, &raw, f.len);
}

/* The next ICMP error at the far end, as it would be on a wire. */
static void offload_expect_icmp(struct offload *o, const struct spec *s, enum icmp_kind kind,
				uint32_t mtu)
{
	const bool v4 = s->family == FL_IPV4;
	const uint32_t l4 = l4_offset(s->family), quoted = l4 - ETH_HLEN + 8;
	struct frame want, got;
	struct raw raw;

	frame_build_icmp(s, kind, mtu, &want);
	for (;;) {
		struct pollfd pfd = {.fd = o->fd, .events = POLLIN};
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t n;

		if (poll(&pfd, 1, DEADLINE_MS) <= 0)
			fail_msg("no ICMP error came");
		n = recvfrom(o->fd, &raw, sizeof(raw), 0, (struct sockaddr *)&from, &from_len);
		got.len = (uint32_t)(n - (ssize_t)sizeof(raw.h));
		if (from.sll_pkttype == PACKET_OUTGOING || got.len < want.len ||
		    memcmp(raw.b + l4, want.b + l4, 2))
			continue;
		break;
	}
	memcpy(got.b, raw.b, got.len);
	/* what a device would still do */
	if (raw.h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		uint32_t start = raw.h.csum_start, at = start + raw.h.csum_offset;
		uint16_t sum = (uint16_t)~sum16(0, got.b + start, got.len - start);

		got.b[at] = (uint8_t)(sum >> 8);
		got.b[at + 1] = (uint8_t)sum;
	}
	assert_memory_equal(got.b, want.b, 12);			 /* MAC addresses */
	assert_memory_equal(got.b + l4 + 4, want.b + l4 + 4, 4); /* MTU */
	assert_memory_equal(got.b + l4 + 8, want.b + ETH_HLEN + l4 - ETH_HLEN + 8, quoted - 2);
	if (v4)
		assert_int_equal(sum16(0, got.b + l4, got.len - l4), 0xffff);
	else
		assert_int_equal(sum_l4(&got, IPPROTO_ICMPV6), 0xffff);
}

/* 5.7: whoever has his checksums filled in by a device is refused like all others. */
static void test_reject_without_checksum(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct service none = {.id = 7,
				       .type = FL_FRONTEND_CLUSTER_IP,
				       .ip = addr(kinds[k].family, AT_SERVICE, 40),
				       .family = kinds[k].family,
				       .port = 80,
				       .proto = kinds[k].proto};
		struct frontend fe = {none.type, none.ip, none.port};
		struct offload o;
		struct spec s;

		plane_reset(USUAL(state));
		service_add(USUAL(state), &none);
		offload_begin(USUAL(state), &o);
		if (offload_missing(&o))
			skip();
		s = client_spec(USUAL(state), kinds[k].family, kinds[k].proto, 10, 4000, &fe);
		offload_send(&o, &s, 0);
		offload_expect_icmp(&o, &s, ICMP_PORT_UNREACHABLE, 0);
		offload_end(&o);
	}
}

/* Segments that do not fit the way out are answered with its MTU, those that do are sent. */
static void test_segments_larger_than_the_way_out(void **state)
{
	for (int v = 0; v < FL_FAMILIES; v++) {
		const struct scene scene = {.family = v, .proto = IPPROTO_TCP, .place = AT_NARROW};
		const uint16_t fits = NARROW_MTU - (v == FL_IPV4 ? 40 : 60);
		struct frontend fe[SCENE_FRONTENDS];
		struct plane *p = USUAL(state);
		struct offload o;
		struct spec s;

		plane_reset(p);
		scene_set(p, &scene, fe);
		offload_begin(p, &o);
		if (offload_missing(&o))
			skip();
		s = client_spec(p, v, IPPROTO_TCP, 10, 4000, &fe[0]);
		s.flags = ACK;
		s.payload = 1900;
		offload_send(&o, &s, fits);
		s.sport++;
		offload_send(&o, &s, fits + 1);
		offload_expect_icmp(&o, &s, ICMP_PACKET_TOO_BIG, NARROW_MTU);
		expect_no_flow(p, &s);
		s.sport--;
		expect_flow(p, &s);
		offload_end(&o);
	}
}

/* Of another network: left to the device that has this VLAN, as XDP does. */
static void test_vlan_is_left_alone(void **state)
{
	for (int k = 0; k < KINDS * 2; k++) {
		const struct scene scene = scene_of(&kinds[k / 2], AT_POD);
		const uint8_t id = k % 2 ? 5 : 0; /* 0: a priority, no VLAN */
		struct frontend fe[SCENE_FRONTENDS];
		struct plane *p = USUAL(state);
		struct raw raw = {0};
		struct fl_flow flow;
		struct offload o;
		struct frame f;
		struct spec s;

		plane_reset(p);
		scene_set(p, &scene, fe);
		offload_begin(p, &o);
		if (offload_missing(&o))
			skip();
		s = client_spec(p, scene.family, scene.proto, 10, 4000, &fe[0]);
		frame_build(&s, &f);
		memcpy(raw.b, f.b, 12);
		memcpy(raw.b + 12, (uint8_t[]){0x81, 0x00, 0x60, id}, 4);
		memcpy(raw.b + 16, f.b + 12, f.len - 12);
		offload_write(&o, &raw, f.len + 4);
		s.sport++;
		offload_send(&o, &s, 0);
		for (int i = 0; i < DEADLINE_MS && !find_flow(p, &s, &flow); i++)
			poll(NULL, 0, 1);
		expect_flow(p, &s);
		s.sport--;
		if (id)
			expect_no_flow(p, &s);
		else
			expect_flow(p, &s);
		offload_end(&o);
	}
}

int offload_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reject_without_checksum),
		cmocka_unit_test(test_segments_larger_than_the_way_out),
		cmocka_unit_test(test_vlan_is_left_alone),
	};

	return run_topic("offload", tests, N(tests), world);
}
