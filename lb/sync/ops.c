// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Engine: the kernel's side of struct fl_sync_ops: one system call for one element, batches for
 * more, and element by element where the kernel has no batches for a type of map (LPM tries
 * before 5.14).
 */
#include <errno.h>
#include <stdbool.h>

#include <bpf/bpf.h>

#include "lb/dp/filter.h"
#include "lb/dp/map_each.h"
#include "lb/sync/ops.h"

#define NO_BATCH_ENOTSUPP 524 /* the kernel's own ENOTSUPP, which has no name in userspace */

const struct fl_map_desc *const fl_sync_map_descs[FL_SYNC_MAPS] = {
	[FL_SYNC_MEMBERS] = &fl_map_descs[FL_MAP_members],
	[FL_SYNC_RANGES] = &fl_map_descs[FL_MAP_ranges],
	[FL_SYNC_FRONTENDS] = &fl_map_descs[FL_MAP_frontends],
	[FL_SYNC_BACKENDS] = &fl_map_descs[FL_MAP_backends],
	[FL_SYNC_LINES] = &fl_map_descs[FL_MAP_lines],
};

static int map_fd(const void *maps, const struct fl_map_desc *desc)
{
	return *(const int *)((const char *)maps + desc->fd_offset);
}

static bool no_batch(int rc)
{
	return rc == -EINVAL || rc == -EOPNOTSUPP || rc == -NO_BATCH_ENOTSUPP;
}

static int update_each(int fd, const struct fl_map_desc *desc, const char *keys, const char *values,
		       uint32_t *count)
{
	for (uint32_t i = 0; i < *count; i++) {
		if (bpf_map_update_elem(fd, keys + (size_t)i * desc->key_size,
					values + (size_t)i * desc->value_size, BPF_ANY)) {
			*count = i;
			return -errno;
		}
	}
	return 0;
}

static int kernel_update(void *ctx, enum fl_sync_map map, const void *keys, const void *values,
			 uint32_t *count)
{
	const struct fl_map_desc *desc = fl_sync_map_descs[map];
	const int fd = map_fd(ctx, desc);
	uint32_t done = *count;

	for (uint32_t i = 0; map == FL_SYNC_FRONTENDS && i < *count; i++)
		fl_filter_add_frontend(ctx, (const struct fl_frontend_key *)keys + i);
	if (*count > 1) {
		if (!bpf_map_update_batch(fd, keys, values, &done, NULL))
			return 0;
		if (!no_batch(-errno) || (done && done != *count)) {
			*count = done < *count ? done : 0;
			return -errno;
		}
	}
	return update_each(fd, desc, keys, values, count);
}

static int remove_each(int fd, const struct fl_map_desc *desc, const char *keys, uint32_t *count)
{
	for (uint32_t i = 0; i < *count; i++) {
		if (bpf_map_delete_elem(fd, keys + (size_t)i * desc->key_size) && errno != ENOENT) {
			*count = i;
			return -errno;
		}
	}
	return 0;
}

static int kernel_remove(void *ctx, enum fl_sync_map map, const void *keys, uint32_t *count)
{
	const struct fl_map_desc *desc = fl_sync_map_descs[map];
	const int fd = map_fd(ctx, desc);
	const char *at = keys;
	uint32_t done = 0;
	int rc;

	while (*count - done > 1) {
		uint32_t n = *count - done;

		if (!bpf_map_delete_batch(fd, at + (size_t)done * desc->key_size, &n, NULL))
			return 0;
		if (errno != ENOENT || n >= *count - done)
			break;
		done += n + 1; /* the one that is not there counts as removed */
	}
	if (done >= *count)
		return 0;
	/* what stopped the batch is met again one by one; removing twice does no harm */
	*count -= done;
	rc = remove_each(fd, desc, at + (size_t)done * desc->key_size, count);
	*count += done;
	return rc;
}

static int kernel_dump(void *ctx, enum fl_sync_map map,
		       int (*fn)(const void *key, const void *value, void *arg), void *arg)
{
	return fl_map_each(map_fd(ctx, fl_sync_map_descs[map]), fn, arg);
}

static uint32_t kernel_capacity(void *ctx, enum fl_sync_map map)
{
	const struct fl_map_desc *desc = fl_sync_map_descs[map];
	uint32_t n = 0;

	fl_map_check((enum fl_map_id)(desc - fl_map_descs), map_fd(ctx, desc), &n, NULL);
	return n;
}

const struct fl_sync_ops fl_sync_kernel_ops = {
	.update = kernel_update,
	.remove = kernel_remove,
	.dump = kernel_dump,
	.capacity = kernel_capacity,
};
