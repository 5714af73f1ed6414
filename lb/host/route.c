/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Asking the kernel for routes, some requests with a call, and then their answers. */
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

/* How many are asked at once: what they are answered has room in a socket as it is by default. */
#define ASKED 16
#define REQUEST_BYTES NLMSG_SPACE(sizeof(struct rtmsg) + NLA_HDRLEN + 16)

struct asked {
	unsigned int first; /* sequence number of the first */
	size_t n, answered;
	struct fl_route *routes;
};

static void put_request(struct nlmsghdr *h, unsigned int seq, const struct fl_ip *ip)
{
	const bool v4 = fl_ip_family(ip) == FL_IPV4;
	struct rtmsg *rtm;

	h->nlmsg_type = RTM_GETROUTE;
	h->nlmsg_flags = NLM_F_REQUEST;
	h->nlmsg_seq = seq;
	rtm = mnl_nlmsg_put_extra_header(h, sizeof(*rtm));
	rtm->rtm_family = v4 ? AF_INET : AF_INET6;
	rtm->rtm_dst_len = v4 ? 32 : 128;
	mnl_attr_put(h, RTA_DST, v4 ? 4 : 16, v4 ? ip->b + 12 : ip->b);
}

static int send_requests(struct mnl_socket *sock, const struct asked *asked,
			 const struct fl_ip *ips)
{
	char buf[ASKED * REQUEST_BYTES];
	size_t len = 0;

	for (size_t i = 0; i < asked->n; i++) {
		struct nlmsghdr *h = mnl_nlmsg_put_header(buf + len);

		put_request(h, asked->first + (unsigned int)i, &ips[i]);
		len += NLMSG_ALIGN(h->nlmsg_len);
	}
	return mnl_socket_sendto(sock, buf, len) < 0 ? -errno : 0;
}

/* Answers come in the order of the requests; an error is the answer that there is no route. */
static void take_answers(struct asked *asked, const void *buf, size_t size)
{
	int left = (int)size;

	for (const struct nlmsghdr *h = buf; mnl_nlmsg_ok(h, left); h = mnl_nlmsg_next(h, &left)) {
		const unsigned int at = h->nlmsg_seq - asked->first;

		if (at >= asked->n)
			continue;
		on_route(h, &asked->routes[at]);
		asked->answered++;
	}
}

static int ask(struct mnl_socket *sock, struct asked *asked, const struct fl_ip *ips)
{
	char buf[8192];
	int r = send_requests(sock, asked, ips);

	while (!r && asked->answered < asked->n) {
		const ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof(buf));

		if (n < 0)
			return -errno;
		take_answers(asked, buf, (size_t)n);
	}
	return r;
}

int fl_routes_get(const struct fl_ip *ips, size_t n, struct fl_route *ret_routes)
{
	_cleanup_(socket_freep) struct mnl_socket *sock =
		mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	int r = 0;

	if (!sock || mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID))
		return -errno;
	for (size_t i = 0; i < n && !r; i += ASKED) {
		struct asked asked = {
			.first = (unsigned int)i + 1,
			.n = n - i < ASKED ? n - i : ASKED,
			.routes = &ret_routes[i],
		};

		memset(asked.routes, 0, asked.n * sizeof(*asked.routes));
		r = ask(sock, &asked, &ips[i]);
	}
	return r;
}
