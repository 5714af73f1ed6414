// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Listing sockets by NETLINK_SOCK_DIAG (sock_diag(7)): one dump for each family and protocol. */
#include "nodeport/bound.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

struct bound_scan {
	__u64 *words;
	uint8_t proto;
};

static int on_socket(struct nl_msg *msg, void *arg)
{
	const struct nlmsghdr *header = nlmsg_hdr(msg);
	const struct inet_diag_msg *diag = nlmsg_data(header);
	const struct bound_scan *scan = arg;
	uint16_t port;

	if (nlmsg_datalen(header) < (int)sizeof(*diag))
		return NL_SKIP;
	port = ntohs(diag->id.idiag_sport);
	__atomic_fetch_or(&scan->words[FL_BOUND_WORD(scan->proto, port)], 1ULL << (port & 63),
			  __ATOMIC_RELAXED);
	return NL_OK;
}

static int dump(struct nl_sock *sock, struct bound_scan *scan, uint8_t family)
{
	struct inet_diag_req_v2 request = {
		.sdiag_family = family,
		.sdiag_protocol = scan->proto,
		.idiag_states = UINT32_MAX,
	};
	int r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_socket, scan);

	if (r >= 0)
		r = nl_send_simple(sock, SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, &request,
				   sizeof(request));
	return r >= 0 ? nl_recvmsgs_default(sock) : r;
}

int fl_bound_ports_scan(__u64 words[static FL_BOUND_WORDS], struct fl_err *err)
{
	static const struct {
		uint8_t family, proto;
	} kinds[] = {
		{AF_INET, IPPROTO_TCP},
		{AF_INET6, IPPROTO_TCP},
		{AF_INET, IPPROTO_UDP},
		{AF_INET6, IPPROTO_UDP},
	};
	struct nl_sock *sock = nl_socket_alloc();
	int r = sock ? nl_connect(sock, NETLINK_SOCK_DIAG) : -NLE_NOMEM;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && r >= 0; i++) {
		struct bound_scan scan = {.words = words, .proto = kinds[i].proto};

		r = dump(sock, &scan, kinds[i].family);
	}
	nl_socket_free(sock);
	return r < 0 ? fl_err_set(err, -EIO, "cannot list the sockets of this node: %s",
				  nl_geterror(r))
		     : 0;
}
