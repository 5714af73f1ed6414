// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Conditions of the node itself that keep traffic from being served as its owner will expect. */
#include <stdio.h>

#include "lb/agent/agent.h"

static void check_forwarding(struct fl_agent *agent, const struct fl_netdev *dev)
{
	static const char *const switches[] = {
		[FL_IPV4] = "IPv4 forwarding is off (net.ipv4.ip_forward)",
		[FL_IPV6] = "IPv6 forwarding is off (net.ipv6.conf.all.forwarding)",
	};
	char subject[IF_NAMESIZE + 16];

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		if (!fl_device_lacks_forwarding(&agent->network, dev, family))
			continue;
		snprintf(subject, sizeof(subject), "%s %s", dev->name,
			 family == FL_IPV4 ? "IPv4" : "IPv6");
		fl_health_set(agent->health, FL_CONDITION_FORWARDING, subject, FL_HEALTH_WARNING,
			      "device %s: %s: what comes in by it for pods and other nodes is "
			      "dropped",
			      dev->name, switches[family]);
	}
}

void fl_agent_doubts_update(struct fl_agent *agent)
{
	const struct fl_network *net = &agent->network;
	struct fl_device_rules rules = fl_agent_device_rules(agent);

	fl_health_scan_begin(agent->health, FL_CONDITION_FORWARDING);
	for (size_t i = 0; i < net->n_devices; i++) {
		const struct fl_netdev *dev = &net->devices[i];

		if (fl_device_lacks_ethernet(net, dev, &rules))
			fl_health_set(agent->health, FL_CONDITION_DEVICE, dev->name,
				      FL_HEALTH_WARNING,
				      "device %s: packets there have no Ethernet header: not "
				      "served",
				      dev->name);
		if (fl_device_role(net, dev, &rules) == FL_ROLE_EXTERNAL)
			check_forwarding(agent, dev);
	}
	fl_health_scan_end(agent->health, FL_CONDITION_FORWARDING);
}
