// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Following what the kernel reports. The neighbour table is the chatty one: it is followed entry by
 * entry, so that only changes that make a remembered next hop wrong are passed on.
 */
#include "lb/host/watch.h"

#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/host/neighbours.h"
#include "lb/host/route_hops.h"

#define RECEIVE_BUFFER_BYTES (4 << 20)
/* states in which the kernel sends to a neighbour by what it knows (NUD_VALID, which headers do not
 * export) */
#define VALID_STATES (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE | NUD_PROBE | NUD_STALE | NUD_DELAY)

/*
 * Devices that a route with a gateway was seen at: of a device's routes the first is news, others
 * are not, since there may be a million of them. Whichever does not fit is news each time.
 */
#define GATEWAYS_MAX 64

struct fl_watch {
	struct nl_sock *sock;
	struct fl_neighbours *neighbours;
	unsigned int gateways[GATEWAYS_MAX]; /* ifindexes */
	size_t n_gateways;
	struct fl_watch_news *news; /* of the call that runs */
};

static void on_neighbour(struct fl_watch *w, struct nlmsghdr *h)
{
	const struct ndmsg *nd = nlmsg_data(h);
	struct nlattr *tb[NDA_MAX + 1];
	uint8_t mac[6] = {0};
	struct fl_ip ip;
	bool valid;

	if ((nd->ndm_family != AF_INET && nd->ndm_family != AF_INET6) ||
	    nlmsg_parse(h, sizeof(*nd), tb, NDA_MAX, NULL) < 0 || !tb[NDA_DST])
		return;
	if (fl_ip_from_bytes(nla_data(tb[NDA_DST]), (size_t)nla_len(tb[NDA_DST]), &ip))
		return;
	if (tb[NDA_LLADDR] && nla_len(tb[NDA_LLADDR]) == sizeof(mac))
		memcpy(mac, nla_data(tb[NDA_LLADDR]), sizeof(mac));
	valid = h->nlmsg_type == RTM_NEWNEIGH && (nd->ndm_state & VALID_STATES);
	if (fl_neighbours_update(w->neighbours, (unsigned int)nd->ndm_ifindex, &ip, valid, mac))
		w->news->next_hops = true;
}

static void on_hop(const struct fl_route_hop *hop, void *arg)
{
	struct fl_watch *w = arg;
	size_t i;

	if (!hop->gateway)
		return;
	for (i = 0; i < w->n_gateways; i++)
		if (w->gateways[i] == hop->ifindex)
			return;
	if (w->n_gateways < GATEWAYS_MAX)
		w->gateways[w->n_gateways++] = hop->ifindex;
	w->news->network = true;
}

/* Its number may become another device's. */
static void forget_gateway(struct fl_watch *w, unsigned int ifindex)
{
	for (size_t i = 0; i < w->n_gateways; i++)
		if (w->gateways[i] == ifindex)
			w->gateways[i--] = w->gateways[--w->n_gateways];
}

static void on_route(struct fl_watch *w, struct nlmsghdr *h)
{
	const struct rtmsg *rtm = nlmsg_data(h);
	struct nlattr *tb[RTA_MAX + 1];

	if (rtm->rtm_flags & RTM_F_CLONED) /* a cached path MTU, not a route */
		return;
	w->news->next_hops = true;
	w->news->network |= !rtm->rtm_dst_len;
	if (h->nlmsg_type == RTM_NEWROUTE && rtm->rtm_type == RTN_UNICAST &&
	    nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL) >= 0)
		fl_route_each_hop(tb, on_hop, w);
}

static int on_message(struct nl_msg *msg, void *arg)
{
	struct fl_watch *w = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct ifinfomsg *ifi;

	switch (h->nlmsg_type) {
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		on_neighbour(w, h);
		break;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		on_route(w, h);
		break;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		w->news->next_hops = true;
		break;
	case RTM_DELLINK:
		ifi = nlmsg_data(h);
		if (ifi->ifi_family == AF_UNSPEC)
			forget_gateway(w, (unsigned int)ifi->ifi_index);
		if (ifi->ifi_family == AF_UNSPEC &&
		    fl_neighbours_forget(w->neighbours, (unsigned int)ifi->ifi_index))
			w->news->next_hops = true;
		w->news->network = true;
		break;
	case RTM_NEWNETCONF: /* forwarding was switched */
	case RTM_NEWLINK:    /* whether it matters shows when the network is scanned */
	case RTM_NEWADDR:
	case RTM_DELADDR:
		w->news->network = true;
		break;
	}
	return NL_OK;
}

/* Read the whole neighbour table by a socket of its own. */
static int read_neighbours(struct fl_watch *w)
{
	struct rtgenmsg request = {.rtgen_family = AF_UNSPEC};
	struct nl_sock *sock = nl_socket_alloc();
	int r;

	if (!sock)
		return -NLE_NOMEM;
	r = nl_connect(sock, NETLINK_ROUTE);
	if (!r)
		r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, w);
	if (!r)
		r = nl_send_simple(sock, RTM_GETNEIGH, NLM_F_DUMP, &request, sizeof(request));
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	nl_socket_free(sock);
	/* an interrupted dump: what changed meanwhile comes as news */
	return r < 0 && r != -NLE_DUMP_INTR ? r : 0;
}

int fl_watch_open(struct fl_watch **ret_watch, struct fl_err *err)
{
	_cleanup_(fl_watch_close) struct fl_watch *w = calloc(1, sizeof(*w));
	struct fl_watch_news news = {0};
	int r;

	if (!w || fl_neighbours_new(&w->neighbours) || !(w->sock = nl_socket_alloc()))
		return fl_err_set(err, -ENOMEM, "out of memory");
	nl_socket_disable_seq_check(w->sock);
	r = nl_connect(w->sock, NETLINK_ROUTE);
	if (!r)
		r = nl_socket_add_memberships(
			w->sock, RTNLGRP_LINK, RTNLGRP_NEIGH, RTNLGRP_IPV4_IFADDR,
			RTNLGRP_IPV6_IFADDR, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
			RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, RTNLGRP_IPV4_NETCONF,
			RTNLGRP_IPV6_NETCONF, RTNLGRP_NONE);
	if (!r)
		r = nl_socket_set_nonblocking(w->sock);
	if (!r)
		r = nl_socket_modify_cb(w->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message, w);
	if (!r) {
		nl_socket_set_buffer_size(w->sock, RECEIVE_BUFFER_BYTES,
					  0); /* may be refused: then news get lost */
		w->news = &news;
		r = read_neighbours(w);
		w->news = NULL;
	}
	if (r)
		return fl_err_set(err, -EIO, "cannot listen to the kernel's network news: %s",
				  nl_geterror(r));
	*ret_watch = TAKE_PTR(w);
	return 0;
}

void fl_watch_close(struct fl_watch **watch)
{
	if (!*watch)
		return;
	nl_socket_free((*watch)->sock);
	fl_neighbours_free(&(*watch)->neighbours);
	free(*watch);
	*watch = NULL;
}

int fl_watch_fd(const struct fl_watch *watch)
{
	return nl_socket_get_fd(watch->sock);
}

int fl_watch_handle(struct fl_watch *watch, struct fl_watch_news *ret_news, struct fl_err *err)
{
	struct fl_watch_news news = {0};
	int r;

	watch->news = &news;
	do {
		r = nl_recvmsgs_default(watch->sock);
	} while (r >= 0);
	if (r == -NLE_NOMEM) { /* the socket's buffer ran over */
		news.network = news.next_hops = true;
		r = read_neighbours(watch);
		r = r ? r : -NLE_AGAIN;
	}
	watch->news = NULL;
	*ret_news = news;
	return r == -NLE_AGAIN
		       ? 0
		       : fl_err_set(err, -EIO, "cannot read network news: %s", nl_geterror(r));
}
