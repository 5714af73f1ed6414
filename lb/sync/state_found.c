// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* States that are found in the maps at start, and the service ports that take them over. */
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/sync/state_found.h"

static const struct fl_frontend_record *record_of(const struct fl_contents *contents, uint32_t f)
{
	return &fl_frontend_at(&contents->frontends, f)->record;
}

/* The sets that frontends name, each once: one or two as a rule, however many frontends there are.
 * Returns how many backends they have together. */
static uint32_t find_sets(const struct fl_contents *contents, const uint32_t *frontends, uint32_t n,
			  uint32_t *sets, uint32_t *ret_n_sets)
{
	uint32_t n_ids = 0, n_sets = 0, known;

	for (uint32_t i = 0; i < n * FL_SIDES; i++) {
		const uint32_t s = record_of(contents, frontends[i / FL_SIDES])->set[i % FL_SIDES];

		for (known = 0; known < n_sets && sets[known] != s; known++)
			;
		if (!s || known < n_sets)
			continue;
		sets[n_sets++] = s;
		n_ids += contents->sets.all[s].count;
	}
	*ret_n_sets = n_sets;
	return n_ids;
}

/* One block, as fl_state_new() makes it: holders twice, for the entries of addresses. */
static struct fl_state *found_alloc(const struct fl_found *found, uint32_t n_ids)
{
	const size_t n_holders = 2 * (size_t)found->n[FL_SYNC_FRONTENDS];
	const size_t n_words = (size_t)n_ids + found->n[FL_SYNC_MEMBERS] + found->n[FL_SYNC_RANGES];
	struct fl_state *state =
		malloc(sizeof(*state) + n_holders * sizeof(*state->holders) +
		       n_holders * sizeof(*state->found) + n_words * sizeof(*state->ids));

	if (!state)
		return NULL;
	*state = (struct fl_state){.n_ids = 0};
	state->found = (struct fl_frontend_record *)(state->holders + n_holders);
	state->ids = (uint32_t *)(state->found + n_holders);
	state->members = state->ids + n_ids;
	state->ranges = state->members + found->n[FL_SYNC_MEMBERS];
	return state;
}

static void find_backends(struct fl_contents *contents, struct fl_state *state,
			  const uint32_t *sets, uint32_t n_sets, uint32_t *stamps, uint32_t stamp)
{
	for (uint32_t k = 0; k < n_sets; k++) {
		const uint32_t *ids = fl_set_ids(&contents->sets, sets[k]);

		for (uint32_t i = 0; i < contents->sets.all[sets[k]].count; i++) {
			if (stamps[ids[i]] == stamp)
				continue;
			stamps[ids[i]] = stamp;
			fl_backend_keep(&contents->backends, ids[i]);
			state->ids[state->n_ids++] = ids[i];
		}
	}
}

static void hold_frontend(struct fl_contents *contents, struct fl_state *state, uint32_t f,
			  uint8_t type)
{
	const struct fl_frontend_record *record = record_of(contents, f);

	for (int side = 0; side < FL_SIDES; side++)
		fl_set_ref(&contents->sets, record->set[side]);
	state->found[state->n_holders] = *record;
	fl_table_hold(&contents->frontends.table, f);
	fl_holder_add(state, f, type);
}

/* Also the entries of addresses (rules 2.22 and 2.24), which name no service id. */
static void find_frontends(struct fl_contents *contents, struct fl_state *state,
			   const uint32_t *frontends, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct fl_frontend_element *frontend =
			fl_frontend_at(&contents->frontends, frontends[i]);
		const uint8_t type = frontend->record.value.type;

		hold_frontend(contents, state, frontends[i], type);
		if (type == FL_FRONTEND_NODE_PORT)
			continue;
		for (uint8_t kind = FL_FRONTEND_VIP; kind <= FL_FRONTEND_ADDRESS; kind++) {
			const struct fl_frontend_key address =
				fl_address_key(&frontend->key.addr, kind);
			const uint32_t f = fl_table_find(&contents->frontends.table, &address);

			if (f != FL_INDEX_NONE && record_of(contents, f)->value.type == kind)
				hold_frontend(contents, state, f, kind);
		}
	}
}

static uint32_t find_elements(struct fl_table *table, const uint32_t *elements, uint32_t n,
			      uint32_t *to)
{
	for (uint32_t i = 0; i < n; i++) {
		fl_table_hold(table, elements[i]);
		to[i] = elements[i];
	}
	return n;
}

int fl_state_find(struct fl_contents *contents, const struct fl_found *found, uint32_t *stamps,
		  uint32_t stamp, struct fl_state **ret_state)
{
	const uint32_t *frontends = found->elements[FL_SYNC_FRONTENDS];
	const uint32_t n = found->n[FL_SYNC_FRONTENDS];
	_cleanup_free_ uint32_t *sets = calloc(n * (size_t)FL_SIDES + 1, sizeof(*sets));
	struct fl_state *state;
	uint32_t n_ids, n_sets = 0;

	if (!sets)
		return -ENOMEM;
	n_ids = find_sets(contents, frontends, n, sets, &n_sets);
	state = found_alloc(found, n_ids);
	if (!state)
		return -ENOMEM;
	find_backends(contents, state, sets, n_sets, stamps, stamp);
	find_frontends(contents, state, frontends, n);
	state->n_members = find_elements(&contents->members, found->elements[FL_SYNC_MEMBERS],
					 found->n[FL_SYNC_MEMBERS], state->members);
	state->n_ranges = find_elements(&contents->ranges, found->elements[FL_SYNC_RANGES],
					found->n[FL_SYNC_RANGES], state->ranges);
	contents->n_found++;
	fl_state_link(contents, state);
	*ret_state = state;
	return 0;
}

/* Whether no other state wants any of its frontends; the entries of addresses have no order. */
static bool is_alone(const struct fl_contents *contents, const struct fl_state *state)
{
	for (uint32_t i = 0; i < state->n_holders; i++) {
		const struct fl_holder *holder = &state->holders[i];

		if (!fl_frontend_is_address(holder->type) &&
		    (holder->next ||
		     fl_frontend_at(&contents->frontends, holder->frontend)->holders != holder))
			return false;
	}
	return true;
}

void fl_state_take_over(struct fl_contents *contents, struct fl_state *state,
			struct fl_sync_service_port *port, int64_t created)
{
	const bool alone = is_alone(contents, state);

	/* its place among those that want the same frontends is known now */
	if (!alone)
		fl_state_unlink(contents, state);
	state->port = port;
	state->created = created;
	if (!alone)
		fl_state_link(contents, state);
}
