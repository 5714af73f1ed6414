/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* This node's pods with host ports, by name. Internal to lb/model: lb/model/store.h has what others
 * use. */
#pragma once

#include <uthash.h>

#include "lb/model/object.h"

struct fl_held_pod {
	UT_hash_handle hh;
	struct fl_pod *pod;
	char key[]; /* "namespace/name" */
};

struct fl_pods {
	struct fl_held_pod *held; /* hash */
};

void fl_pods_fini(struct fl_pods *pods);
/* Borrowed; NULL: there is none of that name. */
const struct fl_pod *fl_pods_find(const struct fl_pods *pods, const char *ns, const char *name);
/* Takes *pod, of whose name there is none. 0 or -ENOMEM. */
int fl_pods_add(struct fl_pods *pods, struct fl_pod **pod);
/* It becomes the caller's. NULL: there is none of that name. */
struct fl_pod *fl_pods_take(struct fl_pods *pods, const char *ns, const char *name);
