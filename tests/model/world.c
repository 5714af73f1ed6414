// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The programs, loaded once for each kind of settings, and what the model has to know of the
 * machine they run on: the network of tests/packet/net.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lb/dp/dp.h"
#include "tests/model/fuzz.h"

/* So that five flows hardly ever share one: which of them would go, the model does not know. */
#define BUCKETS 512

static void settings_of(enum variant variant, uint32_t hz, struct fl_config *c)
{
	*c = plane_config(variant == VARIANT_BARE     ? PLANE_SMALL
			  : variant == VARIANT_GENEVE ? PLANE_GENEVE
						      : PLANE_USUAL,
			  hz);
	c->flow4_mask = c->flow6_mask = BUCKETS - 1;
	if (variant == VARIANT_MASQUERADE) {
		c->live.pod_by_device = 0;
		c->masquerade_local = 1;
	}
}

static struct fl_ip ip_of(const struct fl_addr *a)
{
	struct fl_ip ip;

	memcpy(ip.b, a, sizeof(ip.b));
	return ip;
}

static const struct net_way *find(const struct world *w, const struct fl_ip *to)
{
	const enum fl_family family = fl_ip_family(to);
	const size_t from = family == FL_IPV4 ? 12 : 0, len = family == FL_IPV4 ? 3 : 8;

	for (enum network n = 0; n < NETWORKS; n++)
		if (!memcmp(w->ways[family][n].prefix + from, to->b + from, len))
			return &w->ways[family][n];
	return &w->ways[family][AT_OUTSIDE];
}

static struct model_way way(const void *arg, const struct fl_ip *to)
{
	const struct net_way *n = find(arg, to);
	struct model_way found = n->way;

	found.unknown |= n->known_to && (!to->b[15] || to->b[15] > n->known_to);
	return found;
}

int world_node_of(const struct fl_ip *pod)
{
	const int host = pod->b[15];

	return host % 6 ? host % NODES_OF_NETWORK : -1;
}

static struct fl_ip node_of(const struct fl_ip *pod)
{
	const int n = world_node_of(pod);
	struct fl_ip node = *pod;

	if (n < 0)
		return (struct fl_ip){0};
	node.b[15] = (uint8_t)(NODE_OF_PODS + n);
	return node;
}

static void make_ways(struct world *w)
{
	for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++) {
		for (enum network n = 0; n < NETWORKS; n++) {
			struct net_way *to = &w->ways[f][n];
			struct fl_ip ip = addr(f, n, 0);
			const bool by_default = n == AT_SERVICE || n == AT_VIP || n == AT_FOREIGN;
			const enum network gateway = by_default ? AT_OUTSIDE : n;

			memcpy(to->prefix, ip.b, sizeof(to->prefix));
			to->way = (struct model_way){
				.none = n == AT_NOWHERE,
				.unknown = n == AT_UNRESOLVED || n <= AT_EXT2,
				.device = (int)net_dev(n),
				.mtu = n == AT_NARROW ? NARROW_MTU : 1500,
			};
			memcpy(to->way.mac, w->net.gateway_mac[gateway], 6);
			to->known_to = n == AT_POD ? 32 : 0;
		}
	}
}

static void make_model(struct world *w, enum variant variant)
{
	const struct fl_config *c = &w->plane[variant].config;
	struct model *m = &w->base[variant];

	memset(m, 0, sizeof(*m));
	m->settings = (struct model_settings){
		.detector = c->live.pod_detector4,
		.pod_by_device = c->live.pod_by_device,
		.reject_unknown_port = c->reject_unknown_port,
		.check_mtu = c->check_mtu,
		.answer_echo = c->answer_echo,
		.masquerade_local = c->masquerade_local,
		.geneve = c->dispatch == FL_DISPATCH_GENEVE,
		.has_node_address = {c->live.node_addr4.w[3], c->live.node_addr6.w[3]},
		.node_address = {ip_of(&c->live.node_addr4), ip_of(&c->live.node_addr6)},
	};
	if (c->tunnel_mask4 | c->tunnel_mask6) {
		m->settings.has_outer_sources[FL_IPV4] = c->tunnel_mask4;
		m->settings.has_outer_sources[FL_IPV6] = c->tunnel_mask6;
		fl_prefix_parse("198.19.0.0/16", &m->settings.outer_sources[FL_IPV4]);
		fl_prefix_parse("fdaa::/112", &m->settings.outer_sources[FL_IPV6]);
	}
	m->settings.bound = w->bound;
	m->settings.n_bound = BOUND_PORTS;
	fl_prefix_parse("10.1.0.0/16", &m->settings.pod_cidr[FL_IPV4]);
	fl_prefix_parse("fd01::/16", &m->settings.pod_cidr[FL_IPV6]);
	for (int i = 0; i < 4; i++)
		m->settings.ports[i] =
			(struct model_range){c->live.snat[i].first, c->live.snat[i].count};
	for (int d = 0; d < MODEL_DEVICES; d++) {
		struct model_device *to = &m->device[d];

		memcpy(to->mac, w->net.mac[d], 6);
		to->xdp_may_send = d == DEV_EXT0 || d == DEV_EXT1;
		to->external = d != DEV_POD;
		to->mtu = 1500;
		to->pods = d == DEV_POD;
		for (enum fl_family f = FL_IPV4; d != DEV_POD && f < FL_FAMILIES; f++) {
			to->has_address[f] = true;
			to->address[f] = addr(f, (enum network)d, 1);
			m->local[m->n_local++] = to->address[f];
		}
	}
	m->way = way;
	m->way_arg = w;
	m->node_of = node_of;
	/* as in tests/packet/plane.c, in seconds */
	m->timeout_s[TIMEOUT_TCP_NEW] = 60;
	m->timeout_s[TIMEOUT_TCP_ESTABLISHED] = 86400;
	m->timeout_s[TIMEOUT_TCP_HALF_CLOSED] = 3600;
	m->timeout_s[TIMEOUT_TCP_TIME_WAIT] = 120;
	m->timeout_s[TIMEOUT_TCP_RESET] = 30;
	m->timeout_s[TIMEOUT_UDP_NEW] = 30;
	m->timeout_s[TIMEOUT_UDP] = 120;
}

int world_load(struct world *w, enum variant v, struct fl_err *err)
{
	struct fl_config config;
	int r;

	if (w->loaded[v])
		return 0;
	settings_of(v, w->hz, &config);
	r = plane_open_with(&config, &w->net, &w->plane[v], err);
	if (r)
		return r;
	w->loaded[v] = true;
	make_model(w, v);
	return 0;
}

void world_node_name(enum network at, int n, char ret_name[static WORLD_NODE_NAME])
{
	snprintf(ret_name, WORLD_NODE_NAME, "node-%d-%d", (int)at, n);
}

/* Each has an address of either family. */
static void make_nodes(struct world *w)
{
	for (enum network at = 0; at < NETWORKS; at++) {
		for (int n = 0; n < NODES_OF_NETWORK; n++) {
			struct fl_node *node = calloc(1, sizeof(*node));
			char name[WORLD_NODE_NAME];
			bool changed;

			world_node_name(at, n, name);
			node->name = strdup(name);
			node->zone = strdup("");
			node->addresses = calloc(FL_FAMILIES, sizeof(*node->addresses));
			for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++)
				node->addresses[node->n_addresses++] =
					addr(f, at, NODE_OF_PODS + (unsigned int)n);
			if (fl_nodes_put(&w->nodes, &node, &changed))
				abort();
		}
	}
}

/* At all addresses of both families. */
static int bind_to(uint16_t port, int type)
{
	const struct sockaddr_in6 at = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	const int fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) ||
	    (type == SOCK_STREAM && listen(fd, 1))) {
		fprintf(stderr, "fuzz: cannot bind to port %u: %s\n", port, strerror(errno));
		exit(1);
	}
	return fd;
}

/* One in six of the few ports that one variant has, and some of the many of the others. */
static void make_sockets(struct world *w)
{
	static const struct {
		uint16_t first, step;
	} ports[] = {{40000, 6}, {50000, 4}, {20000, 190}, {61000, 47}};

	for (int i = 0; i < BOUND_PORTS; i++) {
		w->bound[i] = (uint16_t)(ports[i % 4].first + ports[i % 4].step * (i / 4));
		w->socket[i][0] = bind_to(w->bound[i], SOCK_STREAM);
		w->socket[i][1] = bind_to(w->bound[i], SOCK_DGRAM);
	}
}

int world_open(struct world *w, struct fl_err *err)
{
	const struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
	cpu_set_t one;
	int r;

	/* counters are kept per processor */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	sched_setaffinity(0, sizeof(one), &one);
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	memset(w, 0, sizeof(*w));
	w->hz = fl_dp_kernel_hz();
	r = net_init(&w->net, err);
	if (r)
		return r;
	make_ways(w);
	make_nodes(w);
	make_sockets(w);
	return 0;
}

void world_close(struct world *w)
{
	for (int v = 0; v < VARIANTS; v++)
		if (w->loaded[v])
			plane_close(&w->plane[v]);
	for (int i = 0; i < BOUND_PORTS; i++) {
		close(w->socket[i][0]);
		close(w->socket[i][1]);
	}
	fl_nodes_fini(&w->nodes);
	net_fini(&w->net);
}
