// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether fl_bound_ports has every source port of ours that a socket of the node may have: the bind
 * hooks see every bind(), the ports that the kernel gives out by itself are none of ours, and the
 * sockets that were there before the hooks were listed, as are those of the kernel's tunnels when
 * one comes up. The stamp in fl_meta that says so is refreshed every second, so that it lapses if
 * the agent dies.
 */
#include <errno.h>
#include <string.h>

#include "lb/host/internal.h"

/* A BPF program's bind() runs no hook, and a listing may miss a socket while others close. */
#define RESCAN_MS (60 * 1000)

static void set_stamp(struct fl_host *host, uint32_t stamp)
{
	__atomic_store_n(&host->options.maps->meta->bound_ports_stamp, stamp, __ATOMIC_SEQ_CST);
}

void fl_host_forget_ports(struct fl_host *host)
{
	set_stamp(host, 0);
	host->sockets_scanned = (struct fl_mono){0};
}

void fl_host_clear_ports(struct fl_host *host)
{
	fl_host_forget_ports(host);
	memset(host->options.maps->bound_ports, 0, FL_BOUND_WORDS * sizeof(uint64_t));
}

void fl_host_set_node_port_range(struct fl_host *host, struct fl_port_span node_ports)
{
	host->options.node_ports = node_ports;
}

void fl_host_set_source_ports(struct fl_host *host,
			      const struct fl_port_range source_ports[static FL_PORT_RANGES])
{
	memcpy(host->options.source_ports, source_ports, sizeof(host->options.source_ports));
	/* among those that are new may be ports that the kernel has given out by itself */
	fl_host_forget_ports(host);
}

const struct fl_port_range *fl_host_source_ports(const struct fl_host *host)
{
	return host->source_ports;
}

/* Ports that the kernel gives out without a bind() must not be among ours. */
static bool kernel_keeps_off(struct fl_host *host)
{
	const struct fl_host_options *o = &host->options;
	struct fl_port_range now[FL_PORT_RANGES];
	bool known = false;
	int r = o->ops->source_ports(o->ctx, &o->node_ports, now, &known);

	if (r == -ENOSPC)
		fl_health_set(o->health, FL_CONDITION_SOURCE_PORTS, "ranges", FL_HEALTH_WARNING,
			      "nodePortRange, ip_local_port_range and ip_local_reserved_ports "
			      "leave no source port for masquerading: those that were in use "
			      "stay so");
	else
		fl_health_clear(o->health, FL_CONDITION_SOURCE_PORTS, "ranges");
	if (r || !known)
		return false;
	if (memcmp(now, host->source_ports, sizeof(now))) {
		memcpy(host->source_ports, now, sizeof(now));
		host->changes++;
	}
	return !memcmp(now, o->source_ports, sizeof(now));
}

static bool sockets_are_known(struct fl_host *host)
{
	const struct fl_host_options *o = &host->options;
	struct fl_mono now = fl_clock_now(&o->clock);
	struct fl_err err = {""};

	if (host->sockets_scanned.ns && fl_mono_ms_between(host->sockets_scanned, now) < RESCAN_MS)
		return true;
	if (o->ops->scan_sockets(o->ctx, o->maps->bound_ports, &err)) {
		fl_health_set(o->health, FL_CONDITION_SOURCE_PORTS, "sockets", FL_HEALTH_NOTE,
			      "a socket is looked for with every new masqueraded flow: %s",
			      err.text);
		return false;
	}
	fl_health_clear(o->health, FL_CONDITION_SOURCE_PORTS, "sockets");
	host->sockets_scanned = now;
	return true;
}

void fl_host_check_ports(struct fl_host *host, bool hooks_everywhere)
{
	const bool keeps_off = kernel_keeps_off(host);
	uint64_t now = 0;

	if (hooks_everywhere && keeps_off && sockets_are_known(host))
		now = host->options.ops->now(host->options.ctx);
	if (now)
		set_stamp(host, (uint32_t)now | 1); /* 0 means unknown */
	else
		fl_host_forget_ports(host);
}
