// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What fl_frontends should have for each frontend, as its first holder says. The entry of an
 * address (rules 2.22 and 2.24) says the same for all of them, so its holders are in no order.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "lb/sync/frontends.h"
#include "lb/sync/services.h"
#include "lb/sync/state.h"

_Static_assert(offsetof(struct fl_frontends, table) == 0, "found by its table");
_Static_assert(sizeof(struct fl_frontend_record) <= FL_RECORD_MAX, "record");

/* What should be there */

static void holder_record(const struct fl_frontends *frontends, const struct fl_holder *holder,
			  struct fl_frontend_record *ret_record)
{
	const struct fl_state *state = holder->state;
	struct fl_frontend_record record = {.value.type = holder->type};
	struct fl_frontend *value = &record.value;

	if (state->found) {
		*ret_record = state->found[holder - state->holders];
		return;
	}
	if (fl_frontend_is_address(holder->type)) {
		memset(value->verdict, FL_VERDICT_REJECT, sizeof(value->verdict));
		*ret_record = record;
		return;
	}
	value->service_id = state->port->info.service_id;
	value->flags = state->flags[holder->type];
	value->affinity_timeout = state->affinity_timeout;
	for (int side = 0; side < FL_SIDES; side++) {
		const uint8_t list = state->list[holder->type][side];
		const uint8_t verdict = state->verdict[holder->type][side];
		const uint32_t s = verdict == FL_VERDICT_FORWARD ? state->set[list] : 0;
		const struct fl_set *set = &frontends->sets->all[s];

		record.set[side] = s;
		value->verdict[side] = verdict;
		value->list[side].id = value->service_id * FL_LISTS + list;
		if (s) {
			value->list[side].slab = set->slab;
			value->list[side].lut_len = set->lut_len;
			value->list[side].count = set->count;
		}
	}
	*ret_record = record;
}

static bool frontend_wants(const struct fl_table *table, uint32_t f, void *ret_record)
{
	const struct fl_frontends *frontends = (const struct fl_frontends *)table;
	const struct fl_frontend_element *frontend = fl_table_at(table, f);

	if (frontend->holders)
		holder_record(frontends, frontend->holders, ret_record);
	return frontend->holders;
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
	.wants = frontend_wants,
	.hold = frontend_hold,
	.release = frontend_release,
	.text = frontend_text,
};

void fl_frontends_init(struct fl_frontends *frontends, struct fl_sets *sets)
{
	*frontends = (struct fl_frontends){.sets = sets};
	fl_table_init(&frontends->table, &frontends_desc);
}

struct fl_frontend_key fl_frontend_key_of(const struct fl_plan_frontend *frontend, uint8_t proto)
{
	struct fl_frontend_key key = {.port = htons(frontend->port), .proto = proto};

	memcpy(&key.addr, frontend->ip.b, sizeof(key.addr));
	return key;
}

struct fl_frontend_key fl_address_key(const struct fl_addr *addr, uint8_t type)
{
	const uint8_t proto = type == FL_FRONTEND_VIP ? 0 : IPPROTO_ICMP;

	return (struct fl_frontend_key){.addr = *addr, .proto = proto};
}

/* Holders */

void fl_holder_add(struct fl_state *state, uint32_t f, uint8_t type)
{
	state->holders[state->n_holders++] =
		(struct fl_holder){.state = state, .frontend = f, .type = type};
}

/*
 * < 0: a goes first. Of two states of one port the wanted one. What was found at start and no
 * service port has taken over comes before all, since nothing is known about it yet.
 */
static int holder_cmp(const struct fl_holder *a, const struct fl_holder *b)
{
	const struct fl_sync_service_port *pa = a->state->port, *pb = b->state->port;
	struct fl_claimant ca, cb;
	int rc;

	if (!pa || !pb)
		return !pb - !pa;
	ca = fl_service_port_claimant(pa, a->state->created);
	cb = fl_service_port_claimant(pb, b->state->created);
	rc = fl_claimant_cmp(&ca, &cb);
	if (rc || pa != pb)
		return rc ? rc : (pa > pb) - (pa < pb);
	return a->state == b->state ? a->type - b->type : a->state == pa->want ? -1 : 1;
}

/* Whether more than one service port wants it. */
static bool is_contested(const struct fl_frontend_element *frontend)
{
	const struct fl_holder *first = frontend->holders;

	while (first && !first->state->port)
		first = first->next;
	for (const struct fl_holder *holder = first; holder; holder = holder->next)
		if (holder->state->port != first->state->port)
			return !fl_frontend_is_address(holder->type);
	return false;
}

void fl_holders_link(struct fl_frontends *frontends, struct fl_state *state)
{
	for (uint32_t i = 0; i < state->n_holders; i++) {
		struct fl_holder *holder = &state->holders[i];
		struct fl_frontend_element *frontend = fl_frontend_at(frontends, holder->frontend);
		struct fl_holder **at = &frontend->holders;

		if (!fl_frontend_is_address(holder->type))
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
