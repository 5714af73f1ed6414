/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The three listeners, and the health-check node ports that there should be. */
#include "lb/duties/duties.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/duties/internal.h"
#include "lb/http/http.h"

static int add(struct fl_duties *duties, const struct fl_http_route *routes, size_t n,
	       const char *server, enum fl_health_level level, struct fl_sockets *ret_sockets,
	       struct fl_err *err)
{
	const struct fl_http_routes to = {.routes = routes, .n_routes = n, .arg = duties};

	*ret_sockets = (struct fl_sockets){
		.health = duties->options.health, .level = level, .server = server};
	return fl_http_add_listener(duties->options.http, &to, &ret_sockets->listener, err);
}

int fl_duties_new(const struct fl_duties_options *options, struct fl_duties **ret_duties,
		  struct fl_err *err)
{
	_cleanup_(fl_duties_free) struct fl_duties *duties = calloc(1, sizeof(*duties));
	int r;

	if (!duties)
		return fl_err_set(err, -ENOMEM, "out of memory");
	duties->options = *options;
	r = add(duties, fl_healthz_routes, fl_healthz_n_routes, "healthz", FL_HEALTH_WARNING,
		&duties->healthz, err);
	if (!r)
		r = add(duties, fl_monitor_routes, fl_monitor_n_routes, "metrics",
			FL_HEALTH_WARNING, &duties->metrics, err);
	if (!r) /* a balancer that cannot ask sends this node nothing */
		r = add(duties, fl_health_port_routes, fl_health_port_n_routes, "health-check",
			FL_HEALTH_ERROR, &duties->health_ports, err);
	if (!r)
		*ret_duties = TAKE_PTR(duties);
	return r;
}

/* The sockets are the listeners', which go with the server. */
void fl_duties_free(struct fl_duties **duties)
{
	struct fl_duties *d = TAKE_PTR(*duties);

	if (!d)
		return;
	fl_sockets_fini(&d->healthz);
	fl_sockets_fini(&d->metrics);
	fl_sockets_fini(&d->health_ports);
	free(d);
}

int fl_duties_listen(struct fl_duties *duties, const struct fl_socket_want *healthz,
		     size_t n_healthz, const struct fl_socket_want *metrics, size_t n_metrics)
{
	int r = fl_sockets_set(&duties->healthz, healthz, n_healthz);

	return r ? r : fl_sockets_set(&duties->metrics, metrics, n_metrics);
}

int fl_duties_error(const struct fl_duties *duties, struct fl_err *err)
{
	int r = fl_sockets_error(&duties->healthz, err);

	return r ? r : fl_sockets_error(&duties->metrics, err);
}

/* Health-check node ports */

struct wants {
	struct fl_socket_want *v;
	size_t n, room;
};

static int want(struct wants *wants, const struct fl_ip *ip, uint16_t port, const char *service)
{
	if (FL_ARRAY_ROOM(wants->v, wants->room, wants->n + 1))
		return -ENOMEM;
	wants->v[wants->n++] = (struct fl_socket_want){
		.ip = *ip,
		.port = port,
		.v6_only = true,
		/* a machine without IPv6 has no node ports there either */
		.implied = fl_ip_is_unspecified(ip),
		.what = "the health checks of Service",
		.service = service,
	};
	return 0;
}

/* 6.1.2: the wildcard where node ports match all, which takes later addresses too */
static int want_family(struct wants *wants, const struct fl_node_ports *node_ports,
		       enum fl_family family, uint16_t port, const char *service)
{
	const struct fl_ip any = fl_ip_unspecified(family);
	int r = 0;

	if (node_ports->match_all[family])
		return want(wants, &any, port, service);
	for (size_t i = 0; i < node_ports->n_accepted[family] && !r; i++)
		/* one of a link would need the link's name */
		if (!fl_ip_is_link_local(&node_ports->accepted[family][i]))
			r = want(wants, &node_ports->accepted[family][i], port, service);
	return r;
}

static int set_health_ports(struct fl_duties *duties, const struct fl_node_ports *node_ports,
			    const struct fl_health_port *ports, size_t n, struct wants *wants,
			    char **names)
{
	for (size_t i = 0; i < n; i++) {
		if (asprintf(&names[i], "%s/%s", ports[i].ns, ports[i].name) < 0) {
			names[i] = NULL;
			return -ENOMEM;
		}
		for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
			if (ports[i].families[family] &&
			    want_family(wants, node_ports, family, ports[i].port, names[i]))
				return -ENOMEM;
	}
	return fl_sockets_set(&duties->health_ports, wants->v, wants->n);
}

static int update_health_ports(struct fl_duties *duties, const struct fl_node_ports *node_ports)
{
	const struct fl_health_port *ports;
	struct wants wants = {0};
	char **names;
	size_t n;
	int r = fl_local_services_ports(duties->options.services, &ports, &n);

	if (r)
		return r;
	names = calloc(n + 1, sizeof(*names));
	if (!names)
		return -ENOMEM;
	r = set_health_ports(duties, node_ports, ports, n, &wants, names);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	free(wants.v);
	if (!r)
		duties->counts.health_ports = n;
	return r;
}

void fl_duties_turn(struct fl_duties *duties, const struct fl_node_ports *node_ports, bool moved)
{
	const bool changed = fl_local_services_changed(duties->options.services);

	if (changed || moved || duties->ports_due)
		duties->ports_due = update_health_ports(duties, node_ports) != 0;
}

void fl_duties_retry(struct fl_duties *duties)
{
	fl_sockets_retry(&duties->healthz);
	fl_sockets_retry(&duties->metrics);
	fl_sockets_retry(&duties->health_ports);
}

struct fl_duties_counts fl_duties_count(const struct fl_duties *duties)
{
	return duties->counts;
}
