// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which devices face the network, which face pods, and with which address a packet that leaves by
 * one of them is masqueraded: the one that the kernel's own MASQUERADE would take.
 */
#include "lb/host/devices.h"

#include <fnmatch.h>
#include <string.h>

static bool matches(const char *name, const char *const *patterns, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!fnmatch(patterns[i], name, 0))
			return true;
	return false;
}

static bool is_node_ip(const struct fl_device_rules *rules, const struct fl_ip *ip)
{
	for (size_t i = 0; i < rules->n_node_ips; i++)
		if (fl_ip_equal(&rules->node_ips[i], ip))
			return true;
	return false;
}

static bool holds_node_ip(const struct fl_network *network, const struct fl_netdev *device,
			  const struct fl_device_rules *rules)
{
	for (size_t i = 0; i < network->n_addresses; i++)
		if (network->addresses[i].ifindex == device->ifindex &&
		    is_node_ip(rules, &network->addresses[i].ip))
			return true;
	return false;
}

static bool has_kind(const struct fl_netdev *device, const char *kind)
{
	return device && !strcmp(device->kind, kind);
}

static bool leads_to_remote_pods(const struct fl_netdev *device,
				 const struct fl_device_rules *rules)
{
	for (size_t i = 0; i < rules->n_remote; i++)
		if (rules->remote[i] == device->ifindex)
			return true;
	/* before there is a backend */
	return fl_netdev_is_overlay(device) &&
	       (device->leads_on[FL_IPV4] || device->leads_on[FL_IPV6]);
}

static enum fl_device_role wanted_role(const struct fl_network *network,
				       const struct fl_netdev *device,
				       const struct fl_device_rules *rules)
{
	if (device->loopback)
		return FL_ROLE_NONE;
	if (matches(device->name, rules->external, rules->n_external))
		return FL_ROLE_EXTERNAL;
	if (matches(device->name, rules->pod, rules->n_pod))
		return FL_ROLE_POD;
	if (!rules->n_external &&
	    (device->default_route[FL_IPV4] || device->default_route[FL_IPV6] ||
	     holds_node_ip(network, device, rules)))
		return FL_ROLE_EXTERNAL;
	return leads_to_remote_pods(device, rules) ? FL_ROLE_REMOTE_PODS : FL_ROLE_NONE;
}

enum fl_device_role fl_device_own_role(const struct fl_network *network,
				       const struct fl_netdev *device,
				       const struct fl_device_rules *rules)
{
	return device->headerless ? FL_ROLE_NONE : wanted_role(network, device, rules);
}

static bool has_ports(const struct fl_network *network, const struct fl_netdev *bridge)
{
	for (size_t i = 0; i < network->n_devices; i++)
		if (network->devices[i].master == bridge->ifindex)
			return true;
	return false;
}

/* A bridge hands frames from port to port, past its own programs: its ports are what it is. */
static enum fl_device_role role_by_bridge(const struct fl_network *network,
					  const struct fl_netdev *device,
					  const struct fl_device_rules *rules)
{
	const enum fl_device_role own = fl_device_own_role(network, device, rules);
	const struct fl_netdev *master =
		device->master ? fl_network_device(network, device->master) : NULL;

	if (own == FL_ROLE_NONE && !device->headerless && has_kind(master, "bridge"))
		return fl_device_own_role(network, master, rules);
	return own;
}

bool fl_device_yields(const struct fl_network *network, const struct fl_netdev *device,
		      const struct fl_device_rules *rules)
{
	const struct fl_netdev *master =
		device->master ? fl_network_device(network, device->master) : NULL;

	/* the kernel takes a bond's XDP program to its ports by itself */
	if (has_kind(master, "bond") || has_kind(master, "team"))
		return role_by_bridge(network, master, rules) != FL_ROLE_NONE;
	return has_kind(device, "bridge") &&
	       fl_device_own_role(network, device, rules) != FL_ROLE_NONE &&
	       has_ports(network, device);
}

enum fl_device_role fl_device_role(const struct fl_network *network, const struct fl_netdev *device,
				   const struct fl_device_rules *rules)
{
	return fl_device_yields(network, device, rules) ? FL_ROLE_NONE
							: role_by_bridge(network, device, rules);
}

const struct fl_netdev *fl_device_next_veth(const struct fl_network *network,
					    const struct fl_netdev *device, size_t *at)
{
	const bool bond = !strcmp(device->kind, "bond");

	while (*at < network->n_devices) {
		const struct fl_netdev *dev = &network->devices[(*at)++];

		if (!strcmp(dev->kind, "veth") &&
		    (dev->ifindex == device->ifindex || (bond && dev->master == device->ifindex)))
			return dev;
	}
	return NULL;
}

bool fl_devices_have_veth(const struct fl_network *network, const struct fl_device_rules *rules)
{
	for (size_t i = 0; i < network->n_devices; i++) {
		const struct fl_netdev *dev = &network->devices[i];

		if (fl_device_next_veth(network, dev, &(size_t){0}) &&
		    fl_device_role(network, dev, rules) == FL_ROLE_EXTERNAL)
			return true;
	}
	return false;
}

bool fl_device_lacks_ethernet(const struct fl_network *network, const struct fl_netdev *device,
			      const struct fl_device_rules *rules)
{
	return device->headerless && wanted_role(network, device, rules) != FL_ROLE_NONE;
}

bool fl_device_lacks_forwarding(const struct fl_network *network, const struct fl_netdev *device,
				enum fl_family family)
{
	if (device->forwarding[family])
		return false;
	for (size_t i = 0; i < network->n_addresses; i++)
		if (network->addresses[i].ifindex == device->ifindex &&
		    network->addresses[i].global &&
		    fl_ip_family(&network->addresses[i].ip) == family)
			return true;
	return false;
}

bool fl_device_faces_network(const struct fl_network *network, const struct fl_netdev *device)
{
	/* "" is hardware; a veth is what a container has for a card */
	static const char *const cards[] = {"",	    "veth",    "vlan",	"bond",
					    "team", "macvlan", "ipvlan"};
	bool is_card = false;

	for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++)
		is_card |= !strcmp(device->kind, cards[i]);
	for (size_t i = 0; i < network->n_addresses && is_card && !device->loopback; i++) {
		const struct fl_netaddr *a = &network->addresses[i];

		/* the one address of a container's gateway has no subnet */
		if (a->ifindex == device->ifindex && a->global &&
		    a->prefix_len < (fl_ip_family(&a->ip) == FL_IPV4 ? 32 : 128))
			return true;
	}
	return false;
}

bool fl_device_is_inside(const struct fl_network *network, const struct fl_netdev *device)
{
	return !strcmp(device->kind, "bridge") ||
	       (!strcmp(device->kind, "veth") && !fl_device_faces_network(network, device));
}

/* Whether two addresses of a family have the same first bits; `len` as of the family. */
static bool same_prefix(const struct fl_ip *a, const struct fl_ip *b, unsigned int len)
{
	unsigned int bits = fl_ip_family(a) == FL_IPV4 ? len + 96 : len;

	if (memcmp(a->b, b->b, bits / 8))
		return false;
	return !(bits % 8) || !((a->b[bits / 8] ^ b->b[bits / 8]) >> (8 - bits % 8));
}

static bool is_local(const struct fl_network *network, const struct fl_ip *ip)
{
	for (size_t i = 0; i < network->n_addresses; i++)
		if (fl_ip_equal(&network->addresses[i].ip, ip))
			return true;
	return false;
}

/*
 * How well an address stands for its device, the more the better. A floating address, such as
 * VRRP's, comes without a subnet and may move to another machine any time.
 */
static int rank(const struct fl_netdev *device, const struct fl_netaddr *a, enum fl_family family,
		const struct fl_device_rules *rules)
{
	const struct fl_ip *gateway = &device->gateway[family];
	const bool has_subnet = a->prefix_len < (family == FL_IPV4 ? 32 : 128);

	if (is_node_ip(rules, &a->ip))
		return 4;
	if (has_subnet && !fl_ip_is_unspecified(gateway) && fl_ip_family(gateway) == family &&
	    same_prefix(&a->ip, gateway, a->prefix_len))
		return 3;
	return has_subnet ? 2 : 1;
}

bool fl_device_address(const struct fl_network *network, const struct fl_netdev *device,
		       const struct fl_device_rules *rules, enum fl_family family,
		       struct fl_ip *ret_ip)
{
	const struct fl_ip *source = &device->preferred_source[family], *best = NULL;
	int best_rank = 0;

	for (size_t i = 0; i < network->n_addresses; i++) {
		const struct fl_netaddr *a = &network->addresses[i];
		int r;

		if (a->ifindex != device->ifindex || !a->global || !a->primary ||
		    fl_ip_family(&a->ip) != family)
			continue;
		r = rank(device, a, family, rules);
		if (r > best_rank) {
			best_rank = r;
			best = &a->ip;
		}
	}
	/* it may be another device's, such as a router's loopback address */
	if (best_rank < 4 && !fl_ip_is_unspecified(source) && is_local(network, source))
		best = source;
	if (best)
		*ret_ip = *best;
	return best;
}

bool fl_node_address(const struct fl_network *network, const struct fl_device_rules *rules,
		     enum fl_family family, struct fl_ip *ret_ip)
{
	for (size_t i = 0; i < rules->n_node_ips; i++) {
		/* only an address that is really here: the Node object may be about another time or
		 * place */
		for (size_t j = 0; j < network->n_addresses; j++)
			if (fl_ip_family(&rules->node_ips[i]) == family &&
			    fl_ip_equal(&rules->node_ips[i], &network->addresses[j].ip)) {
				*ret_ip = rules->node_ips[i];
				return true;
			}
	}
	for (size_t i = 0; i < network->n_devices; i++)
		if (network->devices[i].default_route[family] &&
		    fl_device_address(network, &network->devices[i], rules, family, ret_ip))
			return true;
	return false;
}

static bool has_address(const struct fl_network *network, unsigned int ifindex,
			const struct fl_ip *ip)
{
	for (size_t i = 0; i < network->n_addresses; i++) {
		const struct fl_netaddr *a = &network->addresses[i];

		if (a->ifindex == ifindex && a->usable && fl_ip_equal(&a->ip, ip))
			return true;
	}
	return false;
}

bool fl_device_has_masquerade(const struct fl_network *network, const struct fl_netdev *device,
			      const struct fl_device_rules *rules, size_t i)
{
	const struct fl_ip *ip = &rules->masquerade[i];
	const enum fl_family family = fl_ip_family(ip);
	struct fl_ip usual;

	if (!fl_device_address(network, device, rules, family, &usual) &&
	    !fl_node_address(network, rules, family, &usual))
		return false;
	for (size_t a = 0; a < network->n_addresses; a++)
		if (network->addresses[a].usable &&
		    fl_ip_equal(&network->addresses[a].ip, &usual) &&
		    has_address(network, network->addresses[a].ifindex, ip))
			return true;
	return false;
}

static void add_pool(const struct fl_network *network, const struct fl_netdev *device,
		     const struct fl_device_rules *rules, struct fl_device *entry)
{
	for (size_t i = 0; i < rules->n_masquerade; i++) {
		const bool v6 = fl_ip_family(&rules->masquerade[i]) == FL_IPV6;
		uint32_t *n = v6 ? &entry->n_pool6 : &entry->n_pool4;

		if (*n < FL_DEVICE_POOL && fl_device_has_masquerade(network, device, rules, i))
			memcpy(v6 ? &entry->pool6[(*n)++] : &entry->pool4[(*n)++],
			       &rules->masquerade[i], sizeof(struct fl_addr));
	}
}

struct fl_device fl_device_entry(const struct fl_network *network, const struct fl_netdev *device,
				 const struct fl_device_rules *rules, enum fl_device_role role,
				 bool xdp_tx)
{
	static const uint32_t role_flags[] = {
		[FL_ROLE_NONE] = 0,
		[FL_ROLE_EXTERNAL] = FL_DEVICE_EXTERNAL,
		[FL_ROLE_POD] = FL_DEVICE_POD,
		/* masqueraded like what leaves for the network */
		[FL_ROLE_REMOTE_PODS] = FL_DEVICE_EXTERNAL,
	};
	struct fl_device entry = {.mtu = device->mtu};
	struct fl_ip ip;

	entry.flags = role_flags[role] | (xdp_tx ? FL_DEVICE_XDP_TX : 0);
	if (role == FL_ROLE_NONE && fl_device_is_inside(network, device))
		entry.flags |= FL_DEVICE_INSIDE;
	if (fl_device_address(network, device, rules, FL_IPV4, &ip))
		memcpy(&entry.addr4, &ip, sizeof(ip));
	if (fl_device_address(network, device, rules, FL_IPV6, &ip))
		memcpy(&entry.addr6, &ip, sizeof(ip));
	add_pool(network, device, rules, &entry);
	return entry;
}
