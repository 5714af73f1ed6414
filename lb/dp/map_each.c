// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Walking over a kernel map. A batch over a hash is addressed by bucket, so elements that vanish
 * meanwhile cannot lead it astray. A walk by keys can be led astray: asked for what follows a key
 * that is gone, the kernel begins again at the first one.
 */
#include "lb/dp/map_each.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/dp/map_info.h"

#define BATCH 4096
#define BATCH_MAX (1U << 20)
#define NO_BATCH_ENOTSUPP 524 /* the kernel's own ENOTSUPP, which has no name in userspace */

struct map_walk {
	const struct fl_map_calls *calls;
	int fd;
	uint32_t key_size, value_size, max_entries;
	fl_map_each_fn *fn;
	void *arg;
};

static int kernel_info(int fd, uint32_t *ret_type, uint32_t *ret_key_size, uint32_t *ret_value_size,
		       uint32_t *ret_max_entries)
{
	struct bpf_map_info info;
	int r = fl_map_info_get(fd, &info);

	if (r)
		return r;
	*ret_type = info.type;
	*ret_key_size = info.key_size;
	*ret_value_size = info.value_size;
	*ret_max_entries = info.max_entries;
	return 0;
}

static int kernel_batch(int fd, const void *from, void *ret_next, void *keys, void *values,
			uint32_t *count)
{
	return bpf_map_lookup_batch(fd, (void *)from, ret_next, keys, values, count, NULL) ? -errno
											   : 0;
}

static int kernel_next_key(int fd, const void *key, void *ret_next)
{
	return bpf_map_get_next_key(fd, key, ret_next) ? -errno : 0;
}

static int kernel_lookup(int fd, const void *key, void *ret_value)
{
	return bpf_map_lookup_elem(fd, key, ret_value) ? -errno : 0;
}

static const struct fl_map_calls kernel = {kernel_info, kernel_batch, kernel_next_key,
					   kernel_lookup};

static bool no_batch(int r)
{
	return r == -EINVAL || r == -EOPNOTSUPP || r == -NO_BATCH_ENOTSUPP;
}

static int give(const struct map_walk *w, const char *keys, const char *values, uint32_t n)
{
	int r = 0;

	for (uint32_t i = 0; i < n && !r; i++)
		r = w->fn(keys + (size_t)i * w->key_size, values + (size_t)i * w->value_size,
			  w->arg);
	return r;
}

/* *ret_refused: the kernel has no batches for this map; fn was not called. */
static int walk_batches(const struct map_walk *w, bool *ret_refused)
{
	uint32_t cursor[2] = {0}, room = BATCH;
	_cleanup_free_ char *keys = malloc((size_t)room * w->key_size);
	_cleanup_free_ char *values = malloc((size_t)room * w->value_size);
	bool first = true;

	while (keys && values) {
		uint32_t n = room;
		int r = w->calls->batch(w->fd, first ? NULL : cursor, cursor, keys, values, &n),
		    stop;

		if (r == -ENOSPC && room < BATCH_MAX) {
			/* one bucket of the hash holds more than the buffer */
			room *= 4;
			free(keys);
			free(values);
			keys = malloc((size_t)room * w->key_size);
			values = malloc((size_t)room * w->value_size);
			continue;
		}
		*ret_refused = first && no_batch(r);
		if (r && r != -ENOENT)
			return r;
		first = false;
		stop = give(w, keys, values, n);
		if (stop || r)
			return stop;
	}
	return -ENOMEM;
}

/* The next key is asked for before fn may delete the one at hand. */
static int walk_keys(const struct map_walk *w)
{
	_cleanup_free_ char *key = malloc(w->key_size), *next = malloc(w->key_size);
	_cleanup_free_ char *value = malloc(w->value_size);
	uint64_t left = 2 * (uint64_t)w->max_entries + 1;
	int r, more;

	if (!key || !next || !value)
		return -ENOMEM;
	for (more = w->calls->next_key(w->fd, NULL, next); !more; left--) {
		char *swap = key;

		if (!left)
			return -EAGAIN;
		key = next;
		next = swap;
		r = w->calls->lookup(w->fd, key, value);
		more = w->calls->next_key(w->fd, key, next);
		if (!r)
			r = w->fn(key, value, w->arg);
		else if (r == -ENOENT)
			r = 0; /* gone since */
		if (r)
			return r;
	}
	return more == -ENOENT ? 0 : more;
}

int fl_map_each_by(const struct fl_map_calls *calls, int fd, fl_map_each_fn *fn, void *arg)
{
	struct map_walk w = {.calls = calls, .fd = fd, .fn = fn, .arg = arg};
	bool refused = true;
	uint32_t type;
	int r = calls->info(fd, &type, &w.key_size, &w.value_size, &w.max_entries);

	if (r)
		return r;
	if (type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	    type == BPF_MAP_TYPE_LRU_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE)
		return -EOPNOTSUPP; /* a value per processor does not fit the buffer */
	/* batches of other types are addressed by keys, and gain nothing but their trouble */
	if (type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH)
		r = walk_batches(&w, &refused);
	return refused ? walk_keys(&w) : r;
}

int fl_map_each(int fd, fl_map_each_fn *fn, void *arg)
{
	return fl_map_each_by(&kernel, fd, fn, arg);
}
