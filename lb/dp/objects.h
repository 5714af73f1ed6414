/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The three BPF objects, seen as one kind of thing. The only place that knows their skeletons is
 * objects.c. */
#pragma once

#include <bpf/libbpf.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"

enum fl_bpf_object_id {
	FL_OBJECT_XDP,
	FL_OBJECT_TC,
	FL_OBJECT_SOCK,
	FL_OBJECTS,
};

struct fl_bpf_object {
	const char *name;
	void *skeleton;
	void (*destroy)(void *skeleton);
	struct bpf_object *bpf;
	/* its .rodata and .data.live, to be written before load: fl_bpf_object_configure() */
	struct fl_config *config;
	struct fl_live_pair *live;
};

/* What the objects were built as: a digest of all of them, in hexadecimal digits. */
#define FL_OBJECTS_DIGEST_LEN 72
const char *fl_bpf_objects_digest(void);
/* Open, not load. 0 or -errno with words. */
int fl_bpf_object_open(enum fl_bpf_object_id id, struct fl_bpf_object *ret_object,
		       struct fl_err *err);
/* The same of an object that has the shared maps and no programs; it is not configured. */
int fl_bpf_tables_open(struct fl_bpf_object *ret_object, struct fl_err *err);
/* What it is loaded with. */
void fl_bpf_object_configure(struct fl_bpf_object *object, const struct fl_config *config);
/* Of a loaded object: the map that has its fl_live_pair. Borrowed; < 0: it has none. */
int fl_bpf_object_live_fd(const struct fl_bpf_object *object);
/* Have XDP programs take frames of several buffers, if the settings say so; before load. */
int fl_bpf_object_take_frags(struct fl_bpf_object *object);
/* Load objects side by side, a thread for each; on failure the words name the program and the
 * verifier's last line. None of them makes a map that another one is to use. */
int fl_bpf_objects_load(struct fl_bpf_object *objects, size_t n, struct fl_err *err);
void fl_bpf_object_close(struct fl_bpf_object *object);
