/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* EndpointSlice: the fields that rule 10.2 lists, with the API's defaults. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/decode_weights.h"
#include "lb/k8s/field.h"
#include "lb/k8s/time.h"
#include "lb/model/names.h"

#define TRIGGER_ANNOTATION "endpoints.kubernetes.io/last-change-trigger-time"
#define HEADLESS_LABEL "service.kubernetes.io/headless"
/* the API's ceilings (rule 4.15) and some room */
#define MAX_ENDPOINTS 2000
#define MAX_ADDRESSES 200
#define MAX_PORTS 200

/* What addressType may be besides an enum fl_family. */
enum {
	TYPE_NONE = -1,
	TYPE_FQDN = FL_FAMILIES,
};

static const struct fl_field_key root_keys[] = {
	{"addressType", true}, {"apiVersion", true}, {"endpoints", true}, {"kind", true},
	{"metadata", true},    {"ports", true},	     {NULL, false},
};

static const struct fl_field_key endpoint_keys[] = {
	{"addresses", true},  {"conditions", true}, {"deprecatedTopology", false},
	{"hints", true},      {"hostname", false},  {"nodeName", true},
	{"targetRef", false}, {"zone", false},	    {NULL, false},
};

static const struct fl_field_key condition_keys[] = {
	{"ready", true}, {"serving", true}, {"terminating", true}, {NULL, false}};

static const struct fl_field_key hint_keys[] = {
	{"forNodes", true}, {"forZones", true}, {NULL, false}};

static const struct fl_field_key port_keys[] = {
	{"appProtocol", false}, {"name", true}, {"port", true}, {"protocol", true}, {NULL, false}};

/* Borrowed from the document. */
struct hint_names {
	const char *v[FL_HINTS_MAX];
	size_t n;
};

static int read_hint(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct hint_names *names = arg;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_text(d, item, "name", &names->v[names->n]);
	names->n += !rc;
	return rc;
}

/* hints.forZones or hints.forNodes: a list of {name}. */
static int read_hints(struct fl_decoding *d, const struct fl_value *hints, const char *key,
		      struct hint_names *names)
{
	const struct fl_value *list;
	int rc = fl_field_list(d, hints, key, FL_HINTS_MAX, &list);

	return rc ? rc : fl_field_each(d, hints, key, read_hint, names);
}

/* The name of its node, and its hints. */
static int read_names(struct fl_decoding *d, const struct fl_value *item,
		      struct fl_endpoint *endpoint)
{
	struct hint_names zones = {.n = 0}, nodes = {.n = 0};
	const struct fl_value *hints;
	const char *node_name;
	int rc = fl_field_text(d, item, "nodeName", &node_name);
	size_t mark;

	if (!rc)
		rc = fl_field_map(d, item, "hints", &hints);
	if (rc)
		return rc;
	mark = fl_field_enter(d, "hints");
	rc = fl_field_check_keys(d, hints, hint_keys);
	if (!rc)
		rc = read_hints(d, hints, "forZones", &zones);
	if (!rc)
		rc = read_hints(d, hints, "forNodes", &nodes);
	if (rc)
		return rc;
	fl_field_leave(d, mark);
	return fl_endpoint_name(endpoint, node_name, zones.v, zones.n, nodes.v, nodes.n);
}

static int read_conditions(struct fl_decoding *d, const struct fl_value *item,
			   struct fl_endpoint *endpoint)
{
	const struct fl_value *conditions;
	int rc = fl_field_map(d, item, "conditions", &conditions);
	size_t mark;

	if (rc)
		return rc;
	mark = fl_field_enter(d, "conditions");
	rc = fl_field_check_keys(d, conditions, condition_keys);
	if (rc)
		return rc;
	/* rule 3.1.1: an absent serving is true, it does not follow ready */
	rc = fl_field_bool(d, conditions, "ready", true, &endpoint->ready);
	if (!rc)
		rc = fl_field_bool(d, conditions, "serving", true, &endpoint->serving);
	if (!rc)
		rc = fl_field_bool(d, conditions, "terminating", false, &endpoint->terminating);
	if (!rc)
		fl_field_leave(d, mark);
	return rc;
}

/* Rule 4.5: the first address counts. *ret_usable false: leave the endpoint out. */
static int read_address(struct fl_decoding *d, const struct fl_value *item, enum fl_family family,
			struct fl_endpoint *endpoint, bool *ret_usable)
{
	const struct fl_value *list, *first;
	const char *text, *why;
	size_t mark;
	int rc = fl_field_list(d, item, "addresses", MAX_ADDRESSES, &list);

	*ret_usable = false;
	if (rc || !fl_value_count(list))
		return rc;
	first = fl_value_first(list);
	mark = fl_field_enter_item(d, "addresses", 0);
	rc = fl_field_item_string(d, first, &text);
	if (rc)
		return rc;
	if (fl_ip_parse(text, &endpoint->ip))
		return fl_field_error(d, first, NULL, "\"%.60s\" is no IP address", text);
	if (fl_ip_family(&endpoint->ip) != family)
		return fl_field_error(d, first, NULL, "%.60s does not fit addressType %s", text,
				      fl_family_name(family));
	why = fl_field_forbidden(&endpoint->ip);
	if (why)
		rc = fl_field_warn(d, first, NULL, "%.60s is %s and never a backend, refused", text,
				   why);
	*ret_usable = !why;
	fl_field_leave(d, mark);
	return rc;
}

/* An endpoint that is left out needs no free: nothing is owned before its address is accepted. */
static int read_endpoint(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_slice *s = arg;
	struct fl_endpoint *endpoint = &s->endpoints[s->n_endpoints];
	bool usable;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_check_keys(d, item, endpoint_keys);
	if (!rc)
		rc = read_address(d, item, s->family, endpoint, &usable);
	if (rc || !usable)
		return rc;
	s->n_endpoints++; /* from here on the slice's end frees it */
	rc = read_conditions(d, item, endpoint);
	return rc ? rc : read_names(d, item, endpoint);
}

static int read_endpoints(struct fl_decoding *d, const struct fl_value *root, struct fl_slice *s)
{
	int rc;

	s->endpoints =
		fl_field_room(d, root, "endpoints", MAX_ENDPOINTS, sizeof(*s->endpoints), &rc);
	return rc ? rc : fl_field_each(d, root, "endpoints", read_endpoint, s);
}

/*
 * Rule 4.6: a port without a number is left out. An absent name is "", as the API server would have
 * made it before any proxy saw the slice.
 */
static int read_port(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_slice *s = arg;
	struct fl_slice_port *port = &s->ports[s->n_ports];
	int64_t number;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_check_keys(d, item, port_keys);
	if (!rc)
		rc = fl_field_int(d, item, "port", 0, 65535, 0, &number);
	if (!rc)
		rc = fl_field_proto(d, item, &port->proto);
	if (rc)
		return rc;
	if (!number && fl_value_get(item, "port"))
		return fl_field_warn(d, item, "port", "0 is no port, left out");
	if (!number)
		return 0;
	port->port = (uint16_t)number;
	rc = fl_field_name_copy(d, item, "name", &port->name);
	s->n_ports += !rc;
	return rc;
}

static int read_ports(struct fl_decoding *d, const struct fl_value *root, struct fl_slice *s)
{
	int rc;

	s->ports = fl_field_room(d, root, "ports", MAX_PORTS, sizeof(*s->ports), &rc);
	return rc ? rc : fl_field_each(d, root, "ports", read_port, s);
}

/*
 * The Service it belongs to (rule 4.1: by label), and its version if that is a number. *ret_skip:
 * it belongs to none. Slices without the label are legal: programs of their own make some. So are
 * those of headless Services, whatever the value of that label (rule 1.4).
 */
static int read_metadata(struct fl_decoding *d, const struct fl_value *root, struct fl_slice *s,
			 bool *ret_skip)
{
	const struct fl_value *meta = fl_field_get(d, root, "metadata"), *labels;
	const char *version, *trigger;
	size_t mark = fl_field_enter(d, "metadata"), inner;
	int rc = fl_field_string(d, meta, "resourceVersion", &version);

	if (!rc)
		rc = fl_field_map(d, meta, "labels", &labels);
	if (rc)
		return rc;
	if (*version && strspn(version, "0123456789") == strlen(version) && strlen(version) < 20)
		s->version = strtoull(version, NULL, 10);
	/* 4.14: one that is missing or unreadable is passed over */
	trigger = fl_value_string(
		fl_value_get(fl_value_get(meta, "annotations"), TRIGGER_ANNOTATION));
	if (trigger && fl_time_parse(trigger, &s->trigger_unix_ns))
		s->trigger_unix_ns = 0;
	inner = fl_field_enter(d, "labels");
	*ret_skip = fl_field_get(d, labels, HEADLESS_LABEL);
	if (*ret_skip)
		return fl_field_note(d, labels, "slice of a headless Service, skipped");
	rc = fl_field_name_copy(d, labels, FL_SERVICE_NAME_LABEL, &s->service);
	if (rc)
		return rc;
	*ret_skip = !*s->service;
	if (*ret_skip)
		return fl_field_note(d, labels ? labels : meta,
				     "slice without label " FL_SERVICE_NAME_LABEL ", skipped");
	fl_field_leave(d, inner);
	fl_field_leave(d, mark);
	return 0;
}

int fl_decode_slice(struct fl_decoding *d, const struct fl_value *root, struct fl_slice **ret_slice)
{
	static const struct fl_word types[] = {FL_FAMILY_WORDS, {"FQDN", TYPE_FQDN}, {NULL, 0}};
	_cleanup_(fl_slice_free) struct fl_slice *s = calloc(1, sizeof(*s));
	bool skip = false;
	int type, rc;

	if (!s)
		return -ENOMEM;
	s->ns = strdup(d->ns);
	s->name = strdup(d->name);
	if (!s->ns || !s->name)
		return -ENOMEM;
	rc = fl_field_check_keys(d, root, root_keys);
	if (!rc)
		rc = fl_field_word(d, root, "addressType", types, TYPE_NONE, &type);
	if (!rc && type == TYPE_NONE)
		rc = fl_field_error(d, root, "addressType", "missing");
	if (rc)
		return rc;
	if (type == TYPE_FQDN) /* rule 4.2: addresses only */
		return fl_field_note(d, root, "slice of addressType FQDN, skipped");
	s->family = (enum fl_family)type;
	rc = read_metadata(d, root, s, &skip);
	if (rc || skip)
		return rc;
	rc = read_ports(d, root, s);
	if (!rc)
		rc = read_endpoints(d, root, s);
	if (!rc)
		rc = fl_decode_weights(d, root, s);
	if (rc)
		return rc;
	fl_slice_pack(&s);
	*ret_slice = TAKE_PTR(s);
	return 0;
}
