// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Looking at the machine and making the datapath follow it. Addresses are written before programs
 * are attached, so that those that come next already know them.
 */
#include "lb/host/host.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/dp/filter.h"
#include "lb/host/addresses.h"
#include "lb/host/internal.h"
#include "lb/host/macs.h"
#include "lb/model/node_ports.h"
#include "nodeport/next_hop.h"

int fl_host_new(const struct fl_host_options *options, struct fl_host **ret_host,
		struct fl_err *err)
{
	_cleanup_(fl_host_free) struct fl_host *host = calloc(1, sizeof(*host));
	int r;

	if (!host)
		return fl_err_set(err, -ENOMEM, "out of memory");
	host->options = *options;
	memcpy(host->source_ports, options->source_ports, sizeof(host->source_ports));
	host->served[FL_IPV4] = host->served[FL_IPV6] = true;
	host->pending = true;
	r = fl_map_mirror_new(options->maps->local_fd, "local", sizeof(struct fl_addr),
			      sizeof(uint32_t), &host->addresses, err);
	if (!r)
		r = fl_map_mirror_new(options->maps->devices_fd, "devices", sizeof(uint32_t),
				      sizeof(struct fl_device), &host->device_map, err);
	if (!r)
		r = fl_map_mirror_new(options->maps->macs_fd, "macs", sizeof(struct fl_mac_key),
				      sizeof(uint32_t), &host->macs, err);
	if (!r)
		r = fl_map_mirror_new(options->maps->peers_fd, "peers", sizeof(struct fl_addr),
				      sizeof(uint32_t), &host->peers, err);
	if (r)
		return r;
	*ret_host = TAKE_PTR(host);
	return 0;
}

void fl_host_free(struct fl_host **host)
{
	struct fl_host *h = *host;

	if (!h)
		return;
	fl_host_forget_ports(h);
	fl_watch_close(&h->watch);
	fl_map_mirror_free(&h->addresses);
	fl_map_mirror_free(&h->device_map);
	fl_map_mirror_free(&h->macs);
	fl_map_mirror_free(&h->peers);
	fl_network_fini(&h->network);
	fl_node_ports_fini(&h->node_ports);
	free(h->devices);
	free(h);
	*host = NULL;
}

void fl_host_report(const struct fl_host *host, enum fl_log_level level, const char *format, ...)
{
	char text[512];
	va_list ap;

	if (!host->options.report)
		return;
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	host->options.report(level, text, host->options.report_arg);
}

void fl_host_forget_next_hops(struct fl_host *host)
{
	fl_next_hops_forget(host->options.maps->meta);
}

void fl_host_keep_next_hops(struct fl_host *host)
{
	const struct fl_host_options *o = &host->options;
	const uint64_t now = host->watch && !host->deaf ? o->ops->now(o->ctx) : 0;

	if (!now)
		return;
	if (++host->kept % FL_NEXT_HOPS_S == 0)
		fl_host_forget_next_hops(host);
	fl_next_hops_keep(o->maps->meta,
			  (uint32_t)now + FL_NEXT_HOPS_WATCHED_S * fl_dp_kernel_hz());
}

void fl_host_fail(struct fl_host *host, const char *subject, const char *what, int error,
		  const struct fl_err *err)
{
	host->failed = true;
	fl_health_set(host->options.health, FL_CONDITION_NETWORK, subject, FL_HEALTH_ERROR,
		      "cannot %s: %s", what, err->text[0] ? err->text : strerror(-error));
}

int fl_host_listen(struct fl_host *host, struct fl_err *err)
{
	return fl_watch_open(&host->watch, err);
}

int fl_host_fd(const struct fl_host *host)
{
	return fl_watch_fd(host->watch);
}

int fl_host_handle(struct fl_host *host, struct fl_err *err)
{
	struct fl_watch_news news = {0};
	int r = fl_watch_handle(host->watch, &news, err);

	host->deaf = r;
	host->news += r || news.next_hops || news.network;
	if (news.next_hops)
		fl_host_forget_next_hops(host);
	host->pending |= news.network;
	return r;
}

/* Copy a list for the rules. Whether it is another than before. */
static bool take_ips(const struct fl_ip *ips, size_t n, size_t room, struct fl_ip *ours,
		     const struct fl_ip **ret_ips, size_t *n_ips)
{
	if (n > room)
		n = room;
	if (*n_ips == n && (!n || !memcmp(ours, ips, n * sizeof(*ips))))
		return false;
	if (n)
		memcpy(ours, ips, n * sizeof(*ips));
	*ret_ips = ours;
	*n_ips = n;
	return true;
}

void fl_host_set_node_ips(struct fl_host *host, const struct fl_ip *ips, size_t n)
{
	struct fl_device_rules *rules = &host->options.rules;

	host->pending |=
		take_ips(ips, n, FL_FAMILIES, host->node_ips, &rules->node_ips, &rules->n_node_ips);
}

void fl_host_set_masquerade(struct fl_host *host, const struct fl_ip *ips, size_t n)
{
	struct fl_device_rules *rules = &host->options.rules;

	host->pending |= take_ips(ips, n, FL_FAMILIES * FL_DEVICE_POOL, host->masquerade,
				  &rules->masquerade, &rules->n_masquerade);
}

void fl_host_set_served(struct fl_host *host, enum fl_family family, bool served)
{
	host->pending |= host->served[family] != served;
	host->served[family] = served;
}

/* Map fl_local: every address of the node, and on which of them node ports are served. */
static void update_addresses(struct fl_host *host)
{
	const struct fl_host_options *o = &host->options;
	_cleanup_(fl_node_ports_fini) struct fl_node_ports node_ports = {0};
	_cleanup_free_ struct fl_local_pair *pairs = NULL;
	_cleanup_free_ struct fl_ip *ips = NULL;
	struct fl_node_ports_input input = {
		.addresses = o->node_port_addresses,
		.n_addresses = o->n_node_port_addresses,
		.node_ips = o->rules.node_ips,
		.n_node_ips = o->rules.n_node_ips,
	};
	struct fl_err err = {""};
	size_t n, writes = 0;
	int r = fl_local_ips(&host->network, &ips, &n);

	input.local = ips;
	input.n_local = n;
	if (!r)
		r = fl_node_ports_init(&input, &node_ports, &err);
	if (!r)
		r = fl_local_pairs(&host->network, &node_ports, &pairs, &n);
	for (size_t i = 0; !r && i < n; i++)
		fl_filter_add_own(o->maps, &pairs[i].addr);
	if (!r)
		r = fl_map_mirror_apply(host->addresses, pairs, n, &writes, &err);
	/* the datapath remembers for as long as next hops which they were */
	if (writes)
		fl_host_forget_next_hops(host);
	if (r) {
		fl_host_fail(host, "addresses", "write this node's addresses", r, &err);
		return;
	}
	fl_node_ports_fini(&host->node_ports);
	host->node_ports = node_ports;
	node_ports = (struct fl_node_ports){0};
}

const struct fl_node_ports *fl_host_node_ports(const struct fl_host *host)
{
	return &host->node_ports;
}

/* Which frames are for this node; before programs are attached, which take no others. */
static void update_macs(struct fl_host *host)
{
	const struct fl_maps *maps = host->options.maps;
	_cleanup_free_ struct fl_mac_pair *pairs = NULL;
	struct fl_err err = {""};
	size_t n;
	int r = fl_mac_pairs(&host->network, &host->options.rules, &pairs, &n);

	if (!r)
		r = fl_map_mirror_apply(host->macs, pairs, n, NULL, &err);
	if (!r && maps->own_macs)
		r = fl_own_macs_write(&host->network, maps->own_macs, maps->n_own_macs);
	if (r)
		fl_host_fail(host, "macs", "write the link addresses of this node", r, &err);
}

/* Devices of these kinds have sockets of the kernel's, which no bind hook sees. */
static bool has_socket(const struct fl_netdev *dev)
{
	static const char *const kinds[] = {"vxlan",   "geneve", "wireguard",
					    "bareudp", "gtp",	 "amt"};

	for (size_t i = 0; dev->up && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (!strcmp(dev->kind, kinds[i]))
			return true;
	return false;
}

/* Whether a tunnel has come up since: its port may be a source port of ours. */
static bool brings_socket(const struct fl_network *network, const struct fl_network *before)
{
	for (size_t i = 0; i < network->n_devices; i++) {
		const struct fl_netdev *dev = &network->devices[i],
				       *old = fl_network_device(before, dev->ifindex);

		if (has_socket(dev) && !(old && has_socket(old)))
			return true;
	}
	return false;
}

void fl_host_update(struct fl_host *host)
{
	struct fl_health *health = host->options.health;
	struct fl_network network = {0};
	struct fl_err err = {""};
	int r;

	host->pending = host->failed = false;
	host->news++;
	fl_health_scan_begin(health, FL_CONDITION_NETWORK);
	r = host->options.ops->scan(host->options.ctx, &network, &err);
	if (r) {
		/* what was found before stays in force */
		fl_host_fail(host, "scan", "look at this node's network", r, &err);
		fl_health_scan_end(health, FL_CONDITION_NETWORK);
		return;
	}
	if (!fl_network_equal(&network, &host->network))
		fl_host_forget_next_hops(host);
	if (brings_socket(&network, &host->network))
		fl_host_forget_ports(host);
	fl_network_fini(&host->network);
	host->network = network;
	host->changes++;
	fl_host_forget_remote(host);
	/* before the first programs: what leaves unmasqueraded stays so for the flow's life, and
	 * what an earlier agent served is not to lose its programs */
	if (!host->n_devices)
		fl_host_find_remote(host);
	update_addresses(host);
	update_macs(host);
	fl_host_update_devices(host);
	fl_health_scan_end(health, FL_CONDITION_NETWORK);
	fl_host_update_conditions(host);
}

bool fl_host_node_address(const struct fl_host *host, enum fl_family family, struct fl_ip *ret_ip)
{
	return fl_node_address(&host->network, &host->options.rules, family, ret_ip);
}

uint32_t fl_host_masquerade_addresses(const struct fl_host *host, enum fl_family family)
{
	uint32_t fewest = 0;

	for (size_t i = 0; i < host->n_devices; i++) {
		const struct fl_host_device *d = &host->devices[i];
		const struct fl_device *entry = fl_map_mirror_get(host->device_map, &d->ifindex);
		uint32_t n;

		if (!entry || d->role == FL_ROLE_POD)
			continue;
		n = (family == FL_IPV6 ? entry->n_pool6 : entry->n_pool4) ?: 1;
		if (!fewest || n < fewest)
			fewest = n;
	}
	return fewest ?: 1;
}

uint64_t fl_host_changes(const struct fl_host *host)
{
	return host->changes;
}

void fl_host_mark(struct fl_host *host)
{
	host->pending = true;
}

void fl_host_turn(struct fl_host *host)
{
	if (host->pending)
		fl_host_update(host);
}

void fl_host_retry(struct fl_host *host)
{
	host->pending |= host->failed;
}

bool fl_host_failed(const struct fl_host *host)
{
	return host->failed;
}

const struct fl_host_device *fl_host_devices(const struct fl_host *host, size_t *ret_n)
{
	*ret_n = host->n_devices;
	return host->devices;
}
