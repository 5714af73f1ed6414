// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What about the machine keeps traffic from being served: devices that are
 * named but cannot be served, none that faces the network, forwarding switched off.
 */
#include <stdio.h>
#include <string.h>

#include "lb/host/internal.h"

static bool is_glob(const char *pattern)
{
	return strpbrk(pattern, "*?[");
}

static bool is_named(const struct fl_device_rules *rules, const char *name)
{
	for (size_t i = 0; i < rules->n_external; i++)
		if (!strcmp(rules->external[i], name))
			return true;
	return false;
}

/* A device with our programs, or one that should have them. */
static void check_served(struct fl_host *host, const struct fl_host_device *d)
{
	const struct fl_netdev *dev = fl_network_device(&host->network, d->ifindex);
	struct fl_health *health = host->options.health;

	if (!d->attached)
		fl_health_set(health, FL_CONDITION_DEVICE, d->name, FL_HEALTH_ERROR, "%s",
			      d->error);
	else if (dev && !dev->up && d->role == FL_ROLE_EXTERNAL)
		fl_health_set(health, FL_CONDITION_DEVICE, d->name,
			      is_named(&host->options.rules, d->name) ? FL_HEALTH_ERROR
								      : FL_HEALTH_WARNING,
			      "device %s is down", d->name);
}

/* Packets of tunnels, tun and PPP devices would be taken for Ethernet frames. */
static void check_ethernet(struct fl_host *host, const struct fl_netdev *dev)
{
	const struct fl_device_rules *rules = &host->options.rules;

	if (fl_device_lacks_ethernet(&host->network, dev, rules))
		fl_health_set(host->options.health, FL_CONDITION_DEVICE, dev->name,
			      is_named(rules, dev->name) ? FL_HEALTH_ERROR : FL_HEALTH_WARNING,
			      "device %s: packets there have no Ethernet header: not served",
			      dev->name);
}

/* What comes in there is not balanced. Where devices are named that may be meant. */
static void check_unserved(struct fl_host *host, const struct fl_netdev *dev)
{
	const struct fl_device_rules *rules = &host->options.rules;

	if (!dev->up || dev->headerless || fl_host_serves(host, dev) ||
	    !fl_device_faces_network(&host->network, dev))
		return;
	fl_health_set(host->options.health, FL_CONDITION_DEVICE, dev->name,
		      rules->n_external ? FL_HEALTH_NOTE : FL_HEALTH_WARNING,
		      "device %s faces a network and is not served: clients there reach no Service "
		      "by it (name it in --devices)",
		      dev->name);
}

/* A name in the settings that stands for nothing: misspelt, or its device is not there. */
static void check_name(struct fl_host *host, const char *pattern, bool external)
{
	const enum fl_health_level level = external ? FL_HEALTH_ERROR : FL_HEALTH_NOTE;
	struct fl_health *health = host->options.health;
	const struct fl_netdev *dev = fl_network_match(&host->network, pattern);

	if (dev && dev->loopback && !is_glob(pattern))
		fl_health_set(health, FL_CONDITION_DEVICE, pattern, level,
			      "device %s is the loopback device: not served", pattern);
	else if (!dev && is_glob(pattern))
		fl_health_set(health, FL_CONDITION_DEVICE, pattern, level,
			      "there is no device whose name is like %s", pattern);
	else if (!dev)
		fl_health_set(health, FL_CONDITION_DEVICE, pattern, level, "there is no device %s",
			      pattern);
}

static void check_forwarding(struct fl_host *host, const struct fl_netdev *dev)
{
	static const char *const names[] = {[FL_IPV4] = "IPv4", [FL_IPV6] = "IPv6"};
	static const char *const switches[] = {
		[FL_IPV4] = "net.ipv4.ip_forward",
		[FL_IPV6] = "net.ipv6.conf.all.forwarding",
	};

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		char subject[IF_NAMESIZE + 8];

		if (!fl_device_lacks_forwarding(&host->network, dev, family))
			continue;
		snprintf(subject, sizeof(subject), "%s %s", dev->name, names[family]);
		fl_health_set(host->options.health, FL_CONDITION_FORWARDING, subject,
			      host->served[family] ? FL_HEALTH_ERROR : FL_HEALTH_WARNING,
			      "device %s: %s forwarding is off (%s): what comes in by it for pods "
			      "and other nodes is dropped",
			      dev->name, names[family], switches[family]);
	}
}

/* A bridge that is served at its ports has the addresses. */
static bool faces_network(const struct fl_host *host, const struct fl_netdev *dev)
{
	const struct fl_host_device *d = fl_host_device_of(host, dev->ifindex);

	return (d ? d->role : fl_device_own_role(&host->network, dev, &host->options.rules)) ==
	       FL_ROLE_EXTERNAL;
}

/* Without a device that can receive, nothing from outside is balanced. */
static void check_any(struct fl_host *host)
{
	struct fl_health *health = host->options.health;
	size_t external = 0, up = 0;

	for (size_t i = 0; i < host->n_devices; i++) {
		const struct fl_host_device *d = &host->devices[i];
		const struct fl_netdev *dev = fl_network_device(&host->network, d->ifindex);

		if (d->role != FL_ROLE_EXTERNAL)
			continue;
		external++;
		up += dev && dev->up;
	}
	if (!external)
		fl_health_set(health, FL_CONDITION_DEVICES, "", FL_HEALTH_ERROR,
			      "no device faces the network: nothing from outside is balanced "
			      "(give --devices)");
	else if (!up)
		fl_health_set(health, FL_CONDITION_DEVICES, "", FL_HEALTH_ERROR,
			      "every device that faces the network is down");
	else
		fl_health_clear(health, FL_CONDITION_DEVICES, "");
}

/* Of setting masqueradeAddresses. */
static void check_masquerade(struct fl_host *host, size_t i)
{
	const struct fl_device_rules *rules = &host->options.rules;
	const struct fl_network *network = &host->network;
	char text[FL_IP_STRLEN];
	bool here = false;

	for (size_t d = 0; d < host->n_devices; d++) {
		const struct fl_netdev *dev = fl_network_device(network, host->devices[d].ifindex);

		if (dev && host->devices[d].role != FL_ROLE_POD &&
		    fl_device_has_masquerade(network, dev, rules, i))
			return;
	}
	for (size_t a = 0; a < network->n_addresses; a++)
		here |= network->addresses[a].usable &&
			fl_ip_equal(&network->addresses[a].ip, &rules->masquerade[i]);
	fl_ip_format(&rules->masquerade[i], text);
	fl_health_set(host->options.health, FL_CONDITION_MASQUERADE, text, FL_HEALTH_WARNING,
		      here ? "nothing is masqueraded with %s: it is not on the device that has the "
			     "address used without masqueradeAddresses"
			   : "nothing is masqueraded with %s: this node does not have it",
		      text);
}

void fl_host_update_conditions(struct fl_host *host)
{
	const struct fl_device_rules *rules = &host->options.rules;
	struct fl_health *health = host->options.health;

	fl_health_scan_begin(health, FL_CONDITION_DEVICE);
	fl_health_scan_begin(health, FL_CONDITION_FORWARDING);
	fl_health_scan_begin(health, FL_CONDITION_MASQUERADE);
	for (size_t i = 0; i < rules->n_masquerade; i++)
		check_masquerade(host, i);
	fl_health_scan_end(health, FL_CONDITION_MASQUERADE);
	for (size_t i = 0; i < rules->n_external; i++)
		check_name(host, rules->external[i], true);
	for (size_t i = 0; i < rules->n_pod; i++)
		check_name(host, rules->pod[i], false);
	for (size_t i = 0; i < host->network.n_devices; i++) {
		const struct fl_netdev *dev = &host->network.devices[i];

		check_ethernet(host, dev);
		check_unserved(host, dev);
		if (faces_network(host, dev))
			check_forwarding(host, dev);
	}
	for (size_t i = 0; i < host->n_devices; i++)
		check_served(host, &host->devices[i]);
	fl_health_scan_end(health, FL_CONDITION_DEVICE);
	fl_health_scan_end(health, FL_CONDITION_FORWARDING);
	check_any(host);
}
