/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Pod clients, and the table of reach and masquerade that depends on them (rules 5.2 to 5.4, 5.7).
 */
#include "lb/model/detect.h"

#include <errno.h>
#include <string.h>

static const char *const mode_names[] = {
	[FL_DETECT_CLUSTER_CIDR] = "ClusterCIDR",
	[FL_DETECT_NODE_CIDR] = "NodeCIDR",
	[FL_DETECT_BRIDGE_INTERFACE] = "BridgeInterface",
	[FL_DETECT_INTERFACE_NAME_PREFIX] = "InterfaceNamePrefix",
};
_Static_assert(sizeof(mode_names) / sizeof(mode_names[0]) == FL_DETECT_MODES, "a name per mode");

int fl_detect_mode_parse(const char *text, enum fl_detect_mode *ret_mode)
{
	if (!*text) {
		*ret_mode = FL_DETECT_CLUSTER_CIDR;
		return 0;
	}
	for (int i = 0; i < FL_DETECT_MODES; i++) {
		if (strcmp(text, mode_names[i]))
			continue;
		*ret_mode = i;
		return 0;
	}
	return -EINVAL;
}

static void take_first_cidrs(struct fl_detect *detect, const struct fl_prefix *cidrs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		enum fl_family family = fl_prefix_family(&cidrs[i]);

		if (detect->on[family])
			continue;
		detect->on[family] = true;
		detect->cidr[family] = cidrs[i];
	}
}

int fl_detect_init(const struct fl_detect_input *input, struct fl_detect *ret_detect,
		   struct fl_err *err)
{
	const char *interface = input->interface ? input->interface : "";
	struct fl_detect detect = {.mode = input->mode};

	switch (input->mode) {
	case FL_DETECT_CLUSTER_CIDR:
		take_first_cidrs(&detect, input->cluster_cidrs, input->n_cluster_cidrs);
		break;
	case FL_DETECT_NODE_CIDR:
		if (input->node)
			take_first_cidrs(&detect, input->node->pod_cidrs, input->node->n_pod_cidrs);
		break;
	case FL_DETECT_BRIDGE_INTERFACE:
	case FL_DETECT_INTERFACE_NAME_PREFIX:
		if (!*interface)
			return fl_err_set(err, -EINVAL, "detectLocalMode %s: no interface is named",
					  mode_names[input->mode]);
		if (strlen(interface) >= sizeof(detect.interface))
			return fl_err_set(err, -EINVAL,
					  "detectLocalMode %s: interface \"%.64s\" is too long",
					  mode_names[input->mode], interface);
		strcpy(detect.interface, interface);
		detect.on[FL_IPV4] = detect.on[FL_IPV6] = true;
		break;
	default:
		return fl_err_set(err, -EINVAL, "detectLocalMode %d is unknown", input->mode);
	}
	*ret_detect = detect;
	return 0;
}

/* ClusterIP: the internal policy holds for every client (rule 5.4.1). */
static struct fl_reach reach_cluster_ip(enum fl_client client, bool internal_local, bool detector,
					bool masquerade_all)
{
	return (struct fl_reach){
		.list = internal_local ? FL_PLAN_LIST_LOCAL : FL_PLAN_LIST_CLUSTER,
		/*
		 * without a detector a pod cannot be told from other clients (rules 5.3.1, 5.3.2)
		 */
		.masquerade = masquerade_all || (detector && client != FL_CLIENT_POD),
	};
}

/*
 * External frontends: policy Local binds outside clients only; pods and the node itself take the
 * short circuit to the cluster list, and of these only the pod can be answered at its own address
 * (rule 5.4.2).
 */
static struct fl_reach reach_external(enum fl_client client, bool external_local, bool detector)
{
	struct fl_reach reach = {.list = FL_PLAN_LIST_CLUSTER, .masquerade = true};

	if (client == FL_CLIENT_POD && !detector)
		client = FL_CLIENT_OUTSIDE;
	if (!external_local)
		return reach;
	if (client == FL_CLIENT_OUTSIDE)
		reach.list = FL_PLAN_LIST_LOCAL;
	reach.masquerade = client == FL_CLIENT_NODE;
	return reach;
}

struct fl_reach fl_reach_decide(enum fl_plan_frontend_type type, enum fl_client client,
				bool internal_local, bool external_local, bool detector,
				bool masquerade_all)
{
	if (type == FL_PLAN_CLUSTER_IP)
		return reach_cluster_ip(client, internal_local, detector, masquerade_all);
	return reach_external(client, external_local, detector);
}

uint16_t fl_masquerade_clients(enum fl_plan_frontend_type type, bool internal_local,
			       bool external_local, bool detector, bool masquerade_all)
{
	uint16_t clients = 0;

	for (int client = 0; client < FL_CLIENTS; client++) {
		if (fl_reach_decide(type, client, internal_local, external_local, detector,
				    masquerade_all)
			    .masquerade)
			clients |= 1 << client;
	}
	return clients;
}

enum fl_plan_list fl_side_list(const struct fl_plan_port *port, enum fl_plan_frontend_type type,
			       enum fl_side side)
{
	enum fl_client client = side == FL_SIDE_INTERNAL ? FL_CLIENT_NODE : FL_CLIENT_OUTSIDE;

	return fl_reach_decide(type, client, port->internal_local, port->external_local, true,
			       false)
		.list;
}

enum fl_plan_verdict fl_side_verdict(const struct fl_plan_port *port,
				     enum fl_plan_frontend_type type, enum fl_side side)
{
	if (type == FL_PLAN_CLUSTER_IP)
		return port->cluster_ip;
	return side == FL_SIDE_INTERNAL ? port->internal_to_external : port->external;
}

bool fl_detect_equal(const struct fl_detect *a, const struct fl_detect *b)
{
	if (a->mode != b->mode || strcmp(a->interface, b->interface))
		return false;
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		if (a->on[family] != b->on[family])
			return false;
		if (a->on[family] && (a->cidr[family].len != b->cidr[family].len ||
				      !fl_ip_equal(&a->cidr[family].ip, &b->cidr[family].ip)))
			return false;
	}
	return true;
}
