// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The arrays by which the attached programs reach those of the slow path. The kernel empties such
 * an array when its last descriptor and pin are gone, attached programs or not. So each is pinned,
 * under its own number: the programs of an earlier agent go on with theirs until ours have replaced
 * them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lb/dp/state.h"

#define PIN_PREFIX "slow-"

bool fl_dp_slow_is_pin(const char *name)
{
	return !strncmp(name, PIN_PREFIX, strlen(PIN_PREFIX));
}

/* Programs of the slow path have maps that the attached ones do not use. Bound to these as well,
 * whatever finds one program of ours finds all our maps (orphans.h). */
static int bind_all(struct fl_dp *dp, const struct bpf_object *object, struct fl_err *err)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, object)
	{
		for (int i = 0; i < FL_MAPS; i++) {
			if (!bpf_object__find_map_by_name(object, fl_map_descs[i].object))
				continue;
			if (bpf_prog_bind_map(bpf_program__fd(prog), *fl_map_fd(&dp->maps, i),
					      NULL))
				return fl_err_set(err, -errno, "cannot bind map %s to %s: %s",
						  fl_map_descs[i].name, bpf_program__name(prog),
						  strerror(errno));
		}
	}
	return 0;
}

int fl_dp_slow_bind(struct fl_dp *dp, const struct fl_bpf_object *object, struct fl_err *err)
{
	const struct bpf_map *map;

	bpf_object__for_each_map(map, object->bpf)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_PROG_ARRAY)
			return bind_all(dp, object->bpf, err);
	}
	return 0;
}

static int prune_one(const char *name, void *arg)
{
	const struct fl_dp *dp = arg;

	for (size_t i = 0; i < dp->programs.n_slow; i++)
		if (!strcmp(name, dp->programs.slow[i].pin))
			return 0;
	if (fl_dp_slow_is_pin(name))
		fl_bpffs_unpin(&dp->fs, "programs", name);
	return 0;
}

void fl_dp_slow_prune(struct fl_dp *dp)
{
	fl_bpffs_each(&dp->fs, "programs", prune_one, dp);
}
