/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which devices get which programs, and with which address packets that leave by a device are
 * masqueraded. Pure. */
#pragma once

#include "bpf/abi/fairlead.h"
#include "lb/host/network.h"

enum fl_device_role {
	FL_ROLE_NONE,
	FL_ROLE_EXTERNAL,
	FL_ROLE_POD,
	FL_ROLE_REMOTE_PODS, /* pods of other nodes: a VXLAN device, or a network of their own */
};

struct fl_device_rules {
	const char *const *external; /* glob patterns of names; none: found by default routes and
					node addresses */
	size_t n_external;
	const char *const *pod; /* glob patterns of names */
	size_t n_pod;
	const struct fl_ip *node_ips; /* of the Node object */
	size_t n_node_ips;
	const struct fl_ip *masquerade; /* setting masqueradeAddresses */
	size_t n_masquerade;
	const unsigned int *remote; /* ifindexes: backends of other nodes were seen behind them */
	size_t n_remote;
};

/*
 * What a device leads to, by names, routes and addresses. The loopback device is nothing, whatever
 * the patterns say, nor is one whose packets have no Ethernet header, since our programs would read
 * their first bytes as one. Named as external beats named as pod-side; named as pod-side beats what
 * was found. A device towards the pods of other nodes is found even where others are named: a
 * tunnel by which routes lead to gateways, and any device that is in rules->remote.
 */
enum fl_device_role fl_device_own_role(const struct fl_network *network,
				       const struct fl_netdev *device,
				       const struct fl_device_rules *rules);

/*
 * What programs it gets, so that a packet on its way through stacked devices meets them once: a
 * bridge is served at its ports, the ports of a bond at the bond.
 */
enum fl_device_role fl_device_role(const struct fl_network *network, const struct fl_netdev *device,
				   const struct fl_device_rules *rules);

/* Whether other devices are served instead of this one, which leads somewhere. */
bool fl_device_yields(const struct fl_network *network, const struct fl_netdev *device,
		      const struct fl_device_rules *rules);

/*
 * The next veth, from number *at on, by which a device sends: itself, or of a bond a port. NULL:
 * there is none.
 */
const struct fl_netdev *fl_device_next_veth(const struct fl_network *network,
					    const struct fl_netdev *device, size_t *at);

/* Whether a device that faces the network sends by one end of a veth pair. */
bool fl_devices_have_veth(const struct fl_network *network, const struct fl_device_rules *rules);

/* Whether only the missing Ethernet header keeps the device from being served. */
bool fl_device_lacks_ethernet(const struct fl_network *network, const struct fl_netdev *device,
			      const struct fl_device_rules *rules);

/* Whether the device has addresses of the family, but the kernel routes nothing that comes in by
 * it: what is balanced to a pod or another node is then dropped. */
bool fl_device_lacks_forwarding(const struct fl_network *network, const struct fl_netdev *device,
				enum fl_family family);

/* Whether other machines are to be expected at it: a network card, or what stands for one, with an
 * address in a subnet. */
bool fl_device_faces_network(const struct fl_network *network, const struct fl_netdev *device);
/* Whether containers of this machine hang on it, whose replies pass by us in any case. */
bool fl_device_is_inside(const struct fl_network *network, const struct fl_netdev *device);

/*
 * The address of `family` to masquerade with when leaving by that device: one of the node's own
 * addresses if the device has it, else the preferred source of its default route, else the primary
 * global address in the gateway's subnet, in a subnet at all, any. False when it has none.
 */
bool fl_device_address(const struct fl_network *network, const struct fl_netdev *device,
		       const struct fl_device_rules *rules, enum fl_family family,
		       struct fl_ip *ret_ip);

/* The same for devices that have none: the Node's address, else that of a device with a default
 * route. */
bool fl_node_address(const struct fl_network *network, const struct fl_device_rules *rules,
		     enum fl_family family, struct fl_ip *ret_ip);

/*
 * The i-th address of rules->masquerade may be used by what leaves by that device: it is on the
 * same device as the one that would be taken without them, to which answers are known to come.
 */
bool fl_device_has_masquerade(const struct fl_network *network, const struct fl_netdev *device,
			      const struct fl_device_rules *rules, size_t i);

/*
 * The value of map fl_devices. `role`: what it is served as, which may outlast what
 * fl_device_role() finds now; `xdp_tx`: our XDP program may send out of it.
 */
struct fl_device fl_device_entry(const struct fl_network *network, const struct fl_netdev *device,
				 const struct fl_device_rules *rules, enum fl_device_role role,
				 bool xdp_tx);
