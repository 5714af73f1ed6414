// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Packets as tc gets them from pods and in virtual machines: the checksum still to be filled in,
 * many segments at once, or a VLAN tag beside the packet.
 */
#include "tests/packet/packet.h"
#include "tests/packet/wire.h"

#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * A device of the trial's own, without XDP, which would fill the checksum in and part the segments.
 */
static struct {
	struct tc_link link; /* fl_tc_ingress on the device */
	int fd;		     /* the far end */
} offload = {TC_LINK_NONE, -1};

static void begin(struct trial *t)
{
	struct fl_err err;

	const uint8_t *mac = t->p->net->mac[DEV_EXT0];
	char text[200];

	/* clients send to the address of ext0 */
	snprintf(text, sizeof(text),
		 "link add off0 address %02x:%02x:%02x:%02x:%02x:%02x type veth peer name off0p\n"
		 "link set off0 up\nlink set off0p up\n",
		 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
	assert_int_equal(net_batch(text, &err), 0);
	assert_true(net_wait_running("off0") && net_wait_running("off0p"));
	offload.fd = wire_open(if_nametoindex("off0p"), true);
	tc_attach(t->p, PROG_TC_INGRESS, if_nametoindex("off0"), BPF_TC_INGRESS, &offload.link);
}

static void end(struct trial *t)
{
	struct fl_err err;

	if (offload.fd >= 0)
		close(offload.fd);
	offload.fd = -1;
	tc_detach(&offload.link);
	net_batch("link del off0\n", &err);
}

/* What the far end reads and writes. */
struct raw {
	struct virtio_net_hdr h;
	uint8_t b[sizeof(((struct frame *)0)->b)];
} __attribute__((packed));

static void send_raw(const struct raw *raw, uint32_t len)
{
	ssize_t n = (ssize_t)(sizeof(raw->h) + len);

	assert_int_equal(send(offload.fd, raw, (size_t)n, 0), n);
}

/* With the pseudo header alone summed up; with `mss` as segments of so many bytes. */
static void send_unsummed(const struct packet *packet, uint16_t mss)
{
	const bool v4 = packet->family == FL_IPV4;
	const uint32_t l4 = l4_offset(packet->family), at = packet->proto == IPPROTO_TCP ? 16 : 6;
	struct raw raw = {.h = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				.csum_start = (uint16_t)l4,
				.csum_offset = (uint16_t)at}};
	struct frame f;
	uint16_t sum;

	frame_build(packet, &f);
	sum = sum16(packet->proto + f.len - l4, f.b + ETH_HLEN + (v4 ? 12 : 8), v4 ? 8 : 32);
	memcpy(raw.b, f.b, f.len);
	raw.b[l4 + at] = (uint8_t)(sum >> 8);
	raw.b[l4 + at + 1] = (uint8_t)sum;
	if (mss) {
		raw.h.gso_type = v4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		raw.h.gso_size = mss;
		raw.h.hdr_len = (uint16_t)(l4 + 20);
	}
	send_raw(&raw, f.len);
}

/* The next ICMP error at the far end, as it would be on a wire. */
static void expect_icmp(struct trial *t, const struct packet *packet, enum icmp_kind kind,
			uint32_t mtu)
{
	const uint32_t l4 = l4_offset(t->family), quoted = l4 - ETH_HLEN + 8;
	struct virtio_net_hdr h;
	struct frame want, got;

	frame_build_icmp(packet, kind, mtu, &want);
	/* type and code */
	wire_receive(t, offload.fd, &want, 2, &h, &got);
	/* what a device would still do */
	if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		uint32_t start = h.csum_start, at = start + h.csum_offset;
		uint16_t sum = (uint16_t)~sum16(0, got.b + start, got.len - start);

		got.b[at] = (uint8_t)(sum >> 8);
		got.b[at + 1] = (uint8_t)sum;
	}
	assert_memory_equal(got.b, want.b, 12);			 /* MAC addresses */
	assert_memory_equal(got.b + l4 + 4, want.b + l4 + 4, 4); /* MTU */
	/* quoted up to the checksum that the device filled in */
	assert_memory_equal(got.b + l4 + 8, want.b + l4 + 8, quoted - 2);
	assert_true(frame_sums_right(&got));
}

static void reject_without_checksum(struct trial *t)
{
	struct packet packet = packet_of(t);

	service_replace(t->p, t->fe,
			(struct service){.id = 1, .family = t->family, .proto = t->proto});
	begin(t);
	send_unsummed(&packet, 0);
	expect_icmp(t, &packet, ICMP_PORT_UNREACHABLE, 0);
	expect_counter(t, FL_REASON_REJECT_NO_ENDPOINT, 1);
}

/* A connection that is there before its segments come in many at once. */
static struct talk establish(struct trial *t, uint16_t port)
{
	struct talk talk = talk_from(t, CLIENT_HOST, port, t->to);

	talk.hook = HOOK_TC_INGRESS;
	talk_establish(&talk);
	talk.client.flags = ACK;
	talk.client.payload = 1900;
	return talk;
}

/* Those that do not fit are answered with its MTU, those that do are sent. */
static void segments_larger_than_the_way_out(struct trial *t)
{
	const uint16_t fits = NARROW_MTU - (t->family == FL_IPV4 ? 40 : 60);
	struct talk small = establish(t, CLIENT_PORT), large = establish(t, CLIENT_PORT + 1);

	begin(t);
	send_unsummed(&small.client, fits);
	send_unsummed(&large.client, fits + 1);
	expect_icmp(t, &large.client, ICMP_PACKET_TOO_BIG, NARROW_MTU);
	expect_counter(t, FL_REASON_TOO_BIG, 1);
	/* the two of the handshake, and what was sent on */
	assert_int_equal(expect_flow(t, &small.client).packets, 3);
}

/* A sum that a device is to fill in is that of the reset. */
static void reset_without_checksum(struct trial *t)
{
	struct talk talk = establish(t, CLIENT_PORT);
	struct virtio_net_hdr h;
	struct frame want, got;

	plane_abandon(t->p, t->family);
	talk.client.seq = talk.client_end.next;
	talk.client.ack = talk.backend_end.next;
	begin(t);
	send_unsummed(&talk.client, 1000);
	frame_build_reset(&talk.client, &want);
	/* the ports */
	wire_receive(t, offload.fd, &want, 4, &h, &got);
	if (h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		uint32_t start = h.csum_start, at = start + h.csum_offset;
		uint16_t sum = (uint16_t)~sum16(0, got.b + start, got.len - start);

		got.b[at] = (uint8_t)(sum >> 8);
		got.b[at + 1] = (uint8_t)sum;
	}
	assert_int_equal(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.b, want.b, want.len);
	expect_counter(t, FL_REASON_RESET_BACKEND_GONE, 1);
	expect_flows(t, 0);
}

struct tag {
	struct row row;
	uint8_t id;
	bool ours;
};

static const struct tag tags[] = {
	{ROW("a VLAN"), 5, false},
	{ROW("a priority, no VLAN"), 0, true},
};

/* To the device that has this VLAN, as XDP does. */
static void vlan_is_left_alone(struct trial *t)
{
	const struct tag *tag = t->row;
	struct packet packet = packet_of(t), next = packet;
	struct raw raw = {0};
	struct frame f;

	begin(t);
	frame_build(&packet, &f);
	memcpy(raw.b, f.b, 12);
	memcpy(raw.b + 12, (uint8_t[]){0x81, 0x00, 0x60, tag->id}, 4);
	memcpy(raw.b + 16, f.b + 12, f.len - 12);
	send_raw(&raw, f.len + 4);
	next.sport++;
	send_unsummed(&next, 0);
	wire_expect_flow(t, &next);
	if (tag->ours)
		expect_flow(t, &packet);
	else
		expect_no_flow(t, &packet);
}

static const struct test tests[] = {
	{"5.7: a packet whose checksum is still to be filled in is rejected like all others",
	 CHECK(reject_without_checksum), .undo = end, .hooks = ON_WIRE},
	{"D9: segments are held to the MTU of the way out one by one",
	 CHECK(segments_larger_than_the_way_out), .undo = end, .protos = ONLY_TCP, .hooks = ON_WIRE,
	 .networks = IN(AT_NARROW)},
	{"D9: segments at once whose checksum is still to be filled in are reset like all others",
	 CHECK(reset_without_checksum), .undo = end, .protos = ONLY_TCP, .hooks = ON_WIRE},
	{"D1: a packet of a VLAN is left alone", CHECK(vlan_is_left_alone), .undo = end,
	 .hooks = ON_WIRE, .networks = IN(AT_POD), ROWS(tags)},
};

const struct topic offload_topic = {"offload", TESTS(tests)};
