/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of this room share about a host. */
#pragma once

#include "lb/dp/map_mirror.h"
#include "lb/host/host.h"
#include "lb/host/watch.h"

#define FL_EGRESS_DEVICES 8
/* What a pass over the backends has found so far. */
struct fl_egress {
	size_t next; /* id of the backend to look at next */
	struct {
		unsigned int ifindex;
		size_t n;
		struct fl_ip example;
	} found[FL_EGRESS_DEVICES];
	size_t n_found;
	uint64_t revision, news; /* of the service maps and of the network, when it began */
};

/* How long next hops are good without another word, and a generation of them at most. */
#define FL_NEXT_HOPS_WATCHED_S 3
#define FL_NEXT_HOPS_S 60

struct fl_host {
	struct fl_host_options options;
	struct fl_ip node_ips[FL_FAMILIES];
	struct fl_ip masquerade[FL_FAMILIES * FL_DEVICE_POOL];
	struct fl_watch *watch; /* NULL: not listening */
	struct fl_network network;
	struct fl_node_ports node_ports;
	struct fl_map_mirror *addresses, *device_map,
		*macs,			/* maps fl_local, fl_devices, fl_macs */
		*peers;			/* and fl_peers */
	struct fl_host_device *devices; /* sorted by ifindex */
	size_t n_devices;
	bool served[FL_FAMILIES];
	bool pending;  /* an update is due */
	bool failed;   /* something of the last update is to be tried again */
	bool deaf;     /* the kernel's news could not be read */
	uint32_t kept; /* calls of fl_host_keep_next_hops() that found all well */
	bool pruned;   /* what earlier agents left on other devices is gone */
	struct fl_egress egress;
	bool settled;  /* and it was the same in the last whole one */
	uint64_t news; /* of links, addresses, routes and neighbours, so far */
	/* devices that backends of other nodes were seen behind; for rules.remote */
	unsigned int remote[FL_EGRESS_DEVICES];
	uint64_t changes; /* updates, and changes of the kernel's source ports */
	struct fl_port_range source_ports[FL_PORT_RANGES]; /* as the kernel has it */
	struct fl_mono sockets_scanned;			   /* zero: not since they had to be */
};

void fl_host_report(const struct fl_host *host, enum fl_log_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* A part of an update did not work: a condition, and a reason to try again. */
void fl_host_fail(struct fl_host *host, const char *subject, const char *what, int error,
		  const struct fl_err *err);

/* programs.c: choose the devices, attach and detach, and write map fl_devices around that */
void fl_host_update_devices(struct fl_host *host);
const struct fl_host_device *fl_host_device_of(const struct fl_host *host, unsigned int ifindex);
/* Whether what passes a device is served, there or at the devices it is stacked with. */
bool fl_host_serves(const struct fl_host *host, const struct fl_netdev *dev);

/* egress.c: look for devices with backends behind them, as far as a start has time for that */
void fl_host_find_remote(struct fl_host *host);
/* forget devices that are gone, whose numbers others may get */
void fl_host_forget_remote(struct fl_host *host);

/* prerequisites.c: conditions of the devices and of the node, by what an update has found */
void fl_host_update_conditions(struct fl_host *host);
