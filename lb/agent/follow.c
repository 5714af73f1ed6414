/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the node changes under running programs: the addresses of its pods, its own, and the source
 * ports that the kernel and the node-port range leave. The programs have these in memory that can
 * be written (lb/dp/live.c), so none is loaded again and flows live on: what they were begun with
 * is in their entries.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lb/agent/datapath.h"
#include "lb/agent/internal.h"
#include "lb/agent/peers.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"

void fl_agent_log_source_ports(const struct fl_port_range ranges[static FL_PORT_RANGES])
{
	char text[200] = "";

	for (size_t i = 0, used = 0; i < FL_PORT_RANGES && ranges[i].count && used < sizeof(text);
	     i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u-%u", i ? ", " : "",
					 ranges[i].first, ranges[i].first + ranges[i].count - 1);
	fl_log_info("source ports for masquerading: %s", text);
}

static void log_pods(const struct fl_detect *detect)
{
	char text[2 * FL_PREFIX_STRLEN + 2] = "", one[FL_PREFIX_STRLEN];

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		if (detect->on[family])
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 *text ? ", " : "", fl_prefix_format(&detect->cidr[family], one));
	fl_log_info("pods are those of %s", *text ? text : "no address range");
}

/* NodeCIDR: what is not known (any more) is no reason to change anything. */
static int find_pods(const struct fl_agent *agent, struct fl_detect *ret_detect, struct fl_err *err)
{
	const struct fl_node *node = fl_store_node(agent->input.store);

	if (agent->detect.mode == FL_DETECT_NODE_CIDR && !(node && node->n_pod_cidrs)) {
		*ret_detect = agent->detect;
		return 0;
	}
	return fl_datapath_detector(agent->settings, node, ret_detect, err);
}

static struct fl_live wanted(const struct fl_agent *agent, const struct fl_detect *detect)
{
	struct fl_ip addrs[FL_FAMILIES] = {0};

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		fl_host_node_address(agent->host, family, &addrs[family]);
	return fl_datapath_live(agent->settings, detect, addrs, fl_host_source_ports(agent->host));
}

/* Whether clients of a family can be told from others decides who is masqueraded, which is written
 * with each frontend. */
static void take_detector(struct fl_agent *agent, const struct fl_detect *detect)
{
	if (memcmp(agent->detect.on, detect->on, sizeof(detect->on))) {
		fl_sync_set_detector(agent->sync, detect->on);
		fl_store_mark_all(agent->input.store);
	}
	if (!fl_detect_equal(&agent->detect, detect))
		log_pods(detect);
	agent->detect = *detect;
}

static void take_ports(struct fl_agent *agent, const struct fl_live *before,
		       const struct fl_live *now)
{
	if (!memcmp(before->snat, now->snat, sizeof(now->snat)))
		return;
	fl_host_set_source_ports(agent->host, now->snat);
	agent->metrics.ports.ports = now->snat_ports;
	fl_agent_log_source_ports(now->snat);
}

static void follow_peers(struct fl_agent *agent)
{
	struct fl_err err = {""};

	if (fl_peers_set(agent->host, agent->settings, agent->input.store, &err))
		fl_health_set(agent->health, FL_CONDITION_SETTINGS, "peers", FL_HEALTH_ERROR,
			      "not all nodes can send encapsulated packets here: %s", err.text);
	else
		fl_health_clear(agent->health, FL_CONDITION_SETTINGS, "peers");
}

void fl_agent_follow(struct fl_agent *agent)
{
	const uint64_t news = fl_store_changes(agent->input.store, FL_KIND_NODE) +
			      fl_host_changes(agent->host) + agent->rereads;
	const struct fl_live before = fl_dp_config(agent->dp)->live;
	struct fl_err err = {""};
	struct fl_detect detect;
	struct fl_live now;
	int r;

	if (news == agent->followed)
		return;
	r = find_pods(agent, &detect, &err);
	if (!r) {
		now = wanted(agent, &detect);
		if (memcmp(&now, &before, sizeof(now)))
			r = fl_dp_set_live(agent->dp, &now, &err);
	}
	if (r == -EAGAIN) /* a moment after the change before: a later turn does it */
		return;
	agent->followed = news;
	follow_peers(agent);
	if (r) {
		fl_health_set(agent->health, FL_CONDITION_SETTINGS, "programs", FL_HEALTH_ERROR,
			      "a change of the node is not in force: %s", err.text);
		return;
	}
	fl_health_clear(agent->health, FL_CONDITION_SETTINGS, "programs");
	take_detector(agent, &detect);
	take_ports(agent, &before, &now);
}

static void take_settings(struct fl_agent *agent)
{
	struct fl_port_span node_ports;

	fl_log_info("the configuration was read again, and what has changed is in force");
	fl_log_level_set(agent->settings->log_level);
	fl_port_span_parse(agent->settings->node_port_range, &node_ports); /* was checked */
	fl_host_set_node_port_range(agent->host, node_ports);
	fl_datapath_set_masquerade(agent->host, agent->settings);
	agent->rereads++;
}

void fl_agent_reread(struct fl_agent *agent)
{
	_cleanup_free_ char *waiting = NULL;
	struct fl_err err = {""};
	bool changed = false;
	int r;

	if (!agent->reread)
		return;
	r = fl_reread_settings(agent->reread, agent->settings, &changed, &waiting, &err);
	if (r) {
		fl_health_set(agent->health, FL_CONDITION_SETTINGS, "read", FL_HEALTH_WARNING,
			      "the configuration cannot be read again, what was read before "
			      "stays: %s",
			      err.text[0] ? err.text : strerror(-r));
		return;
	}
	fl_health_clear(agent->health, FL_CONDITION_SETTINGS, "read");
	if (*waiting)
		fl_health_set(agent->health, FL_CONDITION_SETTINGS, "restart", FL_HEALTH_WARNING,
			      "changed settings wait until the agent is started again: %s",
			      waiting);
	else
		fl_health_clear(agent->health, FL_CONDITION_SETTINGS, "restart");
	if (changed)
		take_settings(agent);
}
