// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Which devices have which programs. Map fl_devices is written twice: before programs are attached,
 * since one that does not know a device yet would let flows leave by it unmasqueraded, and remember
 * them so; and after, when it is known what each device got.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/host/internal.h"

/* An element of map fl_devices, as struct fl_map_mirror wants it. */
struct pair {
	uint32_t ifindex;
	struct fl_device device;
};

const struct fl_host_device *fl_host_device_of(const struct fl_host *host, unsigned int ifindex)
{
	for (size_t i = 0; i < host->n_devices; i++)
		if (host->devices[i].ifindex == ifindex)
			return &host->devices[i];
	return NULL;
}

bool fl_host_serves(const struct fl_host *host, const struct fl_netdev *dev)
{
	return fl_host_device_of(host, dev->ifindex) ||
	       fl_device_yields(&host->network, dev, &host->options.rules);
}

static bool is_veth(const struct fl_host *host, unsigned int ifindex)
{
	const struct fl_netdev *dev = fl_network_device(&host->network, ifindex);

	return dev && fl_device_next_veth(&host->network, dev, &(size_t){0});
}

/*
 * `auto` leaves a veth to tc: see prove_veth(). A device that was found by the pods behind it may
 * be of any kind, a VXLAN device cannot have XDP, and what comes in there are replies.
 */
static enum fl_dp_mode wanted_mode(const struct fl_host *host, const struct fl_host_device *d)
{
	const enum fl_dp_mode mode = host->options.mode;

	if (d->role == FL_ROLE_REMOTE_PODS)
		return FL_DP_TC;
	return mode == FL_DP_AUTO && is_veth(host, d->ifindex) ? FL_DP_TC : mode;
}

/*
 * Whether XDP may send frames out of a device. Before its programs are there: what the map says of
 * it, which is what an earlier agent found out; of a device that is new to the map, what is about
 * to be tried.
 */
static bool takes_frames(const struct fl_host *host, const struct fl_host_device *ours,
			 bool attached)
{
	const struct fl_device *held;

	if (!ours || ours->role != FL_ROLE_EXTERNAL)
		return false;
	if (ours->attached || attached)
		return ours->attached && ours->got.xdp_tx;
	held = fl_map_mirror_get(host->device_map, &(uint32_t){ours->ifindex});
	if (held && held->flags & FL_DEVICE_EXTERNAL)
		return held->flags & FL_DEVICE_XDP_TX;
	return wanted_mode(host, ours) != FL_DP_TC;
}

/* `attached`: the programs that the devices shall have are there by now. */
static void write_map(struct fl_host *host, bool attached)
{
	_cleanup_free_ struct pair *pairs = calloc(host->network.n_devices + 1, sizeof(*pairs));
	struct fl_err err = {""};
	size_t n = 0, writes = 0;
	int r = pairs ? 0 : -ENOMEM;

	for (size_t i = 0; pairs && i < host->network.n_devices; i++) {
		const struct fl_netdev *dev = &host->network.devices[i];
		const struct fl_host_device *ours = fl_host_device_of(host, dev->ifindex);

		if (dev->loopback)
			continue;
		pairs[n].ifindex = dev->ifindex;
		pairs[n++].device = fl_device_entry(
			&host->network, dev, &host->options.rules,
			ours ? ours->role
			     : fl_device_own_role(&host->network, dev, &host->options.rules),
			takes_frames(host, ours, attached));
	}
	if (!r)
		r = fl_map_mirror_apply(host->device_map, pairs, n, &writes, &err);
	if (r)
		fl_host_fail(host, "devices", "write this node's devices", r, &err);
	/* next hops remember what their device was */
	if (writes)
		fl_host_forget_next_hops(host);
}

static void report_attached(const struct fl_host *host, const struct fl_host_device *d)
{
	const char *tc = d->got.clsact ? "clsact" : "tcx";
	const char *note = d->got.note;

	if (d->role == FL_ROLE_POD)
		fl_host_report(host, FL_LOG_DEBUG, "device %s: pod side, %s", d->name, tc);
	else if (d->role == FL_ROLE_REMOTE_PODS)
		fl_host_report(host, FL_LOG_INFO, "device %s: towards pods of other nodes, %s",
			       d->name, tc);
	else if (d->got.mode == FL_DP_TC)
		fl_host_report(host, FL_LOG_INFO, "device %s: %s%s%s%s", d->name, tc,
			       *note ? " (" : "", note, *note ? ")" : "");
	else
		fl_host_report(host, FL_LOG_INFO, "device %s: %s XDP and %s", d->name,
			       d->got.mode == FL_DP_XDP ? "native" : "generic", tc);
}

/*
 * Native XDP on a veth, or a bond of some: frames that it sends out are lost unless the other end
 * polls, which it surely does only when it has an XDP program of its own; and nothing on this side
 * ever sees the loss. So it is refused without that program. Once it is there it stays: its flows
 * must not lose it when somebody takes that program away for a moment.
 */
static int prove_veth(const struct fl_host *host, const struct fl_host_device *d,
		      struct fl_err *err)
{
	const struct fl_host_options *o = &host->options;
	const struct fl_netdev *dev = fl_network_device(&host->network, d->ifindex), *veth;
	size_t at = 0;

	if (d->attached && d->got.mode == FL_DP_XDP)
		return 0;
	if (!o->unfinished_sums)
		return fl_err_set(err, -EOPNOTSUPP,
				  "device %s: a veth that came after the agent: restart it to "
				  "serve this by XDP",
				  d->name);
	while ((veth = fl_device_next_veth(&host->network, dev, &at))) {
		bool proven = false;
		int r = o->ops->veth_peer_has_xdp(o->ctx, veth->ifindex, &proven);

		if (r || !proven)
			return fl_err_set(
				err, r ? r : -EOPNOTSUPP,
				"device %s: a veth, whose other end %s an XDP program: frames that "
				"native XDP sends out would be lost there (mode auto or tc works)",
				veth->name, r ? "cannot be asked whether it has" : "does not have");
	}
	return 0;
}

static void attach(struct fl_host *host, struct fl_host_device *d)
{
	const struct fl_host_options *o = &host->options;
	const enum fl_dp_mode mode = wanted_mode(host, d);
	struct fl_err err = {""};
	bool had = d->attached;
	int r = 0;

	if (d->role == FL_ROLE_EXTERNAL && mode == FL_DP_XDP && is_veth(host, d->ifindex))
		r = prove_veth(host, d, &err);
	if (!r)
		r = o->ops->attach(o->ctx, d->ifindex,
				   d->role == FL_ROLE_POD ? FL_DP_POD : FL_DP_EXTERNAL, mode,
				   &d->got, &err);
	d->attached = !r;
	d->error[0] = '\0';
	if (r) {
		host->failed = true;
		snprintf(d->error, sizeof(d->error), "%.*s", (int)sizeof(d->error) - 1,
			 err.text[0] ? err.text : strerror(-r));
	} else if (!had) {
		report_attached(host, d);
	}
}

/*
 * A device that was found stays while it exists: when a link goes down its routes go with it, and
 * its flows must not lose their programs each time it flaps.
 */
static enum fl_device_role role_now(const struct fl_host *host, const struct fl_netdev *dev,
				    const struct fl_host_device *old)
{
	const struct fl_device_rules *rules = &host->options.rules;
	const enum fl_device_role role = fl_device_role(&host->network, dev, rules);

	if (!old || fl_device_yields(&host->network, dev, rules))
		return role;
	/* without its default route it may still be the way to other nodes */
	if (old->role == FL_ROLE_EXTERNAL && role == FL_ROLE_REMOTE_PODS)
		return old->role;
	return role == FL_ROLE_NONE && old->role != FL_ROLE_POD ? old->role : role;
}

/* The devices that are to be served now, with what is known about each. */
static int choose(const struct fl_host *host, struct fl_host_device **ret_devices, size_t *ret_n)
{
	struct fl_host_device *devices = calloc(host->network.n_devices + 1, sizeof(*devices));
	size_t n = 0;

	if (!devices)
		return -ENOMEM;
	for (size_t i = 0; i < host->network.n_devices; i++) {
		const struct fl_netdev *dev = &host->network.devices[i];
		const struct fl_host_device *old = fl_host_device_of(host, dev->ifindex);
		const enum fl_device_role role = role_now(host, dev, old);

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

static void detach_unchosen(struct fl_host *host, const struct fl_host_device *old, size_t n_old)
{
	for (size_t i = 0; i < n_old; i++) {
		if (fl_host_device_of(host, old[i].ifindex))
			continue;
		host->options.ops->detach(host->options.ctx, old[i].ifindex);
		fl_host_report(host, old[i].role == FL_ROLE_POD ? FL_LOG_DEBUG : FL_LOG_INFO,
			       "device %s: no longer served%s", old[i].name,
			       fl_network_device(&host->network, old[i].ifindex) ? ""
										 : ", it is gone");
	}
}

void fl_host_update_devices(struct fl_host *host)
{
	_cleanup_free_ struct fl_host_device *old = NULL;
	struct fl_host_device *devices;
	const size_t n_old = host->n_devices;
	bool all = true;
	size_t n;

	if (choose(host, &devices, &n)) {
		fl_host_fail(host, "devices", "choose devices", -ENOMEM, &(struct fl_err){""});
		return;
	}
	old = host->devices;
	host->devices = devices;
	host->n_devices = n;
	write_map(host, false);
	for (size_t i = 0; i < n; i++) {
		attach(host, &devices[i]);
		all &= devices[i].attached;
	}
	detach_unchosen(host, old, n_old);
	/* a device that failed just now may still have its old program: better than none */
	if (all && !host->pruned) {
		host->options.ops->prune(host->options.ctx);
		host->pruned = true;
	}
	write_map(host, true);
}
