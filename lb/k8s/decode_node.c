/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Node: the fields that rule 10.2 lists. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/k8s/field.h"

#define ZONE_LABEL "topology.kubernetes.io/zone"
#define AUTOSCALER_TAINT "ToBeDeletedByClusterAutoscaler"
#define MAX_CIDRS 64
#define MAX_ADDRESSES 256
#define MAX_TAINTS 1024

static int read_metadata(struct fl_decoding *d, const struct fl_value *root, struct fl_node *n)
{
	const struct fl_value *meta = fl_field_get(d, root, "metadata"), *labels;
	int rc;

	fl_field_enter(d, "metadata");
	rc = fl_field_map(d, meta, "labels", &labels);
	if (rc)
		return rc;
	n->deleting = fl_field_get(d, meta, "deletionTimestamp");
	fl_field_enter(d, "labels");
	rc = fl_field_text_copy(d, labels, ZONE_LABEL, &n->zone);
	if (!rc)
		fl_field_leave(d, 0);
	return rc;
}

static int add_cidr(struct fl_decoding *d, const struct fl_value *value, const char *key,
		    const char *text, struct fl_node *n)
{
	if (fl_prefix_parse(text, &n->pod_cidrs[n->n_pod_cidrs]))
		return fl_field_error(d, value, key, "\"%.60s\" is no address range", text);
	n->n_pod_cidrs++;
	return 0;
}

static int read_pod_cidr(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	const char *text;
	int rc = fl_field_item_string(d, item, &text);

	return rc ? rc : add_cidr(d, item, NULL, text, arg);
}

static int read_pod_cidrs(struct fl_decoding *d, const struct fl_value *spec, struct fl_node *n)
{
	const char *text;
	int rc;

	n->pod_cidrs = fl_field_room(d, spec, "podCIDRs", MAX_CIDRS, sizeof(*n->pod_cidrs), &rc);
	if (n->pod_cidrs)
		return fl_field_each(d, spec, "podCIDRs", read_pod_cidr, n);
	if (!rc)
		rc = fl_field_string(d, spec, "podCIDR", &text);
	if (rc || !*text)
		return rc;
	n->pod_cidrs = calloc(1, sizeof(*n->pod_cidrs));
	if (!n->pod_cidrs)
		return -ENOMEM;
	return add_cidr(d, fl_value_get(spec, "podCIDR"), "podCIDR", text, n);
}

static int read_taint(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	struct fl_node *n = arg;
	const char *key;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_string(d, item, "key", &key);
	if (rc)
		return rc;
	n->autoscaler_taint |=
		!strcmp(key, AUTOSCALER_TAINT); /* rule 6.2.5: any value, any effect */
	return 0;
}

static int read_taints(struct fl_decoding *d, const struct fl_value *spec, struct fl_node *n)
{
	const struct fl_value *list;
	int rc = fl_field_list(d, spec, "taints", MAX_TAINTS, &list);

	return rc ? rc : fl_field_each(d, spec, "taints", read_taint, n);
}

/* Those of one type at a time, for their order in the result. */
struct wanted_addresses {
	const char *type;
	struct fl_node *node;
};

static int read_address(struct fl_decoding *d, const struct fl_value *item, void *arg)
{
	const struct wanted_addresses *wanted = arg;
	struct fl_node *n = wanted->node;
	const char *type, *text;
	int rc = fl_field_item_map(d, item);

	if (!rc)
		rc = fl_field_string(d, item, "type", &type);
	if (!rc)
		rc = fl_field_string(d, item, "address", &text);
	if (rc || strcmp(type, wanted->type))
		return rc;
	if (fl_ip_parse(text, &n->addresses[n->n_addresses++]))
		return fl_field_error(d, item, "address", "\"%.60s\" is no IP address", text);
	return 0;
}

static int read_addresses(struct fl_decoding *d, const struct fl_value *root, struct fl_node *n)
{
	static const char *const types[] = {"InternalIP", "ExternalIP"};
	const struct fl_value *status;
	int rc = fl_field_map(d, root, "status", &status);

	if (rc)
		return rc;
	fl_field_enter(d, "status");
	n->addresses =
		fl_field_room(d, status, "addresses", MAX_ADDRESSES, sizeof(*n->addresses), &rc);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]) && !rc; i++) {
		struct wanted_addresses wanted = {types[i], n};

		rc = fl_field_each(d, status, "addresses", read_address, &wanted);
	}
	if (!rc)
		fl_field_leave(d, 0);
	return rc;
}

int fl_decode_node(struct fl_decoding *d, const struct fl_value *root, struct fl_node **ret_node)
{
	_cleanup_(fl_node_free) struct fl_node *n = calloc(1, sizeof(*n));
	const struct fl_value *spec;
	int rc;

	if (!n)
		return -ENOMEM;
	n->name = strdup(d->name);
	if (!n->name)
		return -ENOMEM;
	rc = read_metadata(d, root, n);
	if (!rc)
		rc = fl_field_map(d, root, "spec", &spec);
	if (rc)
		return rc;
	fl_field_enter(d, "spec");
	rc = read_pod_cidrs(d, spec, n);
	if (!rc)
		rc = read_taints(d, spec, n);
	if (rc)
		return rc;
	fl_field_leave(d, 0);
	rc = read_addresses(d, root, n);
	if (rc)
		return rc;
	*ret_node = TAKE_PTR(n);
	return 0;
}
