/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether settings make sense as a whole, by the very functions that will use them, so that --check
 * refuses all that a start would.
 */
#include <errno.h>
#include <string.h>
#include <sys/un.h>

#include "lb/maglev/maglev.h"
#include "lb/model/detect.h"
#include "lb/model/node_ports.h"
#include "lb/settings/bind.h"
#include "lb/settings/settings.h"
#include "nodeport/ports.h"

static int check_addresses(const struct fl_settings *s, struct fl_err *err)
{
	const struct fl_node_ports_input input = {
		.addresses = (const char *const *)s->node_port_addresses.items,
		.n_addresses = s->node_port_addresses.n,
	};
	struct fl_node_ports node_ports = {0};
	struct fl_prefix prefix;
	struct fl_ip ip;
	int r = fl_node_ports_init(&input, &node_ports, err);

	fl_node_ports_fini(&node_ports);
	if (r)
		return r;
	for (size_t i = 0; i < s->cluster_cidr.n; i++)
		if (fl_prefix_parse(s->cluster_cidr.items[i], &prefix))
			return fl_err_set(err, -EINVAL, "cluster CIDR \"%s\" is not a CIDR",
					  s->cluster_cidr.items[i]);
	for (size_t i = 0; i < s->tunnel_sources.n; i++)
		if (fl_prefix_parse(s->tunnel_sources.items[i], &prefix) || prefix.len == 128 ||
		    prefix.len < 128 - FL_TUNNEL_RANGE_BITS)
			return fl_err_set(err, -EINVAL,
					  "tunnelSources: \"%s\" is not a CIDR that leaves 1 to %d "
					  "bits open",
					  s->tunnel_sources.items[i], FL_TUNNEL_RANGE_BITS);
	if (s->bind_address && *s->bind_address && fl_ip_parse(s->bind_address, &ip))
		return fl_err_set(err, -EINVAL, "bindAddress \"%s\" is not an address",
				  s->bind_address);
	return 0;
}

/* That they are addresses was found when they were read. */
static int check_masquerade(const struct fl_strings *texts, struct fl_err *err)
{
	size_t n[FL_FAMILIES] = {0};

	for (size_t i = 0; i < texts->n; i++) {
		const char *text = texts->items[i];
		struct fl_ip ip, other;

		if (fl_ip_parse(text, &ip) || fl_ip_is_unspecified(&ip) || fl_ip_is_loopback(&ip) ||
		    fl_ip_is_multicast(&ip) || fl_ip_is_link_local(&ip))
			return fl_err_set(err, -EINVAL,
					  "masqueradeAddresses: %s is no address that backends "
					  "could answer to",
					  text);
		for (size_t j = 0; j < i; j++)
			if (!fl_ip_parse(texts->items[j], &other) && fl_ip_equal(&ip, &other))
				return fl_err_set(err, -EINVAL,
						  "masqueradeAddresses: %s is there twice", text);
		if (++n[fl_ip_family(&ip)] > FL_DEVICE_POOL)
			return fl_err_set(err, -EINVAL,
					  "masqueradeAddresses: more than %d addresses of a family",
					  FL_DEVICE_POOL);
	}
	return 0;
}

static int check_binds(const struct fl_settings *s, struct fl_err *err)
{
	struct fl_bind binds[FL_BINDS_MAX];
	size_t n;
	int r = fl_binds_read(&s->healthz_bind, FL_BIND_HEALTHZ, binds, &n, err);

	return r ? r : fl_binds_read(&s->metrics_bind, FL_BIND_METRICS, binds, &n, err);
}

static int check_detector(const struct fl_settings *s, struct fl_err *err)
{
	struct fl_detect_input input = {.mode = FL_DETECT_CLUSTER_CIDR};
	struct fl_detect detect;

	if (s->detect_mode && fl_detect_mode_parse(s->detect_mode, &input.mode))
		return fl_err_set(
			err, -EINVAL,
			"detectLocalMode \"%s\" is none of ClusterCIDR, NodeCIDR, BridgeInterface, "
			"InterfaceNamePrefix",
			s->detect_mode);
	/* the answers of this node's pods go to its own address, which no other hook sees */
	if (s->masquerade_local && !s->pod_devices.n && input.mode != FL_DETECT_BRIDGE_INTERFACE &&
	    input.mode != FL_DETECT_INTERFACE_NAME_PREFIX)
		return fl_err_set(
			err, -EINVAL,
			"masqueradeLocal needs podDevices, or a detectLocalMode that "
			"names pods' interfaces: answers of this node's pods come by them");
	input.interface = input.mode == FL_DETECT_BRIDGE_INTERFACE ? s->pod_bridge : s->pod_prefix;
	return fl_detect_init(&input, &detect, err);
}

static int check_places(const struct fl_settings *s, struct fl_err *err)
{
	const size_t room = sizeof(((struct sockaddr_un *)0)->sun_path);

	if (!*s->bpffs || !*s->socket)
		return fl_err_set(err, -EINVAL, "bpffs and socket must not be empty");
	if (strlen(s->socket) >= room)
		return fl_err_set(err, -EINVAL, "socket path \"%.40s...\" is longer than %zu bytes",
				  s->socket, room - 1);
	if (*s->kernel_sysctls != '/')
		return fl_err_set(err, -EINVAL,
				  "kernelConntrack.sysctls \"%s\" is not an absolute path",
				  s->kernel_sysctls);
	/* an unset shell variable must not switch the sockets off */
	if (s->cgroup && !*s->cgroup)
		return fl_err_set(err, -EINVAL, "cgroup must not be empty (none: no sockets)");
	return 0;
}

int fl_settings_check(const struct fl_settings *s, struct fl_err *err)
{
	struct fl_port_span span;
	int r;

	if (!s->manifests.n && !s->kubeconfig && !s->in_cluster)
		return fl_err_set(err, -EINVAL,
				  "no source of objects: give --manifests DIR, --kubeconfig FILE "
				  "or --in-cluster");
	if (s->kubeconfig && s->in_cluster)
		return fl_err_set(err, -EINVAL, "--kubeconfig and --in-cluster exclude each other");
	if (s->api_servers.n && !s->kubeconfig && !s->in_cluster)
		return fl_err_set(err, -EINVAL,
				  "apiServerURLs without --kubeconfig or --in-cluster, which say "
				  "who is trusted there");
	if (s->kubeconfig && !*s->kubeconfig)
		return fl_err_set(err, -EINVAL, "kubeconfig must not be empty");
	if (fl_port_span_parse(s->node_port_range, &span) || !span.first)
		return fl_err_set(err, -EINVAL,
				  "nodePortRange \"%s\" is not a range like 30000-32767",
				  s->node_port_range);
	if (!s->sync_period_s)
		return fl_err_set(err, -EINVAL, "syncPeriod must not be 0");
	if (s->metrics_services > FL_METRICS_SERVICES_MAX)
		return fl_err_set(err, -EINVAL, "metricsServices is %u, which is more than %u",
				  s->metrics_services, FL_METRICS_SERVICES_MAX);
	if (s->maglev_length && !fl_maglev_length_valid(s->maglev_length))
		return fl_err_set(err, -EINVAL, "maglev.tableLength %u is not a prime up to %u",
				  s->maglev_length, FL_MAGLEV_LENGTH_MAX);
	if (s->dsr_mtu6 && (s->dsr_mtu6 < FL_DSR_MTU6_MIN || s->dsr_mtu6 > UINT16_MAX))
		return fl_err_set(err, -EINVAL, "dsr.ipv6PathMTU is %u, and not 0 or %d to %d",
				  s->dsr_mtu6, FL_DSR_MTU6_MIN, UINT16_MAX);
	r = check_addresses(s, err);
	if (!r)
		r = check_masquerade(&s->masquerade_addresses, err);
	if (!r)
		r = check_binds(s, err);
	if (!r)
		r = check_detector(s, err);
	return r ? r : check_places(s, err);
}
