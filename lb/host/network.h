/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The devices and addresses of this network namespace, as plain data of one moment. */
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/err.h"
#include "lb/base/ip.h"

struct fl_netdev {
	unsigned int ifindex;
	unsigned int master; /* bridge or bond it belongs to; 0 none */
	unsigned int link; /* the device of this namespace that it is made on, such as a macvlan's;
			      0 none */
	char name[IF_NAMESIZE];
	char kind[16]; /* "veth", "bridge", "vxlan", ...; "" hardware */
	uint32_t mtu;
	uint8_t mac[6];
	bool up, loopback;
	bool headerless;		 /* packets have no Ethernet header: tunnels, tun, PPP */
	bool forwarding[FL_FAMILIES];	 /* the kernel routes what comes in by it */
	bool default_route[FL_FAMILIES]; /* a default route of the main table leaves by it */
	/* of that route, the best if there are several; unspecified: it has none */
	struct fl_ip gateway[FL_FAMILIES], preferred_source[FL_FAMILIES];
	uint32_t metric[FL_FAMILIES];
	/* of an overlay: a route that is no default route leads to a gateway behind it */
	bool leads_on[FL_FAMILIES];
};

/* Whether a device is of a kind that carries frames to other nodes over another network, as the pod
 * networks of flannel and Calico have one. */
bool fl_netdev_is_overlay(const struct fl_netdev *device);

struct fl_netaddr {
	unsigned int ifindex;
	struct fl_ip ip;
	uint8_t prefix_len; /* of its family: at most 32 or 128 */
	bool global;	    /* scope global or wider */
	bool usable;	    /* not tentative, and no duplicate */
	bool primary;	    /* usable, and neither secondary nor deprecated */
};

struct fl_network {
	struct fl_netdev *devices; /* sorted by ifindex */
	size_t n_devices;
	struct fl_netaddr *addresses; /* in the kernel's order */
	size_t n_addresses;
};

/* Ask the kernel. 0 or -errno. */
int fl_network_scan(struct fl_network *ret_network, struct fl_err *err);
void fl_network_fini(struct fl_network *network);

const struct fl_netdev *fl_network_device(const struct fl_network *network,
					  unsigned int ifindex); /* or NULL */
/* The first device whose name fits the glob pattern, the loopback device last; or NULL. */
const struct fl_netdev *fl_network_match(const struct fl_network *network, const char *pattern);
/* Whether both are the same. */
bool fl_network_equal(const struct fl_network *a, const struct fl_network *b);
