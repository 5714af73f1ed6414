/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What can be read of a Service that is at fault: its ports and addresses, as far as each makes
 * sense by itself. It is never served; but an agent that starts beside a datapath of an earlier one
 * recognises by it what that already serves of the Service, and leaves it at work.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/field.h"
#include "lb/model/names.h"

static bool read_ip(const struct fl_value *value, struct fl_ip *ret_ip)
{
	const char *text = fl_value_string(value);

	return text && !fl_ip_parse(text, ret_ip) && !fl_field_forbidden(ret_ip);
}

static void add_cluster_ip(struct fl_service *s, const struct fl_value *value)
{
	struct fl_ip ip;

	if (!read_ip(value, &ip))
		return;
	s->has_cluster_ip[fl_ip_family(&ip)] = true;
	s->cluster_ip[fl_ip_family(&ip)] = ip;
}

static void read_cluster_ips(struct fl_service *s, const struct fl_value *spec)
{
	FL_VALUE_EACH(item, fl_value_get(spec, "clusterIPs"))
	add_cluster_ip(s, item);
	add_cluster_ip(s, fl_value_get(spec, "clusterIP"));
}

static bool read_external_ips(struct fl_service *s, const struct fl_value *spec)
{
	const struct fl_value *list = fl_value_get(spec, "externalIPs");

	s->external_ips = calloc(fl_value_count(list) + 1, sizeof(*s->external_ips));
	if (!s->external_ips)
		return false;
	FL_VALUE_EACH(item, list)
	s->n_external_ips += read_ip(item, &s->external_ips[s->n_external_ips]);
	return true;
}

static bool read_ingress(struct fl_service *s, const struct fl_value *root)
{
	const struct fl_value *lb = fl_value_get(fl_value_get(root, "status"), "loadBalancer");
	const struct fl_value *list = fl_value_get(lb, "ingress");
	const struct fl_value *wish = fl_value_get(fl_value_get(root, "spec"), "loadBalancerIP");

	s->ingress = calloc(fl_value_count(list) + 1, sizeof(*s->ingress));
	if (!s->ingress)
		return false;
	FL_VALUE_EACH(item, list)
	s->n_ingress += s->ingress[s->n_ingress].has_ip =
		read_ip(fl_value_get(item, "ip"), &s->ingress[s->n_ingress].ip);
	if (!s->n_ingress)
		s->n_ingress = s->ingress[0].has_ip = read_ip(wish, &s->ingress[0].ip);
	return true;
}

static uint16_t read_number(const struct fl_value *value)
{
	int64_t number;

	return fl_value_int(value, &number) && number > 0 && number <= 65535 ? (uint16_t)number : 0;
}

static bool read_ports(struct fl_service *s, const struct fl_value *spec)
{
	const struct fl_value *list = fl_value_get(spec, "ports");

	s->ports = calloc(fl_value_count(list) + 1, sizeof(*s->ports));
	if (!s->ports)
		return false;
	FL_VALUE_EACH(item, list)
	{
		struct fl_service_port *port = &s->ports[s->n_ports];
		const char *name = fl_value_string(fl_value_get(item, "name"));
		const char *proto = fl_value_string(fl_value_get(item, "protocol"));
		int number = IPPROTO_TCP;

		if (proto && !fl_word_value(fl_proto_words, proto, &number))
			continue;
		port->name = strdup(name ? name : "");
		if (!port->name)
			return false;
		port->proto = (uint8_t)number;
		port->port = read_number(fl_value_get(item, "port"));
		port->node_port = read_number(fl_value_get(item, "nodePort"));
		s->n_ports++;
	}
	return true;
}

struct fl_service *fl_decode_sketch(const struct fl_value *root, const char *ns, const char *name)
{
	_cleanup_(fl_service_free) struct fl_service *s = calloc(1, sizeof(*s));
	const struct fl_value *spec = fl_value_get(root, "spec");

	if (!s)
		return NULL;
	s->ns = strdup(ns);
	s->name = strdup(name);
	/* every family, and every kind of frontend */
	s->type = FL_SERVICE_LOAD_BALANCER;
	s->families[FL_IPV4] = s->families[FL_IPV6] = true;
	read_cluster_ips(s, spec);
	if (!s->ns || !s->name || !read_external_ips(s, spec) || !read_ingress(s, root) ||
	    !read_ports(s, spec))
		return NULL;
	return TAKE_PTR(s);
}
