// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What fl_ranges and fl_members hold, element by element, and how many states want each: what is
 * present and not wanted is to be removed, what is wanted and not present is to be written.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <string.h>

#include "lb/sync/internal.h"

void fl_mirror_fini(struct fl_mirror *mirror)
{
	free(mirror->keys);
	free(mirror->all);
	fl_index_fini(&mirror->index);
}

const void *fl_mirror_key(const struct fl_mirror *mirror, uint32_t e)
{
	return mirror->keys + (size_t)e * mirror->key_size;
}

static uint32_t key_hash(const struct fl_mirror *mirror, const void *key)
{
	return (uint32_t)XXH3_64bits(key, mirror->key_size);
}

uint32_t fl_mirror_find(const struct fl_mirror *mirror, const void *key)
{
	const uint32_t hash = key_hash(mirror, key);

	for (uint32_t step = 0, e;
	     (e = fl_index_next(&mirror->index, hash, &step)) != FL_INDEX_NONE;)
		if (!memcmp(fl_mirror_key(mirror, e), key, mirror->key_size))
			return e;
	return FL_INDEX_NONE;
}

static int find_or_add(struct fl_mirror *mirror, const void *key, uint32_t *ret_element)
{
	uint32_t e = fl_mirror_find(mirror, key);
	int rc;

	if (e != FL_INDEX_NONE) {
		*ret_element = e;
		return 0;
	}
	rc = fl_index_reserve(&mirror->index, 1);
	if (!rc && !mirror->spare)
		rc = fl_grow(&mirror->all, &mirror->cap, mirror->n + 1ULL, sizeof(*mirror->all));
	if (!rc && !mirror->spare)
		rc = fl_grow(&mirror->keys, &mirror->cap_keys, mirror->n + 1ULL, mirror->key_size);
	if (rc)
		return rc;
	if (mirror->spare) {
		e = mirror->spare - 1;
		mirror->spare = mirror->all[e].wanted;
	} else {
		e = mirror->n++;
	}
	mirror->all[e] = (struct fl_mirror_element){.used = true};
	memcpy(mirror->keys + (size_t)e * mirror->key_size, key, mirror->key_size);
	fl_index_add(&mirror->index, key_hash(mirror, key), e);
	*ret_element = e;
	return 0;
}

static void forget_if_idle(struct fl_mirror *mirror, uint32_t e)
{
	struct fl_mirror_element *element = &mirror->all[e];

	if (element->wanted || element->present)
		return;
	fl_index_del(&mirror->index, key_hash(mirror, fl_mirror_key(mirror, e)), e);
	*element = (struct fl_mirror_element){.wanted = mirror->spare};
	mirror->spare = e + 1;
}

int fl_mirror_want(struct fl_mirror *mirror, const void *key, uint32_t *ret_element)
{
	int rc = find_or_add(mirror, key, ret_element);

	if (!rc)
		mirror->all[*ret_element].wanted++;
	return rc;
}

void fl_mirror_unwant(struct fl_mirror *mirror, uint32_t e)
{
	mirror->all[e].wanted--;
	forget_if_idle(mirror, e);
}

void fl_mirror_set(struct fl_mirror *mirror, uint32_t e, bool present)
{
	mirror->present += present;
	mirror->present -= mirror->all[e].present;
	mirror->all[e].present = present;
	forget_if_idle(mirror, e);
}

int fl_mirror_adopt(struct fl_mirror *mirror, const void *key)
{
	uint32_t e;
	int rc = find_or_add(mirror, key, &e);

	if (!rc)
		fl_mirror_set(mirror, e, true);
	return rc;
}
