// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Rules 1 to 3 and 5.2 to 5.7: which frontends there are, which endpoints they use for whom, and
 * who is masqueraded. */
#include <string.h>

#include "tests/model/model.h"

bool model_is_local(const struct model *m, const struct fl_ip *ip)
{
	for (int i = 0; i < m->n_local; i++)
		if (fl_ip_equal(&m->local[i], ip))
			return true;
	return false;
}

static bool has(const struct fl_ip *all, int n, const struct fl_ip *ip)
{
	for (int i = 0; i < n; i++)
		if (fl_ip_equal(&all[i], ip))
			return true;
	return false;
}

int model_find_node_port(const struct model *m, enum fl_family family, uint16_t port, uint8_t proto)
{
	for (int i = 0; i < m->n_ports; i++) {
		const struct model_port *p = &m->port[i];

		if (port && p->proto == proto && p->node_port == port && p->family == family)
			return i;
	}
	return -1;
}

/* 2.1 to 2.3, 2.6, 2.19 to 2.21: the first that asks for an address has it. */
int model_find(const struct model *m, const struct fl_ip *ip, uint16_t port, uint8_t proto,
	       enum model_kind *ret_kind)
{
	for (int i = 0; i < m->n_ports; i++) {
		const struct model_port *p = &m->port[i];

		if (p->proto != proto || p->port != port || p->family != fl_ip_family(ip))
			continue;
		if (p->has_cluster_ip && fl_ip_equal(&p->cluster_ip, ip))
			return *ret_kind = KIND_CLUSTER_IP, i;
		if (has(p->external, p->n_external, ip))
			return *ret_kind = KIND_EXTERNAL_IP, i;
		if (has(p->balancer, p->n_balancer, ip))
			return *ret_kind = KIND_LOAD_BALANCER, i;
	}
	if (!model_is_local(m, ip))
		return -1;
	*ret_kind = KIND_NODE_PORT;
	return model_find_node_port(m, fl_ip_family(ip), port, proto);
}

bool model_is_cluster_ip(const struct model *m, const struct fl_ip *ip)
{
	for (int i = 0; i < m->n_ports; i++)
		if (m->port[i].has_cluster_ip && fl_ip_equal(&m->port[i].cluster_ip, ip))
			return true;
	return false;
}

bool model_is_external(const struct model *m, const struct fl_ip *ip)
{
	for (int i = 0; i < m->n_ports; i++)
		if (has(m->port[i].external, m->port[i].n_external, ip) ||
		    has(m->port[i].balancer, m->port[i].n_balancer, ip))
			return true;
	return false;
}

/* 2.8 */
static bool reachable_from_outside(const struct model_port *p)
{
	return p->node_port || p->n_balancer || p->n_external;
}

/* 1.17 */
static bool external_local(const struct model_port *p)
{
	return p->external_local && (p->type != TYPE_CLUSTER_IP || p->any_external);
}

/* 3.3: ready ones, else those that serve while they terminate. */
static int pick(const struct model_port *p, bool here_only, const struct model_endpoint **ret_list)
{
	int n = 0;

	for (int i = 0; i < p->n_endpoints; i++)
		if (p->endpoint[i].ready && (!here_only || p->endpoint[i].on_node))
			ret_list[n++] = &p->endpoint[i];
	if (n)
		return n;
	for (int i = 0; i < p->n_endpoints; i++)
		if (p->endpoint[i].serving && p->endpoint[i].terminating &&
		    (!here_only || p->endpoint[i].on_node))
			ret_list[n++] = &p->endpoint[i];
	return n;
}

/* 5.4: which list it is; 5.7: what its being empty means */
struct model_side model_side_of(const struct model_port *p, enum model_kind kind, bool internal)
{
	struct model_side side = {0};
	const struct model_endpoint *any[MODEL_ENDPOINTS];
	bool local = kind == KIND_CLUSTER_IP
			     ? p->internal_local
			     : external_local(p) && reachable_from_outside(p) && !internal;

	side.local = local;
	side.n = pick(p, local, side.list);
	side.forward = side.n > 0;
	side.reject = !side.n && !pick(p, false, any);
	return side;
}

/* 5.3, as a table: by kind of client, and for external frontends by their policy. */
bool model_masquerades(const struct model *m, const struct model_port *p, enum model_kind kind,
		       enum model_client client)
{
	const bool detector = m->settings.detector;

	if (kind == KIND_CLUSTER_IP) {
		if (m->settings.masquerade_all)
			return true;			 /* 5.3.1: pods too */
		return detector && client != CLIENT_POD; /* 5.3.2: nobody without one */
	}
	if (!external_local(p))
		return true;
	return client == CLIENT_NODE;
}

/* 5.6.2: without a range of the family nobody is kept out */
bool model_in_ranges(const struct model_port *p, const struct fl_ip *ip)
{
	for (int i = 0; i < p->n_ranges; i++)
		if (fl_prefix_contains(&p->range[i], ip))
			return true;
	return !p->n_ranges;
}

/* 7.3: every endpoint that serves, used here or not. */
bool model_serves(const struct model_port *p, const struct fl_ip *ip, uint16_t port)
{
	for (int i = 0; i < p->n_endpoints; i++)
		if ((p->endpoint[i].serving || p->endpoint[i].ready) &&
		    p->endpoint[i].port == port && fl_ip_equal(&p->endpoint[i].ip, ip))
			return true;
	return false;
}
