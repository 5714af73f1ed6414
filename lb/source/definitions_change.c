/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a file's new text does to its definitions: one walk along the old list and the new one, both
 * sorted, whole or in steps.
 */
#include <errno.h>
#include <stdlib.h>

#include "lb/base/cleanup.h"
#include "lb/source/definitions_table.h"

static int compare_to_key(const void *key, const void *element)
{
	return fl_object_key_cmp(key, element);
}

static bool is_kept(const struct fl_definition *d, const struct fl_definitions_change *change)
{
	const struct fl_object_key key = fl_definition_key(d);

	if (change->keep_all)
		return true;
	return change->n_keep &&
	       bsearch(&key, change->keep, change->n_keep, sizeof(*change->keep), compare_to_key);
}

/* The order of two lists at their heads: < 0 the old one is missing in the new list, > 0 the staged
 * one is new, 0 both are there. */
static int compare_heads(const struct fl_definition *old, const struct fl_staged *staged)
{
	struct fl_object_key before, now;

	if (!staged)
		return -1;
	if (!old)
		return 1;
	before = fl_definition_key(old);
	now = fl_object_key_of(&staged->object);
	return fl_object_key_cmp(&before, &now);
}

struct fl_definitions_loss fl_definitions_loss(const struct fl_definitions *all,
					       const struct fl_definer *definer,
					       const struct fl_definitions_change *change)
{
	struct fl_definitions_loss loss = {0};

	for (size_t i = 0, k = 0; i < definer->n;) {
		const struct fl_definition *d = definer->list[i];
		int order = compare_heads(d, k < change->n_staged ? &change->staged[k] : NULL);

		if (order < 0 && !d->dead && !d->leaving.ns && !is_kept(d, change) &&
		    fl_definition_is_loss(all, d))
			fl_definition_count(&loss, d);
		i += order <= 0;
		k += order >= 0;
	}
	return loss;
}

int fl_definitions_begin(struct fl_definitions *all, struct fl_definer *definer,
			 const struct fl_definitions_change *change,
			 struct fl_definitions_merge *ret_merge)
{
	struct fl_definition **next = calloc(definer->n + change->n_staged + 1, sizeof(*next));

	if (!next)
		return -ENOMEM;
	*ret_merge = (struct fl_definitions_merge){
		.all = all, .definer = definer, .change = *change, .next = next};
	return 0;
}

static void failed(struct fl_definitions_merge *merge, int rc)
{
	merge->rc = merge->rc ? merge->rc : rc;
}

/* The file does not have it any more. */
static void miss(struct fl_definitions_merge *merge, struct fl_definition *d)
{
	const struct fl_definitions_change *change = &merge->change;

	if (d->dead) {
		merge->definer->n_dead--;
		fl_definition_free(merge->all, d);
	} else if (is_kept(d, change) || d->leaving.ns) {
		merge->next[merge->n_next++] = d;
	} else if (change->hold && fl_definition_is_loss(merge->all, d)) {
		d->leaving = change->now;
		merge->next[merge->n_next++] = d;
	} else {
		failed(merge, fl_definition_drop(merge->all, d));
	}
}

static void add(struct fl_definitions_merge *merge, struct fl_staged *staged)
{
	const struct fl_object_key key = fl_object_key_of(&staged->object);
	struct fl_definition *d = fl_definition_new(merge->all, merge->definer, &key);

	if (!d) {
		failed(merge, -ENOMEM);
		return;
	}
	merge->next[merge->n_next++] = d;
	failed(merge, fl_definition_settle(merge->all, d, staged));
}

/* Both have it. A dead one is made anew: it is in no chain. */
static void renew(struct fl_definitions_merge *merge, struct fl_definition *d,
		  struct fl_staged *staged)
{
	if (d->dead) {
		merge->definer->n_dead--;
		fl_definition_free(merge->all, d);
		add(merge, staged);
		return;
	}
	merge->next[merge->n_next++] = d;
	failed(merge, fl_definition_settle(merge->all, d, staged));
}

static void finish(struct fl_definitions_merge *merge)
{
	free(merge->definer->list);
	merge->definer->list = TAKE_PTR(merge->next);
	merge->definer->n = merge->definer->room = merge->n_next;
}

bool fl_definitions_step(struct fl_definitions_merge *merge, size_t limit)
{
	struct fl_definer *definer = merge->definer;
	const struct fl_definitions_change *change = &merge->change;

	while (merge->i < definer->n || merge->k < change->n_staged) {
		struct fl_definition *old = merge->i < definer->n ? definer->list[merge->i] : NULL;
		struct fl_staged *staged =
			merge->k < change->n_staged ? &change->staged[merge->k] : NULL;
		int order = compare_heads(old, staged);

		if (!limit--)
			return false;
		if (order <= 0)
			definer->list[merge->i++] = NULL;
		merge->k += order >= 0;
		if (order < 0)
			miss(merge, old);
		else if (order > 0)
			add(merge, staged);
		else
			renew(merge, old, staged);
	}
	finish(merge);
	return true;
}

void fl_definitions_abort(struct fl_definitions_merge *merge)
{
	for (; merge->i < merge->definer->n; merge->i++)
		merge->next[merge->n_next++] = merge->definer->list[merge->i];
	finish(merge);
}

int fl_definitions_apply(struct fl_definitions *all, struct fl_definer *definer,
			 const struct fl_definitions_change *change)
{
	struct fl_definitions_merge merge;
	int rc = fl_definitions_begin(all, definer, change, &merge);

	if (rc)
		return rc;
	fl_definitions_step(&merge, SIZE_MAX);
	return merge.rc;
}
