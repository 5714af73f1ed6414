/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The datapath under test: its programs and maps, loaded with settings made for testing and
 * attached nowhere. */
#pragma once

#include "bpf/abi/fairlead.h"
#include "conntrack/table.h"
#include "lb/base/err.h"
#include "lb/dp/maps.h"
#include "lb/dp/objects.h"
#include "tests/packet/net.h"

/* Settings are constants of a program, so what needs other settings needs another load. */
enum plane_kind {
	PLANE_USUAL, /* pods by 10.1.0.0/16 and fd01::/16, unknown ports rejected, MTU checked */
	PLANE_SMALL, /* small tables, 100 source ports, nothing detected, checked or rejected */
	/* rate limits, flows to local backends masqueraded, of IPv6 ways 1280 bytes presumed */
	PLANE_LIMITED,
	PLANE_TINY,   /* room for 64 flows and as many replies, 16 source ports */
	PLANE_GENEVE, /* as usual, and DSR by Geneve */
	PLANES,
};

enum prog {
	PROG_XDP,
	PROG_CLOCK,
	PROG_TC_INGRESS,
	PROG_TC_FROM_XDP,
	PROG_TC_EGRESS,
	PROG_POD_INGRESS,
	PROG_POD_EGRESS,
	PROGS,
};

#define SMALL_PORTS 100
#define NEW_FLOW_RATE 10
#define REJECT_RATE 5
#define USUAL_BUCKETS 1024
#define SMALL_BUCKETS 1024
#define LIMITED_BUCKETS 64
#define SOCKET_BUCKETS 64
#define TINY_BUCKETS 32

struct plane {
	struct fl_bpf_object objects[FL_OBJECTS];
	struct fl_maps maps;
	struct fl_config config;
	const struct net *net;
	int prog_fd[PROGS];
	uint32_t next_line;	       /* of fl_lines, for the lists of the running test */
	uint64_t seen[FL_COUNTER_MAX]; /* counters of all tests before the running one */
};

int plane_open(enum plane_kind kind, const struct net *net, uint32_t hz, struct plane *ret_plane,
	       struct fl_err *err);
/* The settings of a kind, and a plane with others; the tables are as large as the settings say. */
struct fl_config plane_config(enum plane_kind kind, uint32_t hz);
int plane_open_with(const struct fl_config *config, const struct net *net, struct plane *ret_plane,
		    struct fl_err *err);
void plane_close(struct plane *plane);

/* Empty all maps, then tell it the node's addresses and devices. Every test begins so. */
void plane_reset(struct plane *plane);
/* Frames to this address that come in by this device are for the node. */
void mac_add(struct plane *plane, unsigned int ifindex, const uint8_t mac[ETH_ALEN]);
/* No flows, no overflow bits. */
void plane_flows_clear(struct plane *plane);

uint64_t plane_total(const struct plane *p, uint32_t counter); /* since it was loaded */
/* All of them, in one call. */
void plane_totals(const struct plane *p, uint64_t ret_totals[FL_COUNTER_MAX]);
uint64_t plane_counter(const struct plane *plane, uint32_t counter); /* since plane_reset() */
uint32_t plane_now(struct plane *plane); /* the datapath's clock, jiffies */
/* Wait for the few ticks of that clock for which it remembers that there were no source ports. */
void plane_forget_exhaustion(struct plane *plane);
/* No fragment waits any more, and none is remembered: the next trial's find all places free. */
void plane_forget_fragments(const struct plane *plane);

struct fl_flow_table plane_flows(const struct plane *plane);
struct fl_flow_head *plane_head(const struct plane *plane, enum fl_family family, uint32_t slot);
/* The entry is lost. */
void plane_forget(const struct plane *plane, enum fl_family family, uint32_t slot);
void plane_forget_entry(struct fl_flow_head *head);
/* The agent finds that the backends of all flows are gone. */
void plane_abandon(const struct plane *plane, enum fl_family family);
size_t plane_count(const struct plane *plane, enum fl_family family); /* flows of any state */
bool plane_may_use_port(const struct plane *plane, uint16_t port);    /* for masquerading */

/* Set a rate limit's bucket: what is left, and when it was refilled. Index as in the programs. */
enum rate {
	RATE_NEW_FLOW,
	RATE_REJECT,
};
struct rate_bucket {
	uint32_t stamp, pad;
	uint64_t parts; /* hz of them are a token */
};
struct rate_bucket plane_rate_get(const struct plane *plane, enum fl_bpf_object_id id,
				  enum rate rate);
void plane_rate_set(const struct plane *plane, enum fl_bpf_object_id id, enum rate rate,
		    struct rate_bucket bucket);
