/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frames on the wire: what is sent at the far end of a veth arrives at the device, what left the
 * device is read there. */
#pragma once

#include <bpf/libbpf.h>
#include <linux/virtio_net.h>

#include "tests/packet/trial.h"

/* A packet socket on a device; `offload`: with the header that says what is left to the device. */
int wire_open(unsigned int ifindex, bool offload);
void wire_send(int fd, const struct packet *packet);

/* Wait for a frame that begins like this one behind the IP header, so many bytes; the kernel's own
 * chatter is passed over. */
#define wire_receive(t, fd, like, bytes, ret_offload, ret_frame)                                   \
	do_wire_receive(AT_LINE(t), fd, like, bytes, ret_offload, ret_frame)
/* Wait for exactly this packet. */
#define wire_expect(t, fd, packet) do_wire_expect(AT_LINE(t), fd, packet)
/* Wait until the datapath has recorded the flow of a packet. */
#define wire_expect_flow(t, packet) do_wire_expect_flow(AT_LINE(t), packet)

void do_wire_receive(struct trial *t, int fd, const struct frame *like, uint32_t bytes,
		     struct virtio_net_hdr *ret_offload, struct frame *ret_frame);
void do_wire_expect(struct trial *t, int fd, const struct packet *packet);
struct fl_flow do_wire_expect_flow(struct trial *t, const struct packet *packet);

/* A tc program at a device: by tcx, and on kernels without (before 6.6) by a filter of clsact. */
struct tc_link {
	int fd;		      /* of tcx; -1 none */
	unsigned int ifindex; /* whose clsact it is; 0 none */
};
#define TC_LINK_NONE                                                                               \
	{                                                                                          \
		-1, 0                                                                              \
	}

/* `at`: BPF_TC_INGRESS or BPF_TC_EGRESS. */
void tc_attach(const struct plane *p, enum prog prog, unsigned int ifindex,
	       enum bpf_tc_attach_point at, struct tc_link *ret_link);
void tc_detach(struct tc_link *link);

/*
 * The next hop of AT_UNRESOLVED, which nobody knows. The kernel goes on asking for it however slow
 * this machine is; it answers; and at the end of a trial it is forgotten.
 */
extern const uint8_t neighbour_mac[ETH_ALEN];
void neighbour_seek(const struct trial *t);
void neighbour_answer(const struct trial *t);
void neighbour_forget(const struct trial *t);
