/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pod: what host ports need of it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/field.h"
#include "lb/k8s/time.h"

#define MAX_CONTAINERS 1000
#define MAX_PORTS 1000
#define MAX_IPS 16

static bool has_ended(const char *phase)
{
	return !strcmp(phase, "Succeeded") || !strcmp(phase, "Failed");
}

static int read_created(struct fl_decoding *d, const struct fl_value *root, struct fl_pod *p)
{
	const struct fl_value *meta = fl_field_get(d, root, "metadata");
	const size_t mark = fl_field_enter(d, "metadata");
	int64_t created_ns;
	const char *created;
	int rc = fl_field_string(d, meta, "creationTimestamp", &created);

	/* only the order of those that want one port depends on it */
	if (!rc && *created && fl_time_parse(created, &created_ns))
		rc = fl_field_warn(d, fl_value_get(meta, "creationTimestamp"), "creationTimestamp",
				   "\"%.40s\" is no time", created);
	else if (!rc && *created)
		p->created = created_ns / 1000000000;
	if (!rc)
		fl_field_leave(d, mark);
	return rc;
}

/* A hostIP that nothing can be served at leaves the port out. */
static int read_host_ip(struct fl_decoding *d, const struct fl_value *item,
			struct fl_pod_port *port, bool *ret_served)
{
	const char *text;
	int rc = fl_field_string(d, item, "hostIP", &text);

	*ret_served = true;
	port->has_ip = !rc && *text;
	if (rc || !*text)
		return rc;
	if (fl_ip_parse(text, &port->ip))
		return fl_field_error(d, item, "hostIP", "\"%.60s\" is no IP address", text);
	if (!fl_ip_is_loopback(&port->ip) && !fl_ip_is_multicast(&port->ip) &&
	    !fl_ip_is_link_local(&port->ip))
		return 0;
	*ret_served = false;
	return fl_field_warn(d, fl_value_get(item, "hostIP"), "hostIP",
			     "host port %u is not served at %.60s", port->host_port, text);
}

static int read_port(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_pod *p = arg;
	struct fl_pod_port port = {0};
	int64_t host_port, number;
	bool served;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_int(d, item, "hostPort", 0, 65535, 0, &host_port);
	if (rc || !host_port)
		return rc;
	port.host_port = (uint16_t)host_port;
	rc = fl_field_proto(d, item, &port.proto);
	if (!rc && !fl_value_get(item, "containerPort"))
		rc = fl_field_error(d, item, "containerPort", "missing");
	if (!rc)
		rc = fl_field_int(d, item, "containerPort", 1, 65535, 0, &number);
	if (!rc)
		rc = read_host_ip(d, item, &port, &served);
	if (rc || !served)
		return rc;
	port.port = (uint16_t)number;
	if (p->n_ports < MAX_PORTS)
		p->ports[p->n_ports++] = port;
	return 0;
}

static int read_container(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	const struct fl_value *list;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_list(d, item, "ports", MAX_PORTS, &list);
	return rc ? rc : fl_field_each(d, item, "ports", read_port, arg);
}

/* An init container that does not end has its ports, as the others have. */
static int read_init_container(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	const char *policy;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_string(d, item, "restartPolicy", &policy);
	return rc || strcmp(policy, "Always") ? rc : read_container(d, item, arg);
}

static int read_spec(struct fl_decoding *d, const struct fl_value *root, struct fl_pod *p)
{
	const struct fl_value *spec, *list;
	size_t mark;
	int rc = fl_field_map(d, root, "spec", &spec);

	if (rc)
		return rc;
	mark = fl_field_enter(d, "spec");
	p->ports = calloc(MAX_PORTS, sizeof(*p->ports));
	if (!p->ports)
		return -ENOMEM;
	rc = fl_field_text_copy(d, spec, "nodeName", &p->node_name);
	if (!rc)
		rc = fl_field_bool(d, spec, "hostNetwork", false, &p->host_network);
	if (!rc)
		rc = fl_field_list(d, spec, "containers", MAX_CONTAINERS, &list);
	if (!rc)
		rc = fl_field_each(d, spec, "containers", read_container, p);
	if (!rc)
		rc = fl_field_list(d, spec, "initContainers", MAX_CONTAINERS, &list);
	if (!rc)
		rc = fl_field_each(d, spec, "initContainers", read_init_container, p);
	if (!rc)
		fl_field_leave(d, mark);
	return rc;
}

static int add_ip(struct fl_decoding *d, const struct fl_value *map, const char *key,
		  const char *text, struct fl_pod *p)
{
	const char *why;

	if (fl_ip_parse(text, &p->ips[p->n_ips]))
		return fl_field_error(d, map, key, "\"%.60s\" is no IP address", text);
	why = fl_field_forbidden(&p->ips[p->n_ips]);
	if (why)
		return fl_field_error(d, map, key, "%.60s: %s", text, why);
	p->n_ips++;
	return 0;
}

static int read_ip(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	const char *text;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_string(d, item, "ip", &text);
	return rc || !*text ? rc : add_ip(d, item, "ip", text, arg);
}

static int read_status(struct fl_decoding *d, const struct fl_value *root, struct fl_pod *p)
{
	const struct fl_value *status;
	const char *text;
	size_t mark;
	int rc = fl_field_map(d, root, "status", &status);

	if (rc)
		return rc;
	mark = fl_field_enter(d, "status");
	rc = fl_field_string(d, status, "phase", &text);
	if (rc)
		return rc;
	p->ended = has_ended(text);
	p->ips = fl_field_room(d, status, "podIPs", MAX_IPS, sizeof(*p->ips), &rc);
	if (!rc && p->ips)
		rc = fl_field_each(d, status, "podIPs", read_ip, p);
	else if (!rc)
		rc = fl_field_string(d, status, "podIP", &text);
	if (!rc && !p->ips && *text) {
		p->ips = calloc(1, sizeof(*p->ips));
		rc = p->ips ? add_ip(d, status, "podIP", text, p) : -ENOMEM;
	}
	if (!rc)
		fl_field_leave(d, mark);
	return rc;
}

/* The room was for the most that there may be. */
static void fit_ports(struct fl_pod *p)
{
	struct fl_pod_port *ports = realloc(p->ports, (p->n_ports + 1) * sizeof(*ports));

	if (ports)
		p->ports = ports;
}

int fl_decode_pod(struct fl_decoding *d, const struct fl_value *root, struct fl_pod **ret_pod)
{
	_cleanup_(fl_pod_free) struct fl_pod *p = calloc(1, sizeof(*p));
	int rc;

	if (!p)
		return -ENOMEM;
	p->ns = strdup(d->ns);
	p->name = strdup(d->name);
	if (!p->ns || !p->name)
		return -ENOMEM;
	rc = read_created(d, root, p);
	if (!rc)
		rc = read_spec(d, root, p);
	/* of most pods nothing else is of interest */
	if (!rc && p->n_ports && !p->host_network)
		rc = read_status(d, root, p);
	if (rc)
		return rc;
	fit_ports(p);
	*ret_pod = TAKE_PTR(p);
	return 0;
}
