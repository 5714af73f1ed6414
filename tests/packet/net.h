/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The network the packet tests live in: a namespace of their own with three devices to the outside
 * and one to pods, routes and permanent neighbours, so that the kernel's own lookups (routes,
 * neighbours, sockets) answer the datapath the same way in every run.
 */
#pragma once

#include <linux/if_ether.h>
#include <stdbool.h>
#include <stdint.h>

#include "lb/base/err.h"
#include "lb/base/ip.h"

enum dev {
	DEV_EXT0, /* clients come in here; XDP may send out of it */
	DEV_EXT1, /* another way out for XDP */
	DEV_EXT2, /* no XDP sending: packets for it are left to tc */
	DEV_POD,  /* towards the pods of this node */
	DEVS,
};

/* Networks of the test; addr() makes addresses in them. */
enum network {
	AT_EXT0,       /* .1 is ours, .2 the next node, .254 the way to everybody else */
	AT_EXT1,       /* .1 is ours */
	AT_EXT2,       /* .1 is ours */
	AT_OUTSIDE,    /* clients */
	AT_POD,	       /* pods of this node, .1 to .32, by DEV_POD */
	AT_TX,	       /* pods of a node reached back by DEV_EXT0 */
	AT_REDIRECT,   /* by DEV_EXT1 */
	AT_TC,	       /* by DEV_EXT2 */
	AT_NARROW,     /* by DEV_EXT1, route with a small MTU */
	AT_NOWHERE,    /* unreachable */
	AT_UNRESOLVED, /* by DEV_EXT1, next hop without a neighbour entry */
	AT_SERVICE,    /* cluster IPs */
	AT_VIP,	       /* external IPs and load balancer addresses */
	AT_FOREIGN,    /* addresses that are nobody's */
	NETWORKS,
};

#define NARROW_MTU 1400

struct net {
	unsigned int ifindex[DEVS];
	uint8_t mac[DEVS][ETH_ALEN];
	unsigned int peer_ifindex[DEVS];
	uint8_t peer_mac[DEVS][ETH_ALEN];
	/* of the neighbour that packets to that network are handed to */
	uint8_t gateway_mac[NETWORKS][ETH_ALEN];
	int pass_fd;	       /* an XDP program that lets everything pass */
	int xdp_link_fd[DEVS]; /* XDP runs may only pretend to come from devices that have XDP on */
};

/* Move the process into a new network namespace and furnish it. 0 or -errno with words. */
int net_init(struct net *net, struct fl_err *err);
void net_fini(struct net *net);

/* Host number `host` of a network; families are numbered alike. */
struct fl_ip addr(enum fl_family family, enum network network, unsigned int host);
/* The device that leads there. */
enum dev net_dev(enum network network);

/* Wait until a device that was set up carries packets, which the kernel sees to a little later;
 * false: it does not. */
bool net_wait_running(const char *name);

/* `ip rule VERB to NETWORK WORDS`: 0 or -errno. */
int net_rule(enum fl_family family, const char *verb, enum network network, const char *words);

/* Feed text to `ip -batch`. */
int net_batch(const char *text, struct fl_err *err);
