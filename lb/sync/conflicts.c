// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frontends that several service ports want, reported with the one that has it (rule 2.21). */
#include <arpa/inet.h>
#include <string.h>

#include "lb/sync/internal.h"

static struct fl_plan_frontend frontend_of(const struct fl_frontend_element *frontend, uint8_t type)
{
	struct fl_plan_frontend result = {
		.type = (enum fl_plan_frontend_type)type,
		.port = ntohs(frontend->key.port),
	};

	memcpy(result.ip.b, &frontend->key.addr, sizeof(result.ip.b));
	return result;
}

static struct fl_claimant claimant(const struct fl_holder *holder)
{
	return fl_service_port_claimant(holder->state->port, holder->state->created);
}

/*
 * The first holder with a name: one without a service port was found at start, and nobody can say
 * yet whether its Service is still there.
 */
static const struct fl_holder *winner_of(const struct fl_frontend_element *frontend)
{
	const struct fl_holder *winner = frontend->holders;

	while (winner && !winner->state->port)
		winner = winner->next;
	return winner;
}

static void each_loser(const struct fl_frontend_element *frontend,
		       void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg)
{
	const struct fl_holder *winner = winner_of(frontend);

	if (!winner || fl_frontend_is_address(winner->type))
		return;
	for (const struct fl_holder *loser = winner->next; loser; loser = loser->next) {
		const struct fl_conflict conflict = {
			.winner = claimant(winner),
			.loser = claimant(loser),
			.frontend = frontend_of(frontend, loser->type),
			.proto = frontend->key.proto,
		};

		if (loser->state->port != winner->state->port)
			fn(&conflict, arg);
	}
}

/* What the port has lost to others of its own Service is not among the holders. */
static void each_lost(const struct fl_frontends *frontends, const struct fl_sync_service_port *port,
		      void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg)
{
	for (size_t i = 0; i < port->n_lost; i++) {
		const struct fl_plan_frontend *lost = &port->lost[i];
		const struct fl_frontend_key key = fl_frontend_key_of(lost, port->info.proto);
		const uint32_t f = fl_table_find(&frontends->table, &key);
		const struct fl_holder *winner =
			f == FL_INDEX_NONE ? NULL : winner_of(fl_frontend_at(frontends, f));
		struct fl_conflict conflict = {.frontend = *lost, .proto = port->info.proto};

		if (!winner)
			continue;
		conflict.winner = claimant(winner);
		conflict.loser = fl_service_port_claimant(port, 0);
		fn(&conflict, arg);
	}
}

void fl_sync_each_conflict(const struct fl_sync *sync,
			   void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg)
{
	const struct fl_frontends *frontends = &sync->contents.frontends;

	for (uint32_t f = 0; f < frontends->table.n; f++)
		if (fl_frontend_at(frontends, f)->head.used)
			each_loser(fl_frontend_at(frontends, f), fn, arg);
	for (uint32_t i = 0; i < sync->services.n; i++)
		for (const struct fl_sync_service_port *port = sync->services.all[i]->ports; port;
		     port = port->next)
			each_lost(frontends, port, fn, arg);
}

bool fl_sync_conflicts_changed(struct fl_sync *sync)
{
	struct fl_frontends *frontends = &sync->contents.frontends;
	const bool changed = frontends->conflicts_changed;

	frontends->conflicts_changed = false;
	return changed;
}
