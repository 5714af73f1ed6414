// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Packet sockets at the far ends of veth pairs, and tc programs that are attached. */
#include "tests/packet/wire.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/packet/packet.h"

int wire_open(unsigned int ifindex, bool offload)
{
	struct sockaddr_ll at = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)ifindex,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	if (fd < 0 ||
	    (offload && setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &(int){1}, sizeof(int))) ||
	    bind(fd, (struct sockaddr *)&at, sizeof(at)))
		fail_msg("cannot listen to a device: %s", strerror(errno));
	return fd;
}

void wire_send(int fd, const struct packet *packet)
{
	struct frame f;

	frame_build(packet, &f);
	assert_int_equal(send(fd, f.b, f.len, 0), f.len);
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void do_wire_receive(struct trial *t, int fd, const struct frame *like, uint32_t bytes,
		     struct virtio_net_hdr *ret_offload, struct frame *ret_frame)
{
	uint32_t l4 = l4_offset(t->family);
	int64_t deadline = now_ms() + DEADLINE_MS;

	for (;;) {
		size_t header = ret_offload ? sizeof(*ret_offload) : 0;
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int64_t left = deadline - now_ms();
		uint8_t raw[sizeof(*ret_offload) + sizeof(ret_frame->b)];
		struct sockaddr_ll from;
		socklen_t from_len = sizeof(from);
		ssize_t n;

		/* what is there counts, however late we are */
		if (poll(&pfd, 1, left > 0 ? (int)left : 0) <= 0)
			do_fail(t, "no such frame came within %d ms", DEADLINE_MS);
		n = recvfrom(fd, raw, header + sizeof(ret_frame->b), 0, (struct sockaddr *)&from,
			     &from_len);
		if (n < (ssize_t)(header + l4 + 8) || from.sll_pkttype == PACKET_OUTGOING ||
		    memcmp(raw + header + l4, like->b + l4, bytes))
			continue;
		if (ret_offload)
			memcpy(ret_offload, raw, header);
		ret_frame->len = (uint32_t)((size_t)n - header);
		memcpy(ret_frame->b, raw + header, ret_frame->len);
		return;
	}
}

void do_wire_expect(struct trial *t, int fd, const struct packet *packet)
{
	struct frame want;

	frame_build(packet, &want);
	/* both ports */
	do_wire_receive(t, fd, &want, 4, NULL, &t->r.out);
	do_expect_frame(t, &want);
}

struct fl_flow do_wire_expect_flow(struct trial *t, const struct packet *packet)
{
	struct fl_flow flow;

	for (int64_t end = now_ms() + DEADLINE_MS;
	     !find_flow(t->p, packet, &flow) && now_ms() < end;)
		poll(NULL, 0, 1);
	return do_expect_flow(t, packet);
}

void tc_attach(const struct plane *p, enum prog prog, unsigned int ifindex,
	       enum bpf_tc_attach_point at, struct tc_link *ret_link)
{
	/* tcx's are newer than libbpf's headers */
	const int type = at == BPF_TC_INGRESS ? 46 : 47;
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = p->prog_fd[prog]);
	int r;

	*ret_link = (struct tc_link){
		bpf_link_create(p->prog_fd[prog], (int)ifindex, (enum bpf_attach_type)type, NULL),
		0};
	if (ret_link->fd >= 0)
		return;
	ret_link->fd = -1;
	r = bpf_tc_hook_create(&hook);
	if (r && r != -EEXIST)
		fail_msg("cannot make a clsact qdisc: %s", strerror(-r));
	ret_link->ifindex = ifindex;
	hook.attach_point = at;
	r = bpf_tc_attach(&hook, &filter);
	if (r)
		fail_msg("cannot attach a tc program: %s", strerror(-r));
}

void tc_detach(struct tc_link *link)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)link->ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (link->fd >= 0)
		close(link->fd);
	/* with what else hangs there: all of a trial is detached at once */
	if (link->ifindex)
		bpf_tc_hook_destroy(&hook);
	*link = (struct tc_link)TC_LINK_NONE;
}

const uint8_t neighbour_mac[ETH_ALEN] = {0x02, 0x77, 0, 0, 0, 0x77};

/* "ip neigh ACTION ... dev ext1" */
static void change_neighbour(const struct trial *t, const char *action, const char *rest)
{
	struct fl_ip router = addr(t->family, AT_EXT1, 77);
	char ip[FL_IP_STRLEN], text[200];
	struct fl_err err;

	snprintf(text, sizeof(text), "neigh %s %s %s dev ext1\n", action, fl_ip_format(&router, ip),
		 rest);
	assert_int_equal(net_batch(text, &err), 0);
}

void neighbour_seek(const struct trial *t)
{
	char path[80];
	FILE *file;

	/* otherwise it gives up after three seconds */
	snprintf(path, sizeof(path), "/proc/sys/net/ipv%d/neigh/ext1/mcast_solicit",
		 t->family == FL_IPV6 ? 6 : 4);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs("30", file) >= 0);
	assert_int_equal(fclose(file), 0);
}

void neighbour_answer(const struct trial *t)
{
	change_neighbour(t, "replace", "lladdr 02:77:00:00:00:77 nud permanent");
}

void neighbour_forget(const struct trial *t)
{
	neighbour_answer(t);
	change_neighbour(t, "del", "");
}
