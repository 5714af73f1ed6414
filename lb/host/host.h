/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The machine under the datapath: which devices are served, which addresses are the node's, and
 * whether the node lets traffic through at all. It is looked at when the kernel has news; what
 * failed is tried again, and what is wrong is a condition. It knows nothing of Services or of the
 * agent: settings, the node's addresses and the datapath come as parameters.
 */
#pragma once

#include <net/if.h>

#include "lb/base/health.h"
#include "lb/base/log.h"
#include "lb/dp/dp.h"
#include "lb/host/devices.h"
#include "lb/host/route.h"
#include "lb/model/node_ports.h"
#include "nodeport/ports.h"

struct fl_host;

/* What is asked of the kernel and of the datapath, so that a test can be both. `ctx` is the
 * option's; results as of the functions they stand for. */
struct fl_host_ops {
	int (*scan)(void *ctx, struct fl_network *ret_network, struct fl_err *err);
	int (*attach)(void *ctx, unsigned int ifindex, enum fl_dp_role role, enum fl_dp_mode mode,
		      struct fl_dp_device *ret_device, struct fl_err *err);
	int (*veth_peer_has_xdp)(void *ctx, unsigned int ifindex, bool *ret_has);
	void (*detach)(void *ctx, unsigned int ifindex);
	void (*prune)(void *ctx);
	uint64_t (*now)(void *ctx); /* jiffies; 0: unknown */
	int (*source_ports)(void *ctx, const struct fl_port_span *node_ports,
			    struct fl_port_range ret_ranges[static FL_PORT_RANGES],
			    bool *ret_known);
	int (*routes)(void *ctx, const struct fl_ip *ips, size_t n, struct fl_route *ret_routes);
	int (*scan_sockets)(void *ctx, __u64 words[static FL_BOUND_WORDS], struct fl_err *err);
};
/* The real ones; ctx is the struct fl_dp. */
extern const struct fl_host_ops fl_host_kernel_ops;

/* Borrowed as long as the host lives. */
struct fl_host_options {
	const struct fl_host_ops *ops;
	void *ctx;
	const struct fl_maps *maps;
	struct fl_health *health;
	struct fl_clock clock;
	/* what was done, for the log: a device came or went. May be NULL. */
	void (*report)(enum fl_log_level level, const char *text, void *arg);
	void *report_arg;

	struct fl_device_rules rules; /* node addresses: fl_host_set_node_ips() */
	const char *const *node_port_addresses;
	size_t n_node_port_addresses;
	struct fl_port_span node_ports;
	enum fl_dp_mode mode;
	bool unfinished_sums; /* the programs were loaded for devices that leave checksums undone */
	/* source ports for masquerading, as the programs have them */
	struct fl_port_range source_ports[FL_PORT_RANGES];
};

int fl_host_new(const struct fl_host_options *options, struct fl_host **ret_host,
		struct fl_err *err);
/* Programs and maps stay as they are, but the datapath no longer relies on the bound ports. */
void fl_host_free(struct fl_host **host);

/* Follow what the kernel reports about the network; before the first fl_host_update(), so that
 * nothing in between is missed. */
int fl_host_listen(struct fl_host *host, struct fl_err *err);
int fl_host_fd(const struct fl_host *host);		      /* readable: fl_host_handle() */
int fl_host_handle(struct fl_host *host, struct fl_err *err); /* what came; for fl_host_turn() */

/* The addresses that the Node object has, copied; what depends on them follows with the next
 * fl_host_turn(). */
void fl_host_set_node_ips(struct fl_host *host, const struct fl_ip *ips, size_t n);
/* Setting masqueradeAddresses, copied, at most FL_DEVICE_POOL of each family; likewise. */
void fl_host_set_masquerade(struct fl_host *host, const struct fl_ip *ips, size_t n);
/* The node-port range, which the source ports keep out of. */
void fl_host_set_node_port_range(struct fl_host *host, struct fl_port_span node_ports);
/* The programs have these source ports now. */
void fl_host_set_source_ports(struct fl_host *host,
			      const struct fl_port_range source_ports[static FL_PORT_RANGES]);
/* Write the addresses of the cluster's other nodes, whose encapsulated packets are unpacked. 0 or
 * an error; what could not be written is with the next call. */
int fl_host_set_peers(struct fl_host *host, const struct fl_ip *ips, size_t n, struct fl_err *err);
/* Whether there are frontends of the family: what stands in their way is an error, not a warning.
 * Both, until this is called. */
void fl_host_set_served(struct fl_host *host, enum fl_family family, bool served);

/* Look at the network, write addresses and devices into the maps, attach and detach programs. */
void fl_host_update(struct fl_host *host);
void fl_host_mark(struct fl_host *host); /* something changed: for the next fl_host_turn() */
void fl_host_turn(struct fl_host *host); /* fl_host_update(), if there is a reason */
/* Try again what failed, with the next fl_host_turn(). To be called every some seconds. */
void fl_host_retry(struct fl_host *host);
/* Something of the last update failed, and fl_host_retry() would try it again. */
bool fl_host_failed(const struct fl_host *host);

/*
 * What the programs should have, as of the last fl_host_update() and fl_host_check_ports(): this
 * node's address of a family (false: it has none), and the source ports for masquerading. Either
 * may be another when fl_host_changes() is.
 */
bool fl_host_node_address(const struct fl_host *host, enum fl_family family, struct fl_ip *ret_ip);
const struct fl_port_range *fl_host_source_ports(const struct fl_host *host);
/* How many addresses a flow may be masqueraded with, at the device where these are fewest; at least
 * 1. As of the last fl_host_update(). */
uint32_t fl_host_masquerade_addresses(const struct fl_host *host, enum fl_family family);
uint64_t fl_host_changes(const struct fl_host *host);

/* Where node ports are served, as of the last update; borrowed until the next. */
const struct fl_node_ports *fl_host_node_ports(const struct fl_host *host);

/* A device that has our programs, or should have. */
struct fl_host_device {
	unsigned int ifindex;
	char name[IF_NAMESIZE];
	enum fl_device_role role;
	bool attached; /* else the last attempt failed, and error says why */
	struct fl_dp_device got;
	char error[256];
};
/* Sorted by ifindex; borrowed until the next update. */
const struct fl_host_device *fl_host_devices(const struct fl_host *host, size_t *ret_n);

/*
 * Whether the datapath may rely on fl_bound_ports to have every port of ours that a socket of the
 * node has (lb/host/bound_ports.c). The check is to be called once a second, since the belief
 * lapses by itself after FL_BOUND_PORTS_S; `hooks_everywhere`: no bind() on the node escapes our
 * hooks.
 */
void fl_host_check_ports(struct fl_host *host, bool hooks_everywhere);
void fl_host_forget_ports(struct fl_host *host);

/*
 * The datapath may rely on next hops it has looked up, because the kernel's news are followed: to
 * be called once a second, since the belief lapses by itself.
 */
void fl_host_keep_next_hops(struct fl_host *host);
/* What is remembered of next hops may be wrong now. */
void fl_host_forget_next_hops(struct fl_host *host);

/* Look at the routes of some backends, those after the last call's: to be called every second.
 * Fewer at a time when neither backends nor routes have changed in a whole pass. */
void fl_host_check_egress(struct fl_host *host);
/* Before the hooks are attached: also clear the bits, since those of closed sockets stay set. */
void fl_host_clear_ports(struct fl_host *host);
