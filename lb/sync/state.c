// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What one service port wants of the maps, made from its plan. Making it takes references on all it
 * needs (backend ids, sets, members, ranges, frontends) and changes nothing that a packet can see
 * but new backend records; freeing it gives them back.
 */
#include <arpa/inet.h>
#include <string.h>

#include "lb/model/detect.h"
#include "lb/sync/internal.h"

_Static_assert((int)FL_PLAN_NODE_PORT == (int)FL_FRONTEND_NODE_PORT &&
		       (int)FL_PLAN_CLUSTER_IP == (int)FL_FRONTEND_CLUSTER_IP &&
		       (int)FL_PLAN_FORWARD == (int)FL_VERDICT_FORWARD &&
		       (int)FL_PLAN_REJECT == (int)FL_VERDICT_REJECT,
	       "plan and datapath number types and verdicts alike");

/* One block: the state and its arrays, each as long as it can get. */
static struct fl_state *state_alloc(const struct fl_plan_port *plan)
{
	const size_t n_claims = plan->n_frontends * 2;
	const size_t n_members = plan->affinity ? plan->n_endpoints * FL_LISTS : 0;
	const size_t n_ranges =
		plan->n_source_ranges ? plan->n_source_ranges + plan->n_frontends : 0;
	struct fl_state *state;
	uint32_t *words;

	state = malloc(sizeof(*state) + n_claims * sizeof(*state->claims) +
		       (plan->n_endpoints + n_members + n_ranges) * sizeof(*words));
	if (!state)
		return NULL;
	*state = (struct fl_state){.claims = (struct fl_claim *)(state + 1)};
	words = (uint32_t *)(state->claims + n_claims);
	state->ids = words;
	state->members = state->ids + plan->n_endpoints;
	state->ranges = state->members + n_members;
	return state;
}

static int take_backends(struct fl_sync *sync, struct fl_state *state,
			 const struct fl_plan_port *plan)
{
	for (size_t i = 0; i < plan->n_endpoints; i++) {
		const struct fl_plan_endpoint *endpoint = &plan->endpoints[i];
		uint32_t id;
		int rc = fl_backend_take(sync, &endpoint->ip, endpoint->port, plan->proto,
					 endpoint->flags & FL_PLAN_ON_NODE, &id);

		if (rc)
			return rc;
		if (endpoint->flags & FL_PLAN_IN_CLUSTER)
			id |= FL_STATE_IN_LIST(FL_PLAN_LIST_CLUSTER);
		if (endpoint->flags & FL_PLAN_IN_LOCAL)
			id |= FL_STATE_IN_LIST(FL_PLAN_LIST_LOCAL);
		state->ids[state->n_ids++] = id;
	}
	return 0;
}

static void decide(const struct fl_sync *sync, struct fl_state *state,
		   const struct fl_plan_port *plan, enum fl_plan_frontend_type type)
{
	const struct fl_sync_options *options = &sync->options;

	state->flags[type] =
		fl_masquerade_clients(type, plan->internal_local, plan->external_local,
				      options->detector[plan->family], options->masquerade_all);
	if (plan->affinity)
		state->flags[type] |= FL_AFFINITY;
	if (type == FL_PLAN_LOAD_BALANCER && plan->n_source_ranges) {
		state->flags[type] |= FL_SOURCE_RANGES;
		if (plan->vips_exempt)
			state->flags[type] |= FL_SOURCE_RANGES_VIP;
	}
	for (int side = 0; side < FL_SIDES; side++) {
		state->verdict[type][side] = (uint8_t)fl_side_verdict(plan, type, side);
		state->list[type][side] = (uint8_t)fl_side_list(plan, type, side);
	}
}

static int take_set(struct fl_sync *sync, struct fl_state *state, int list)
{
	uint32_t n = 0;
	int rc = fl_grow(&sync->scratch, &sync->cap_scratch, state->n_ids, sizeof(*sync->scratch));

	if (rc)
		return rc;
	for (uint32_t i = 0; i < state->n_ids; i++)
		if (state->ids[i] & FL_STATE_IN_LIST(list))
			sync->scratch[n++] = state->ids[i] & FL_STATE_ID_MASK;
	return n ? fl_set_take(sync, sync->scratch, n, &state->set[list]) : 0;
}

/* The types there are, their verdicts, and the sets those need. */
static int take_sets(struct fl_sync *sync, struct fl_state *state, const struct fl_plan_port *plan)
{
	bool wanted[FL_LISTS] = {false};
	unsigned types = 0;

	for (size_t i = 0; i < plan->n_frontends; i++)
		types |= 1U << plan->frontends[i].type;
	for (int type = FL_PLAN_CLUSTER_IP; type <= FL_PLAN_NODE_PORT; type++) {
		if (!(types & 1U << type))
			continue;
		decide(sync, state, plan, type);
		for (int side = 0; side < FL_SIDES; side++)
			if (state->verdict[type][side] == FL_VERDICT_FORWARD)
				wanted[state->list[type][side]] = true;
	}
	for (int list = 0; list < FL_LISTS; list++) {
		int rc = wanted[list] ? take_set(sync, state, list) : 0;

		if (rc)
			return rc;
	}
	/* forwarding needs somebody to forward to, whatever the plan says */
	for (int type = FL_PLAN_CLUSTER_IP; type <= FL_PLAN_NODE_PORT; type++)
		for (int side = 0; side < FL_SIDES; side++)
			if (state->verdict[type][side] == FL_VERDICT_FORWARD &&
			    !state->set[state->list[type][side]])
				state->verdict[type][side] = FL_VERDICT_REJECT;
	return 0;
}

/* Affinity is honoured only for members of the list in force (rule 5.5.3). */
static int take_members(struct fl_sync *sync, struct fl_state *state)
{
	for (uint32_t list = 0; list < FL_LISTS; list++) {
		for (uint32_t i = 0; state->set[list] && i < state->n_ids; i++) {
			const struct fl_member_key key = {
				.list_id = state->port->pub.service_id * FL_LISTS + list,
				.backend = state->ids[i] & FL_STATE_ID_MASK,
			};
			int rc;

			if (!(state->ids[i] & FL_STATE_IN_LIST(list)))
				continue;
			rc = fl_mirror_want(&sync->members, &key,
					    &state->members[state->n_members]);
			if (rc)
				return rc;
			state->n_members++;
		}
	}
	return 0;
}

static int take_range(struct fl_sync *sync, struct fl_state *state, const struct fl_ip *ip,
		      uint8_t len)
{
	struct fl_range_key key = {
		.prefix_len = 32U + len,
		.service_id = state->port->pub.service_id,
	};
	uint32_t e;
	int rc;

	memcpy(&key.addr, ip->b, sizeof(key.addr));
	rc = fl_mirror_want(&sync->ranges, &key, &e);
	if (rc)
		return rc;
	for (uint32_t i = 0; i < state->n_ranges; i++) {
		if (state->ranges[i] == e) {
			fl_mirror_unwant(&sync->ranges, e);
			return 0;
		}
	}
	state->ranges[state->n_ranges++] = e;
	return 0;
}

/* Rules 5.6: ranges filter LB VIPs only; 5.6.5 lets the Service's own VIPs in. */
static int take_ranges(struct fl_sync *sync, struct fl_state *state,
		       const struct fl_plan_port *plan)
{
	int rc = 0;

	if (!(state->flags[FL_FRONTEND_LOAD_BALANCER] & FL_SOURCE_RANGES))
		return 0;
	for (size_t i = 0; i < plan->n_source_ranges && !rc; i++)
		rc = take_range(sync, state, &plan->source_ranges[i].ip,
				plan->source_ranges[i].len);
	for (size_t i = 0; i < plan->n_frontends && plan->vips_exempt && !rc; i++)
		if (plan->frontends[i].type == FL_PLAN_LOAD_BALANCER)
			rc = take_range(sync, state, &plan->frontends[i].ip, 128);
	return rc;
}

static int take_front(struct fl_sync *sync, struct fl_state *state,
		      const struct fl_frontend_key *key, uint8_t type)
{
	struct fl_claim *claim = &state->claims[state->n_claims];
	int rc = fl_front_get(sync, key, &claim->frontend);

	if (rc)
		return rc;
	sync->fronts.all[claim->frontend].refs++;
	claim->state = state;
	claim->next = NULL;
	claim->type = type;
	state->n_claims++;
	return 0;
}

static int take_fronts(struct fl_sync *sync, struct fl_state *state,
		       const struct fl_plan_port *plan)
{
	for (size_t i = 0; i < plan->n_frontends; i++) {
		const struct fl_plan_frontend *frontend = &plan->frontends[i];
		struct fl_frontend_key key = fl_front_key(frontend, plan->proto);
		int rc;

		rc = take_front(sync, state, &key, (uint8_t)frontend->type);
		if (rc)
			return rc;
		if (frontend->type != FL_PLAN_CLUSTER_IP || !sync->options.reject_unknown_port)
			continue;
		key.port = 0;
		key.proto = 0;
		rc = take_front(sync, state, &key, FL_FRONTEND_VIP);
		if (rc)
			return rc;
	}
	return 0;
}

int fl_state_new(struct fl_sync *sync, struct fl_port *port, int64_t created,
		 const struct fl_plan_port *plan, struct fl_state **ret_state)
{
	const uint64_t jiffies = (uint64_t)plan->affinity_timeout_s * sync->options.hz;
	struct fl_state *state = state_alloc(plan);
	int rc;

	if (!state)
		return -ENOMEM;
	state->port = port;
	state->created = created;
	/* the datapath compares 32-bit jiffies as signed differences */
	if (plan->affinity)
		state->affinity_timeout = jiffies > INT32_MAX ? INT32_MAX : (uint32_t)jiffies;
	rc = take_backends(sync, state, plan);
	if (!rc)
		rc = take_sets(sync, state, plan);
	if (!rc && plan->affinity)
		rc = take_members(sync, state);
	if (!rc)
		rc = take_ranges(sync, state, plan);
	if (!rc)
		rc = take_fronts(sync, state, plan);
	if (rc)
		fl_state_free(sync, &state);
	else
		*ret_state = state;
	return rc;
}

void fl_state_free(struct fl_sync *sync, struct fl_state **ptr)
{
	struct fl_state *state = *ptr;

	*ptr = NULL;
	if (!state)
		return;
	fl_claims_unlink(sync, state);
	for (uint32_t i = 0; i < state->n_claims; i++) {
		sync->fronts.all[state->claims[i].frontend].refs--;
		fl_front_gc(sync, state->claims[i].frontend);
	}
	for (uint32_t i = 0; i < state->n_ranges; i++)
		fl_mirror_unwant(&sync->ranges, state->ranges[i]);
	for (uint32_t i = 0; i < state->n_members; i++)
		fl_mirror_unwant(&sync->members, state->members[i]);
	for (uint32_t list = 0; list < FL_LISTS; list++)
		fl_set_drop(sync, state->set[list]);
	for (uint32_t i = 0; i < state->n_ids; i++)
		fl_backend_drop(sync, state->ids[i] & FL_STATE_ID_MASK);
	free(state);
}

static bool words_equal(const uint32_t *a, uint32_t na, const uint32_t *b, uint32_t nb)
{
	return na == nb && (!na || !memcmp(a, b, na * sizeof(*a)));
}

bool fl_state_equal(const struct fl_state *a, const struct fl_state *b)
{
	if (a->created != b->created || a->affinity_timeout != b->affinity_timeout ||
	    memcmp(a->flags, b->flags, sizeof(a->flags)) ||
	    memcmp(a->verdict, b->verdict, sizeof(a->verdict)) ||
	    memcmp(a->list, b->list, sizeof(a->list)) || memcmp(a->set, b->set, sizeof(a->set)) ||
	    a->n_claims != b->n_claims || !words_equal(a->ids, a->n_ids, b->ids, b->n_ids) ||
	    !words_equal(a->members, a->n_members, b->members, b->n_members) ||
	    !words_equal(a->ranges, a->n_ranges, b->ranges, b->n_ranges))
		return false;
	for (uint32_t i = 0; i < a->n_claims; i++)
		if (a->claims[i].frontend != b->claims[i].frontend ||
		    a->claims[i].type != b->claims[i].type)
			return false;
	return true;
}
