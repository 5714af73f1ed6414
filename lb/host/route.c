/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Asking the kernel for routes, one request and one answer at a time. */
#include "lb/host/route.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>

#include "lb/base/cleanup.h"

static void socket_freep(struct mnl_socket **sock)
{
	if (*sock)
		mnl_socket_close(*sock);
}

static int on_attr(const struct nlattr *attr, void *arg)
{
	struct fl_route *route = arg;

	if (mnl_attr_get_type(attr) == RTA_OIF)
		route->ifindex = mnl_attr_get_u32(attr);
	route->gateway |= mnl_attr_get_type(attr) == RTA_GATEWAY;
	return MNL_CB_OK;
}

static int on_route(const struct nlmsghdr *h, void *arg)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(h);

	/* local, unreachable and the like lead to no device */
	if (h->nlmsg_type == RTM_NEWROUTE && rtm->rtm_type == RTN_UNICAST)
		mnl_attr_parse(h, sizeof(*rtm), on_attr, arg);
	return MNL_CB_OK;
}

static int ask(struct mnl_socket *sock, unsigned int seq, const struct fl_ip *ip,
	       struct fl_route *ret_route)
{
	const bool v4 = fl_ip_family(ip) == FL_IPV4;
	char buf[8192];
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;
	ssize_t n;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = seq;
	rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	rtm->rtm_family = v4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = v4 ? 32 : 128;
	mnl_attr_put(h, RTA_DST, v4 ? 4 : 16, v4 ? ip->b + 12 : ip->b);
	*ret_route = (struct fl_route){0};
	if (mnl_socket_sendto(sock, h, h->nlmsg_len) < 0)
		return -errno;
	n = mnl_socket_recvfrom(sock, buf, sizeof(buf));
	if (n < 0)
		return -errno;
	/* an error is the answer that there is no route */
	mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(sock), on_route, ret_route);
	return 0;
}

int fl_routes_get(const struct fl_ip *ips, size_t n, struct fl_route *ret_routes)
{
	_cleanup_(socket_freep) struct mnl_socket *sock =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r = 0;

	if (!sock || mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	for (size_t i = 0; i < n && !r; i++)
		r = ask(sock, (unsigned int)i + 1, &ips[i], &ret_routes[i]);
	return r;
}
