// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What of the node itself keeps traffic from being served as its owner will expect: said in the log
 * when it appears, and by `fairlead status` as long as it lasts. The agent is well all the same.
 */
#include <stdarg.h>
#include <stdio.h>

#include "lb/agent/agent.h"

/* Without memory a doubt is not told. */
static void __attribute__((format(printf, 2, 3)))
add(struct fl_strings *doubts, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) >= 0)
		fl_strings_add(doubts, text);
	va_end(ap);
}

void fl_agent_doubts_update(struct fl_agent *agent)
{
	static const char *const switches[] = {
		[FL_IPV4] = "IPv4 forwarding is off (net.ipv4.ip_forward)",
		[FL_IPV6] = "IPv6 forwarding is off (net.ipv6.conf.all.forwarding)",
	};
	const struct fl_network *net = &agent->network;
	struct fl_device_rules rules = fl_agent_device_rules(agent);
	struct fl_strings doubts = {0};

	for (size_t i = 0; i < net->n_devices; i++) {
		const struct fl_netdev *dev = &net->devices[i];

		if (fl_device_lacks_ethernet(net, dev, &rules))
			add(&doubts, "device %s: packets there have no Ethernet header: not served",
			    dev->name);
		if (fl_device_role(net, dev, &rules) != FL_ROLE_EXTERNAL)
			continue;
		for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
			if (fl_device_lacks_forwarding(net, dev, family))
				add(&doubts,
				    "device %s: %s: what comes in by it for pods and other nodes "
				    "is dropped",
				    dev->name, switches[family]);
	}
	fl_agent_tell(&agent->doubts, &doubts);
}
