/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The fields of decode_*.c, in their order; what has its default is left out where that is safe. */
#include "lb/k8s/encode.h"

#include <stdio.h>
#include <time.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/decode_forwarding.h"
#include "lb/k8s/decode_reset.h"
#include "lb/k8s/decode_weights.h"
#include "lb/model/names.h"

static void begin(struct fl_json *json, const char *key)
{
	fl_json_key(json, key);
	fl_json_object_begin(json);
}

static void begin_list(struct fl_json *json, const char *key)
{
	fl_json_key(json, key);
	fl_json_array_begin(json);
}

static void text_unless_empty(struct fl_json *json, const char *key, const char *text)
{
	if (*text)
		fl_json_member_string(json, key, text);
}

static void ip(struct fl_json *json, const struct fl_ip *ip)
{
	char text[FL_IP_STRLEN];

	fl_json_string(json, fl_ip_format(ip, text));
}

static void ips(struct fl_json *json, const char *key, const struct fl_ip *list, size_t n)
{
	begin_list(json, key);
	for (size_t i = 0; i < n; i++)
		ip(json, &list[i]);
	fl_json_array_end(json);
}

static void prefixes(struct fl_json *json, const char *key, const struct fl_prefix *list, size_t n)
{
	char text[FL_PREFIX_STRLEN];

	begin_list(json, key);
	for (size_t i = 0; i < n; i++)
		fl_json_string(json, fl_prefix_format(&list[i], text));
	fl_json_array_end(json);
}

static void head(struct fl_json *json, const char *version, const char *kind, const char *ns,
		 const char *name)
{
	fl_json_member_string(json, "apiVersion", version);
	fl_json_member_string(json, "kind", kind);
	begin(json, "metadata");
	fl_json_member_string(json, "name", name);
	text_unless_empty(json, "namespace", ns);
}

static void created(struct fl_json *json, int64_t unix_s)
{
	const time_t t = (time_t)unix_s;
	struct tm tm;
	char text[40];

	if (unix_s && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		fl_json_member_string(json, "creationTimestamp", text);
}

/* 1.12: clusterIPs in the order of ipFamilies, of which those without an address come last. */
static void cluster_ips(struct fl_json *json, const struct fl_service *s)
{
	if (s->headless)
		fl_json_member_string(json, "clusterIP", "None");
	begin_list(json, "clusterIPs");
	for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++)
		if (s->has_cluster_ip[f])
			ip(json, &s->cluster_ip[f]);
	fl_json_array_end(json);
	begin_list(json, "ipFamilies");
	for (int without = 0; without < 2; without++)
		for (enum fl_family f = FL_IPV4; f < FL_FAMILIES; f++)
			if (s->families[f] && s->has_cluster_ip[f] == !without)
				fl_json_string(json, fl_family_name(f));
	fl_json_array_end(json);
}

static void service_ports(struct fl_json *json, const struct fl_service *s)
{
	begin_list(json, "ports");
	for (size_t i = 0; i < s->n_ports; i++) {
		const struct fl_service_port *port = &s->ports[i];

		fl_json_object_begin(json);
		text_unless_empty(json, "name", port->name);
		fl_json_member_string(json, "protocol", fl_proto_name(port->proto));
		fl_json_member_uint(json, "port", port->port);
		if (port->node_port)
			fl_json_member_uint(json, "nodePort", port->node_port);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
}

static void affinity(struct fl_json *json, const struct fl_service *s)
{
	if (!s->affinity)
		return;
	fl_json_member_string(json, "sessionAffinity", fl_affinity_name(true));
	begin(json, "sessionAffinityConfig");
	begin(json, "clientIP");
	fl_json_member_uint(json, "timeoutSeconds", s->affinity_timeout_s);
	fl_json_object_end(json);
	fl_json_object_end(json);
}

static void spec(struct fl_json *json, const struct fl_service *s)
{
	begin(json, "spec");
	fl_json_member_string(json, "type", fl_word_of(fl_service_type_words, (int)s->type));
	cluster_ips(json, s);
	service_ports(json, s);
	ips(json, "externalIPs", s->external_ips, s->n_external_ips);
	fl_json_member_string(json, "externalTrafficPolicy",
			      fl_traffic_policy_name(s->external_local));
	fl_json_member_string(json, "internalTrafficPolicy",
			      fl_traffic_policy_name(s->internal_local));
	if (s->health_check_node_port)
		fl_json_member_uint(json, "healthCheckNodePort", s->health_check_node_port);
	affinity(json, s);
	prefixes(json, "loadBalancerSourceRanges", s->source_ranges, s->n_source_ranges);
	fl_json_object_end(json);
}

static void load_balancer(struct fl_json *json, const struct fl_service *s)
{
	begin(json, "status");
	begin(json, "loadBalancer");
	begin_list(json, "ingress");
	for (size_t i = 0; i < s->n_ingress; i++) {
		const struct fl_lb_ingress *ingress = &s->ingress[i];

		fl_json_object_begin(json);
		if (ingress->has_ip) {
			fl_json_key(json, "ip");
			ip(json, &ingress->ip);
		} else {
			fl_json_member_string(json, "hostname", "not.kept.invalid");
		}
		fl_json_member_string(json, "ipMode", ingress->proxy ? "Proxy" : "VIP");
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
	fl_json_object_end(json);
	fl_json_object_end(json);
}

static void annotations(struct fl_json *json, const struct fl_service *s)
{
	if (s->reset == FL_RESET_AS_SET && s->forwarding == FL_FORWARDING_AS_SET)
		return;
	begin(json, "annotations");
	if (s->reset != FL_RESET_AS_SET)
		fl_json_member_string(json, FL_RESET_ANNOTATION,
				      s->reset == FL_RESET_ON ? "true" : "false");
	if (s->forwarding != FL_FORWARDING_AS_SET)
		fl_json_member_string(json, FL_FORWARDING_ANNOTATION,
				      fl_word_of(fl_forwarding_words, s->forwarding));
	fl_json_object_end(json);
}

void fl_encode_service(const struct fl_service *s, struct fl_json *json)
{
	fl_json_object_begin(json);
	head(json, "v1", "Service", s->ns, s->name);
	created(json, s->created);
	annotations(json, s);
	if (s->other_proxy) {
		begin(json, "labels");
		fl_json_member_string(json, "service.kubernetes.io/service-proxy-name", "other");
		fl_json_object_end(json);
	}
	fl_json_object_end(json);
	spec(json, s);
	load_balancer(json, s);
	fl_json_object_end(json);
}

static void write_hints(struct fl_json *json, const char *key, struct fl_hints hints)
{
	if (!hints.n)
		return;
	begin_list(json, key);
	for (; hints.n; hints.n--, hints.first = fl_hint_next(hints.first)) {
		fl_json_object_begin(json);
		fl_json_member_string(json, "name", hints.first);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
}

static void endpoint(struct fl_json *json, const struct fl_endpoint *e)
{
	fl_json_object_begin(json);
	ips(json, "addresses", &e->ip, 1);
	begin(json, "conditions");
	fl_json_member_bool(json, "ready", e->ready);
	fl_json_member_bool(json, "serving", e->serving);
	fl_json_member_bool(json, "terminating", e->terminating);
	fl_json_object_end(json);
	text_unless_empty(json, "nodeName", e->node_name);
	begin(json, "hints");
	write_hints(json, "forZones", fl_endpoint_zone_hints(e));
	write_hints(json, "forNodes", fl_endpoint_node_hints(e));
	fl_json_object_end(json);
	fl_json_object_end(json);
}

static bool named_before(const struct fl_slice *s, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (fl_ip_equal(&s->endpoints[k].ip, &s->endpoints[i].ip))
			return true;
	return false;
}

/* The annotation that gives these weights. */
static void weights(struct fl_json *json, const struct fl_slice *s)
{
	_cleanup_free_ char *text = NULL;
	char buf[FL_IP_STRLEN];
	size_t size;
	bool any = false;
	FILE *out;

	for (size_t i = 0; i < s->n_endpoints; i++)
		any |= s->endpoints[i].weight != FL_WEIGHT_DEFAULT;
	if (!any)
		return;
	out = open_memstream(&text, &size);
	for (size_t i = 0; out && i < s->n_endpoints; i++)
		if (!named_before(s, i))
			fprintf(out, "%s%s=%u", i ? "," : "",
				fl_ip_format(&s->endpoints[i].ip, buf), s->endpoints[i].weight);
	if (out)
		fclose(out);
	begin(json, "annotations");
	fl_json_member_string(json, FL_WEIGHTS_ANNOTATION, text);
	fl_json_object_end(json);
}

void fl_encode_slice(const struct fl_slice *s, struct fl_json *json)
{
	fl_json_object_begin(json);
	head(json, "discovery.k8s.io/v1", "EndpointSlice", s->ns, s->name);
	if (s->version)
		fl_json_key(json, "resourceVersion");
	if (s->version)
		fl_json_stringf(json, "%llu", (unsigned long long)s->version);
	begin(json, "labels");
	fl_json_member_string(json, "kubernetes.io/service-name", s->service);
	fl_json_object_end(json);
	weights(json, s);
	fl_json_object_end(json);
	fl_json_member_string(json, "addressType", fl_family_name(s->family));
	begin_list(json, "ports");
	for (size_t i = 0; i < s->n_ports; i++) {
		fl_json_object_begin(json);
		text_unless_empty(json, "name", s->ports[i].name);
		fl_json_member_string(json, "protocol", fl_proto_name(s->ports[i].proto));
		fl_json_member_uint(json, "port", s->ports[i].port);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
	begin_list(json, "endpoints");
	for (size_t i = 0; i < s->n_endpoints; i++)
		endpoint(json, &s->endpoints[i]);
	fl_json_array_end(json);
	fl_json_object_end(json);
}

void fl_encode_node(const struct fl_node *n, struct fl_json *json)
{
	char text[FL_IP_STRLEN];

	fl_json_object_begin(json);
	head(json, "v1", "Node", "", n->name);
	if (n->deleting)
		fl_json_member_string(json, "deletionTimestamp", "1970-01-01T00:00:00Z");
	begin(json, "labels");
	text_unless_empty(json, "topology.kubernetes.io/zone", n->zone);
	fl_json_object_end(json);
	fl_json_object_end(json);
	begin(json, "spec");
	prefixes(json, "podCIDRs", n->pod_cidrs, n->n_pod_cidrs);
	begin_list(json, "taints");
	if (n->autoscaler_taint) {
		fl_json_object_begin(json);
		fl_json_member_string(json, "key", "ToBeDeletedByClusterAutoscaler");
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
	fl_json_object_end(json);
	begin(json, "status");
	begin_list(json, "addresses");
	/* their order is what counts of their types */
	for (size_t i = 0; i < n->n_addresses; i++) {
		fl_json_object_begin(json);
		fl_json_member_string(json, "type", "InternalIP");
		fl_json_member_string(json, "address", fl_ip_format(&n->addresses[i], text));
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
	fl_json_object_end(json);
	fl_json_object_end(json);
}

static void pod_port(struct fl_json *json, const struct fl_pod_port *port)
{
	char text[FL_IP_STRLEN];

	fl_json_object_begin(json);
	fl_json_member_string(json, "protocol", fl_proto_name(port->proto));
	fl_json_member_uint(json, "hostPort", port->host_port);
	fl_json_member_uint(json, "containerPort", port->port);
	if (port->has_ip)
		fl_json_member_string(json, "hostIP", fl_ip_format(&port->ip, text));
	fl_json_object_end(json);
}

void fl_encode_pod(const struct fl_pod *p, struct fl_json *json)
{
	fl_json_object_begin(json);
	head(json, "v1", "Pod", p->ns, p->name);
	created(json, p->created);
	fl_json_object_end(json);
	begin(json, "spec");
	text_unless_empty(json, "nodeName", p->node_name);
	fl_json_member_bool(json, "hostNetwork", p->host_network);
	begin_list(json, "containers");
	fl_json_object_begin(json);
	begin_list(json, "ports");
	for (size_t i = 0; i < p->n_ports; i++)
		pod_port(json, &p->ports[i]);
	fl_json_array_end(json);
	fl_json_object_end(json);
	fl_json_array_end(json);
	fl_json_object_end(json);
	begin(json, "status");
	fl_json_member_string(json, "phase", p->ended ? "Succeeded" : "Running");
	begin_list(json, "podIPs");
	for (size_t i = 0; i < p->n_ips; i++) {
		fl_json_object_begin(json);
		fl_json_key(json, "ip");
		ip(json, &p->ips[i]);
		fl_json_object_end(json);
	}
	fl_json_array_end(json);
	fl_json_object_end(json);
	fl_json_object_end(json);
}
