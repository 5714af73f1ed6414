// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Asking rtnetlink about the other end of a veth. The device's own link message has the peer's
 * number and an id of its namespace (IFLA_LINK, IFLA_LINK_NETNSID); a request with that id as its
 * target is answered for a sender with CAP_NET_ADMIN there.
 */
#include "lb/host/veth.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "lb/base/cleanup.h"

#define NO_NETNS (-1)

/* What one link message says. */
struct link_seen {
	bool seen;
	unsigned int peer;
	int netns; /* NO_NETNS: the same one */
	bool has_xdp;
};

static int on_link(struct nl_msg *msg, void *arg)
{
	struct nlattr *attrs[IFLA_MAX + 1], *xdp[IFLA_XDP_MAX + 1];
	struct link_seen *seen = arg;

	if (nlmsg_parse(nlmsg_hdr(msg), sizeof(struct ifinfomsg), attrs, IFLA_MAX, NULL))
		return NL_SKIP;
	seen->seen = true;
	if (attrs[IFLA_LINK])
		seen->peer = nla_get_u32(attrs[IFLA_LINK]);
	if (attrs[IFLA_LINK_NETNSID])
		seen->netns = nla_get_s32(attrs[IFLA_LINK_NETNSID]);
	if (attrs[IFLA_XDP] && !nla_parse_nested(xdp, IFLA_XDP_MAX, attrs[IFLA_XDP], NULL) &&
	    xdp[IFLA_XDP_ATTACHED])
		seen->has_xdp = nla_get_u8(xdp[IFLA_XDP_ATTACHED]) == XDP_ATTACHED_DRV ||
				nla_get_u8(xdp[IFLA_XDP_ATTACHED]) == XDP_ATTACHED_MULTI;
	return NL_OK;
}

static void free_msg(struct nl_msg **msg)
{
	nlmsg_free(*msg);
}

static int ask(struct nl_sock *sock, unsigned int ifindex, int netns, struct link_seen *ret_link)
{
	_cleanup_(free_msg) struct nl_msg *msg = nlmsg_alloc_simple(RTM_GETLINK, 0);
	struct ifinfomsg about = {.ifi_family = AF_UNSPEC, .ifi_index = (int)ifindex};
	struct link_seen link = {.netns = NO_NETNS};
	int r;

	if (!msg)
		return -NLE_NOMEM;
	r = nlmsg_append(msg, &about, sizeof(about), NLMSG_ALIGNTO);
	if (!r && netns != NO_NETNS)
		r = nla_put_s32(msg, IFLA_TARGET_NETNSID, netns);
	if (!r)
		r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_link, &link);
	if (!r)
		r = nl_send_auto(sock, msg);
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	if (r < 0)
		return r;
	*ret_link = link;
	return link.seen ? 0 : -NLE_OBJ_NOTFOUND;
}

static void free_socket(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

int fl_veth_peer_has_xdp(unsigned int ifindex, bool *ret_has)
{
	_cleanup_(free_socket) struct nl_sock *sock = nl_socket_alloc();
	struct link_seen own, peer;
	int r = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (!r) {
		/* an acknowledgement would be taken for the next answer */
		nl_socket_disable_auto_ack(sock);
		r = ask(sock, ifindex, NO_NETNS, &own);
	}
	if (!r && !own.peer)
		r = -NLE_OBJ_NOTFOUND;
	if (!r)
		r = ask(sock, own.peer, own.netns, &peer);
	if (r)
		return -EIO;
	*ret_has = peer.has_xdp;
	return 0;
}
