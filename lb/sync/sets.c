// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Backend sets: found or made, built, checked, and freed when their grace period is over. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/maglev/shares.h"
#include "lb/sync/sets.h"

#define GRACE_NS 1000000000ULL

static uint32_t id_lines(uint32_t count)
{
	return (count + FL_LINE_IDS - 1) / FL_LINE_IDS;
}

uint32_t fl_set_lines(const struct fl_set *set)
{
	return id_lines(set->count) + (set->lut_len + FL_LINE_ORDINALS - 1) / FL_LINE_ORDINALS;
}

static const uint32_t *set_ids(const struct fl_sets *sets, const struct fl_set *set)
{
	return sets->memory[set->slab].id;
}

const uint32_t *fl_set_ids(const struct fl_sets *sets, uint32_t s)
{
	return set_ids(sets, &sets->all[s]);
}

static uint16_t *set_table(const struct fl_sets *sets, const struct fl_set *set)
{
	return sets->memory[set->slab + id_lines(set->count)].ordinal;
}

void fl_sets_init(struct fl_sets *sets, const struct fl_sets_options *options,
		  struct fl_line *memory, size_t n_lines, struct fl_backends *backends)
{
	*sets = (struct fl_sets){.options = *options, .memory = memory, .backends = backends};
	fl_lines_init(&sets->lines,
		      (uint32_t)(n_lines > UINT32_MAX / 2 ? UINT32_MAX / 2 : n_lines));
}

void fl_sets_fini(struct fl_sets *sets)
{
	free(sets->all);
	free(sets->scratch);
	free(sets->shares.weights);
	free(sets->shares.shares);
	fl_index_fini(&sets->index);
	fl_set_builder_fini(&sets->builder);
	fl_lines_fini(&sets->lines);
	*sets = (struct fl_sets){0};
}

static uint64_t set_hash(const uint32_t *ids, uint32_t count, uint32_t lut_len)
{
	return XXH3_64bits_withSeed(ids, count * sizeof(*ids), lut_len);
}

static int element_get(struct fl_sets *sets, uint32_t *ret_set)
{
	int rc = fl_index_reserve(&sets->index, 1);

	if (rc)
		return rc;
	if (sets->spare) {
		*ret_set = sets->spare;
		sets->spare = sets->all[*ret_set].next;
	} else {
		rc = FL_ARRAY_ROOM(sets->all, sets->cap, sets->n + 2ULL);
		if (rc)
			return rc;
		*ret_set = ++sets->n;
	}
	sets->all[*ret_set] = (struct fl_set){0};
	sets->used++;
	return 0;
}

static void element_put(struct fl_sets *sets, uint32_t s)
{
	sets->all[s] = (struct fl_set){.next = sets->spare};
	sets->spare = s;
	sets->used--;
}

static void enqueue(struct fl_sets *sets, uint32_t s)
{
	struct fl_set *set = &sets->all[s];

	set->queued = true;
	set->due_ns = 0;
	set->prev = sets->last;
	set->next = 0;
	if (sets->last)
		sets->all[sets->last].next = s;
	else
		sets->first = s;
	sets->last = s;
}

static void dequeue(struct fl_sets *sets, uint32_t s)
{
	struct fl_set *set = &sets->all[s];

	if (set->prev)
		sets->all[set->prev].next = set->next;
	else
		sets->first = set->next;
	if (set->next)
		sets->all[set->next].prev = set->prev;
	else
		sets->last = set->prev;
	set->queued = false;
}

static void share(struct fl_sets *sets, uint32_t s)
{
	sets->all[s].indexed = true;
	fl_index_add(&sets->index, (uint32_t)sets->all[s].hash, s);
}

void fl_set_forget(struct fl_sets *sets, uint32_t s)
{
	struct fl_set *set = &sets->all[s];

	if (set->indexed)
		fl_index_del(&sets->index, (uint32_t)set->hash, s);
	set->indexed = false;
}

/* Give up what a set without users holds. False: no memory to do it now. */
static bool dissolve(struct fl_sets *sets, uint32_t s)
{
	struct fl_set *set = &sets->all[s];
	const uint32_t *ids = set_ids(sets, set);

	/* runs that overlap are corruption found at start: nobody can say whose lines they are */
	if (!set->overlaps && fl_lines_free(&sets->lines, set->slab, fl_set_lines(set)))
		return false;
	fl_set_forget(sets, s);
	for (uint32_t i = 0; i < set->count; i++)
		if (ids[i] < sets->backends->n && sets->backends->all[ids[i]].sets)
			fl_backend_release(sets->backends, ids[i]);
	if (set->queued)
		dequeue(sets, s);
	element_put(sets, s);
	return true;
}

static uint32_t set_find(const struct fl_sets *sets, uint64_t hash, const uint32_t *ids,
			 uint32_t count, uint32_t lut_len)
{
	for (uint32_t step = 0, s;
	     (s = fl_index_next(&sets->index, (uint32_t)hash, &step)) != FL_INDEX_NONE;) {
		const struct fl_set *set = &sets->all[s];

		if (set->hash == hash && set->count == count && set->lut_len == lut_len &&
		    !memcmp(set_ids(sets, set), ids, count * sizeof(*ids)))
			return s;
	}
	return 0;
}

uint32_t fl_sets_most(const struct fl_sets *sets)
{
	/* two slots for the smallest share of a table whose length is fixed */
	return sets->options.length ? sets->options.length / 2 : FL_MAGLEV_BACKENDS_MAX;
}

static uint32_t table_length(const struct fl_sets *sets, uint32_t count, uint32_t n_backends)
{
	const uint32_t by_backends = fl_maglev_length(n_backends, sets->options.ratio);
	const uint32_t by_shares =
		count > n_backends ? fl_maglev_length(count, FL_MAGLEV_SHARE_SLOTS) : 0;

	if (sets->options.length)
		return sets->options.length;
	return by_shares > by_backends ? by_shares : by_backends;
}

int fl_set_take(struct fl_sets *sets, const uint32_t *ids, uint32_t count, uint32_t n_backends,
		uint32_t *ret_set)
{
	const uint32_t lut_len = table_length(sets, count, n_backends);
	const uint64_t hash = set_hash(ids, count, lut_len);
	uint32_t s = set_find(sets, hash, ids, count, lut_len);
	struct fl_set *set;
	int rc;

	if (s) {
		fl_set_ref(sets, s);
		*ret_set = s;
		return 0;
	}
	if (count > FL_MAGLEV_BACKENDS_MAX)
		return -E2BIG;
	rc = element_get(sets, &s);
	if (rc)
		return rc;
	set = &sets->all[s];
	*set = (struct fl_set){
		.hash = hash, .count = count, .lut_len = lut_len, .refs = 1, .unbuilt = true};
	rc = fl_lines_alloc(&sets->lines, fl_set_lines(set), &set->slab);
	if (rc) {
		element_put(sets, s);
		return rc;
	}
	memcpy(sets->memory[set->slab].id, ids, count * sizeof(*ids));
	for (uint32_t i = 0; i < count; i++)
		fl_backend_hold(sets->backends, ids[i]);
	share(sets, s);
	*ret_set = s;
	return 0;
}

void fl_set_ref(struct fl_sets *sets, uint32_t s)
{
	if (!s)
		return;
	sets->all[s].refs++;
	if (sets->all[s].queued)
		dequeue(sets, s);
}

void fl_set_drop(struct fl_sets *sets, uint32_t s)
{
	if (!s || --sets->all[s].refs)
		return;
	/* a set without a table was never in the map */
	if (!sets->all[s].unbuilt || !dissolve(sets, s))
		enqueue(sets, s);
}

void fl_set_builder_fini(struct fl_set_builder *builder)
{
	free(builder->inputs);
	fl_maglev_scratch_fini(&builder->scratch);
	*builder = (struct fl_set_builder){0};
}

static uint32_t in_a_row(const uint32_t *ids, uint32_t count)
{
	uint32_t n = 1;

	while (n < count && ids[n] == ids[0])
		n++;
	return n;
}

static int build_into(const struct fl_sets *sets, struct fl_set_builder *builder,
		      const struct fl_set *set, uint16_t *table)
{
	const uint32_t *ids = set_ids(sets, set);
	int rc = FL_ARRAY_ROOM(builder->inputs, builder->cap_inputs, set->count);

	if (rc)
		return rc;
	for (uint32_t i = 0; i < set->count; i++) {
		const struct fl_backend_entry *backend = &sets->backends->all[ids[i]];
		struct fl_maglev_backend *input = &builder->inputs[i];

		memcpy(input->ip.b, &backend->addr, sizeof(input->ip.b));
		input->port = ntohs(backend->port);
		input->proto = backend->proto;
		/* the first of a row stands for all of it */
		input->weight =
			i && ids[i] == ids[i - 1] ? 0 : (uint16_t)in_a_row(ids + i, set->count - i);
	}
	return fl_maglev_build(builder->inputs, set->count, sets->options.seed, set->lut_len,
			       &builder->scratch, table);
}

/* Touches nothing but the set and its lines, so sets can be built side by side. */
int fl_set_build(struct fl_sets *sets, struct fl_set_builder *builder, uint32_t s)
{
	struct fl_set *set = &sets->all[s];
	int rc;

	if (!s || !set->unbuilt)
		return 0;
	rc = build_into(sets, builder, set, set_table(sets, set));
	if (rc)
		return rc;
	/* the table is there before the frontend that will name it */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	set->unbuilt = false;
	return 0;
}

bool fl_set_ids_intact(const struct fl_sets *sets, uint32_t s)
{
	const struct fl_set *set = &sets->all[s];
	const uint32_t *ids = set_ids(sets, set);

	for (uint32_t i = 0; i < set->count; i++)
		if (!ids[i] || ids[i] >= sets->backends->n)
			return false;
	return set_hash(ids, set->count, set->lut_len) == set->hash;
}

bool fl_set_intact(struct fl_sets *sets, uint32_t s)
{
	const struct fl_set *set = &sets->all[s];
	uint16_t *table;
	bool same;

	if (!fl_set_ids_intact(sets, s))
		return false;
	if (set->unbuilt)
		return true;
	table = malloc(set->lut_len * sizeof(*table));
	/* without memory nothing can be said against it */
	same = !table || build_into(sets, &sets->builder, set, table) ||
	       !memcmp(table, set_table(sets, set), set->lut_len * sizeof(*table));
	free(table);
	return same;
}

void fl_set_repair(struct fl_sets *sets, uint32_t s, const uint32_t *ids, uint32_t count)
{
	struct fl_set *set = &sets->all[s];
	uint32_t *to = sets->memory[set->slab].id;
	uint16_t *slots = set_table(sets, set), *table;

	/*
	 * a set that never was what this state says, or no memory: it is reported again next time
	 */
	if (count != set->count || set_hash(ids, count, set->lut_len) != set->hash)
		return;
	table = malloc(set->lut_len * sizeof(*table));
	if (!table)
		return;
	for (uint32_t i = 0; i < count; i++)
		__atomic_store_n(&to[i], ids[i], __ATOMIC_RELAXED);
	if (!build_into(sets, &sets->builder, set, table))
		for (uint32_t i = 0; i < set->lut_len; i++)
			__atomic_store_n(&slots[i], table[i], __ATOMIC_RELAXED);
	sets->writes++;
	free(table);
}

/*
 * A list found in the map. *ret_set 0: it cannot be used, and its lines are not there to be read.
 */
int fl_set_adopt(struct fl_sets *sets, const struct fl_list *list, uint32_t *ret_set)
{
	struct fl_set probe = {.slab = list->slab, .count = list->count, .lut_len = list->lut_len};
	const uint64_t n_lines = sets->lines.total;
	const uint32_t *ids;
	uint32_t s;
	int rc;

	*ret_set = 0;
	if (!list->count || !list->slab || list->count > FL_MAGLEV_BACKENDS_MAX || !list->lut_len ||
	    list->lut_len > FL_MAGLEV_LENGTH_MAX || list->slab >= n_lines ||
	    list->slab + (uint64_t)fl_set_lines(&probe) > n_lines)
		return 0;
	ids = set_ids(sets, &probe);
	for (uint32_t i = 0; i < list->count; i++)
		if (!ids[i] || ids[i] >= sets->backends->n)
			return 0;
	probe.hash = set_hash(ids, list->count, list->lut_len);
	s = set_find(sets, probe.hash, ids, list->count, list->lut_len);
	if (s && sets->all[s].slab == list->slab) {
		*ret_set = s;
		return 0;
	}
	rc = element_get(sets, &s);
	if (rc)
		return rc;
	sets->all[s] = probe;
	for (uint32_t i = 0; i < list->count; i++)
		fl_backend_hold(sets->backends, ids[i]);
	share(sets, s);
	*ret_set = s;
	return 0;
}

uint64_t fl_sets_reap(struct fl_sets *sets, uint64_t now_ns)
{

	/* those let go since the last call do not know the time yet; they are at the end */
	for (uint32_t s = sets->last; s && !sets->all[s].due_ns; s = sets->all[s].prev)
		sets->all[s].due_ns = now_ns + GRACE_NS;
	while (sets->first && sets->all[sets->first].due_ns <= now_ns)
		if (!dissolve(sets, sets->first))
			break;
	return sets->first ? sets->all[sets->first].due_ns : 0;
}
