// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Random Services: as the model has them, and as objects that go the product's own way into the
 * maps, by planner (lb/model) and sync (lb/sync). So what is compared is the whole way from a
 * Service to a packet.
 */
#include <bpf/bpf.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "conntrack/resteer.h"
#include "lb/base/cleanup.h"
#include "lb/model/plan.h"
#include "nodeport/next_hop.h"
#include "tests/model/fuzz.h"
#include "tests/packet/service.h"

#define NODE_NAME "node-1"

static const char *const networks[NETWORKS] = {
	[AT_POD] = "pod",
	[AT_TX] = "tx",
	[AT_REDIRECT] = "redirect",
	[AT_TC] = "tc",
	[AT_NARROW] = "narrow",
	[AT_NOWHERE] = "nowhere",
	[AT_UNRESOLVED] = "unresolved",
};

/* Making them up */

static void random_endpoint(struct model_endpoint *e, enum fl_family family, uint16_t port,
			    struct rng *r)
{
	static const enum network often[] = {AT_POD, AT_POD,	AT_POD, AT_TX,
					     AT_TX,  AT_TX,	AT_TX,	AT_REDIRECT,
					     AT_TC,  AT_NARROW, AT_TC,	AT_REDIRECT};
	enum network n = often[rng_below(r, sizeof(often) / sizeof(often[0]))];
	const uint32_t how = rng_below(r, 20);

	if (rng_percent(r, 3))
		n = rng_percent(r, 50) ? AT_NOWHERE : AT_UNRESOLVED;
	*e = (struct model_endpoint){
		.ip = addr(family, n, 1 + rng_below(r, 6)),
		.port = port,
		.ready = how < 14,
		.serving = how < 18,
		.terminating = how >= 14 && how != 19,
		.on_node = n == AT_POD,
	};
}

static bool has_endpoint(const struct model_port *p, const struct model_endpoint *e)
{
	for (int i = 0; i < p->n_endpoints; i++)
		if (fl_ip_equal(&p->endpoint[i].ip, &e->ip) && p->endpoint[i].port == e->port)
			return true;
	return false;
}

static void random_endpoints(struct model_port *p, struct rng *r)
{
	const uint16_t target = rng_percent(r, 70) ? 8080 : 9090;
	const uint32_t n = rng_percent(r, 12) ? 0 : 1 + rng_below(r, 5);

	p->n_endpoints = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct model_endpoint e;

		random_endpoint(&e, p->family, target, r);
		if (!has_endpoint(p, &e))
			p->endpoint[p->n_endpoints++] = e;
	}
	p->version++;
}

static void random_ranges(struct model_port *p, struct rng *r)
{
	static const char *const all[FL_FAMILIES][5] = {
		{"192.0.2.0/28", "192.0.2.64/26", "10.1.2.0/24", "203.0.113.0/24", "0.0.0.0/0"},
		{"2001:db8::/124", "2001:db8::40/122", "fd01:0:0:2::/64", "2001:db8:0:113::/64",
		 "::/0"},
	};

	for (uint32_t i = 0; i < 5 && p->n_ranges < MODEL_ADDRESSES; i++)
		if (rng_percent(r, i == 4 ? 8 : 35))
			fl_prefix_parse(all[p->family][i], &p->range[p->n_ranges++]);
}

/* A Service is one or two ports in one or two families. */
static void random_service(struct scenario *s, uint32_t number, struct rng *r)
{
	static const uint16_t ports[] = {80, 443, 53, 8080};
	struct model *m = &s->model;
	const struct model_port common = {
		.service = number,
		.type = rng_below(r, 3),
		.port = ports[rng_below(r, 4)],
		.internal_local = rng_percent(r, 25),
		.external_local = rng_percent(r, 40),
		.affinity = rng_percent(r, 30),
		.resets = rng_percent(r, 40),
		.affinity_s = rng_percent(r, 50) ? 40 : 10800,
	};
	const bool node_port = common.type != TYPE_CLUSTER_IP && rng_percent(r, 85);
	const uint32_t families = rng_below(r, 4), protos = rng_below(r, 4);
	const uint32_t external = rng_percent(r, 35), balancers = rng_below(r, 3);
	const bool ranges = rng_percent(r, 45), at_node = number == 0 && rng_percent(r, 20);
	/* hybrid: of TCP only */
	const uint32_t by_dsr = rng_below(r, m->settings.geneve ? 40 : 100);

	for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++) {
		struct model_port ranged = {.family = f};

		if (families < 2 && (enum fl_family)families != f)
			continue;
		if (ranges)
			random_ranges(&ranged, r);
		for (int udp = 0; udp < 2; udp++) {
			struct model_port *p = &m->port[m->n_ports];

			if (protos < 2 && (int)protos != udp)
				continue;
			m->n_ports++;
			*p = common;
			p->family = f;
			p->proto = udp ? IPPROTO_UDP : IPPROTO_TCP;
			p->dsr = by_dsr < (udp ? 15 : 25);
			p->has_cluster_ip = true;
			p->cluster_ip = addr(f, AT_SERVICE, 10 + number);
			if (node_port)
				p->node_port = (uint16_t)(30080 + number * 2 + (uint32_t)udp);
			for (uint32_t i = 0; i < external; i++)
				p->external[p->n_external++] =
					at_node ? addr(f, AT_EXT1, 1)
						: addr(f, AT_VIP, 100 + number);
			for (uint32_t i = 0; common.type == TYPE_LOAD_BALANCER && i < balancers;
			     i++)
				p->balancer[p->n_balancer++] = addr(f, AT_VIP, 30 + number * 2 + i);
			p->any_external = external;
			memcpy(p->range, ranged.range, sizeof(p->range));
			p->n_ranges = ranged.n_ranges;
			random_endpoints(p, r);
		}
	}
}

static void mutate_port(struct model_port *p, struct rng *r)
{
	struct model_endpoint *e;

	if (!p->n_endpoints || rng_percent(r, 30)) {
		random_endpoints(p, r);
		return;
	}
	e = &p->endpoint[rng_below(r, (uint32_t)p->n_endpoints)];
	switch (rng_below(r, 4)) {
	case 0: /* it goes */
		*e = p->endpoint[--p->n_endpoints];
		break;
	case 1: /* it terminates */
		e->ready = false;
		e->terminating = true;
		e->serving = rng_percent(r, 60);
		break;
	case 2:
		e->ready = !e->ready;
		e->serving |= e->ready;
		break;
	default:
		if (p->n_endpoints < MODEL_ENDPOINTS) {
			struct model_endpoint more;

			random_endpoint(&more, p->family, e->port, r);
			if (!has_endpoint(p, &more))
				p->endpoint[p->n_endpoints++] = more;
		}
	}
}

void scenario_mutate(struct scenario *s, struct model *m, uint32_t service, struct rng *r)
{
	for (int i = 0; i < m->n_ports; i++) {
		struct model_port *p = &m->port[i];

		if (p->service != service || rng_percent(r, 40))
			continue;
		p->version++;
		p->changed = true;
		mutate_port(p, r);
		model_note_list(p);
	}
}

/* Into the maps */

static void *more(void *array, size_t n, size_t size)
{
	char *larger = realloc(array, (n + 1) * size);

	assert_non_null(larger);
	memset(larger + n * size, 0, size);
	return larger;
}
#define MORE(array, n) ((array) = more((array), (n), sizeof(*(array))), &(array)[(n)++])

static const char *port_name(const struct model_port *p)
{
	return p->proto == IPPROTO_UDP ? "u" : "t";
}

static void add_to_service(struct fl_service *service, const struct model_port *p)
{
	static const enum fl_service_type types[] = {FL_SERVICE_CLUSTER_IP, FL_SERVICE_NODE_PORT,
						     FL_SERVICE_LOAD_BALANCER};
	bool known = false;

	service->type = types[p->type];
	service->families[p->family] = true;
	service->has_cluster_ip[p->family] = true;
	service->cluster_ip[p->family] = p->cluster_ip;
	service->internal_local = p->internal_local;
	service->external_local = p->external_local;
	if (p->dsr && service->forwarding != FL_FORWARDING_DSR)
		service->forwarding =
			p->proto == IPPROTO_UDP ? FL_FORWARDING_DSR : FL_FORWARDING_HYBRID;
	service->affinity = p->affinity;
	service->reset = p->resets ? FL_RESET_ON : FL_RESET_OFF;
	service->affinity_timeout_s = p->affinity_s;
	for (size_t i = 0; i < service->n_ports; i++)
		known |= service->ports[i].proto == p->proto;
	if (!known)
		*MORE(service->ports, service->n_ports) = (struct fl_service_port){
			strdup(port_name(p)), p->proto, p->port, p->node_port};
	for (int i = 0; i < p->n_external; i++)
		*MORE(service->external_ips, service->n_external_ips) = p->external[i];
	for (int i = 0; i < p->n_balancer; i++)
		*MORE(service->ingress, service->n_ingress) =
			(struct fl_lb_ingress){.has_ip = true, .ip = p->balancer[i]};
	for (int i = 0; i < p->n_ranges; i++)
		*MORE(service->source_ranges, service->n_source_ranges) = p->range[i];
}

static enum network network_at(const struct fl_ip *ip)
{
	enum network n = 0;

	while (n < NETWORKS) {
		struct fl_ip base = addr(fl_ip_family(ip), n, 0);

		if (!memcmp(base.b, ip->b, fl_ip_family(ip) == FL_IPV4 ? 15 : 8))
			break;
		n++;
	}
	return n;
}

static char *node_name(const struct model_endpoint *e)
{
	const int n = world_node_of(&e->ip);
	char name[WORLD_NODE_NAME];

	if (e->on_node || n < 0)
		return strdup(e->on_node ? NODE_NAME : "unknown");
	world_node_name(network_at(&e->ip), n, name);
	return strdup(name);
}

/* Each service port has a slice of its own, which is as good as any other division (4.3). */
static struct fl_slice *slice_of(const struct model_port *p, const char *name, int number)
{
	struct fl_slice *slice = calloc(1, sizeof(*slice));
	char text[32];

	assert_non_null(slice);
	snprintf(text, sizeof(text), "slice-%d", number);
	slice->ns = strdup("default");
	slice->name = strdup(text);
	slice->service = strdup(name);
	slice->family = p->family;
	for (int i = 0; i < p->n_endpoints; i++) {
		const struct model_endpoint *e = &p->endpoint[i];
		struct fl_endpoint *to = MORE(slice->endpoints, slice->n_endpoints);

		to->ip = e->ip;
		to->ready = e->ready;
		to->serving = e->serving;
		to->terminating = e->terminating;
		to->weight = FL_WEIGHT_DEFAULT;
		to->node_name = node_name(e);
	}
	if (p->n_endpoints)
		*MORE(slice->ports, slice->n_ports) =
			(struct fl_slice_port){strdup(port_name(p)), p->proto, p->endpoint[0].port};
	return slice;
}

static void apply(struct scenario *s, const struct model *m, uint32_t number)
{
	_cleanup_(fl_service_free) struct fl_service *service = calloc(1, sizeof(*service));
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	struct fl_slice *slices[4];
	const struct fl_slice *const *all = (const struct fl_slice *const *)slices;
	const struct fl_plan_options options = {
		.node_name = NODE_NAME,
		.zone = "",
		.node_ips = m->local,
		.n_node_ips = (size_t)m->n_local,
		.nodes = m->settings.geneve ? &s->world->nodes : NULL,
	};
	struct fl_err err;
	char name[16];
	size_t n = 0;

	assert_non_null(service);
	snprintf(name, sizeof(name), "s%u", number);
	service->ns = strdup("default");
	service->name = strdup(name);
	service->created = 1;
	for (int i = 0; i < m->n_ports; i++) {
		if (m->port[i].service != number)
			continue;
		add_to_service(service, &m->port[i]);
		slices[n++] = slice_of(&m->port[i], name, i);
	}
	assert_int_equal(fl_plan_service(service, all, n, &options, &plan), 0);
	if (fl_sync_service(s->sync, "default", name, 1, &plan, &err))
		fail_msg("sync: %s", err.text);
	while (n)
		fl_slice_free(&slices[--n]);
	s->sync_ns += 10ULL * 1000000000;
	fl_sync_reap(s->sync, s->sync_ns);
}

/* UDP flows follow, as the agent has them do. */

static void on_touched(const struct fl_frontend_key *frontend, void *arg)
{
	struct scenario *s = arg;

	if (frontend && s->n_touched < 64)
		s->touched[s->n_touched++] = *frontend;
	else
		s->all_touched = true;
}

static enum fl_serving serving(const struct fl_frontend_key *frontend,
			       const struct fl_addr *backend, __be16 port, void *ctx)
{
	return fl_sync_serving(((struct scenario *)ctx)->sync, frontend, backend, port);
}

static bool has_node_ports(const struct fl_addr *a, void *ctx)
{
	return fl_maps_has_node_ports(&((struct scenario *)ctx)->p->maps, a);
}

static void resteer(struct scenario *s)
{
	static const struct fl_resteer_ops ops = {serving, has_node_ports};
	struct fl_resteer resteer;

	fl_resteer_init(&resteer, &ops, s, &fl_clock_system, &s->p->maps);
	for (int i = 0; i < s->n_touched; i++)
		fl_resteer_touch(&resteer, &s->touched[i]);
	if (s->all_touched)
		fl_resteer_touch(&resteer, NULL);
	while (fl_resteer_run(&resteer))
		;
	fl_resteer_fini(&resteer);
	s->n_touched = 0;
	s->all_touched = false;
}

void scenario_change(struct scenario *s, const struct model *m, uint32_t service)
{
	apply(s, m, service);
	resteer(s);
}

#define NODE_HOST 2

void scenario_random_nodes(struct model *m, struct rng *r)
{
	m->n_nodes = 0;
	for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++)
		for (unsigned int i = 0; i < MODEL_NODES / FL_FAMILIES; i++)
			if (rng_percent(r, 65))
				m->node[m->n_nodes++] = addr(f, AT_EXT0, NODE_HOST + i);
}

void scenario_nodes(const struct scenario *s, const struct model *m)
{
	const int fd = s->p->maps.peers_fd;
	const uint32_t one = 1;
	struct fl_addr key;

	while (!bpf_map_get_next_key(fd, NULL, &key))
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	for (int i = 0; i < m->n_nodes; i++)
		assert_int_equal(bpf_map_update_elem(fd, &m->node[i], &one, 0), 0);
	fl_next_hops_forget(s->p->maps.meta);
}

#define POOL_HOST 101

/* In half of the scenarios, masqueradeAddresses on some devices. */
static void random_pools(struct scenario *s, struct rng *r)
{
	struct model *m = &s->model;

	if (rng_percent(r, 50))
		return;
	for (int d = 0; d < MODEL_DEVICES; d++) {
		struct model_device *to = &m->device[d];

		for (enum fl_family f = FL_IPV4; to->external && f < FL_FAMILIES; f++) {
			to->n_pool[f] = (int)rng_below(r, MODEL_POOL + 1);
			pool_set(s->p, (enum dev)d, f, POOL_HOST, (uint32_t)to->n_pool[f]);
			for (int i = 0; i < to->n_pool[f]; i++) {
				to->pool[f][i] = addr(f, (enum network)d, POOL_HOST + (unsigned)i);
				m->local[m->n_local++] = to->pool[f][i];
			}
		}
	}
}

void scenario_begin(struct scenario *s, struct world *world, uint64_t seed)
{
	struct rng r = rng_of(seed, 0);
	struct fl_sync_options options = {0};
	struct fl_err err;

	memset(s, 0, sizeof(*s));
	s->world = world;
	s->seed = seed;
	s->variant = rng_percent(&r, 50)   ? VARIANT_USUAL
		     : rng_percent(&r, 40) ? VARIANT_BARE
		     : rng_percent(&r, 50) ? VARIANT_GENEVE
					   : VARIANT_MASQUERADE;
	if (world_load(world, s->variant, &err)) {
		fprintf(stderr, "fuzz: %s\n", err.text);
		exit(1);
	}
	s->p = &world->plane[s->variant];
	s->model = world->base[s->variant];
	s->model.settings.masquerade_all = rng_percent(&r, 15);
	s->n_services = 3 + rng_below(&r, SERVICES - 2);
	for (uint32_t i = 0; i < s->n_services; i++)
		random_service(s, i, &r);
	for (int i = 0; i < s->model.n_ports; i++)
		model_note_list(&s->model.port[i]);
	plane_reset(s->p);
	random_pools(s, &r);
	scenario_random_nodes(&s->model, &r);
	scenario_nodes(s, &s->model);
	options = (struct fl_sync_options){
		.maglev_seed = s->p->config.maglev_seed,
		.maglev_length = 251,
		.hz = s->p->config.hz,
		.reject_unknown_port = s->model.settings.reject_unknown_port,
		.detector = {s->model.settings.detector, s->model.settings.detector},
		.masquerade_all = s->model.settings.masquerade_all,
		.touched = on_touched,
		.touched_arg = s,
	};
	if (fl_sync_new(&s->p->maps, &options, &s->sync, &err))
		fail_msg("sync: %s", err.text);
	for (uint32_t i = 0; i < s->n_services; i++)
		apply(s, &s->model, i);
	if (fl_sync_settle(s->sync, &err))
		fail_msg("sync: %s", err.text);
	s->n_touched = 0;
	s->all_touched = false;
	plane_totals(s->p, s->counted);
}

void scenario_end(struct scenario *s)
{
	fl_sync_free(&s->sync);
}

/* In words */

static void print_ips(FILE *out, const char *what, const struct fl_ip *ips, int n)
{
	char text[FL_IP_STRLEN];

	for (int i = 0; i < n; i++)
		fprintf(out, " %s %s", what, fl_ip_format(&ips[i], text));
}

static const char *network_of(const struct fl_ip *ip)
{
	const enum network n = network_at(ip);

	return n < NETWORKS && networks[n] ? networks[n] : "?";
}

void scenario_print(const struct scenario *s, FILE *out)
{
	static const char *const variants[VARIANTS] = {"usual", "bare", "masquerade", "geneve"};
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer"};
	const struct model *m = &s->model;
	char text[FL_IP_PORT_STRLEN], range[FL_PREFIX_STRLEN];

	fprintf(out, "  settings %s%s\n", variants[s->variant],
		m->settings.masquerade_all ? ", masqueradeAll" : "");
	print_ips(out, "node", m->node, m->n_nodes);
	fputs("\n", out);
	for (int d = 0; d < MODEL_DEVICES; d++)
		if (m->device[d].n_pool[FL_IPV4] || m->device[d].n_pool[FL_IPV6])
			fprintf(out, "  device %d masquerades with %d IPv4 and %d IPv6 addresses\n",
				d, m->device[d].n_pool[FL_IPV4], m->device[d].n_pool[FL_IPV6]);
	for (int i = 0; i < m->n_ports; i++) {
		const struct model_port *p = &m->port[i];

		fprintf(out, "  s%u %s %s %u node port %u, iTP %s, eTP %s%s%s%s", p->service,
			types[p->type], p->proto == IPPROTO_UDP ? "UDP" : "TCP", p->port,
			p->node_port, p->internal_local ? "Local" : "Cluster",
			p->external_local ? "Local" : "Cluster", p->dsr ? ", DSR" : "",
			p->resets ? ", resets" : "", p->affinity ? ", affinity" : "");
		if (p->affinity)
			fprintf(out, " %u s", p->affinity_s);
		print_ips(out, "cluster", &p->cluster_ip, p->has_cluster_ip);
		print_ips(out, "external", p->external, p->n_external);
		print_ips(out, "balancer", p->balancer, p->n_balancer);
		for (int j = 0; j < p->n_ranges; j++)
			fprintf(out, " range %s", fl_prefix_format(&p->range[j], range));
		fputs("\n   ", out);
		for (int j = 0; j < p->n_endpoints; j++)
			fprintf(out, " %s(%s)%c%c%c",
				fl_ip_port_format(&p->endpoint[j].ip, p->endpoint[j].port, text),
				network_of(&p->endpoint[j].ip), p->endpoint[j].ready ? 'r' : '-',
				p->endpoint[j].serving ? 's' : '-',
				p->endpoint[j].terminating ? 't' : '-');
		fputs("\n", out);
	}
}
