/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What each map of FL_MAP_LIST must look like, and where struct fl_maps has its descriptor. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/dp/maps.h"

struct fl_map_desc {
	const char *name;   /* file name of the pin */
	const char *object; /* its name in the objects */
	uint32_t type;	    /* enum bpf_map_type */
	uint32_t flags;	    /* BPF_F_* */
	uint32_t key_size, value_size;
	uint32_t in_value; /* how many elements a value consists of */
	uint32_t n;	   /* values, if no other number is asked for */
	size_t fd_offset;  /* of the descriptor in struct fl_maps */
	/* mapped arrays: where their address and their number of elements go; 0 for others (no map
	 * comes first) */
	size_t mem_offset, n_offset;
};

extern const struct fl_map_desc fl_map_descs[FL_MAPS];

int *fl_map_fd(struct fl_maps *maps, enum fl_map_id id);

/* The map has the type and sizes it must have. `ret_max_entries` may be NULL. 0, -EPROTO with
 * words, or -errno. */
int fl_map_check(enum fl_map_id id, int fd, uint32_t *ret_max_entries, struct fl_err *err);

/* Unmap and close one. */
void fl_map_close(struct fl_maps *maps, enum fl_map_id id);

/* Map the memory of the mappable ones. */
int fl_maps_mmap(struct fl_maps *maps, bool writable, struct fl_err *err);
