// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Mirrors of small maps: the node's addresses, the devices. Both sides are sorted by key, so that
 * the difference is one walk along both.
 */
#include "lb/dp/map_mirror.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/dp/map_each.h"

struct fl_map_mirror {
	int fd;
	const char *name;
	size_t key_size, value_size;
	unsigned char *pairs; /* what the map holds, sorted by key */
	size_t n, room;
};

static size_t pair_size(const struct fl_map_mirror *m)
{
	return m->key_size + m->value_size;
}

static int compare(const void *a, const void *b, void *arg)
{
	return memcmp(a, b, ((const struct fl_map_mirror *)arg)->key_size);
}

static int read_pair(const void *key, const void *value, void *arg)
{
	struct fl_map_mirror *m = arg;
	unsigned char *pair, *pairs = fl_array_grow(m->pairs, &m->room, m->n + 1, pair_size(m));

	if (!pairs)
		return -ENOMEM;
	m->pairs = pairs;
	pair = pairs + m->n++ * pair_size(m);
	memcpy(pair, key, m->key_size);
	memcpy(pair + m->key_size, value, m->value_size);
	return 0;
}

int fl_map_mirror_new(int fd, const char *name, size_t key_size, size_t value_size,
		      struct fl_map_mirror **ret_mirror, struct fl_err *err)
{
	_cleanup_(fl_map_mirror_free) struct fl_map_mirror *m = calloc(1, sizeof(*m));
	int r;

	if (!m)
		return fl_err_set(err, -ENOMEM, "out of memory");
	*m = (struct fl_map_mirror){
		.fd = fd, .name = name, .key_size = key_size, .value_size = value_size};
	if (fd >= 0) {
		r = fl_map_each(fd, read_pair, m);
		if (r)
			return fl_err_set(err, r, "cannot read map %s: %s", name, strerror(-r));
		if (m->n)
			qsort_r(m->pairs, m->n, pair_size(m), compare, m);
	}
	*ret_mirror = TAKE_PTR(m);
	return 0;
}

void fl_map_mirror_free(struct fl_map_mirror **mirror)
{
	if (*mirror)
		free((*mirror)->pairs);
	free(*mirror);
	*mirror = NULL;
}

const void *fl_map_mirror_get(const struct fl_map_mirror *mirror, const void *key)
{
	for (size_t i = 0; i < mirror->n; i++) {
		const unsigned char *pair = mirror->pairs + i * pair_size(mirror);

		if (!memcmp(pair, key, mirror->key_size))
			return pair + mirror->key_size;
	}
	return NULL;
}

struct apply {
	struct fl_map_mirror *m;
	unsigned char *held; /* becomes what the map holds */
	size_t n_held, writes;
	int error;
	struct fl_err *err;
};

static void hold(struct apply *a, const unsigned char *pair)
{
	memcpy(a->held + a->n_held++ * pair_size(a->m), pair, pair_size(a->m));
}

static void failed(struct apply *a, const char *what)
{
	int r = -errno;

	if (a->error)
		return;
	a->error = r;
	if (r == -E2BIG || r == -ENOSPC)
		fl_err_set(a->err, r, "map %s is full", a->m->name);
	else
		fl_err_set(a->err, r, "cannot %s map %s: %s", what, a->m->name, strerror(-r));
}

static void write_pair(struct apply *a, const unsigned char *pair, const unsigned char *old)
{
	a->writes++;
	if (a->m->fd < 0 || !bpf_map_update_elem(a->m->fd, pair, pair + a->m->key_size, BPF_ANY)) {
		hold(a, pair);
		return;
	}
	failed(a, "write to");
	if (old)
		hold(a, old);
}

static void remove_pair(struct apply *a, const unsigned char *old)
{
	a->writes++;
	if (a->m->fd < 0 || !bpf_map_delete_elem(a->m->fd, old) || errno == ENOENT)
		return;
	failed(a, "remove from");
	hold(a, old);
}

/* One walk along both sorted sides; `removing` tells which half of the work is done. */
static void walk(struct apply *a, const unsigned char *pairs, size_t n, bool removing)
{
	const struct fl_map_mirror *m = a->m;
	const unsigned char *held = m->n ? m->pairs : pairs;
	const size_t size = pair_size(m);
	size_t i = 0, j = 0;

	while (i < n || j < m->n) {
		const unsigned char *want = pairs + i * size, *have = held + j * size;
		int c = i == n ? 1 : j == m->n ? -1 : memcmp(want, have, m->key_size);

		if (c > 0) {
			if (removing)
				remove_pair(a, have);
			j++;
			continue;
		}
		if (!removing) {
			if (!c && !memcmp(want, have, size))
				hold(a, have);
			else
				write_pair(a, want, c ? NULL : have);
		}
		i++;
		j += !c;
	}
}

int fl_map_mirror_apply(struct fl_map_mirror *mirror, void *pairs, size_t n, size_t *ret_writes,
			struct fl_err *err)
{
	struct apply a = {.m = mirror, .err = err};
	const size_t room = n + mirror->n + 1;

	a.held = calloc(room, pair_size(mirror));
	if (!a.held)
		return fl_err_set(err, -ENOMEM, "out of memory");
	if (n)
		qsort_r(pairs, n, pair_size(mirror), compare, mirror);
	walk(&a, n ? pairs : a.held, n, false);
	walk(&a, n ? pairs : a.held, n, true);
	qsort_r(a.held, a.n_held, pair_size(mirror), compare, mirror);
	free(mirror->pairs);
	mirror->pairs = a.held;
	mirror->n = a.n_held;
	mirror->room = room;
	if (ret_writes)
		*ret_writes = a.writes;
	return a.error;
}
