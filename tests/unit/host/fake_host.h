/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A made-up machine with a made-up datapath, under a real struct fl_host. */
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "lb/host/internal.h"

#define CALLS_MAX 32

struct fake {
	/* what the kernel says */
	struct fl_netdev devices[6];
	struct fl_netaddr addresses[6];
	size_t n_devices, n_addresses;
	int scan_error, sockets_error, ports_error;
	struct fl_port_range source_ports;
	uint64_t jiffies, now_ms;
	/* what the datapath does */
	bool peer_has_xdp;
	int peer_error;
	unsigned int refuses; /* ifindex of a device that takes no program */
	enum fl_dp_mode gets;
	/* what was done */
	char calls[CALLS_MAX][32]; /* "attach 2 external", "detach 2", "prune", "sockets" */
	size_t n_calls;
	enum fl_dp_mode asked; /* by the last attach */
	char reported[2048];
	/* checked when a program is attached, before it is */
	void (*on_attach)(struct fake *fake, unsigned int ifindex);

	struct fl_meta meta;
	struct fl_next_hop next_hops[4];
	__u64 bound_ports[FL_BOUND_WORDS];
	struct fl_maps maps;
	struct fl_health *health;
	struct fl_host_options options;
	struct fl_host *host;
};

static struct fl_ip ip(const char *text)
{
	struct fl_ip i;

	assert_int_equal(fl_ip_parse(text, &i), 0);
	return i;
}

static inline void fake_call(struct fake *f, const char *format, ...)
{
	va_list ap;

	assert_true(f->n_calls < CALLS_MAX);
	va_start(ap, format);
	vsnprintf(f->calls[f->n_calls++], sizeof(f->calls[0]), format, ap);
	va_end(ap);
}

static inline size_t fake_count(const struct fake *f, const char *call)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n_calls; i++)
		n += !strcmp(f->calls[i], call);
	return n;
}

static inline int fake_scan(void *ctx, struct fl_network *ret_network, struct fl_err *err)
{
	struct fake *f = ctx;
	struct fl_network net = {.n_devices = f->n_devices, .n_addresses = f->n_addresses};

	if (f->scan_error)
		return fl_err_set(err, f->scan_error, "netlink is out of order");
	net.devices = calloc(f->n_devices + 1, sizeof(*net.devices));
	net.addresses = calloc(f->n_addresses + 1, sizeof(*net.addresses));
	memcpy(net.devices, f->devices, f->n_devices * sizeof(*net.devices));
	memcpy(net.addresses, f->addresses, f->n_addresses * sizeof(*net.addresses));
	*ret_network = net;
	return 0;
}

static inline int fake_veth_peer_has_xdp(void *ctx, unsigned int ifindex, bool *ret_has)
{
	struct fake *f = ctx;

	*ret_has = f->peer_has_xdp;
	return f->peer_error;
}

static inline int fake_attach(void *ctx, unsigned int ifindex, enum fl_dp_role role,
			      enum fl_dp_mode mode, struct fl_dp_device *ret_device,
			      struct fl_err *err)
{
	struct fake *f = ctx;

	fake_call(f, "attach %u %s", ifindex, role == FL_DP_POD ? "pod" : "external");
	f->asked = mode;
	if (f->on_attach)
		f->on_attach(f, ifindex);
	if (ifindex == f->refuses)
		return fl_err_set(err, -EBUSY, "device %u: another XDP program is there", ifindex);
	*ret_device = (struct fl_dp_device){.mode = role == FL_DP_POD ? FL_DP_TC : f->gets,
					    .xdp_tx = role != FL_DP_POD && f->gets != FL_DP_TC};
	return 0;
}

static inline void fake_detach(void *ctx, unsigned int ifindex)
{
	fake_call(ctx, "detach %u", ifindex);
}

static inline void fake_prune(void *ctx)
{
	fake_call(ctx, "prune");
}

static inline uint64_t fake_jiffies(void *ctx)
{
	return ((struct fake *)ctx)->jiffies;
}

static inline int fake_source_ports(void *ctx, const struct fl_port_span *node_ports,
				    struct fl_port_range ret_ranges[static FL_PORT_RANGES],
				    bool *ret_known)
{
	struct fake *f = ctx;

	memset(ret_ranges, 0, FL_PORT_RANGES * sizeof(*ret_ranges));
	ret_ranges[0] = f->source_ports;
	*ret_known = true;
	return f->ports_error;
}

static inline int fake_scan_sockets(void *ctx, __u64 words[static FL_BOUND_WORDS],
				    struct fl_err *err)
{
	struct fake *f = ctx;

	fake_call(f, "sockets");
	words[1] |= 2;
	return f->sockets_error ? fl_err_set(err, f->sockets_error, "sockets cannot be listed") : 0;
}

/* The last byte of an address is the device that leads there; a 7 before it, by a gateway. */
static inline int fake_routes(void *ctx, const struct fl_ip *ips, size_t n,
			      struct fl_route *ret_routes)
{
	struct fake *f = ctx;

	for (size_t i = 0; i < n; i++)
		ret_routes[i] = (struct fl_route){ips[i].b[15], ips[i].b[14] == 7};
	return f->scan_error;
}

static inline struct fl_mono fake_mono(void *arg)
{
	return (struct fl_mono){((struct fake *)arg)->now_ms * FL_NSEC_PER_MSEC};
}

static inline int64_t fake_unix_s(void *arg)
{
	return 0;
}

static inline void fake_report(enum fl_log_level level, const char *text, void *arg)
{
	static const char *const levels[FL_LOG_LEVELS] = {"error", "warn", "info", "debug"};
	struct fake *f = arg;
	size_t used = strlen(f->reported);

	snprintf(f->reported + used, sizeof(f->reported) - used, "%s %s\n", levels[level], text);
}

static const struct fl_host_ops fake_ops = {
	.scan = fake_scan,
	.attach = fake_attach,
	.veth_peer_has_xdp = fake_veth_peer_has_xdp,
	.detach = fake_detach,
	.prune = fake_prune,
	.now = fake_jiffies,
	.source_ports = fake_source_ports,
	.routes = fake_routes,
	.scan_sockets = fake_scan_sockets,
};

static inline struct fl_netdev *fake_add_device(struct fake *f, unsigned int ifindex,
						const char *name)
{
	struct fl_netdev *dev = &f->devices[f->n_devices++];

	dev->ifindex = ifindex;
	dev->mtu = 1500;
	dev->up = true;
	dev->forwarding[FL_IPV4] = dev->forwarding[FL_IPV6] = true;
	snprintf(dev->name, sizeof(dev->name), "%s", name);
	return dev;
}

static inline void fake_add_address(struct fake *f, unsigned int ifindex, const char *text)
{
	f->addresses[f->n_addresses++] = (struct fl_netaddr){.ifindex = ifindex,
							     .ip = ip(text),
							     .global = true,
							     .usable = true,
							     .primary = true};
}

/* lo, eth0 with the default route, eth1, and veth1 of a pod. */
static inline void fake_init(struct fake *f)
{
	const struct fl_clock clock = {.mono = fake_mono, .unix_s = fake_unix_s, .arg = f};

	memset(f, 0, sizeof(*f));
	fake_add_device(f, 1, "lo")->loopback = true;
	fake_add_device(f, 2, "eth0")->default_route[FL_IPV4] = true;
	fake_add_device(f, 3, "eth1");
	fake_add_device(f, 4, "veth1");
	fake_add_address(f, 2, "192.0.2.1");
	fake_add_address(f, 3, "198.51.100.1");
	f->gets = FL_DP_XDP;
	f->jiffies = 5000;
	f->now_ms = 100000;
	f->source_ports = (struct fl_port_range){1024, 28976};
	f->maps = (struct fl_maps)FL_MAPS_INIT;
	f->maps.meta = &f->meta;
	f->maps.next_hops = f->next_hops;
	f->maps.n_next_hops = 4;
	f->maps.bound_ports = f->bound_ports;
	f->maps.n_bound_ports = FL_BOUND_WORDS;
	assert_int_equal(fl_health_new(&clock, NULL, NULL, &f->health), 0);
	f->options = (struct fl_host_options){.ops = &fake_ops,
					      .ctx = f,
					      .maps = &f->maps,
					      .health = f->health,
					      .clock = clock,
					      .report = fake_report,
					      .report_arg = f,
					      .node_ports = {30000, 32767},
					      .source_ports = {f->source_ports}};
}

static inline void fake_start(struct fake *f)
{
	assert_int_equal(fl_host_new(&f->options, &f->host, NULL), 0);
	fl_host_turn(f->host);
}

static inline void fake_forget_calls(struct fake *f)
{
	f->n_calls = 0;
	f->reported[0] = '\0';
}

static inline void fake_fini(struct fake *f)
{
	fl_host_free(&f->host);
	fl_health_free(&f->health);
}

/* A condition's level, or -1 when it is not set. */
static inline int fake_level(const struct fake *f, enum fl_condition_kind kind, const char *subject)
{
	const struct fl_condition *c = fl_health_find(f->health, kind, subject);

	return c ? (int)c->level : -1;
}

static inline void expect_condition(const struct fake *f, enum fl_condition_kind kind,
				    const char *subject, enum fl_health_level level,
				    const char *text)
{
	const struct fl_condition *c = fl_health_find(f->health, kind, subject);

	assert_non_null(c);
	assert_int_equal(c->level, level);
	assert_string_equal(c->text, text);
}

static inline const struct fl_device *fake_map_device(const struct fake *f, unsigned int ifindex)
{
	return fl_map_mirror_get(f->host->device_map, &(uint32_t){ifindex});
}
