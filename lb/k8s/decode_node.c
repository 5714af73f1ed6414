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
	const struct fl_value *meta = fl_value_get(root, "metadata"), *labels;
	int rc;

	fl_field_enter(d, "metadata");
	rc = fl_field_map(d, meta, "labels", &labels);
	if (rc)
		return rc;
	n->deleting = fl_value_get(meta, "deletionTimestamp");
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

static int read_pod_cidrs(struct fl_decoding *d, const struct fl_value *spec, struct fl_node *n)
{
	const struct fl_value *list;
	const char *text;
	size_t i = 0;
	int rc = fl_field_list(d, spec, "podCIDRs", MAX_CIDRS, &list);

	if (!rc)
		rc = fl_field_string(d, spec, "podCIDR", &text);
	if (rc)
		return rc;
	n->pod_cidrs = calloc(fl_value_count(list) + 1, sizeof(*n->pod_cidrs));
	if (!n->pod_cidrs)
		return -ENOMEM;
	if (!fl_value_count(list))
		return *text ? add_cidr(d, fl_value_get(spec, "podCIDR"), "podCIDR", text, n) : 0;
	FL_VALUE_EACH(item, list)
	{
		size_t mark = fl_field_enter_item(d, "podCIDRs", i++);

		rc = fl_field_item_string(d, item, &text);
		if (!rc)
			rc = add_cidr(d, item, NULL, text, n);
		if (rc)
			return rc;
		fl_field_leave(d, mark);
	}
	return 0;
}

static int read_taints(struct fl_decoding *d, const struct fl_value *spec, struct fl_node *n)
{
	const struct fl_value *list;
	size_t i = 0;
	int rc = fl_field_list(d, spec, "taints", MAX_TAINTS, &list);

	if (rc)
		return rc;
	FL_VALUE_EACH(item, list)
	{
		size_t mark = fl_field_enter_item(d, "taints", i++);
		const char *key;

		rc = fl_field_item_map(d, item);
		if (!rc)
			rc = fl_field_string(d, item, "key", &key);
		if (rc)
			return rc;
		if (!strcmp(key, AUTOSCALER_TAINT)) /* rule 6.2.5: any value, any effect */
			n->autoscaler_taint = true;
		fl_field_leave(d, mark);
	}
	return 0;
}

static int read_addresses_of(struct fl_decoding *d, const struct fl_value *list, const char *wanted,
			     struct fl_node *n)
{
	size_t i = 0;

	FL_VALUE_EACH(item, list)
	{
		size_t mark = fl_field_enter_item(d, "addresses", i++);
		const char *type, *text;
		int rc = fl_field_item_map(d, item);

		if (!rc)
			rc = fl_field_string(d, item, "type", &type);
		if (!rc)
			rc = fl_field_string(d, item, "address", &text);
		if (!rc && !strcmp(type, wanted) &&
		    fl_ip_parse(text, &n->addresses[n->n_addresses++]))
			rc = fl_field_error(d, item, "address", "\"%.60s\" is no IP address", text);
		if (rc)
			return rc;
		fl_field_leave(d, mark);
	}
	return 0;
}

static int read_addresses(struct fl_decoding *d, const struct fl_value *root, struct fl_node *n)
{
	const struct fl_value *status, *list;
	int rc = fl_field_map(d, root, "status", &status);

	if (rc)
		return rc;
	fl_field_enter(d, "status");
	rc = fl_field_list(d, status, "addresses", MAX_ADDRESSES, &list);
	if (rc)
		return rc;
	n->addresses = calloc(fl_value_count(list) + 1, sizeof(*n->addresses));
	if (!n->addresses)
		return -ENOMEM;
	rc = read_addresses_of(d, list, "InternalIP", n);
	if (!rc)
		rc = read_addresses_of(d, list, "ExternalIP", n);
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
