/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Frontends that several service ports claim. */
#include "lb/model/conflict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/model/names.h"
#include "lb/model/plan_store.h"

int fl_claimant_cmp(const struct fl_claimant *a, const struct fl_claimant *b)
{
	int rc;

	if (a->created != b->created)
		return a->created < b->created ? -1 : 1;
	rc = strcmp(a->ns, b->ns);
	rc = rc ? rc : strcmp(a->name, b->name);
	return rc ? rc : strcmp(a->port_name, b->port_name);
}

const char *fl_frontend_format(const struct fl_ip *ip, uint16_t port,
			       char buf[static FL_IP_PORT_STRLEN])
{
	if (!fl_ip_is_unspecified(ip))
		return fl_ip_port_format(ip, port, buf);
	snprintf(buf, FL_IP_PORT_STRLEN, "*:%u", port);
	return buf;
}

const char *fl_conflict_frontend(const struct fl_conflict *conflict,
				 char buf[static FL_FRONTEND_STRLEN])
{
	const struct fl_plan_frontend *frontend = &conflict->frontend;
	bool node_port = frontend->type == FL_PLAN_NODE_PORT;
	char text[FL_IP_PORT_STRLEN];

	/* both families have a frontend that reads "*:PORT" */
	snprintf(buf, FL_FRONTEND_STRLEN, "%s %s%s%s%s", fl_proto_name(conflict->proto),
		 fl_frontend_format(&frontend->ip, frontend->port, text), node_port ? " (" : "",
		 node_port ? fl_family_name(fl_ip_family(&frontend->ip)) : "",
		 node_port ? ")" : "");
	return buf;
}

char *fl_conflict_text(const struct fl_conflict *conflict)
{
	char frontend[FL_FRONTEND_STRLEN], *text;

	if (asprintf(&text, "%s belongs to " FL_CLAIMANT ", " FL_CLAIMANT " wants it too",
		     fl_conflict_frontend(conflict, frontend), FL_CLAIMANT_ARGS(&conflict->winner),
		     FL_CLAIMANT_ARGS(&conflict->loser)) < 0)
		return NULL;
	return text;
}

struct claim {
	struct fl_plan_frontend frontend;
	uint8_t proto;
	bool lost; /* to another port of its own Service */
	struct fl_claimant by;
};

struct claims {
	const struct fl_store *store;
	const struct fl_plan_options *options;
	struct claim *v;
	size_t n, room;
};

static void claims_fini(struct claims *claims)
{
	free(claims->v);
}

static int add_claim(struct claims *claims, const struct claim *claim)
{
	if (FL_ARRAY_ROOM(claims->v, claims->room, claims->n + 1))
		return -ENOMEM;
	claims->v[claims->n++] = *claim;
	return 0;
}

static int add_port(struct claims *claims, const struct fl_service *service,
		    const struct fl_plan_port *port)
{
	struct claim claim = {
		.proto = port->proto,
		.by = {port->ns, port->name, port->port_name, service->created},
	};
	int rc = 0;

	for (size_t i = 0; i < port->n_frontends && !rc; i++) {
		claim.frontend = port->frontends[i];
		rc = add_claim(claims, &claim);
	}
	claim.lost = true;
	for (size_t i = 0; i < port->n_lost && !rc; i++) {
		claim.frontend = port->lost[i];
		rc = add_claim(claims, &claim);
	}
	return rc;
}

static int add_service(const struct fl_service *service, void *arg)
{
	struct claims *claims = arg;
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	int rc = fl_plan_stored(claims->store, service->ns, service->name, claims->options, &plan);

	/* the names that claims borrow are the Service's, not the plan's */
	for (size_t i = 0; i < plan.n_ports && !rc; i++)
		rc = add_port(claims, service, &plan.ports[i]);
	return rc;
}

static int frontend_cmp(const struct claim *a, const struct claim *b)
{
	int rc = fl_ip_cmp(&a->frontend.ip, &b->frontend.ip);

	rc = rc ? rc : a->frontend.port - b->frontend.port;
	return rc ? rc : a->proto - b->proto;
}

static int by_frontend(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	int rc = frontend_cmp(a, b);

	rc = rc ? rc : a->lost - b->lost;
	return rc ? rc : fl_claimant_cmp(&a->by, &b->by);
}

int fl_conflict_each(const struct fl_store *store, const struct fl_plan_options *options,
		     void (*fn)(const struct fl_conflict *conflict, void *arg), void *arg)
{
	_cleanup_(claims_fini) struct claims claims = {.store = store, .options = options};
	const struct claim *winner;
	int rc = fl_store_each_service(store, add_service, &claims);

	if (rc)
		return rc;
	if (claims.n > 1)
		qsort(claims.v, claims.n, sizeof(*claims.v), by_frontend);
	winner = claims.v;
	for (size_t i = 1; i < claims.n; i++) {
		const struct claim *claim = &claims.v[i];
		struct fl_conflict conflict = {
			.winner = winner->by,
			.loser = claim->by,
			.frontend = claim->frontend,
			.proto = claim->proto,
		};

		if (frontend_cmp(winner, claim))
			winner = claim;
		else
			fn(&conflict, arg);
	}
	return 0;
}
