// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The last tables of service ports with DSR: remembered, and given up. */
#include <string.h>

#include "lb/sync/formers.h"

int fl_formers_init(struct fl_formers *formers, const struct fl_maps *maps, struct fl_sets *sets)
{
	*formers = (struct fl_formers){.records = maps->formers, .sets = sets};
	if (!maps->formers || maps->n_formers < FL_FORMER_LISTS)
		return 0;
	formers->n = FL_FORMER_LISTS;
	memset(formers->records, 0, formers->n * sizeof(*formers->records));
	formers->held = calloc(formers->n, sizeof(*formers->held));
	return formers->held ? 0 : -ENOMEM;
}

void fl_formers_fini(struct fl_formers *formers)
{
	free(formers->held);
	formers->held = NULL;
}

static uint64_t side_of(const struct fl_sets *sets, uint32_t s)
{
	const struct fl_set *set = &sets->all[s];
	const struct fl_list list = {
		.slab = set->slab, .lut_len = set->lut_len, .count = set->count};

	return s ? fl_pack_side(&list, FL_VERDICT_FORWARD) : 0;
}

/* The element has these sets now, for each of which there is a reference. */
static void replace(struct fl_formers *formers, uint32_t at, uint32_t service_id,
		    const uint32_t sets[static FL_FORMERS])
{
	struct fl_former *record = &formers->records[at];
	uint32_t *held = formers->held[at], before[FL_FORMERS];

	memcpy(before, held, sizeof(before));
	memcpy(held, sets, sizeof(before));
	for (int i = 0; i < FL_FORMERS && record->service_id != service_id; i++)
		__atomic_store_n(&record->side[i], 0, __ATOMIC_RELEASE);
	__atomic_store_n(&record->service_id, service_id, __ATOMIC_RELEASE);
	for (int i = 0; i < FL_FORMERS; i++)
		__atomic_store_n(&record->side[i], side_of(formers->sets, held[i]),
				 __ATOMIC_RELEASE);
	/* nothing leads there any more, and a set that is let go stays for a moment */
	for (int i = 0; i < FL_FORMERS; i++)
		fl_set_drop(formers->sets, before[i]);
}

static void clear(struct fl_formers *formers, uint32_t at)
{
	const uint32_t none[FL_FORMERS] = {0};

	if (formers->records[at].service_id)
		replace(formers, at, 0, none);
}

void fl_former_add(struct fl_formers *formers, uint32_t service_id, uint32_t was, uint32_t is)
{
	const uint32_t at = service_id % FL_FORMER_LISTS;
	uint32_t sets[FL_FORMERS] = {was}, n = was != 0;
	const uint32_t *held;

	if (!formers->n || was == is)
		return;
	held = formers->records[at].service_id == service_id ? formers->held[at] : NULL;
	/* one that is in force again is no former one */
	for (int i = 0; held && i < FL_FORMERS && n < FL_FORMERS; i++)
		if (held[i] && held[i] != was && held[i] != is)
			sets[n++] = held[i];
	for (uint32_t i = 0; i < n; i++)
		fl_set_ref(formers->sets, sets[i]);
	replace(formers, at, service_id, sets);
}

void fl_former_forget(struct fl_formers *formers, uint32_t service_id)
{
	const uint32_t at = service_id % FL_FORMER_LISTS;

	if (formers->n && formers->records[at].service_id == service_id)
		clear(formers, at);
}

void fl_formers_give_up(struct fl_formers *formers)
{
	for (uint32_t at = 0; at < formers->n; at++)
		clear(formers, at);
}
