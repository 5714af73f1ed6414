/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records, other than flows, of a datapath that is being replaced by one with other maps
 * (bpf/abi/records.h). They are worth less than flows: what cannot be read is left behind.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/records.h"
#include "lb/dp/bpffs.h"

/* Zeroed: there are none. */
struct fl_old_records {
	bool there;
	struct fl_records_layout layout;
	int fd[FL_RECORDS_HASHES];
	uint32_t
		map_id[FL_RECORDS_HASHES]; /* of the kernel, to tell maps that both datapaths use */
	const void *mem[FL_RECORDS_MAPS];  /* of the arrays */
	size_t n[FL_RECORDS_MAPS];
};

/* Key or value of a hash; a copy of both, one behind the other, has the fields. */
#define FL_RECORD_SIZE_MAX 256

extern const struct fl_records_layout fl_records_ours;

/* Whether every place lies in a record of these maps. `sizes`: of key and value of each. */
bool fl_records_check(const struct fl_records_layout *layout,
		      const uint32_t sizes[FL_RECORDS_MAPS][2]);

/* Open what is pinned in DIR/sub. `ours`: where nothing says how it is laid out, it is as ours is.
 * False: there is nothing that could be read. */
bool fl_old_records_open(const struct fl_bpffs *fs, const char *sub, bool ours,
			 struct fl_old_records *ret_old);
void fl_old_records_close(struct fl_old_records *old);

/* A map that holds the description of ours, to be pinned beside the others: a descriptor or
 * -errno. */
int fl_records_map_create(void);
#define FL_PIN_RECORDS "records" /* in DIR/maps */
