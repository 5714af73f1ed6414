// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What fl_frontends holds, and who claims each key. Two Services may claim one frontend: the oldest
 * wins, then namespace and name decide, and the loser stays in the list to take over (rule 2.21).
 * An address entry (rule 2.22) says the same whoever asks for it, so its claims are only a count.
 */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include <arpa/inet.h>
#include <string.h>

#include "lb/sync/internal.h"

static uint32_t key_hash(const struct fl_frontend_key *key)
{
	return (uint32_t)XXH3_64bits(key, sizeof(*key));
}

struct fl_frontend_key fl_front_key(const struct fl_plan_frontend *frontend, uint8_t proto)
{
	struct fl_frontend_key key = {.port = htons(frontend->port), .proto = proto};

	memcpy(&key.addr, frontend->ip.b, sizeof(key.addr));
	return key;
}

void fl_fronts_fini(struct fl_sync *sync)
{
	free(sync->fronts.all);
	free(sync->fronts.dirty);
	fl_index_fini(&sync->fronts.index);
}

uint32_t fl_front_find(const struct fl_sync *sync, const struct fl_frontend_key *key)
{
	const struct fl_fronts *fronts = &sync->fronts;

	for (uint32_t step = 0, f;
	     (f = fl_index_next(&fronts->index, key_hash(key), &step)) != FL_INDEX_NONE;)
		if (!memcmp(&fronts->all[f].key, key, sizeof(*key)))
			return f;
	return FL_INDEX_NONE;
}

int fl_front_get(struct fl_sync *sync, const struct fl_frontend_key *key, uint32_t *ret_front)
{
	struct fl_fronts *fronts = &sync->fronts;
	uint32_t f = fl_front_find(sync, key);
	int rc;

	if (f != FL_INDEX_NONE) {
		*ret_front = f;
		return 0;
	}
	rc = fl_index_reserve(&fronts->index, 1);
	/* whatever happens later, each element can be marked dirty without memory */
	if (!rc)
		rc = fl_grow(&fronts->dirty, &fronts->cap_dirty, fronts->n + 1ULL,
			     sizeof(*fronts->dirty));
	if (!rc && !fronts->spare)
		rc = fl_grow(&fronts->all, &fronts->cap, fronts->n + 1ULL, sizeof(*fronts->all));
	if (rc)
		return rc;
	if (fronts->spare) {
		f = fronts->spare - 1;
		fronts->spare = fronts->all[f].set[0];
	} else {
		f = fronts->n++;
	}
	fronts->all[f] = (struct fl_front){.key = *key, .used = true};
	fl_index_add(&fronts->index, key_hash(key), f);
	*ret_front = f;
	return 0;
}

void fl_front_gc(struct fl_sync *sync, uint32_t f)
{
	struct fl_fronts *fronts = &sync->fronts;
	struct fl_front *front = &fronts->all[f];

	if (!front->used || front->present || front->dirty || front->refs)
		return;
	fl_index_del(&fronts->index, key_hash(&front->key), f);
	*front = (struct fl_front){.set = {fronts->spare}};
	fronts->spare = f + 1;
}

void fl_front_dirty(struct fl_sync *sync, uint32_t f)
{
	struct fl_fronts *fronts = &sync->fronts;

	if (fronts->all[f].dirty)
		return;
	fronts->all[f].dirty = true;
	fronts->dirty[fronts->n_dirty++] = f;
}

static void name_sets(struct fl_sync *sync, struct fl_front *front, const uint32_t set[FL_SIDES])
{
	uint32_t old[FL_SIDES];

	memcpy(old, front->set, sizeof(old));
	for (int side = 0; side < FL_SIDES; side++)
		fl_set_ref(sync, set[side]);
	memcpy(front->set, set, sizeof(old));
	for (int side = 0; side < FL_SIDES; side++)
		fl_set_drop(sync, old[side]);
}

void fl_front_written(struct fl_sync *sync, uint32_t f, const struct fl_frontend *value,
		      const uint32_t set[FL_SIDES])
{
	struct fl_front *front = &sync->fronts.all[f];

	name_sets(sync, front, set);
	front->value = *value;
	front->adopted = false;
	sync->fronts.present += !front->present;
	front->present = true;
}

void fl_front_removed(struct fl_sync *sync, uint32_t f)
{
	static const uint32_t none[FL_SIDES];
	struct fl_front *front = &sync->fronts.all[f];

	name_sets(sync, front, none);
	front->value = (struct fl_frontend){0};
	front->adopted = false;
	sync->fronts.present -= front->present;
	front->present = false;
}

void fl_claim_value(const struct fl_claim *claim, const struct fl_sync *sync,
		    struct fl_frontend *ret_value, uint32_t ret_set[FL_SIDES])
{
	const struct fl_state *state = claim->state;
	const uint32_t id = state->port->pub.service_id;
	struct fl_frontend value = {.type = claim->type};

	if (claim->type == FL_FRONTEND_VIP) {
		memset(ret_set, 0, FL_SIDES * sizeof(*ret_set));
		memset(value.verdict, FL_VERDICT_REJECT, sizeof(value.verdict));
		*ret_value = value;
		return;
	}
	value.service_id = id;
	value.flags = state->flags[claim->type];
	value.affinity_timeout = state->affinity_timeout;
	for (int side = 0; side < FL_SIDES; side++) {
		const uint8_t list = state->list[claim->type][side];
		const uint8_t verdict = state->verdict[claim->type][side];

		ret_set[side] = verdict == FL_VERDICT_FORWARD ? state->set[list] : 0;
		value.verdict[side] = verdict;
		value.list[side].id = id * FL_LISTS + list;
		if (ret_set[side]) {
			const struct fl_set *set = &sync->sets.all[ret_set[side]];

			value.list[side].slab = set->slab;
			value.list[side].lut_len = set->lut_len;
			value.list[side].count = set->count;
		}
	}
	*ret_value = value;
}

static struct fl_claimant claimant(const struct fl_claim *claim)
{
	const struct fl_sync_port *port = &claim->state->port->pub;

	return (struct fl_claimant){port->ns, port->name, port->port_name, claim->state->created};
}

/* < 0: a goes first. Of two states of one port the wanted one. */
static int claim_cmp(const struct fl_claim *a, const struct fl_claim *b)
{
	const struct fl_port *pa = a->state->port, *pb = b->state->port;
	const struct fl_claimant ca = claimant(a), cb = claimant(b);
	int rc = fl_claimant_cmp(&ca, &cb);

	if (rc || pa != pb)
		return rc ? rc : (pa > pb) - (pa < pb);
	return a->state == b->state ? a->type - b->type : a->state == pa->want ? -1 : 1;
}

/* Whether more than one service port claims it. */
static bool is_contested(const struct fl_front *front)
{
	for (const struct fl_claim *claim = front->claims; claim; claim = claim->next)
		if (claim->state->port != front->claims->state->port)
			return claim->type != FL_FRONTEND_VIP;
	return false;
}

void fl_claims_link(struct fl_sync *sync, struct fl_state *state)
{
	for (uint32_t i = 0; i < state->n_claims; i++) {
		struct fl_claim *claim = &state->claims[i];
		struct fl_claim **at = &sync->fronts.all[claim->frontend].claims;

		if (claim->type != FL_FRONTEND_VIP)
			while (*at && claim_cmp(*at, claim) <= 0)
				at = &(*at)->next;
		claim->next = *at;
		*at = claim;
		sync->conflicts_changed |= is_contested(&sync->fronts.all[claim->frontend]);
	}
	state->linked = true;
}

void fl_claims_unlink(struct fl_sync *sync, struct fl_state *state)
{
	if (!state->linked)
		return;
	for (uint32_t i = 0; i < state->n_claims; i++) {
		struct fl_claim *claim = &state->claims[i];
		struct fl_claim **at = &sync->fronts.all[claim->frontend].claims;

		sync->conflicts_changed |= is_contested(&sync->fronts.all[claim->frontend]);
		while (*at != claim)
			at = &(*at)->next;
		*at = claim->next;
		claim->next = NULL;
		fl_front_dirty(sync, claim->frontend);
	}
	state->linked = false;
}

static struct fl_plan_frontend frontend_of(const struct fl_front *front, uint8_t type)
{
	struct fl_plan_frontend frontend = {
		.type = (enum fl_plan_frontend_type)type,
		.port = ntohs(front->key.port),
	};

	memcpy(frontend.ip.b, &front->key.addr, sizeof(frontend.ip.b));
	return frontend;
}

/* What the port has lost to others of its own Service never became a claim. */
static void each_lost(const struct fl_sync *sync, const struct fl_port *port,
		      void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg)
{
	for (size_t i = 0; i < port->n_lost; i++) {
		const struct fl_plan_frontend *lost = &port->lost[i];
		const struct fl_frontend_key key = fl_front_key(lost, port->pub.proto);
		const uint32_t f = fl_front_find(sync, &key);
		const struct fl_claim *winner =
			f == FL_INDEX_NONE ? NULL : sync->fronts.all[f].claims;
		struct fl_conflict conflict = {.frontend = *lost, .proto = port->pub.proto};

		if (!winner)
			continue;
		conflict.winner = claimant(winner);
		conflict.loser =
			(struct fl_claimant){port->pub.ns, port->pub.name, port->pub.port_name, 0};
		fn(&conflict, arg);
	}
}

void fl_sync_each_conflict(const struct fl_sync *sync,
			   void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg)
{
	for (uint32_t f = 0; f < sync->fronts.n; f++) {
		const struct fl_front *front = &sync->fronts.all[f];
		const struct fl_claim *winner = front->claims;

		if (!front->used || !winner || winner->type == FL_FRONTEND_VIP)
			continue;
		for (const struct fl_claim *loser = winner->next; loser; loser = loser->next) {
			const struct fl_conflict conflict = {
				.winner = claimant(winner),
				.loser = claimant(loser),
				.frontend = frontend_of(front, loser->type),
				.proto = front->key.proto,
			};

			if (loser->state->port != winner->state->port)
				fn(&conflict, arg);
		}
	}
	for (uint32_t i = 0; i < sync->n_owners; i++)
		for (const struct fl_port *port = sync->owners[i]->ports; port; port = port->next)
			each_lost(sync, port, fn, arg);
}

bool fl_sync_conflicts_changed(struct fl_sync *sync)
{
	const bool changed = sync->conflicts_changed;

	sync->conflicts_changed = false;
	return changed;
}
