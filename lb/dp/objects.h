/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The three BPF objects, seen as one kind of thing. The only place that knows their skeletons is
 * objects.c. */
#pragma once

#include <bpf/libbpf.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"

enum fl_bpf_object_id {
	FL_OBJECT_XDP, /* first: it declares every map of the per-packet programs */
	FL_OBJECT_TC,
	FL_OBJECT_SOCK,
	FL_OBJECTS,
};

struct fl_bpf_object {
	const char *name;
	void *skeleton;
	void (*destroy)(void *skeleton);
	struct bpf_object *bpf;
	struct fl_config *config; /* its .rodata, to be written before load */
};

/* Open, not load. 0 or -errno with words. */
int fl_bpf_object_open(enum fl_bpf_object_id id, struct fl_bpf_object *ret_object,
		       struct fl_err *err);
/* Have XDP programs take frames of several buffers, if the settings say so; before load. */
int fl_bpf_object_take_frags(struct fl_bpf_object *object);
/* Load; on failure the words name the program and the verifier's last line. */
int fl_bpf_object_load(struct fl_bpf_object *object, struct fl_err *err);
void fl_bpf_object_close(struct fl_bpf_object *object);
