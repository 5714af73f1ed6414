// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Opening and closing the datapath: lock, adopt or create the maps, set the programs' constants,
 * keep the programs that are there or load them.
 */
#include <errno.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/mountinfo.h"
#include "lb/dp/netns.h"
#include "lb/dp/state.h"

static bool has_all_maps(struct fl_dp *dp)
{
	for (int i = 0; i < FL_MAPS; i++)
		if (*fl_map_fd(&dp->maps, i) < 0)
			return false;
	return true;
}

static int make_maps(struct fl_dp *dp, const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	_cleanup_(fl_bpf_object_close) struct fl_bpf_object tables = {0};
	int r = fl_bpf_tables_open(&tables, err);

	if (!r)
		r = fl_dp_maps_prepare(dp, &tables, sizes, err);
	if (!r)
		r = fl_bpf_objects_load(&tables, 1, err);
	return r ? r : fl_dp_maps_collect(dp, &tables, err);
}

static int prepare(struct fl_dp *dp, struct fl_bpf_object *o, const uint32_t sizes[FL_MAPS],
		   struct fl_err *err)
{
	int r = fl_dp_maps_prepare(dp, o, sizes, err);

	if (r)
		return r;
	fl_bpf_object_configure(o, &dp->config);
	r = fl_bpf_object_take_frags(o);
	return r ? fl_err_set(err, r, "cannot prepare the %s programs", o->name) : 0;
}

static int load_all(struct fl_dp *dp, struct fl_bpf_object objects[FL_OBJECTS],
		    const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	int r = has_all_maps(dp) ? 0 : make_maps(dp, sizes, err);

	for (int i = 0; i < FL_OBJECTS && !r; i++) {
		r = fl_bpf_object_open(i, &objects[i], err);
		if (!r)
			r = prepare(dp, &objects[i], sizes, err);
	}
	if (!r)
		r = fl_bpf_objects_load(objects, FL_OBJECTS, err);
	for (int i = 0; i < FL_OBJECTS && !r; i++) {
		r = fl_programs_add(&dp->programs, i, &objects[i], err);
		if (!r)
			r = fl_dp_slow_bind(dp, &objects[i], err);
	}
	return r;
}

static int load_objects(struct fl_dp *dp, const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	struct fl_bpf_object objects[FL_OBJECTS] = {0};
	int r = load_all(dp, objects, sizes, err);

	/* what they are made of takes as much memory as thousands of Services */
	for (int i = 0; i < FL_OBJECTS; i++)
		fl_bpf_object_close(&objects[i]);
	return r;
}

/* Maps of which some are replaced are not those that pinned programs use. */
static bool keep_programs(struct fl_dp *dp)
{
	if (!dp->adopted || dp->replaces ||
	    !fl_programs_keep(&dp->programs, &dp->fs, &dp->config, &dp->maps, &dp->live_current))
		return false;
	/* perhaps the earlier agent has only just changed them */
	dp->live_since = fl_mono_now();
	return true;
}

/* Asked before anything is made, so that a wrong setting leaves no half datapath behind. */
static int check_cgroup(const char *path, struct fl_err *err)
{
	struct statfs st;

	if (!*path)
		return 0;
	if (statfs(path, &st))
		return fl_err_set(err, -errno, "cannot open cgroup %s: %s", path, strerror(errno));
	if ((unsigned long)st.f_type != CGROUP2_SUPER_MAGIC)
		return fl_err_set(err, -EINVAL, "%s is not a cgroup v2 directory", path);
	return 0;
}

static int find_cgroup(struct fl_dp *dp, const char *wanted, struct fl_err *err)
{
	if (wanted) {
		int r = check_cgroup(wanted, err);

		if (r)
			return r;
		dp->cgroup = strdup(wanted);
		return dp->cgroup ? 0 : -ENOMEM;
	}
	return fl_mount_find_cgroup2(&dp->cgroup, err);
}

int fl_dp_open(const struct fl_dp_options *options, struct fl_dp **ret_dp, struct fl_err *err)
{
	_cleanup_(fl_dp_close) struct fl_dp *dp = calloc(1, sizeof(*dp));
	uint32_t sizes[FL_MAPS];
	int r;

	if (!dp)
		return fl_err_set(err, -ENOMEM, "out of memory");
	dp->netns_lock = -1;
	dp->layout_fd = -1;
	dp->records_fd = -1;
	dp->fs = (struct fl_bpffs)FL_BPFFS_INIT;
	dp->maps = (struct fl_maps)FL_MAPS_INIT;
	dp->programs = (struct fl_programs)FL_PROGRAMS_INIT;
	dp->hz = fl_dp_kernel_hz();
	dp->no_tcx = options->no_tcx;
	fl_dp_sizes_of(&options->sizes, sizes);
	r = find_cgroup(dp, options->cgroup, err);
	if (!r)
		r = fl_netns_lock(&dp->netns_lock, err);
	if (!r)
		r = fl_bpffs_open(options->dir, FL_BPFFS_CREATE | FL_BPFFS_LOCK, &dp->fs, err);
	if (!r)
		r = fl_takeover_begin(dp, sizes, err);
	if (!r)
		r = fl_dp_maps_adopt(dp, sizes, err);
	if (!r)
		r = fl_dp_config_make(dp, options, sizes, err);
	if (!r && !keep_programs(dp))
		r = load_objects(dp, sizes, err);
	if (!r)
		r = fl_maps_mmap(&dp->maps, true, err);
	if (r)
		return r;
	dp->clock_fd = fl_dp_program(dp, "fl_clock");
	if (dp->clock_fd < 0)
		return fl_err_set(err, dp->clock_fd, "the objects have no clock program");
	r = fl_dp_netns_record(dp, err);
	if (!r)
		r = fl_dp_maps_pin(dp, err);
	if (r)
		return r;
	r = fl_bpffs_pin(&dp->fs, "programs", FL_PIN_CLOCK, dp->clock_fd, err);
	if (!r)
		r = fl_programs_pin(&dp->programs, &dp->fs, &dp->config, &dp->maps, err);
	if (!r)
		r = fl_takeover_end(dp, err);
	if (r)
		return r;
	*ret_dp = TAKE_PTR(dp);
	return 0;
}

const struct fl_old_flows *fl_dp_old_flows(const struct fl_dp *dp, size_t *ret_n)
{
	*ret_n = dp->n_old;
	return dp->old;
}

void fl_dp_wait_for_programs(void)
{
	/* it returns when every CPU has left what it was in, programs included */
	syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

int fl_dp_forget_old_flows(struct fl_dp *dp, struct fl_err *err)
{
	int error = 0;

	for (size_t i = 0; i < FL_OLD_FLOWS_MAX; i++) {
		char sub[16];
		int r;

		fl_old_flows_name(i, sub);
		r = fl_old_flows_unpin(&dp->fs, sub);
		if (r && !error)
			error = fl_err_set(err, r, "cannot remove %s/%s: %s", dp->fs.path, sub,
					   strerror(-r));
	}
	while (dp->n_old)
		fl_old_flows_close(&dp->old[--dp->n_old]);
	return error;
}

void fl_dp_close(struct fl_dp **dp)
{
	struct fl_dp *d = *dp;

	if (!d)
		return;
	for (struct fl_attachment *a = d->attachments, *next; a; a = next) {
		next = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
	}
	fl_programs_close(&d->programs);
	fl_maps_close(&d->maps);
	fl_bpffs_close(&d->fs);
	fl_takeover_free(&d->takeover);
	if (d->netns_lock >= 0)
		close(d->netns_lock);
	for (size_t i = 0; i < d->n_old; i++)
		fl_old_flows_close(&d->old[i]);
	if (d->layout_fd >= 0)
		close(d->layout_fd);
	if (d->records_fd >= 0)
		close(d->records_fd);
	free(d->cgroup);
	free(d);
	*dp = NULL;
}
