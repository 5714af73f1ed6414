/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The programs that an agent works with, and the maps that are theirs alone: loaded by this agent,
 * or by an earlier one and kept. To verify them takes a third of a second of an idle machine and
 * seconds of a busy one, so an agent that would load the very same programs with the very same
 * settings over the same maps takes those that are pinned.
 */
#pragma once

#include "bpf/abi/fairlead.h"
#include "lb/dp/bpffs.h"
#include "lb/dp/maps.h"
#include "lb/dp/objects.h"

#define FL_PROGRAMS_MAX 96
#define FL_PROGRAM_NAME_LEN 32
#define FL_SLOW_MAX 32 /* programs in one array */

struct fl_loaded_program {
	char name[FL_PROGRAM_NAME_LEN];
	int fd;
};

/* An array by which attached programs reach those of the slow path. */
struct fl_slow_array {
	char pin[24];
	int fd;
};

struct fl_programs {
	struct fl_loaded_program items[FL_PROGRAMS_MAX];
	size_t n;
	int live_fds[FL_OBJECTS]; /* the maps that have an object's fl_live_pair; -1 none */
	struct fl_slow_array slow[FL_OBJECTS];
	size_t n_slow;
	int record_fd; /* says what was loaded; -1 none */
	bool kept;
};

#define FL_PROGRAMS_INIT                                                                           \
	{                                                                                          \
		.live_fds = {-1, -1, -1}, .record_fd = -1                                          \
	}

/* Take what is to be used out of an object that is loaded; it can be closed then. */
int fl_programs_add(struct fl_programs *programs, enum fl_bpf_object_id id,
		    const struct fl_bpf_object *object, struct fl_err *err);
/*
 * Open the pinned ones if they are what would be loaded: from the same objects, with the settings
 * `config`, over `maps`, each of them and their arrays as they were loaded, and the same live
 * settings in force. *ret_current: which of each fl_live_pair is. false: there are none such, and
 * `programs` is as it was.
 */
bool fl_programs_keep(struct fl_programs *programs, const struct fl_bpffs *fs,
		      const struct fl_config *config, struct fl_maps *maps, uint32_t *ret_current);
/* Pin all, those that were kept as well, so that the next agent can keep them. */
int fl_programs_pin(struct fl_programs *programs, const struct fl_bpffs *fs,
		    const struct fl_config *config, struct fl_maps *maps, struct fl_err *err);
/* Call fn for each pin in DIR/programs that fl_programs_pin() makes, the record last. Stops at
 * non-zero, which is returned. */
int fl_programs_each_pin(const struct fl_programs *programs,
			 int (*fn)(const char *name, int fd, void *arg), void *arg);
/* Borrowed, or -ENOENT. */
int fl_programs_find(const struct fl_programs *programs, const char *name);
void fl_programs_close(struct fl_programs *programs);
