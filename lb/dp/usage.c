/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How full maps are, and what the datapath has counted. */
#include "lb/dp/usage.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/dp/map_info.h"
#include "lb/dp/map_each.h"

int fl_map_size(int fd, uint64_t *ret_size)
{
	struct bpf_map_info info;
	int r = fl_map_info_get(fd, &info);

	if (!r)
		*ret_size = info.max_entries;
	return r;
}

static int count_one(const void *key, const void *value, void *arg)
{
	++*(uint64_t *)arg;
	return 0;
}

int fl_map_usage(int fd, uint64_t *ret_used, uint64_t *ret_size)
{
	uint64_t used = 0, size = 0;
	int r = fl_map_size(fd, &size);

	if (!r)
		r = fl_map_each(fd, count_one, &used);
	if (r)
		return r;
	*ret_used = used;
	*ret_size = size;
	return 0;
}

int fl_stats_count(int stats_fd, uint32_t index, uint64_t *ret_value)
{
	const int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	uint64_t sum = 0;

	if (!values)
		return cpus < 0 ? cpus : -ENOMEM;
	if (bpf_map_lookup_elem(stats_fd, &index, values))
		return -errno;
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += values[cpu];
	*ret_value = sum;
	return 0;
}

int fl_stats_read(int stats_fd, uint64_t ret_values[static FL_COUNTER_MAX])
{
	uint64_t sums[FL_COUNTER_MAX];
	int r = 0;

	for (uint32_t i = 0; i < FL_COUNTER_MAX && !r; i++)
		r = fl_stats_count(stats_fd, i, &sums[i]);
	if (!r)
		memcpy(ret_values, sums, sizeof(sums));
	return r;
}
