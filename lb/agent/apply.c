// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * From objects to maps: the Services that a change has marked are planned and synced as one batch.
 * Also what the Node object and the settings mean for the programs.
 */
#include <errno.h>
#include <string.h>

#include "lb/agent/agent.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/node_ports.h"

/* What became of one Service. Sync keeps what a full map refused and reports it as such. */
static void service_done(struct fl_agent *agent, const char *ns, const char *name, int rc,
			 const struct fl_err *err)
{
	_cleanup_free_ char *subject = NULL;

	if (asprintf(&subject, "%s/%s", ns, name) < 0)
		subject = NULL;
	else if (rc && rc != -ENOSPC)
		fl_health_set(agent->health, FL_CONDITION_SYNC, subject, FL_HEALTH_ERROR,
			      "Service %s keeps its old state: %s", subject,
			      err->text[0] ? err->text : strerror(-rc));
	else
		fl_health_clear(agent->health, FL_CONDITION_SYNC, subject);
}

/* A Service that could not be applied keeps its old state and is tried again by the slow timer. */
static int sync_one(struct fl_agent *agent, const char *ns, const char *name, struct fl_err *err)
{
	const struct fl_service *service = fl_store_service(agent->store, ns, name);
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0};
	int r;

	r = fl_plan_stored(agent->store, ns, name, &agent->plan_options, &plan);
	if (!r)
		r = fl_sync_service(agent->sync, ns, name, service ? service->created : 0, &plan,
				    err);
	service_done(agent, ns, name, r, err);
	return r;
}

void fl_agent_sync_done(struct fl_agent *agent, int rc, const struct fl_err *err)
{
	struct fl_sync_stats stats;

	agent->retry |= rc != 0;
	fl_sync_stats(agent->sync, &stats);
	if (rc)
		fl_health_set(agent->health, FL_CONDITION_SYNC, "", FL_HEALTH_ERROR,
			      "not all is in the maps as wanted: %s",
			      err->text[0] ? err->text : strerror(-rc));
	else if (!agent->retry || !stats.failed_ports)
		fl_health_clear(agent->health, FL_CONDITION_SYNC, "");
	fl_agent_sync_health(agent);
}

static void apply_dirty(struct fl_agent *agent)
{
	struct fl_service_key key;
	struct fl_err err = {""};
	int rc = 0, r;

	fl_agent_read_node(agent);
	fl_sync_begin(agent->sync);
	while (fl_store_take_dirty(agent->store, &key)) {
		/* the key is borrowed until the store is used next */
		_cleanup_free_ char *ns = strdup(key.ns), *name = strdup(key.name);
		struct fl_err why = {""};

		r = ns && name ? sync_one(agent, ns, name, &why) : -ENOMEM;
		if (r && !rc) {
			rc = r;
			err = why;
		}
	}
	r = fl_sync_commit(agent->sync, rc ? NULL : &err);
	fl_agent_flush_stale(agent);
	fl_agent_sync_done(agent, rc ? rc : r, &err);
}

void fl_agent_apply(struct fl_agent *agent)
{
	struct fl_err err = {""};
	int rc;

	if (fl_store_dirty_count(agent->store))
		apply_dirty(agent);
	/* a file or object that was never readable may be one that the maps of an earlier agent
	 * still serve: nothing of that is removed before */
	if (agent->settled || (fl_dp_adopted(agent->dp) && !fl_source_complete(agent->source)))
		return;
	/* what is refused now is tried again with the rest; from here on removals are allowed */
	agent->settled = true;
	rc = fl_sync_settle(agent->sync, &err);
	fl_agent_sync_done(agent, rc, &err);
}

void fl_agent_read_node(struct fl_agent *agent)
{
	const struct fl_settings *s = agent->settings;
	const struct fl_node *node = fl_store_node(agent->store);
	struct fl_ip ips[FL_FAMILIES], bind;
	bool has_bind = s->bind_address && *s->bind_address &&
			!fl_ip_parse(s->bind_address, &bind) && !fl_ip_is_unspecified(&bind);
	size_t n = fl_node_ips(node, has_bind ? &bind : NULL, ips);
	bool changed = n != agent->n_node_ips || memcmp(ips, agent->node_ips, n * sizeof(ips[0]));

	memcpy(agent->node_ips, ips, n * sizeof(ips[0]));
	agent->n_node_ips = n;
	agent->plan_options = fl_plan_options_of(agent->store);
	agent->plan_options.node_hints = s->node_hints;
	agent->plan_options.no_external_ips = !s->external_ips;
	agent->plan_options.node_ips = agent->node_ips;
	agent->plan_options.n_node_ips = n;
	if (agent->host)
		fl_host_set_node_ips(agent->host, ips, n);
	/* the source ranges of rule 5.6.5 depend on it */
	if (changed)
		fl_store_mark_all(agent->store);
}

int fl_agent_detector(struct fl_agent *agent, struct fl_err *err)
{
	const struct fl_settings *s = agent->settings;
	_cleanup_free_ struct fl_prefix *cidrs = calloc(s->cluster_cidr.n + 1, sizeof(*cidrs));
	struct fl_detect_input input = {.cluster_cidrs = cidrs,
					.n_cluster_cidrs = s->cluster_cidr.n,
					.node = fl_store_node(agent->store)};
	int r;

	if (!cidrs)
		return fl_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < s->cluster_cidr.n; i++) {
		r = fl_prefix_parse(s->cluster_cidr.items[i], &cidrs[i]);
		if (r)
			return fl_err_set(err, r, "cluster CIDR \"%s\" is not a CIDR",
					  s->cluster_cidr.items[i]);
	}
	r = fl_detect_mode_parse(s->detect_mode ? s->detect_mode : "", &input.mode);
	if (r)
		return fl_err_set(err, r, "detectLocalMode \"%s\" is not known", s->detect_mode);
	input.interface = input.mode == FL_DETECT_BRIDGE_INTERFACE ? s->pod_bridge : s->pod_prefix;
	return fl_detect_init(&input, &agent->detect, err);
}

/* A prefix as the programs compare it: address & mask. `len` counts the bits of the mapped form. */
static void set_cidr(struct fl_addr *addr, struct fl_addr *mask, const struct fl_prefix *prefix)
{
	uint8_t bytes[16] = {0};

	for (unsigned int i = 0; i < prefix->len; i++)
		bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(mask, bytes, sizeof(bytes));
	memcpy(addr, &prefix->ip, sizeof(prefix->ip));
}

struct fl_config fl_agent_config(const struct fl_agent *agent)
{
	const struct fl_settings *s = agent->settings;
	const struct fl_detect *d = &agent->detect;
	bool by_cidr = d->mode == FL_DETECT_CLUSTER_CIDR || d->mode == FL_DETECT_NODE_CIDR;
	struct fl_config c = {
		.new_flow_rate = s->new_flow_rate,
		.reject_rate = s->reject_rate,
		.masquerade_local = s->masquerade_local,
		.reject_unknown_port = s->reject_unknown_port,
		/* without CIDRs the devices are all that tells a pod */
		.pod_by_device =
			!by_cidr || (!d->on[FL_IPV4] && !d->on[FL_IPV6] && s->pod_devices.n),
	};

	if (by_cidr && d->on[FL_IPV4]) {
		c.pod_detector4 = 1;
		set_cidr(&c.pod_cidr4, &c.pod_mask4, &d->cidr[FL_IPV4]);
	}
	if (by_cidr && d->on[FL_IPV6]) {
		c.pod_detector6 = 1;
		set_cidr(&c.pod_cidr6, &c.pod_mask6, &d->cidr[FL_IPV6]);
	}
	return c;
}
