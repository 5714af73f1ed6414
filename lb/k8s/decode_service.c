/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Service: the fields that rule 10.2 lists, with the API's defaults. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/decode_forwarding.h"
#include "lb/k8s/decode_reset.h"
#include "lb/k8s/field.h"
#include "lb/k8s/time.h"
#include "lb/model/names.h"

#define PROXY_NAME_LABEL "service.kubernetes.io/service-proxy-name"
#define AFFINITY_TIMEOUT_S 10800
#define AFFINITY_TIMEOUT_MAX_S 86400
#define MAX_PORTS 1024

static const struct fl_field_key root_keys[] = {
	{"apiVersion", true}, {"kind", true},	{"metadata", true},
	{"spec", true},	      {"status", true}, {NULL, false},
};

static const struct fl_field_key spec_keys[] = {
	{"allocateLoadBalancerNodePorts", false},
	{"clusterIP", true},
	{"clusterIPs", true},
	{"externalIPs", true},
	{"externalName", false},
	{"externalTrafficPolicy", true},
	{"healthCheckNodePort", true},
	{"internalTrafficPolicy", true},
	{"ipFamilies", true},
	{"ipFamily", false},
	{"ipFamilyPolicy", true},
	{"loadBalancerClass", false},
	{"loadBalancerIP", true},
	{"loadBalancerSourceRanges", true},
	{"ports", true},
	{"publishNotReadyAddresses", false},
	{"selector", false},
	{"sessionAffinity", true},
	{"sessionAffinityConfig", true},
	{"topologyKeys", false},
	{"trafficDistribution", false},
	{"type", true},
	{NULL, false},
};

static const struct fl_field_key port_keys[] = {
	{"appProtocol", false}, {"name", true},	       {"nodePort", true}, {"port", true},
	{"protocol", true},	{"targetPort", false}, {NULL, false},
};

static int read_metadata(struct fl_decoding *d, const struct fl_value *root, struct fl_service *s)
{
	const struct fl_value *meta = fl_field_get(d, root, "metadata"), *labels;
	size_t mark = fl_field_enter(d, "metadata");
	int64_t created_ns;
	const char *created;
	int rc;

	rc = fl_field_string(d, meta, "creationTimestamp", &created);
	/* only the order of two Services that claim one frontend depends on it */
	if (!rc && *created && fl_time_parse(created, &created_ns))
		rc = fl_field_warn(d, fl_value_get(meta, "creationTimestamp"), "creationTimestamp",
				   "\"%.40s\" is no time", created);
	else if (!rc && *created)
		s->created = created_ns / 1000000000;
	if (!rc)
		rc = fl_field_map(d, meta, "labels", &labels);
	if (rc)
		return rc;
	fl_field_enter(d, "labels");
	/* rule 1.3: only existence counts, so a null value does too */
	s->other_proxy = fl_field_is_present(d, labels, PROXY_NAME_LABEL);
	fl_field_leave(d, mark);
	return 0;
}

/* Rule 1.8: of ports with one name and protocol the last is taken. */
static int warn_replaced(struct fl_decoding *d, const struct fl_value *item,
			 const struct fl_service *s)
{
	const struct fl_service_port *last = &s->ports[s->n_ports - 1];

	for (size_t i = 0; i + 1 < s->n_ports; i++)
		if (s->ports[i].proto == last->proto && !strcmp(s->ports[i].name, last->name))
			return fl_field_warn(d, item, NULL,
					     "takes the place of ports[%zu], which has the same "
					     "name and protocol",
					     i);
	return 0;
}

static int read_port(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_service *s = arg;
	struct fl_service_port *port = &s->ports[s->n_ports++];
	int64_t number, node_port;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_check_keys(d, item, port_keys);
	if (!rc)
		rc = fl_field_name_copy(d, item, "name", &port->name);
	if (!rc)
		rc = fl_field_proto(d, item, &port->proto);
	if (!rc && !fl_value_get(item, "port"))
		rc = fl_field_error(d, item, "port", "missing");
	if (!rc)
		rc = fl_field_int(d, item, "port", 1, 65535, 0, &number);
	if (!rc) /* rule 1.15: of any type */
		rc = fl_field_int(d, item, "nodePort", 0, 65535, 0, &node_port);
	if (rc)
		return rc;
	port->port = (uint16_t)number;
	port->node_port = (uint16_t)node_port;
	return warn_replaced(d, item, s);
}

static int read_ports(struct fl_decoding *d, const struct fl_value *spec, struct fl_service *s)
{
	int rc;

	s->ports = fl_field_room(d, spec, "ports", MAX_PORTS, sizeof(*s->ports), &rc);
	return rc ? rc : fl_field_each(d, spec, "ports", read_port, s);
}

static int read_affinity(struct fl_decoding *d, const struct fl_value *spec, struct fl_service *s)
{
	const struct fl_value *config, *client_ip;
	int64_t timeout_s;
	int affinity,
		rc = fl_field_word(d, spec, "sessionAffinity", fl_affinity_words, false, &affinity);
	size_t mark;

	s->affinity_timeout_s = AFFINITY_TIMEOUT_S;
	if (rc || !affinity)
		return rc;
	s->affinity = true;
	rc = fl_field_map(d, spec, "sessionAffinityConfig", &config);
	if (rc)
		return rc;
	mark = fl_field_enter(d, "sessionAffinityConfig");
	rc = fl_field_map(d, config, "clientIP", &client_ip);
	if (rc)
		return rc;
	fl_field_enter(d, "clientIP");
	rc = fl_field_int(d, client_ip, "timeoutSeconds", 1, AFFINITY_TIMEOUT_MAX_S,
			  AFFINITY_TIMEOUT_S, &timeout_s);
	if (rc)
		return rc;
	s->affinity_timeout_s = (uint32_t)timeout_s;
	fl_field_leave(d, mark);
	return 0;
}

static int read_spec(struct fl_decoding *d, const struct fl_value *root, struct fl_service *s)
{
	const struct fl_word *const policies = fl_traffic_policy_words;
	const struct fl_value *spec;
	int64_t health_port;
	int type, external, internal, rc = fl_field_map(d, root, "spec", &spec);

	if (!rc && !spec)
		rc = fl_field_error(d, root, "spec", "missing");
	if (rc)
		return rc;
	fl_field_enter(d, "spec");
	rc = fl_field_check_keys(d, spec, spec_keys);
	if (!rc)
		rc = fl_field_word(d, spec, "type", fl_service_type_words, FL_SERVICE_CLUSTER_IP,
				   &type);
	if (!rc)
		rc = fl_field_word(d, spec, "externalTrafficPolicy", policies, false, &external);
	if (!rc)
		rc = fl_field_word(d, spec, "internalTrafficPolicy", policies, false, &internal);
	if (!rc)
		rc = fl_field_int(d, spec, "healthCheckNodePort", 0, 65535, 0, &health_port);
	if (rc)
		return rc;
	s->type = (enum fl_service_type)type;
	s->external_local = external;
	s->internal_local = internal;
	s->health_check_node_port = (uint16_t)health_port;
	rc = fl_decode_cluster_ips(d, spec, s);
	if (!rc)
		rc = read_ports(d, spec, s);
	if (!rc)
		rc = fl_decode_external_ips(d, spec, s);
	if (!rc)
		rc = fl_decode_source_ranges(d, spec, s);
	if (!rc)
		rc = read_affinity(d, spec, s);
	if (!rc)
		fl_field_leave(d, 0);
	return rc;
}

/* Whether anything could lead to it: an address, or a port of the node. */
static bool has_frontends(const struct fl_service *s)
{
	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].node_port)
			return true;
	for (size_t i = 0; i < s->n_ingress; i++)
		if (s->ingress[i].has_ip && !s->ingress[i].proxy)
			return true;
	return s->has_cluster_ip[FL_IPV4] || s->has_cluster_ip[FL_IPV6] || s->n_external_ips;
}

int fl_decode_service(struct fl_decoding *d, const struct fl_value *root,
		      struct fl_service **ret_service)
{
	_cleanup_(fl_service_free) struct fl_service *s = calloc(1, sizeof(*s));
	enum fl_forwarding forwarding = FL_FORWARDING_AS_SET;
	enum fl_reset reset = FL_RESET_AS_SET;
	int rc;

	if (!s)
		return -ENOMEM;
	s->ns = strdup(d->ns);
	s->name = strdup(d->name);
	if (!s->ns || !s->name)
		return -ENOMEM;
	rc = fl_field_check_keys(d, root, root_keys);
	if (!rc)
		rc = read_metadata(d, root, s);
	if (!rc)
		rc = fl_decode_reset(d, root, &reset);
	if (!rc)
		rc = fl_decode_forwarding(d, root, &forwarding);
	if (!rc)
		rc = read_spec(d, root, s);
	if (!rc)
		rc = fl_decode_ingress(d, root, s);
	if (!rc && !s->headless && s->type != FL_SERVICE_EXTERNAL_NAME && !has_frontends(s))
		rc = fl_field_note(
			d, fl_value_get(root, "spec"),
			"no clusterIP, externalIPs, load balancer address or nodePort, so "
			"it has no frontends");
	if (rc)
		return rc;
	s->reset = reset;
	s->forwarding = forwarding;
	fl_service_pack(&s);
	*ret_service = TAKE_PTR(s);
	return 0;
}
