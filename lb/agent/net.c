// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The node under the agent: which devices have which programs, which addresses are ours. Looked at
 * when the kernel has news, and made so again where something failed or went away.
 */
#include <errno.h>
#include <string.h>

#include "lb/agent/agent.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/node_ports.h"
#include "nodeport/next_hop.h"
#include "lb/host/addresses.h"

struct device_pair {
	uint32_t ifindex;
	struct fl_device device;
};

struct fl_device_rules fl_agent_device_rules(const struct fl_agent *agent)
{
	const struct fl_settings *s = agent->settings;

	return (struct fl_device_rules){
		.external = (const char *const *)s->devices.items,
		.n_external = s->devices.n,
		.pod = (const char *const *)s->pod_devices.items,
		.n_pod = s->pod_devices.n,
		.node_ips = agent->node_ips,
		.n_node_ips = agent->n_node_ips,
	};
}

void fl_agent_next_hops_changed(struct fl_agent *agent)
{
	const struct fl_maps *maps = fl_dp_maps(agent->dp);

	fl_next_hops_forget(maps->meta, maps->next_hops, maps->n_next_hops);
}

int fl_agent_net_start(struct fl_agent *agent, struct fl_err *err)
{
	const struct fl_maps *maps = fl_dp_maps(agent->dp);
	int r;

	r = fl_map_mirror_new(maps->local_fd, "local", sizeof(struct fl_addr), sizeof(uint32_t),
			      &agent->local, err);
	if (!r)
		r = fl_map_mirror_new(maps->devices_fd, "devices", sizeof(uint32_t),
				      sizeof(struct fl_device), &agent->device_map, err);
	/* listening begins before the first look, so that nothing in between is missed */
	if (!r)
		r = fl_watch_open(&agent->watch, err);
	return r;
}

/* Tried again by the slow timer. */
static void not_written(struct fl_agent *agent, const char *what, const char *why)
{
	agent->retry = true;
	fl_health_set(agent->health, FL_CONDITION_NETWORK, what, FL_HEALTH_ERROR,
		      "cannot write this node's %s: %s", what, why);
}

static void write_addresses(struct fl_agent *agent)
{
	_cleanup_(fl_node_ports_fini) struct fl_node_ports node_ports = {0};
	_cleanup_free_ struct fl_local_pair *pairs = NULL;
	_cleanup_free_ struct fl_ip *ips = NULL;
	struct fl_node_ports_input input = {
		.addresses = (const char *const *)agent->settings->node_port_addresses.items,
		.n_addresses = agent->settings->node_port_addresses.n,
		.node_ips = agent->node_ips,
		.n_node_ips = agent->n_node_ips,
	};
	struct fl_err err = {""};
	size_t n;
	int r = fl_local_ips(&agent->network, &ips, &n);

	input.local = ips;
	input.n_local = n;
	if (!r)
		r = fl_node_ports_init(&input, &node_ports, &err);
	if (!r)
		r = fl_local_pairs(&agent->network, &node_ports, &pairs, &n);
	if (!r)
		r = fl_map_mirror_apply(agent->local, pairs, n, NULL, &err);
	if (r)
		not_written(agent, "addresses", err.text[0] ? err.text : strerror(-r));
}

static const struct fl_agent_device *device_of(const struct fl_agent *agent, unsigned int ifindex)
{
	for (size_t i = 0; i < agent->n_devices; i++)
		if (agent->devices[i].ifindex == ifindex)
			return &agent->devices[i];
	return NULL;
}

/*
 * Whether XDP may send frames out of a device. Before its programs are there: what the map says of
 * it, which is what an earlier agent found out; of a device that is new to the map, what we are
 * about to try.
 */
static bool takes_frames(const struct fl_agent *agent, const struct fl_agent_device *ours,
			 bool before)
{
	const struct fl_device *held;

	if (!ours || ours->role != FL_ROLE_EXTERNAL)
		return false;
	if (ours->attached || !before)
		return ours->attached && ours->got.xdp_tx;
	held = fl_map_mirror_get(agent->device_map, &(uint32_t){ours->ifindex});
	if (held && held->flags & FL_DEVICE_EXTERNAL)
		return held->flags & FL_DEVICE_XDP_TX;
	return agent->settings->mode != FL_DP_TC;
}

/* `before`: the programs that the devices shall have are not attached yet. */
static void write_devices(struct fl_agent *agent, bool before)
{
	_cleanup_free_ struct device_pair *pairs =
		calloc(agent->network.n_devices + 1, sizeof(*pairs));
	struct fl_device_rules rules = fl_agent_device_rules(agent);
	struct fl_err err = {""};
	size_t n = 0, writes = 0;

	if (!pairs) {
		agent->retry = true;
		return;
	}
	for (size_t i = 0; i < agent->network.n_devices; i++) {
		const struct fl_netdev *dev = &agent->network.devices[i];
		const struct fl_agent_device *ours = device_of(agent, dev->ifindex);

		if (dev->loopback)
			continue;
		pairs[n].ifindex = dev->ifindex;
		pairs[n++].device = fl_device_entry(&agent->network, dev, &rules,
						    ours ? ours->role : FL_ROLE_NONE,
						    takes_frames(agent, ours, before));
	}
	if (fl_map_mirror_apply(agent->device_map, pairs, n, &writes, &err))
		not_written(agent, "devices", err.text);
	/* next hops remember what their device was */
	if (writes)
		fl_agent_next_hops_changed(agent);
}

static void say_attached(const struct fl_agent_device *d)
{
	const char *tc = d->got.clsact ? "clsact" : "tcx";
	const char *note = d->got.note;

	if (d->role == FL_ROLE_POD)
		fl_log_debug("device %s: pod side, %s", d->name, tc);
	else if (d->got.mode == FL_DP_TC)
		fl_log_info("device %s: %s%s%s%s", d->name, tc, *note ? " (" : "", note,
			    *note ? ")" : "");
	else
		fl_log_info("device %s: %s XDP and %s", d->name,
			    d->got.mode == FL_DP_XDP ? "native" : "generic", tc);
}

static void attach(struct fl_agent *agent, struct fl_agent_device *d)
{
	struct fl_err err = {""};
	int r = fl_dp_attach_device(agent->dp, d->ifindex,
				    d->role == FL_ROLE_POD ? FL_DP_POD : FL_DP_EXTERNAL, &d->got,
				    &err);

	if (!r) {
		if (!d->attached)
			say_attached(d);
		d->attached = true;
		return;
	}
	d->attached = false;
	agent->attach_failed = true;
	fl_health_set(agent->health, FL_CONDITION_DEVICE, d->name, FL_HEALTH_ERROR, "%s", err.text);
}

/* The devices that the network has now and that are ours to serve, keeping what we know about each.
 */
static int choose_devices(struct fl_agent *agent, struct fl_agent_device **ret_devices,
			  size_t *ret_n)
{
	struct fl_device_rules rules = fl_agent_device_rules(agent);
	struct fl_agent_device *devices = calloc(agent->network.n_devices + 1, sizeof(*devices));
	size_t n = 0;

	if (!devices)
		return -ENOMEM;
	for (size_t i = 0; i < agent->network.n_devices; i++) {
		const struct fl_netdev *dev = &agent->network.devices[i];
		enum fl_device_role role = fl_device_role(&agent->network, dev, &rules);
		const struct fl_agent_device *old = device_of(agent, dev->ifindex);

		/*
		 * A device that was found stays while it exists: when a link goes down its routes
		 * go with it, and its flows must not lose their programs each time it flaps.
		 */
		if (role == FL_ROLE_NONE && old && old->role == FL_ROLE_EXTERNAL)
			role = FL_ROLE_EXTERNAL;
		if (role == FL_ROLE_NONE)
			continue;
		if (old && old->role == role)
			devices[n] = *old;
		devices[n].ifindex = dev->ifindex;
		devices[n].role = role;
		memcpy(devices[n].name, dev->name, sizeof(dev->name));
		n++;
	}
	*ret_devices = devices;
	*ret_n = n;
	return 0;
}

static bool has_external(const struct fl_agent_device *devices, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (devices[i].role == FL_ROLE_EXTERNAL)
			return true;
	return false;
}

static void update_programs(struct fl_agent *agent)
{
	struct fl_agent_device *devices, *old = agent->devices;
	size_t n, n_old = agent->n_devices;

	if (choose_devices(agent, &devices, &n)) {
		agent->retry = true;
		return;
	}
	agent->devices = devices;
	agent->n_devices = n;
	agent->attach_failed = false;
	/* a program that does not know a device yet would let flows leave by it unmasqueraded, and
	 * remember them so */
	write_devices(agent, true);
	for (size_t i = 0; i < n; i++)
		attach(agent, &devices[i]);
	for (size_t i = 0; i < n_old; i++) {
		if (device_of(agent, old[i].ifindex))
			continue;
		fl_dp_detach_device(agent->dp, old[i].ifindex);
		fl_log(old[i].role == FL_ROLE_POD ? FL_LOG_DEBUG : FL_LOG_INFO,
		       "device %s: no longer served%s", old[i].name,
		       fl_network_device(&agent->network, old[i].ifindex) ? "" : ", it is gone");
	}
	free(old);
	if (has_external(devices, n))
		fl_health_clear(agent->health, FL_CONDITION_DEVICES, "");
	else
		fl_health_set(agent->health, FL_CONDITION_DEVICES, "", FL_HEALTH_WARNING,
			      "no device faces the network: nothing from outside is balanced "
			      "(give --devices)");
	/* a device that failed just now may still have its old program: better than none */
	if (!agent->attach_failed && !agent->pruned) {
		fl_dp_prune(agent->dp);
		agent->pruned = true;
	}
}

void fl_agent_net_update(struct fl_agent *agent)
{
	struct fl_network network = {0};
	struct fl_err err = {""};
	bool changed;

	agent->network_changed = false;
	if (fl_network_scan(&network, &err)) {
		agent->retry = true;
		fl_health_set(agent->health, FL_CONDITION_NETWORK, "", FL_HEALTH_ERROR, "%s",
			      err.text);
		return;
	}
	fl_health_scan_begin(agent->health, FL_CONDITION_NETWORK);
	fl_health_scan_begin(agent->health, FL_CONDITION_DEVICE);
	changed = !fl_network_equal(&network, &agent->network);
	fl_network_fini(&agent->network);
	agent->network = network;
	if (changed)
		fl_agent_next_hops_changed(agent);
	/* addresses before programs: those that are attached next already know them */
	write_addresses(agent);
	update_programs(agent);
	write_devices(agent, false);
	fl_agent_doubts_update(agent);
	fl_health_scan_end(agent->health, FL_CONDITION_DEVICE);
	fl_health_scan_end(agent->health, FL_CONDITION_NETWORK);
}
