/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A hash table with chains over an array of places, each with a generation. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/service_series.h"
#include "lb/base/cleanup.h"
#include "lb/settings/settings.h"

/* What stands for a series: place and the place's generation. Place 0 is the rest, for ever. */
#define PLACE_BITS 20
#define PLACE(which) ((which) & ((1U << PLACE_BITS) - 1))
#define GENERATION(which) ((which) >> PLACE_BITS)
#define GENERATIONS (1U << (32 - PLACE_BITS))

static_assert(FL_METRICS_SERVICES_MAX < 1U << PLACE_BITS, "each has a place");

struct series_place {
	char *ns, *name; /* owned; NULL: free */
	uint32_t next;	 /* in its chain, or of those that are free; 0: none */
	uint32_t generation;
};

struct fl_service_series {
	struct series_place *places;	/* max + 1 */
	struct fl_metrics_service *all; /* the counters of each place, then as they are shown */
	struct fl_metrics_service *shown;
	uint32_t *chains, n_chains; /* a power of two */
	uint32_t max, free;	    /* free: the first of its chain */
	bool is_short;
};

static uint32_t *chain_of(const struct fl_service_series *series, const char *ns, const char *name)
{
	const uint64_t hash = XXH3_64bits_withSeed(name, strlen(name), XXH3_64bits(ns, strlen(ns)));

	return &series->chains[hash & (series->n_chains - 1)];
}

static void make_free(struct fl_service_series *series, uint32_t place)
{
	struct series_place *p = &series->places[place];

	free(p->ns);
	free(p->name);
	*p = (struct series_place){.next = series->free, .generation = p->generation};
	series->all[place] = (struct fl_metrics_service){0};
	series->free = place;
}

struct fl_service_series *fl_service_series_new(uint32_t max)
{
	_cleanup_(fl_service_series_free) struct fl_service_series *series =
		calloc(1, sizeof(*series));

	if (!series)
		return NULL;
	series->max = max;
	series->n_chains = 16;
	while (series->n_chains < series->max)
		series->n_chains *= 2;
	series->places = calloc(series->max + 1, sizeof(*series->places));
	series->all = calloc(series->max + 1, sizeof(*series->all));
	series->shown = calloc(series->max + 1, sizeof(*series->shown));
	series->chains = calloc(series->n_chains, sizeof(*series->chains));
	if (!series->places || !series->all || !series->shown || !series->chains)
		return NULL;
	for (uint32_t place = series->max; place; place--)
		make_free(series, place);
	return TAKE_PTR(series);
}

void fl_service_series_free(struct fl_service_series **series)
{
	struct fl_service_series *s = *series;

	if (!s)
		return;
	for (uint32_t place = 1; s->places && place <= s->max; place++) {
		free(s->places[place].ns);
		free(s->places[place].name);
	}
	free(s->places);
	free(s->all);
	free(s->shown);
	free(s->chains);
	free(s);
	*series = NULL;
}

uint32_t fl_service_series_get(struct fl_service_series *series, const char *ns, const char *name)
{
	uint32_t *chain = chain_of(series, ns, name), place;
	struct series_place *p;

	for (place = *chain; place; place = series->places[place].next) {
		p = &series->places[place];
		if (!strcmp(p->name, name) && !strcmp(p->ns, ns))
			return place | p->generation << PLACE_BITS;
	}
	place = series->free;
	if (!place) {
		series->is_short = true;
		return 0;
	}
	p = &series->places[place];
	p->ns = strdup(ns);
	p->name = strdup(name);
	series->free = p->next;
	if (!p->ns || !p->name) {
		make_free(series, place);
		return 0;
	}
	p->next = *chain;
	*chain = place;
	return place | p->generation << PLACE_BITS;
}

struct fl_metrics_service *fl_service_series_at(struct fl_service_series *series, uint32_t which)
{
	const uint32_t place = PLACE(which);

	if (!place || place > series->max || !series->places[place].name ||
	    series->places[place].generation != GENERATION(which))
		return &series->all[0];
	return &series->all[place];
}

void fl_service_series_forget(struct fl_service_series *series,
			      bool (*exists)(const char *ns, const char *name, void *arg),
			      void *arg)
{
	for (uint32_t i = 0; i < series->n_chains; i++) {
		uint32_t *link = &series->chains[i];

		while (*link) {
			const uint32_t place = *link;
			struct series_place *p = &series->places[place];

			if (exists(p->ns, p->name, arg)) {
				link = &p->next;
				continue;
			}
			*link = p->next;
			p->generation = (p->generation + 1) % GENERATIONS;
			make_free(series, place);
		}
	}
	series->is_short = false;
}

bool fl_service_series_is_short(const struct fl_service_series *series)
{
	return series->is_short;
}

const struct fl_metrics_service *fl_service_series_all(struct fl_service_series *series,
						       size_t *ret_n)
{
	size_t n = 0;

	for (uint32_t place = 0; place <= series->max; place++) {
		const struct series_place *p = &series->places[place];

		if (place && !p->name)
			continue;
		series->shown[n] = series->all[place];
		series->shown[n].ns = place ? p->ns : FL_METRICS_OTHER;
		series->shown[n++].name = place ? p->name : FL_METRICS_OTHER;
	}
	*ret_n = n;
	return series->shown;
}
