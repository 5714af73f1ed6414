// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* From a plan to the state that a service port wants: made, compared, linked, freed. */
#include <arpa/inet.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/maglev/shares.h"
#include "lb/model/detect.h"
#include "lb/sync/services.h"
#include "lb/sync/state.h"

/* One block: the state and its arrays, each as long as it can get. */
static struct fl_state *state_alloc(const struct fl_plan_port *plan)
{
	const size_t n_holders = plan->n_frontends * 2;
	const size_t n_members = plan->affinity ? plan->n_endpoints * FL_LISTS : 0;
	const size_t n_ranges =
		plan->n_source_ranges ? plan->n_source_ranges + plan->n_frontends : 0;
	struct fl_state *state;
	uint32_t *words;

	state = malloc(sizeof(*state) + n_holders * sizeof(*state->holders) +
		       (plan->n_endpoints + n_members + n_ranges) * sizeof(*words) +
		       plan->n_endpoints * sizeof(*state->weights));
	if (!state)
		return NULL;
	*state = (struct fl_state){.n_ids = 0};
	words = (uint32_t *)(state->holders + n_holders);
	state->ids = words;
	state->members = state->ids + plan->n_endpoints;
	state->ranges = state->members + n_members;
	state->weights = (uint16_t *)(state->ranges + n_ranges);
	return state;
}

static int take_backends(struct fl_contents *contents, struct fl_state *state,
			 const struct fl_plan_port *plan)
{
	for (size_t i = 0; i < plan->n_endpoints; i++) {
		const struct fl_plan_endpoint *endpoint = &plan->endpoints[i];
		const struct fl_backend_use use = {
			.local = endpoint->flags & FL_PLAN_ON_NODE,
			.drained = endpoint->flags & FL_PLAN_DRAINED,
			.node = &endpoint->node,
		};
		uint32_t id;
		int rc = fl_backend_take(&contents->backends, &endpoint->ip, endpoint->port,
					 plan->proto, use, &id);

		if (rc)
			return rc;
		if (endpoint->flags & FL_PLAN_IN_CLUSTER)
			id |= FL_STATE_IN_LIST(FL_PLAN_LIST_CLUSTER);
		if (endpoint->flags & FL_PLAN_IN_LOCAL)
			id |= FL_STATE_IN_LIST(FL_PLAN_LIST_LOCAL);
		if (use.drained)
			id |= FL_STATE_DRAINED;
		state->weights[state->n_ids] = endpoint->weight;
		state->ids[state->n_ids++] = id;
	}
	return 0;
}

static void decide(const struct fl_contents *contents, struct fl_state *state,
		   const struct fl_plan_port *plan, enum fl_plan_frontend_type type)
{
	const struct fl_sync_options *options = &contents->options;

	state->flags[type] =
		fl_masquerade_clients(type, plan->internal_local, plan->external_local,
				      options->detector[plan->family], options->masquerade_all);
	if (plan->affinity)
		state->flags[type] |= FL_AFFINITY;
	if (plan->dsr)
		state->flags[type] |= FL_TUNNEL;
	if (type == FL_PLAN_LOAD_BALANCER && plan->n_source_ranges)
		state->flags[type] |= FL_SOURCE_RANGES;
	for (int side = 0; side < FL_SIDES; side++) {
		state->verdict[type][side] = (uint8_t)fl_side_verdict(plan, type, side);
		state->list[type][side] = (uint8_t)fl_side_list(plan, type, side);
	}
}

/* Whether the list would have this backend, if its weight were not 0. */
static bool is_drained_from(const struct fl_contents *contents, uint32_t word, int list)
{
	const uint32_t id = word & FL_STATE_ID_MASK;

	return word & FL_STATE_DRAINED && (list == FL_PLAN_LIST_CLUSTER ||
					   contents->backends.all[id].flags & FL_BACKEND_LOCAL);
}

/* The weights of a list, by backend of the state; 0 for those that are not in it. */
static int list_weights(struct fl_contents *contents, const struct fl_state *state, int list,
			struct fl_shares *shares, struct fl_state_list *ret_list)
{
	int rc = FL_ARRAY_ROOM(shares->weights, shares->cap_weights, state->n_ids + 1ULL);

	if (!rc)
		rc = FL_ARRAY_ROOM(shares->shares, shares->cap_shares, state->n_ids + 1ULL);
	*ret_list = (struct fl_state_list){0};
	for (uint32_t i = 0; i < state->n_ids && !rc; i++) {
		const bool in = state->ids[i] & FL_STATE_IN_LIST(list);

		shares->weights[i] = in ? state->weights[i] : 0;
		ret_list->n_backends += in || is_drained_from(contents, state->ids[i], list);
	}
	return rc;
}

int fl_state_list(struct fl_contents *contents, const struct fl_state *state, int list,
		  struct fl_state_list *ret_list)
{
	struct fl_sets *sets = &contents->sets;
	struct fl_shares *shares = &sets->shares;
	struct fl_state_list found;
	uint32_t n = 0;
	int rc = list_weights(contents, state, list, shares, &found);

	if (!rc)
		found.n = fl_maglev_shares(shares->weights, state->n_ids, fl_sets_most(sets),
					   shares->shares);
	if (!rc)
		rc = FL_ARRAY_ROOM(sets->scratch, sets->cap_scratch, found.n + 1ULL);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < state->n_ids; i++)
		for (uint32_t k = 0; k < shares->shares[i]; k++)
			sets->scratch[n++] = state->ids[i] & FL_STATE_ID_MASK;
	*ret_list = found;
	return 0;
}

static int take_set(struct fl_contents *contents, struct fl_state *state, int list)
{
	struct fl_state_list found;
	int rc = fl_state_list(contents, state, list, &found);

	if (rc || !found.n)
		return rc;
	return fl_set_take(&contents->sets, contents->sets.scratch, found.n, found.n_backends,
			   &state->set[list]);
}

/* The types there are, their verdicts, and the sets those need. */
static int take_sets(struct fl_contents *contents, struct fl_state *state,
		     const struct fl_plan_port *plan)
{
	bool wanted[FL_LISTS] = {false};
	unsigned types = 0;

	for (size_t i = 0; i < plan->n_frontends; i++)
		types |= 1U << plan->frontends[i].type;
	for (int type = FL_PLAN_CLUSTER_IP; type <= FL_PLAN_NODE_PORT; type++) {
		if (!(types & 1U << type))
			continue;
		decide(contents, state, plan, type);
		for (int side = 0; side < FL_SIDES; side++)
			if (state->verdict[type][side] == FL_VERDICT_FORWARD)
				wanted[state->list[type][side]] = true;
	}
	for (int list = 0; list < FL_LISTS; list++) {
		int rc = wanted[list] ? take_set(contents, state, list) : 0;

		if (rc)
			return rc;
	}
	/* forwarding needs a backend to forward to, whatever the plan says */
	for (int type = FL_PLAN_CLUSTER_IP; type <= FL_PLAN_NODE_PORT; type++)
		for (int side = 0; side < FL_SIDES; side++)
			if (state->verdict[type][side] == FL_VERDICT_FORWARD &&
			    !state->set[state->list[type][side]])
				state->verdict[type][side] = FL_VERDICT_REJECT;
	return 0;
}

/* Affinity is honoured only for members of the list in force (rule 5.5.3). */
static int take_members(struct fl_contents *contents, struct fl_state *state)
{
	for (uint32_t list = 0; list < FL_LISTS; list++) {
		for (uint32_t i = 0; state->set[list] && i < state->n_ids; i++) {
			const struct fl_member_key key = {
				.list_id = state->port->info.service_id * FL_LISTS + list,
				.backend = state->ids[i] & FL_STATE_ID_MASK,
			};
			int rc;

			if (!(state->ids[i] & FL_STATE_IN_LIST(list)))
				continue;
			rc = fl_table_ref(&contents->members, &key,
					  &state->members[state->n_members]);
			if (rc)
				return rc;
			state->n_members++;
		}
	}
	return 0;
}

static int take_range(struct fl_contents *contents, struct fl_state *state, const struct fl_ip *ip,
		      uint8_t len)
{
	struct fl_range_key key = {
		.prefix_len = 32U + len,
		.service_id = state->port->info.service_id,
	};
	uint32_t e;
	int rc;

	memcpy(&key.addr, ip->b, sizeof(key.addr));
	rc = fl_table_ref(&contents->ranges, &key, &e);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < state->n_ranges; i++) {
		if (state->ranges[i] == e) {
			fl_table_unref(&contents->ranges, e);
			return 0;
		}
	}
	state->ranges[state->n_ranges++] = e;
	return 0;
}

/* Rules 5.6: ranges filter LB VIPs only; 5.6.5 lets the Service's own VIPs in. */
static int take_ranges(struct fl_contents *contents, struct fl_state *state,
		       const struct fl_plan_port *plan)
{
	int rc = 0;

	if (!(state->flags[FL_FRONTEND_LOAD_BALANCER] & FL_SOURCE_RANGES))
		return 0;
	for (size_t i = 0; i < plan->n_source_ranges && !rc; i++)
		rc = take_range(contents, state, &plan->source_ranges[i].ip,
				plan->source_ranges[i].len);
	for (size_t i = 0; i < plan->n_frontends && plan->vips_exempt && !rc; i++)
		if (plan->frontends[i].type == FL_PLAN_LOAD_BALANCER)
			rc = take_range(contents, state, &plan->frontends[i].ip, 128);
	return rc;
}

static int take_frontend(struct fl_contents *contents, struct fl_state *state,
			 const struct fl_frontend_key *key, uint8_t type)
{
	uint32_t f;
	int rc = fl_table_ref(&contents->frontends.table, key, &f);

	if (!rc)
		fl_holder_add(state, f, type);
	return rc;
}

static int take_frontends(struct fl_contents *contents, struct fl_state *state,
			  const struct fl_plan_port *plan)
{
	for (size_t i = 0; i < plan->n_frontends; i++) {
		const struct fl_plan_frontend *frontend = &plan->frontends[i];
		struct fl_frontend_key key = fl_frontend_key_of(frontend, plan->proto);
		int rc = take_frontend(contents, state, &key, (uint8_t)frontend->type);
		uint8_t type;

		if (rc)
			return rc;
		if (frontend->type == FL_PLAN_NODE_PORT)
			continue;
		type = frontend->type == FL_PLAN_CLUSTER_IP && contents->options.reject_unknown_port
			       ? FL_FRONTEND_VIP
			       : FL_FRONTEND_ADDRESS;
		key = fl_address_key(&key.addr, type);
		rc = take_frontend(contents, state, &key, type);
		if (rc)
			return rc;
	}
	return 0;
}

static int take_all(struct fl_contents *contents, struct fl_state *state,
		    const struct fl_plan_port *plan, enum fl_sync_map *ret_map)
{
	int rc = take_backends(contents, state, plan);

	*ret_map = rc == -ENOSPC ? FL_SYNC_BACKENDS : FL_SYNC_MAPS;
	if (rc)
		return rc;
	rc = take_sets(contents, state, plan);
	*ret_map = rc == -ENOSPC ? FL_SYNC_LINES : FL_SYNC_MAPS;
	if (!rc && plan->affinity)
		rc = take_members(contents, state);
	if (!rc)
		rc = take_ranges(contents, state, plan);
	if (!rc)
		rc = take_frontends(contents, state, plan);
	return rc;
}

int fl_state_new(struct fl_contents *contents, struct fl_sync_service_port *port, int64_t created,
		 const struct fl_plan_port *plan, struct fl_state **ret_state,
		 enum fl_sync_map *ret_map)
{
	const uint64_t jiffies = (uint64_t)plan->affinity_timeout_s * contents->options.hz;
	struct fl_state *state = state_alloc(plan);
	int rc;

	*ret_map = FL_SYNC_MAPS;
	if (!state)
		return -ENOMEM;
	state->port = port;
	state->created = created;
	state->resets = plan->resets;
	/* the datapath compares 32-bit jiffies as signed differences */
	if (plan->affinity)
		state->affinity_timeout = jiffies > INT32_MAX ? INT32_MAX : (uint32_t)jiffies;
	rc = take_all(contents, state, plan, ret_map);
	/* by the next try there may be room */
	if (rc == -ENOSPC)
		fl_formers_give_up(&contents->formers);
	if (rc)
		fl_state_free(contents, &state);
	else
		*ret_state = state;
	return rc;
}

void fl_state_free(struct fl_contents *contents, struct fl_state **ptr)
{
	struct fl_state *state = *ptr;

	*ptr = NULL;
	if (!state)
		return;
	fl_state_unlink(contents, state);
	for (uint32_t i = 0; i < state->n_holders; i++) {
		for (int side = 0; side < FL_SIDES && state->found; side++)
			fl_set_drop(&contents->sets, state->found[i].set[side]);
		fl_table_unref(&contents->frontends.table, state->holders[i].frontend);
	}
	for (uint32_t i = 0; i < state->n_ranges; i++)
		fl_table_unref(&contents->ranges, state->ranges[i]);
	for (uint32_t i = 0; i < state->n_members; i++)
		fl_table_unref(&contents->members, state->members[i]);
	for (uint32_t list = 0; list < FL_LISTS; list++)
		fl_set_drop(&contents->sets, state->set[list]);
	for (uint32_t i = 0; i < state->n_ids; i++)
		fl_backend_drop(&contents->backends, state->ids[i] & FL_STATE_ID_MASK,
				state->ids[i] & FL_STATE_DRAINED);
	if (state->found && !--contents->n_found && contents->settled)
		fl_backends_settle(&contents->backends, false);
	fl_state_forget(state);
}

void fl_state_link(struct fl_contents *contents, struct fl_state *state)
{
	fl_counted_link(&contents->members, state->members, state->n_members);
	fl_counted_link(&contents->ranges, state->ranges, state->n_ranges);
	fl_holders_link(&contents->frontends, state);
	state->linked = true;
}

void fl_state_unlink(struct fl_contents *contents, struct fl_state *state)
{
	if (!state->linked)
		return;
	fl_holders_unlink(&contents->frontends, state);
	fl_counted_unlink(&contents->ranges, state->ranges, state->n_ranges);
	fl_counted_unlink(&contents->members, state->members, state->n_members);
	state->linked = false;
}

static int compare_ids(const void *va, const void *vb)
{
	const uint32_t *a = va, *b = vb;

	return (*a > *b) - (*a < *b);
}

/* Most states are never asked. */
static bool sort_ids(struct fl_state *state)
{
	if (state->sorted)
		return true;
	state->sorted = malloc(state->n_ids * sizeof(*state->sorted));
	if (!state->sorted)
		return false;
	for (uint32_t i = 0; i < state->n_ids; i++)
		state->sorted[i] = state->ids[i] & FL_STATE_ID_MASK;
	qsort(state->sorted, state->n_ids, sizeof(*state->sorted), compare_ids);
	return true;
}

bool fl_state_names(struct fl_state *state, uint32_t backend)
{
	if (!state->n_ids)
		return false;
	if (sort_ids(state))
		return bsearch(&backend, state->sorted, state->n_ids, sizeof(*state->sorted),
			       compare_ids);
	for (uint32_t i = 0; i < state->n_ids; i++)
		if ((state->ids[i] & FL_STATE_ID_MASK) == backend)
			return true;
	return false;
}

bool fl_state_same_frontends(const struct fl_state *a, const struct fl_state *b)
{
	if (a->n_holders != b->n_holders)
		return false;
	for (uint32_t i = 0; i < a->n_holders; i++)
		if (a->holders[i].frontend != b->holders[i].frontend ||
		    a->holders[i].type != b->holders[i].type)
			return false;
	return true;
}

static bool words_equal(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb)
{
	return na == nb && (!na || !memcmp(a, b, na * sizeof(*a)));
}

bool fl_state_is_tunnelled(const struct fl_state *state)
{
	for (int type = 0; type < FL_FRONTEND_TYPES; type++)
		if (state->flags[type] & FL_TUNNEL)
			return true;
	return false;
}

bool fl_state_equal(const struct fl_state *a, const struct fl_state *b)
{
	if (a->found || b->found || a->created != b->created || a->resets != b->resets ||
	    a->affinity_timeout != b->affinity_timeout ||
	    memcmp(a->flags, b->flags, sizeof(a->flags)) ||
	    memcmp(a->verdict, b->verdict, sizeof(a->verdict)) ||
	    memcmp(a->list, b->list, sizeof(a->list)) || memcmp(a->set, b->set, sizeof(a->set)) ||
	    !words_equal(a->ids, a->n_ids, b->ids, b->n_ids) ||
	    !words_equal(a->members, a->n_members, b->members, b->n_members) ||
	    !words_equal(a->ranges, a->n_ranges, b->ranges, b->n_ranges))
		return false;
	return fl_state_same_frontends(a, b);
}
