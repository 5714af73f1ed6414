// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What an open datapath tells about itself. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "lb/dp/state.h"

const struct fl_word fl_dp_mode_words[] = {
	{"auto", FL_DP_AUTO}, {"xdp", FL_DP_XDP}, {"xdp-generic", FL_DP_XDP_GENERIC},
	{"tc", FL_DP_TC},     {NULL, 0},
};
static_assert(sizeof(fl_dp_mode_words) / sizeof(struct fl_word) == FL_DP_MODES + 1,
	      "a word for each mode");

struct fl_maps *fl_dp_maps(struct fl_dp *dp)
{
	return &dp->maps;
}

uint32_t fl_dp_hz(const struct fl_dp *dp)
{
	return dp->hz;
}

const struct fl_config *fl_dp_config(const struct fl_dp *dp)
{
	return &dp->config;
}

bool fl_dp_adopted(const struct fl_dp *dp)
{
	return dp->adopted;
}

bool fl_dp_found_remains(const struct fl_dp *dp)
{
	return dp->remains;
}

const char *fl_dp_cgroup(const struct fl_dp *dp)
{
	return dp->cgroup;
}

bool fl_dp_kept_programs(const struct fl_dp *dp)
{
	return dp->programs.kept;
}

int fl_dp_program(const struct fl_dp *dp, const char *name)
{
	return fl_programs_find(&dp->programs, name);
}

uint64_t fl_dp_now(struct fl_dp *dp)
{
	unsigned char packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	if (bpf_prog_test_run_opts(dp->clock_fd, &opts))
		return 0;
	return __atomic_load_n(&dp->maps.meta->now_jiffies, __ATOMIC_RELAXED);
}
