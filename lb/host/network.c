// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Asking the kernel for devices, addresses and routes by three netlink dumps. Of the routes
 * only the default ones are looked into, and where there is an overlay those that lead to it: a
 * router may have a million others.
 */
#include "lb/host/network.h"

#include <errno.h>
#include <fnmatch.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/rtnetlink.h>
#include <net/if_arp.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/host/route_hops.h"

struct scan {
	struct fl_network *network;
	size_t devices_room, addresses_room;
	bool any_overlay;
	int error;
};

static void socket_freep(struct nl_sock **sock)
{
	nl_socket_free(*sock);
}

/* The device's switches: an array of numbers per family, those of IPv4 counted from 1. */
static bool is_switched_on(struct nlattr *families, int family, int conf, int at)
{
	struct nlattr *specific =
		families ? nla_find(nla_data(families), nla_len(families), family) : NULL;
	struct nlattr *values =
		specific ? nla_find(nla_data(specific), nla_len(specific), conf) : NULL;
	int32_t value;

	if (!values || nla_len(values) < (at + 1) * (int)sizeof(value))
		return true; /* not known to be off */
	memcpy(&value, (char *)nla_data(values) + (size_t)at * sizeof(value), sizeof(value));
	return value;
}

bool fl_netdev_is_overlay(const struct fl_netdev *device)
{
	static const char *const kinds[] = {"vxlan", "geneve", "gretap", "ip6gretap"};

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(device->kind, kinds[i]))
			return true;
	return false;
}

static int on_link(struct nl_msg *msg, void *arg)
{
	struct scan *s = arg;
	struct fl_network *net = s->network;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct ifinfomsg *ifi = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1];
	struct fl_netdev dev = {0};

	if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) < 0 ||
	    !tb[IFLA_IFNAME])
		return NL_OK;
	dev.ifindex = (unsigned int)ifi->ifi_index;
	dev.up = ifi->ifi_flags & IFF_UP;
	dev.loopback = ifi->ifi_flags & IFF_LOOPBACK;
	dev.headerless = ifi->ifi_type != ARPHRD_ETHER && !dev.loopback;
	dev.forwarding[FL_IPV4] = is_switched_on(tb[IFLA_AF_SPEC], AF_INET, IFLA_INET_CONF,
						 IPV4_DEVCONF_FORWARDING - 1);
	dev.forwarding[FL_IPV6] =
		is_switched_on(tb[IFLA_AF_SPEC], AF_INET6, IFLA_INET6_CONF, DEVCONF_FORWARDING);
	snprintf(dev.name, sizeof(dev.name), "%s", nla_get_string(tb[IFLA_IFNAME]));
	if (tb[IFLA_MTU])
		dev.mtu = nla_get_u32(tb[IFLA_MTU]);
	if (tb[IFLA_MASTER])
		dev.master = nla_get_u32(tb[IFLA_MASTER]);
	/* with a namespace beside it the number is of another namespace */
	if (tb[IFLA_LINK] && !tb[IFLA_LINK_NETNSID])
		dev.link = nla_get_u32(tb[IFLA_LINK]);
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == sizeof(dev.mac))
		memcpy(dev.mac, nla_data(tb[IFLA_ADDRESS]), sizeof(dev.mac));
	if (tb[IFLA_LINKINFO] && !nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) &&
	    info[IFLA_INFO_KIND])
		snprintf(dev.kind, sizeof(dev.kind), "%.15s", nla_get_string(info[IFLA_INFO_KIND]));
	s->any_overlay |= fl_netdev_is_overlay(&dev);
	if (FL_ARRAY_ROOM(net->devices, s->devices_room, net->n_devices + 1))
		s->error = -ENOMEM;
	else
		net->devices[net->n_devices++] = dev;
	return NL_OK;
}

static bool read_ip(const struct nlattr *attr, struct fl_ip *ret_ip)
{
	return !fl_ip_from_bytes(nla_data(attr), (size_t)nla_len(attr), ret_ip);
}

static int on_address(struct nl_msg *msg, void *arg)
{
	const uint32_t unusable = IFA_F_TENTATIVE | IFA_F_DADFAILED;
	const uint32_t unfit = unusable | IFA_F_SECONDARY | IFA_F_DEPRECATED;
	struct scan *s = arg;
	struct fl_network *net = s->network;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct ifaddrmsg *ifa = nlmsg_data(h);
	struct nlattr *tb[IFA_MAX + 1];
	struct fl_netaddr addr = {0};
	uint32_t flags;

	if (h->nlmsg_type != RTM_NEWADDR || nlmsg_parse(h, sizeof(*ifa), tb, IFA_MAX, NULL) < 0)
		return NL_OK;
	/* on a point-to-point device IFA_ADDRESS is the peer's */
	if (!(tb[IFA_LOCAL] && read_ip(tb[IFA_LOCAL], &addr.ip)) &&
	    !(tb[IFA_ADDRESS] && read_ip(tb[IFA_ADDRESS], &addr.ip)))
		return NL_OK;
	flags = tb[IFA_FLAGS] ? nla_get_u32(tb[IFA_FLAGS]) : ifa->ifa_flags;
	addr.ifindex = ifa->ifa_index;
	addr.prefix_len = ifa->ifa_prefixlen;
	addr.global = ifa->ifa_scope < RT_SCOPE_LINK;
	addr.usable = !(flags & unusable);
	addr.primary = !(flags & unfit);
	if (FL_ARRAY_ROOM(net->addresses, s->addresses_room, net->n_addresses + 1))
		s->error = -ENOMEM;
	else
		net->addresses[net->n_addresses++] = addr;
	return NL_OK;
}

static struct fl_netdev *find(struct fl_network *net, unsigned int ifindex)
{
	return (struct fl_netdev *)fl_network_device(net, ifindex);
}

/* A route while its hops are looked at. */
struct route {
	struct fl_network *network;
	enum fl_family family;
	bool is_default;
	uint32_t metric;
	const struct nlattr *source; /* or NULL */
};

/* Of a device's default routes the best one counts. */
static void note_default(const struct route *route, struct fl_netdev *dev,
			 const struct nlattr *gateway)
{
	const enum fl_family family = route->family;

	if (dev->default_route[family] && dev->metric[family] <= route->metric)
		return;
	dev->default_route[family] = true;
	dev->metric[family] = route->metric;
	dev->gateway[family] = dev->preferred_source[family] = (struct fl_ip){0};
	/* of the other family it cannot be read, and leads to no subnet of this one */
	if (gateway && nla_type(gateway) == RTA_GATEWAY)
		read_ip(gateway, &dev->gateway[family]);
	if (route->source)
		read_ip(route->source, &dev->preferred_source[family]);
}

static void on_hop(const struct fl_route_hop *hop, void *arg)
{
	const struct route *route = arg;
	struct fl_netdev *dev = find(route->network, hop->ifindex);

	if (dev && route->is_default)
		note_default(route, dev, hop->gateway);
	else if (dev && hop->gateway && fl_netdev_is_overlay(dev))
		dev->leads_on[route->family] = true;
}

static int on_route(struct nl_msg *msg, void *arg)
{
	struct scan *s = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct rtmsg *rtm = nlmsg_data(h);
	struct nlattr *tb[RTA_MAX + 1];
	struct route route = {.network = s->network,
			      .family = rtm->rtm_family == AF_INET6 ? FL_IPV6 : FL_IPV4,
			      .is_default = !rtm->rtm_dst_len};

	if ((!route.is_default && !s->any_overlay) || h->nlmsg_type != RTM_NEWROUTE ||
	    rtm->rtm_type != RTN_UNICAST ||
	    (rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
	    nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
		return NL_OK;
	/* what leads on to other machines may be in a table of the pod network's own */
	if (route.is_default &&
	    (tb[RTA_TABLE] ? nla_get_u32(tb[RTA_TABLE]) : rtm->rtm_table) != RT_TABLE_MAIN)
		return NL_OK;
	route.metric = tb[RTA_PRIORITY] ? nla_get_u32(tb[RTA_PRIORITY]) : 0;
	route.source = tb[RTA_PREFSRC];
	fl_route_each_hop(tb, on_hop, &route);
	return NL_OK;
}

static int dump(struct nl_sock *sock, int type, int (*fn)(struct nl_msg *msg, void *arg),
		struct scan *scan)
{
	struct rtgenmsg request = {.rtgen_family = AF_UNSPEC};
	int r;

	r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, fn, scan);
	if (!r)
		r = nl_send_simple(sock, type, NLM_F_DUMP, &request, sizeof(request));
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	return r < 0 ? r : 0;
}

static int compare_devices(const void *a, const void *b)
{
	unsigned int ia = ((const struct fl_netdev *)a)->ifindex,
		     ib = ((const struct fl_netdev *)b)->ifindex;

	return ia < ib ? -1 : ia > ib;
}

/* One attempt. A positive result is a dump that a change interrupted: ask again. */
static int scan_once(struct fl_network *ret_network, struct fl_err *err)
{
	_cleanup_(fl_network_fini) struct fl_network net = {0};
	_cleanup_(socket_freep) struct nl_sock *sock = nl_socket_alloc();
	struct scan scan = {.network = &net};
	int r;

	if (!sock)
		return fl_err_set(err, -ENOMEM, "out of memory");
	r = nl_connect(sock, NETLINK_ROUTE);
	if (!r)
		r = dump(sock, RTM_GETLINK, on_link, &scan);
	if (!r && net.n_devices)
		qsort(net.devices, net.n_devices, sizeof(*net.devices), compare_devices);
	if (!r)
		r = dump(sock, RTM_GETADDR, on_address, &scan);
	if (!r)
		r = dump(sock, RTM_GETROUTE, on_route, &scan);
	if (r == -NLE_DUMP_INTR)
		return 1;
	if (r)
		return fl_err_set(err, -EIO, "cannot ask the kernel for devices and addresses: %s",
				  nl_geterror(r));
	if (scan.error)
		return fl_err_set(err, scan.error, "out of memory");
	*ret_network = net;
	net = (struct fl_network){0};
	return 0;
}

int fl_network_scan(struct fl_network *ret_network, struct fl_err *err)
{
	for (int i = 0; i < 10; i++) {
		int r = scan_once(ret_network, err);

		if (r <= 0)
			return r;
	}
	return fl_err_set(err, -EAGAIN,
			  "devices and addresses change faster than they can be read");
}

void fl_network_fini(struct fl_network *network)
{
	free(network->devices);
	free(network->addresses);
	*network = (struct fl_network){0};
}

const struct fl_netdev *fl_network_device(const struct fl_network *network, unsigned int ifindex)
{
	const struct fl_netdev key = {.ifindex = ifindex};

	if (!network->n_devices)
		return NULL;
	return bsearch(&key, network->devices, network->n_devices, sizeof(key), compare_devices);
}

const struct fl_netdev *fl_network_match(const struct fl_network *network, const char *pattern)
{
	const struct fl_netdev *loopback = NULL;

	for (size_t i = 0; i < network->n_devices; i++) {
		const struct fl_netdev *dev = &network->devices[i];

		if (fnmatch(pattern, dev->name, 0))
			continue;
		if (!dev->loopback)
			return dev;
		loopback = dev;
	}
	return loopback;
}

/* The elements are zeroed before they are filled, so equal ones have equal bytes. */
bool fl_network_equal(const struct fl_network *a, const struct fl_network *b)
{
	return a->n_devices == b->n_devices && a->n_addresses == b->n_addresses &&
	       (!a->n_devices ||
		!memcmp(a->devices, b->devices, a->n_devices * sizeof(*a->devices))) &&
	       (!a->n_addresses ||
		!memcmp(a->addresses, b->addresses, a->n_addresses * sizeof(*a->addresses)));
}
