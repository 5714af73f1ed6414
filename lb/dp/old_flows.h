/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tables of flows and sockets of a datapath that is being replaced by one with other maps: still
 * written by its programs, and read by what their pins say about their layout.
 */
#pragma once

#include <stddef.h>

#include "bpf/abi/layout.h"
#include "lb/base/err.h"
#include "lb/dp/bpffs.h"
#include "lb/dp/old_records.h"

/* How many replacements that were not finished a directory can hold: an agent that is killed in the
 * middle of one leaves two datapaths, and the next one may be of a third layout. */
#define FL_OLD_FLOWS_MAX 4

/* The flow tables go by their family. */
#define FL_OLD_SOCKETS 2
#define FL_OLD_TABLES 3

struct fl_old_flows {
	char sub[16]; /* of the directory, where its maps are pinned */
	struct fl_layout layout;
	const void *mem[FL_OLD_TABLES];
	size_t n[FL_OLD_TABLES];      /* buckets */
	size_t mapped[FL_OLD_TABLES]; /* bytes */
	struct fl_old_records records;
};

static inline const struct fl_layout_table *fl_old_table(const struct fl_old_flows *old, int table)
{
	return table == FL_OLD_SOCKETS ? &old->layout.sockets : &old->layout.family[table];
}

/* The kernel rounds the size of an element up to 8 bytes. */
static inline size_t fl_old_flows_stride(const struct fl_layout_table *table)
{
	return (table->bucket_size + 7) & ~(size_t)7;
}

/*
 * Map the tables pinned in DIR/sub. -ENOENT: there are none. -EPROTO with words: they do not
 * describe themselves, or not so that this program could read them.
 */
int fl_old_flows_open(const struct fl_bpffs *fs, const char *sub, struct fl_old_flows *ret_old,
		      struct fl_err *err);
void fl_old_flows_close(struct fl_old_flows *old);

/* Subdirectory number 0 to FL_OLD_FLOWS_MAX - 1. */
void fl_old_flows_name(size_t number, char ret_sub[static 16]);
/* Remove the pins in DIR/sub, and it. The maps live on as long as a program uses them. */
int fl_old_flows_unpin(const struct fl_bpffs *fs, const char *sub);

/* A map that holds our layout, to be pinned beside the others: a descriptor or -errno. */
int fl_layout_map_create(void);
#define FL_PIN_LAYOUT "layout" /* in DIR/maps */
