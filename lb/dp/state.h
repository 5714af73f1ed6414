/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the files of this room share about an open datapath. */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "lb/base/clock.h"
#include "lb/dp/bpffs.h"
#include "lb/dp/dp.h"
#include "lb/dp/map_table.h"
#include "lb/dp/objects.h"
#include "lb/dp/old_flows.h"
#include "lb/dp/programs.h"

/* A program that this agent has put somewhere. */
struct fl_attachment {
	struct fl_attachment *next;
	char name[40];	      /* of the pin */
	unsigned int ifindex; /* 0: cgroup */
	int prog_fd;	      /* borrowed */
	int link_fd;	      /* -1: clsact */
};

/* The directories of pins as they were when all pins were found there; zero: that is not known. */
struct fl_pins_seen {
	struct {
		uint64_t dev, ino, changed_ns;
	} dirs[FL_BPFFS_SUBDIRS];
};

struct fl_dp {
	struct fl_bpffs fs;
	struct fl_pins_seen pins;
	struct fl_maps maps;
	struct fl_programs programs;
	bool no_tcx;
	bool adopted;
	bool replaces; /* what is pinned in DIR/maps is not ours to use; it is in `old` */
	bool remains;  /* of a datapath with maps missing were there, and were removed */
	struct fl_old_flows old[FL_OLD_FLOWS_MAX + 1];
	size_t n_old;
	int layout_fd;	/* of the description of our tables */
	int records_fd; /* and of our other records */
	uint32_t hz;
	struct fl_config config;
	uint32_t live_current;	   /* of every object's fl_live_pair */
	struct fl_mono live_since; /* ns 0: as they were loaded */
	int clock_fd;		   /* borrowed */
	char *cgroup;		   /* "" none */
	bool sees_datagrams;
	int netns_lock;
	struct fl_takeover *takeover;
	struct fl_attachment *attachments;
};

/* attachments.c */
struct fl_attachment *fl_attachment_find(const struct fl_dp *dp, const char *name);
/* Remember what is attached; takes link_fd in any case. 0 or -ENOMEM. */
int fl_attachment_add(struct fl_dp *dp, const char *name, unsigned int ifindex, int prog_fd,
		      int link_fd);
/* Detach and forget one place, by the name of its pin. */
void fl_attachment_drop(struct fl_dp *dp, const char *name);

/* attach.c: a place for a program, to be put there by a link. */
struct fl_place {
	char name[40]; /* of the pin */
	unsigned int ifindex;
	int target; /* ifindex or descriptor of the cgroup */
	uint64_t cgroup_id;
	enum bpf_attach_type type;
	uint32_t flags;
};
/* 0 or -errno without words: callers know what they tried. */
int fl_dp_put(struct fl_dp *dp, const struct fl_place *place, int prog_fd);

/*
 * slow.c. After load: have programs of the slow path hold all our maps. When no program of an
 * earlier agent is attached any more, remove the pins of its arrays.
 */
int fl_dp_slow_bind(struct fl_dp *dp, const struct fl_bpf_object *object, struct fl_err *err);
void fl_dp_slow_prune(struct fl_dp *dp);
/* Whether a pin in DIR/programs is such an array's. */
bool fl_dp_slow_is_pin(const char *name);

/* attach_cgroup.c */
struct fl_cgroup_hook {
	const char *pin; /* what follows "cgroup-" */
	const char *program;
	enum bpf_attach_type type;
};
extern const struct fl_cgroup_hook fl_cgroup_hooks[];
extern const size_t fl_cgroup_hooks_n;
/* The number by which the kernel knows a cgroup: 64 bits of its file handle. 0: unknown. */
uint64_t fl_cgroup_id(int fd);

/* Names of pins: "xdp-3", "tc-ingress-3", "clsact-ingress-3", "cgroup-connect4"; in
 * DIR/programs "clock", and those of programs.c. */
#define FL_PIN_XDP "xdp"
#define FL_PIN_TC_INGRESS "tc-ingress"
#define FL_PIN_TC_EGRESS "tc-egress"
#define FL_PIN_CLSACT_INGRESS "clsact-ingress"
#define FL_PIN_CLSACT_EGRESS "clsact-egress"
#define FL_PIN_CGROUP "cgroup"
#define FL_PIN_CLOCK "clock"

/* map_setup.c. The size asked for of each map; 0 = whatever there is. */
void fl_dp_sizes_of(const struct fl_dp_sizes *s, uint32_t ret_sizes[FL_MAPS]);
/*
 * Open the pinned maps that we can use as they are, and the flow tables of others (dp->old); for
 * those of which `sizes` leaves it open, sets the size that they have. If the set is not complete,
 * removes what there is of it.
 */
int fl_dp_maps_adopt(struct fl_dp *dp, uint32_t sizes[FL_MAPS], struct fl_err *err);
/* Before load: hand maps that exist to the object, set the size of those it is to create. */
int fl_dp_maps_prepare(struct fl_dp *dp, const struct fl_bpf_object *o,
		       const uint32_t sizes[FL_MAPS], struct fl_err *err);
/* After load: keep descriptors of the maps that the object has created. */
int fl_dp_maps_collect(struct fl_dp *dp, const struct fl_bpf_object *o, struct fl_err *err);
/* The number of elements that a map has or is about to get; 0: it cannot be looked at. */
uint32_t fl_dp_map_size(struct fl_dp *dp, enum fl_map_id id, const uint32_t sizes[FL_MAPS]);
int fl_dp_maps_pin(struct fl_dp *dp, struct fl_err *err);

/*
 * takeover.c. Before the maps are adopted: pin in our directory what orphans hold (orphans.h);
 * -EBUSY when they are not orphans. With the programs loaded: give filters their records, and
 * remove the directories that orphans were pinned in.
 */
int fl_takeover_begin(struct fl_dp *dp, const uint32_t sizes[FL_MAPS], struct fl_err *err);
int fl_takeover_end(struct fl_dp *dp, struct fl_err *err);
void fl_takeover_free(struct fl_takeover **takeover);

/* config.c. Fill dp->config; `sizes`: of the maps that are to be made. */
int fl_dp_config_make(struct fl_dp *dp, const struct fl_dp_options *options,
		      const uint32_t sizes[FL_MAPS], struct fl_err *err);

/*
 * netns_record.c. Refuse a directory whose programs are attached in another network namespace that
 * is still alive: its device numbers would be taken for ours. Then note that the directory is of
 * this one.
 */
int fl_dp_netns_record(struct fl_dp *dp, struct fl_err *err);
/* The cookie of the namespace that a directory serves; 0 unknown. */
uint64_t fl_bpffs_netns(const struct fl_bpffs *fs);

/* clsact filters of ours are found by these, never by what they do. */
#define FL_CLSACT_HANDLE 0x6c
#define FL_CLSACT_PRIORITY 0x6661

/* Remove the filter that has our handle and priority. 0 or -errno. */
int fl_clsact_remove(unsigned int ifindex, bool ingress);
/* The same where the note that the qdisc is ours is lost: it goes as well unless it has a filter,
 * since without one it has no effect, whoever made it. */
int fl_clsact_remove_lost(unsigned int ifindex, bool ingress);
/* Remove our filter at a pinned record "clsact-ingress-3". 0 also when it is not there any more. */
int fl_clsact_detach(const struct fl_bpffs *fs, const char *pin);
/* "clsact-ingress-3" -> 3 and whether it is ingress; false for other names. */
bool fl_clsact_parse(const char *pin, unsigned int *ret_ifindex, bool *ret_ingress);
/* The program of the filter that has our handle and priority; 0: there is none. */
uint32_t fl_clsact_program(unsigned int ifindex, bool ingress);
int fl_clsact_attach(struct fl_dp *dp, unsigned int ifindex, bool ingress, int prog_fd,
		     struct fl_err *err);
