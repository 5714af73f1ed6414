/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pods by name. */
#include "lb/model/pods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

static struct fl_held_pod *find(const struct fl_pods *pods, const char *ns, const char *name)
{
	_cleanup_free_ char *key = NULL;
	struct fl_held_pod *held = NULL;

	/* without memory it is not found, and comes again with the next list */
	if (asprintf(&key, "%s/%s", ns, name) < 0)
		key = NULL;
	if (key)
		HASH_FIND_STR(pods->held, key, held);
	return held;
}

void fl_pods_fini(struct fl_pods *pods)
{
	struct fl_held_pod *held, *next;

	HASH_ITER (hh, pods->held, held, next) {
		HASH_DEL(pods->held, held);
		fl_pod_free(&held->pod);
		free(held);
	}
}

const struct fl_pod *fl_pods_find(const struct fl_pods *pods, const char *ns, const char *name)
{
	const struct fl_held_pod *held = find(pods, ns, name);

	return held ? held->pod : NULL;
}

int fl_pods_add(struct fl_pods *pods, struct fl_pod **pod)
{
	const size_t size = strlen((*pod)->ns) + 1 + strlen((*pod)->name) + 1;
	struct fl_held_pod *held = calloc(1, sizeof(*held) + size);

	if (!held)
		return -ENOMEM;
	snprintf(held->key, size, "%s/%s", (*pod)->ns, (*pod)->name);
	held->pod = TAKE_PTR(*pod);
	HASH_ADD_STR(pods->held, key, held);
	return 0;
}

struct fl_pod *fl_pods_take(struct fl_pods *pods, const char *ns, const char *name)
{
	struct fl_held_pod *held = find(pods, ns, name);
	struct fl_pod *pod;

	if (!held)
		return NULL;
	HASH_DEL(pods->held, held);
	pod = held->pod;
	free(held);
	return pod;
}
