// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Engine: the kernel's side of struct fl_sync_ops: one system call for one element, batches for
 * more, and element by element where the kernel has no batches for a type of map (LPM tries
 * before 5.14). Frontends lie in memory that is mapped.
 */
#include <errno.h>
#include <stdbool.h>

#include <bpf/bpf.h>

#include "lb/dp/filter.h"
#include "lb/dp/map_each.h"
#include "lb/sync/ops.h"

#define NO_BATCH_ENOTSUPP 524 /* the kernel's own ENOTSUPP, which has no name in userspace */

#define DESC(map, key, value)                                                                      \
	{                                                                                          \
#map, FL_MAP_##map, key, value                                                     \
	}

const struct fl_sync_map_desc fl_sync_map_descs[FL_SYNC_MAPS] = {
	[FL_SYNC_MEMBERS] = DESC(members, sizeof(struct fl_member_key), sizeof(uint32_t)),
	[FL_SYNC_RANGES] = DESC(ranges, sizeof(struct fl_range_key), sizeof(uint32_t)),
	[FL_SYNC_FRONTENDS] =
		DESC(frontends, sizeof(struct fl_frontend_key), sizeof(struct fl_frontend)),
	[FL_SYNC_BACKENDS] = DESC(backends, 0, sizeof(struct fl_backend)),
	[FL_SYNC_LINES] = DESC(lines, 0, sizeof(struct fl_line)),
};

struct fl_sync_target fl_sync_target_of(const struct fl_maps *maps)
{
	struct fl_sync_target target = {.maps = maps, .frontends = fl_frontend_table_of(maps)};

	fl_frontend_table_tidy(&target.frontends);
	return target;
}

static int map_fd(const struct fl_sync_target *target, enum fl_sync_map map)
{
	const struct fl_map_desc *desc = &fl_map_descs[fl_sync_map_descs[map].id];

	return *(const int *)((const char *)target->maps + desc->fd_offset);
}

static bool no_batch(int rc)
{
	return rc == -EINVAL || rc == -EOPNOTSUPP || rc == -NO_BATCH_ENOTSUPP;
}

static int update_each(int fd, const struct fl_sync_map_desc *desc, const char *keys,
		       const char *values, uint32_t *count)
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

static int put_frontends(struct fl_sync_target *target, const struct fl_frontend_key *keys,
			 const struct fl_frontend *values, uint32_t *count)
{
	int rc = 0;

	for (uint32_t i = 0; i < *count && !rc; i++) {
		/* before the frontend: what the filter does not have is passed by */
		fl_filter_add_frontend(target->maps, &keys[i]);
		rc = fl_frontend_table_put(&target->frontends, &keys[i], &values[i]);
		if (rc)
			*count = i;
	}
	return rc;
}

static int remove_frontends(struct fl_sync_target *target, const struct fl_frontend_key *keys,
			    uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		fl_frontend_table_remove(&target->frontends, &keys[i]);
	return 0;
}

static int kernel_update(void *ctx, enum fl_sync_map map, const void *keys, const void *values,
			 uint32_t *count)
{
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[map];
	const int fd = map_fd(ctx, map);
	uint32_t done = *count;

	if (map == FL_SYNC_FRONTENDS)
		return put_frontends(ctx, keys, values, count);
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

static int remove_each(int fd, const struct fl_sync_map_desc *desc, const char *keys,
		       uint32_t *count)
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
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[map];
	const int fd = map_fd(ctx, map);
	const char *at = keys;
	uint32_t done = 0;
	int rc;

	if (map == FL_SYNC_FRONTENDS)
		return remove_frontends(ctx, keys, *count);
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
	struct fl_sync_target *target = ctx;

	if (map != FL_SYNC_FRONTENDS)
		return fl_map_each(map_fd(ctx, map), fn, arg);
	/* lines that no key is found at are no elements, and would be in the way of new ones */
	fl_frontend_table_tidy(&target->frontends);
	return fl_frontend_table_each(&target->frontends, fn, arg);
}

static uint32_t kernel_capacity(void *ctx, enum fl_sync_map map)
{
	const struct fl_sync_target *target = ctx;
	uint32_t n = 0;

	if (map == FL_SYNC_FRONTENDS)
		return target->frontends.room;
	fl_map_check(fl_sync_map_descs[map].id, map_fd(ctx, map), &n, NULL);
	return n;
}

const struct fl_sync_ops fl_sync_kernel_ops = {
	.update = kernel_update,
	.remove = kernel_remove,
	.dump = kernel_dump,
	.capacity = kernel_capacity,
};
