/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The datapath as the agent holds it: maps and programs in the kernel, pinned below one directory,
 * so that they outlive the agent. Opening adopts what an earlier agent left; attaching replaces
 * programs in place; only fl_dp_cleanup() ever takes a program away from traffic.
 */
#pragma once

#include <linux/bpf.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"
#include "lb/base/words.h"
#include "lb/dp/maps.h"
#include "lb/dp/old_flows.h"

enum fl_dp_mode {
	FL_DP_AUTO, /* native XDP, else tc */
	FL_DP_XDP,  /* native XDP or nothing */
	FL_DP_XDP_GENERIC,
	FL_DP_TC,
	FL_DP_MODES,
};
extern const struct fl_word fl_dp_mode_words[]; /* enum fl_dp_mode */

/*
 * Numbers of elements; 0: what the pinned map has, or that of FL_MAP_LIST. Those of the flow tables
 * (buckets) are rounded up to a power of two, and make those of the overflow bits. Sockets are
 * counted in records, FL_SOCKET_WAYS to an element, which are rounded up as well.
 */
struct fl_dp_sizes {
#define X(map, kind, key, value, n) uint32_t map;
	FL_MAP_LIST(X)
#undef X
};

#define FL_DP_DEFAULT_DIR "/sys/fs/bpf/fairlead"

struct fl_dp_options {
	const char *dir;    /* of the pins, on a BPF file system or to become one */
	const char *cgroup; /* directory whose sockets are translated; NULL: root of cgroup v2; "":
			       none */
	enum fl_dp_mode mode;
	bool no_tcx; /* use clsact even where tcx is there */
	struct fl_dp_sizes sizes;
	uint32_t timeout_s[FL_TIMEOUTS]; /* 0: default */
	uint32_t next_hop_ttl_ms;	 /* 0: default */
	/*
	 * Settings of the programs. fl_dp_open() fills in what only it knows: flow_seed,
	 * host_netns, masks, hz, everything in jiffies, check_mtu, set_retval, and what
	 * fl_live_count_ports() counts.
	 */
	struct fl_config config;
};

struct fl_dp;

/*
 * Lock the network namespace and the directory, adopt or create the maps, load the programs
 * unless the very same are there.
 * Nothing is attached or replaced yet: programs of an earlier agent keep running on the same maps.
 * Where they have another layout, ABI version or size than is needed, new ones are made beside them
 * and the flows are to be brought over: fl_dp_old_flows(). -EBUSY when another agent has the
 * namespace or the directory; -EPROTO when pinned maps are such that their flows cannot be read.
 */
int fl_dp_open(const struct fl_dp_options *options, struct fl_dp **ret_dp, struct fl_err *err);
/* Close descriptors and give the lock back; programs and maps stay as they are. */
void fl_dp_close(struct fl_dp **dp);

struct fl_maps *fl_dp_maps(struct fl_dp *dp); /* borrowed, as long as dp */
uint32_t fl_dp_hz(const struct fl_dp *dp);    /* jiffies per second */
/* As the programs were loaded with, and of .live what is in force. */
const struct fl_config *fl_dp_config(const struct fl_dp *dp);
/*
 * Change what the node may change while programs run, all of it at once for each program that
 * begins then; what fl_live_count_ports() counts is filled in. -EAGAIN within a second after the
 * change before.
 */
#define FL_DP_LIVE_MS 1000
int fl_dp_set_live(struct fl_dp *dp, const struct fl_live *live, struct fl_err *err);
bool fl_dp_adopted(const struct fl_dp *dp); /* the maps were there already */
/* Programs of an earlier agent are what would have been loaded, and are used. */
bool fl_dp_kept_programs(const struct fl_dp *dp);
/* There was a datapath of which maps had been removed; its flows are lost. */
bool fl_dp_found_remains(const struct fl_dp *dp);

/*
 * The flow tables that are replaced by ours (`ret_n` 0: none). Their programs serve until ours are
 * attached in their places. The order: fill the maps, bring the flows over, attach,
 * fl_dp_wait_for_programs(), bring over once more what has changed since, forget them.
 */
const struct fl_old_flows *fl_dp_old_flows(const struct fl_dp *dp, size_t *ret_n);
/* Wait until programs that were replaced have ended on every CPU. */
void fl_dp_wait_for_programs(void);
int fl_dp_forget_old_flows(struct fl_dp *dp, struct fl_err *err);

/* What was found of datapaths that were not in the directory, but in this network namespace. */
struct fl_dp_takeover {
	size_t taken;	    /* programs that are now ours, to be replaced or removed */
	size_t detached;    /* programs that stood beside ours */
	bool maps;	    /* their maps are ours, and with them the flows */
	char dir[256];	    /* where they were pinned; "" nowhere that can be seen from here */
	size_t unknown;	    /* programs at our hooks whose owner cannot be found out */
	bool shared_cgroup; /* the agent of another network namespace has hooks at the cgroup */
};
const struct fl_dp_takeover *fl_dp_takeover(const struct fl_dp *dp);
/* Whether there are, later, programs that are unknown or of the agent of another namespace. */
bool fl_dp_has_strange_programs(struct fl_dp *dp);
uint64_t fl_dp_now(
	struct fl_dp *dp); /* jiffies, by program fl_clock; also refreshes fl_meta. 0 if it fails */
/* A loaded program by its name in the objects ("fl_xdp", ...), or -ENOENT. Borrowed. */
int fl_dp_program(const struct fl_dp *dp, const char *name);

enum fl_dp_role {
	FL_DP_EXTERNAL,
	FL_DP_POD,
};

/* What a device got. */
struct fl_dp_device {
	enum fl_dp_mode mode; /* never FL_DP_AUTO; pod-side devices: FL_DP_TC */
	bool clsact;	      /* tc programs are filters, not tcx links */
	bool xdp_tx;	      /* XDP may send frames out of it */
	char note[256];	      /* why it is not what was tried first; "" it is */
};

/*
 * Put the programs of that role on a device, replacing those of an earlier agent in place; `mode`:
 * where those of an external device go. A repeated call makes no system call. After a failure the
 * device has what it had before, or part of it.
 */
int fl_dp_attach_device(struct fl_dp *dp, unsigned int ifindex, enum fl_dp_role role,
			enum fl_dp_mode mode, struct fl_dp_device *ret_device, struct fl_err *err);
/* Take our programs off a device that is no longer ours to serve, or forget one that is gone. */
void fl_dp_detach_device(struct fl_dp *dp, unsigned int ifindex);
/* Attach the socket hooks, replacing those of an earlier agent in place. No-op without a cgroup. */
int fl_dp_attach_cgroup(struct fl_dp *dp, struct fl_err *err);
const char *fl_dp_cgroup(const struct fl_dp *dp); /* "" none */
/*
 * Whether the cgroup's sockets have what they send looked at, which is needed while one has to
 * leave its backend, and costs each packet of all of them. What an earlier agent has left stays
 * until it is switched off. No-op without a cgroup.
 */
int fl_dp_see_datagrams(struct fl_dp *dp, bool on, struct fl_err *err);
bool fl_dp_sees_datagrams(const struct fl_dp *dp);
/* Remove pinned links of earlier agents that no attach call has taken over since fl_dp_open().
 * Returns how many. */
int fl_dp_prune(struct fl_dp *dp);
/*
 * Forget programs that others detached, or whose cgroup or device went away; the attach
 * calls put them back. Returns how many: a system call per place, cheap enough for every second.
 */
int fl_dp_forget_lost(struct fl_dp *dp);
/*
 * Pin again what others unpinned, the directory included; `ret_n`: how many. -EBUSY when another
 * agent has the directory by now. Cheap as well.
 */
int fl_dp_repair_pins(struct fl_dp *dp, int *ret_n, struct fl_err *err);

/* One attached program, by what the kernel tells. */
struct fl_dp_attachment {
	char hook[24];	 /* "xdp", "tc-ingress", "tc-egress", "connect4", ... */
	const char *via; /* "native", "generic", "tcx", "clsact", "cgroup"; "gone": its device is
			    not there */
	unsigned int ifindex;	   /* 0: cgroup */
	char device[IF_NAMESIZE];  /* "" unknown or cgroup */
	char *cgroup;		   /* path, NULL unknown or device */
	uint32_t prog_id, link_id; /* link_id 0: clsact */
	char program[BPF_OBJ_NAME_LEN];
};

struct fl_dp_status {
	struct fl_dp_attachment *items; /* sorted by device and hook, cgroup last */
	size_t n;
	int agent_pid; /* holder of the lock; 0: no agent runs (or its pid is unknown) */
	bool locked;   /* an agent runs */
};

/* What the pins below `dir` keep attached; works without an agent. -ENOENT: there is nothing. */
int fl_dp_status(const char *dir, struct fl_dp_status *ret_status, struct fl_err *err);
void fl_dp_status_fini(struct fl_dp_status *status);

/*
 * Detach everything the directory holds and remove it. -ENOENT when there is no such directory on a
 * BPF file system, -EBUSY while an agent runs. Goes on after a failure and reports the first.
 * *ret_removed: number of links, filters and maps.
 */
int fl_dp_cleanup(const char *dir, size_t *ret_removed, struct fl_err *err);
/* Whether a directory of that name would be on a BPF file system. */
bool fl_dp_dir_is_possible(const char *dir);
/*
 * Detach programs of Fairlead from the devices of this network namespace and from the cgroup (NULL:
 * root of cgroup v2) whose pins are lost or in another directory, which is removed then. -EBUSY
 * while an agent serves the namespace.
 */
int fl_dp_cleanup_orphans(const char *cgroup, size_t *ret_removed, struct fl_err *err);

/* Whether programs of that type may call that helper (enum bpf_func_id). */
bool fl_dp_probe_helper(enum bpf_prog_type type, enum bpf_func_id helper);
/* Jiffies per second. */
uint32_t fl_dp_kernel_hz(void);
/* Run the pinned clock program, which makes fl_meta.now_jiffies fresh: for readers alone. */
int fl_dp_refresh_clock(const char *dir, struct fl_err *err);
