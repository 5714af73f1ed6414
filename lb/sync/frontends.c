// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What fl_frontends should have for each frontend, as its first holder says. The entry of an
 * address (rule 2.22) says the same for all of them, so its holders are in no order.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lb/sync/frontends.h"
#include "lb/sync/services.h"
#include "lb/sync/state.h"

_Static_assert(offsetof(struct fl_frontends, table) == 0, "found by its table");
_Static_assert(sizeof(struct fl_frontend_record) <= FL_RECORD_MAX, "record");

/* ---- what should be there */

static void holder_record(const struct fl_frontends *frontends, const struct fl_holder *holder,
			  struct fl_frontend_record *ret_record)
{
	const struct fl_state *state = holder->state;
	const uint32_t id = state->port->info.service_id;
	struct fl_frontend_record record = {.value.type = holder->type};
	struct fl_frontend *value = &record.value;

	if (holder->type == FL_FRONTEND_VIP) {
		memset(value->verdict, FL_VERDICT_REJECT, sizeof(value->verdict));
		*ret_record = record;
		return;
	}
	value->service_id = id;
	value->flags = state->flags[holder->type];
	value->affinity_timeout = state->affinity_timeout;
	for (int side = 0; side < FL_SIDES; side++) {
		const uint8_t list = state->list[holder->type][side];
		const uint8_t verdict = state->verdict[holder->type][side];
		const uint32_t s = verdict == FL_VERDICT_FORWARD ? state->set[list] : 0;
		const struct fl_set *set = &frontends->sets->all[s];

		record.set[side] = s;
		value->verdict[side] = verdict;
		value->list[side].id = id * FL_LISTS + list;
		if (s) {
			value->list[side].slab = set->slab;
			value->list[side].lut_len = set->lut_len;
			value->list[side].count = set->count;
		}
	}
	*ret_record = record;
}

/* A frontend of a Service that was not planned yet after a restart is left alone. */
static bool is_not_planned_yet(const struct fl_frontends *frontends,
			       const struct fl_frontend_element *frontend)
{
	const uint32_t id = frontend->record.value.service_id;

	return !frontends->table.settled && frontend->head.present && frontend->head.adopted &&
	       id && !fl_service_id_port(frontends->service_ids, id);
}

/* A frontend without holders stays while its Service may still be planned, or waits for room. */
static bool is_kept(const struct fl_frontends *frontends,
		    const struct fl_frontend_element *frontend)
{
	const struct fl_sync_service_port *port;

	if (!frontend->head.present || !frontend->head.adopted)
		return false;
	if (!frontends->table.settled)
		return true;
	port = fl_service_id_port(frontends->service_ids, frontend->record.value.service_id);
	return port && fl_stage_waits(port->stage) && !port->cur;
}

static enum fl_wish frontend_wish(const struct fl_table *table, uint32_t f, void *ret_record)
{
	const struct fl_frontends *frontends = (const struct fl_frontends *)table;
	const struct fl_frontend_element *frontend = fl_table_at(table, f);

	if (!frontend->holders)
		return is_kept(frontends, frontend) ? FL_WISH_AS_IS : FL_WISH_ABSENT;
	holder_record(frontends, frontend->holders, ret_record);
	if (is_not_planned_yet(frontends, frontend) && !fl_table_has(table, f, ret_record))
		return FL_WISH_LATER;
	return FL_WISH_RECORD;
}

static void frontend_hold(struct fl_table *table, const void *record)
{
	const struct fl_frontend_record *frontend = record;

	for (int side = 0; side < FL_SIDES; side++)
		fl_set_ref(((struct fl_frontends *)table)->sets, frontend->set[side]);
}

static void frontend_release(struct fl_table *table, const void *record)
{
	const struct fl_frontend_record *frontend = record;

	for (int side = 0; side < FL_SIDES; side++)
		fl_set_drop(((struct fl_frontends *)table)->sets, frontend->set[side]);
}

static const char *frontend_text(const void *key, char buf[static FL_ELEMENT_TEXT])
{
	const struct fl_frontend_key *frontend = key;
	char ip_port[FL_IP_PORT_STRLEN];
	struct fl_ip ip;

	memcpy(ip.b, &frontend->addr, sizeof(ip.b));
	snprintf(buf, FL_ELEMENT_TEXT, "%s/%u",
		 fl_frontend_format(&ip, ntohs(frontend->port), ip_port), frontend->proto);
	return buf;
}

static const struct fl_table_desc frontends_desc = {
	.map = FL_SYNC_FRONTENDS,
	.size = sizeof(struct fl_frontend_element),
	.key_at = offsetof(struct fl_frontend_element, key),
	.record_at = offsetof(struct fl_frontend_element, record),
	.record_size = sizeof(struct fl_frontend_record),
	.wish = frontend_wish,
	.hold = frontend_hold,
	.release = frontend_release,
	.text = frontend_text,
};

void fl_frontends_init(struct fl_frontends *frontends, struct fl_sets *sets,
		       const struct fl_service_ids *service_ids)
{
	*frontends = (struct fl_frontends){.sets = sets, .service_ids = service_ids};
	fl_table_init(&frontends->table, &frontends_desc);
}

struct fl_frontend_key fl_frontend_key_of(const struct fl_plan_frontend *frontend, uint8_t proto)
{
	struct fl_frontend_key key = {.port = htons(frontend->port), .proto = proto};

	memcpy(&key.addr, frontend->ip.b, sizeof(key.addr));
	return key;
}

/* ---- holders */

int fl_holder_add(struct fl_frontends *frontends, struct fl_state *state,
		  const struct fl_frontend_key *key, uint8_t type)
{
	struct fl_holder *holder = &state->holders[state->n_holders];
	int rc = fl_table_ref(&frontends->table, key, &holder->frontend);

	if (rc)
		return rc;
	holder->state = state;
	holder->next = NULL;
	holder->type = type;
	state->n_holders++;
	return 0;
}

/* < 0: a goes first. Of two states of one port the wanted one. */
static int holder_cmp(const struct fl_holder *a, const struct fl_holder *b)
{
	const struct fl_sync_service_port *pa = a->state->port, *pb = b->state->port;
	const struct fl_claimant ca = fl_service_port_claimant(pa, a->state->created);
	const struct fl_claimant cb = fl_service_port_claimant(pb, b->state->created);
	int rc = fl_claimant_cmp(&ca, &cb);

	if (rc || pa != pb)
		return rc ? rc : (pa > pb) - (pa < pb);
	return a->state == b->state ? a->type - b->type : a->state == pa->want ? -1 : 1;
}

/* Whether more than one service port wants it. */
static bool is_contested(const struct fl_frontend_element *frontend)
{
	const struct fl_holder *first = frontend->holders;

	for (const struct fl_holder *holder = first; holder; holder = holder->next)
		if (holder->state->port != first->state->port)
			return holder->type != FL_FRONTEND_VIP;
	return false;
}

void fl_holders_link(struct fl_frontends *frontends, struct fl_state *state)
{
	for (uint32_t i = 0; i < state->n_holders; i++) {
		struct fl_holder *holder = &state->holders[i];
		struct fl_frontend_element *frontend = fl_frontend_at(frontends, holder->frontend);
		struct fl_holder **at = &frontend->holders;

		if (holder->type != FL_FRONTEND_VIP)
			while (*at && holder_cmp(*at, holder) <= 0)
				at = &(*at)->next;
		holder->next = *at;
		*at = holder;
		frontends->conflicts_changed |= is_contested(frontend);
	}
}

void fl_holders_unlink(struct fl_frontends *frontends, struct fl_state *state)
{
	for (uint32_t i = 0; i < state->n_holders; i++) {
		struct fl_holder *holder = &state->holders[i];
		struct fl_frontend_element *frontend = fl_frontend_at(frontends, holder->frontend);
		struct fl_holder **at = &frontend->holders;

		frontends->conflicts_changed |= is_contested(frontend);
		while (*at != holder)
			at = &(*at)->next;
		*at = holder->next;
		holder->next = NULL;
		fl_table_mark(&frontends->table, holder->frontend);
	}
}

void fl_holders_confirm(struct fl_frontends *frontends, const struct fl_state *state)
{
	for (uint32_t i = 0; i < state->n_holders; i++) {
		const struct fl_holder *holder = &state->holders[i];
		struct fl_frontend_element *frontend = fl_frontend_at(frontends, holder->frontend);

		if (frontend->holders == holder && !frontend->head.dirty)
			frontend->head.adopted = false;
	}
}
