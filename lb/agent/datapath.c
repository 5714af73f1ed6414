/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From settings to what the datapath is opened and loaded with. */
#include "lb/agent/datapath.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#include "lb/base/cleanup.h"

int fl_datapath_detector(const struct fl_settings *settings, const struct fl_node *node,
			 struct fl_detect *ret_detect, struct fl_err *err)
{
	const struct fl_strings *texts = &settings->cluster_cidr;
	_cleanup_free_ struct fl_prefix *cidrs = calloc(texts->n + 1, sizeof(*cidrs));
	struct fl_detect_input input = {
		.cluster_cidrs = cidrs, .n_cluster_cidrs = texts->n, .node = node};
	int r;

	if (!cidrs)
		return fl_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < texts->n; i++) {
		r = fl_prefix_parse(texts->items[i], &cidrs[i]);
		if (r)
			return fl_err_set(err, r, "cluster CIDR \"%s\" is not a CIDR",
					  texts->items[i]);
	}
	r = fl_detect_mode_parse(settings->detect_mode ? settings->detect_mode : "", &input.mode);
	if (r)
		return fl_err_set(err, r, "detectLocalMode \"%s\" is not known",
				  settings->detect_mode);
	input.interface = input.mode == FL_DETECT_BRIDGE_INTERFACE ? settings->pod_bridge
								   : settings->pod_prefix;
	return fl_detect_init(&input, ret_detect, err);
}

struct fl_device_rules fl_datapath_device_rules(const struct fl_settings *settings)
{
	return (struct fl_device_rules){
		.external = (const char *const *)settings->devices.items,
		.n_external = settings->devices.n,
		.pod = (const char *const *)settings->pod_devices.items,
		.n_pod = settings->pod_devices.n,
	};
}

void fl_datapath_set_masquerade(struct fl_host *host, const struct fl_settings *settings)
{
	const struct fl_strings *texts = &settings->masquerade_addresses;
	struct fl_ip ips[FL_FAMILIES * FL_DEVICE_POOL];
	size_t n = 0;

	/* fl_settings_check() has found all of them good */
	for (size_t i = 0; i < texts->n && n < sizeof(ips) / sizeof(ips[0]); i++)
		n += !fl_ip_parse(texts->items[i], &ips[n]);
	fl_host_set_masquerade(host, ips, n);
}

/* A prefix as the programs compare it: address & mask. `len` counts the bits of the mapped form. */
static void set_cidr(struct fl_addr *addr, struct fl_addr *mask, const struct fl_prefix *prefix)
{
	uint8_t bytes[16] = {0};

	for (unsigned int i = 0; i < prefix->len; i++)
		bytes[i / 8] |= (uint8_t)(0x80 >> i % 8);
	memcpy(mask, bytes, sizeof(bytes));
	memcpy(addr, &prefix->ip, sizeof(prefix->ip));
}

static void set_pods(struct fl_live *live, const struct fl_detect *detect, bool pod_devices)
{
	bool by_cidr =
		detect->mode == FL_DETECT_CLUSTER_CIDR || detect->mode == FL_DETECT_NODE_CIDR;

	/* without CIDRs the devices are all that tells a pod */
	live->pod_by_device =
		!by_cidr || (!detect->on[FL_IPV4] && !detect->on[FL_IPV6] && pod_devices);
	if (by_cidr && detect->on[FL_IPV4]) {
		live->pod_detector4 = 1;
		set_cidr(&live->pod_cidr4, &live->pod_mask4, &detect->cidr[FL_IPV4]);
	}
	if (by_cidr && detect->on[FL_IPV6]) {
		live->pod_detector6 = 1;
		set_cidr(&live->pod_cidr6, &live->pod_mask6, &detect->cidr[FL_IPV6]);
	}
}

/* An unspecified address stays all zero, which is "none" to the programs. */
static void set_addr(struct fl_addr *addr, const struct fl_ip *ip)
{
	if (!fl_ip_is_unspecified(ip))
		memcpy(addr, ip, sizeof(*ip));
}

/* CIDRs that fl_settings_check() has found good: of the last word of the address some bits are
 * open. Of two of a family the last counts. */
static void set_tunnel_sources(struct fl_config *config, const struct fl_strings *cidrs)
{
	for (size_t i = 0; i < cidrs->n; i++) {
		struct fl_prefix prefix;
		struct fl_addr addr, mask;
		bool v6;

		if (fl_prefix_parse(cidrs->items[i], &prefix))
			continue;
		v6 = fl_prefix_family(&prefix) == FL_IPV6;
		set_cidr(&addr, &mask, &prefix);
		*(v6 ? &config->tunnel_addr6 : &config->tunnel_addr4) = addr;
		*(v6 ? &config->tunnel_mask6 : &config->tunnel_mask4) = ~mask.w[3];
	}
}

struct fl_live fl_datapath_live(const struct fl_settings *settings, const struct fl_detect *detect,
				const struct fl_ip node_addrs[static FL_FAMILIES],
				const struct fl_port_range source_ports[static FL_PORT_RANGES])
{
	struct fl_live live = {0};

	set_pods(&live, detect, settings->pod_devices.n);
	set_addr(&live.node_addr4, &node_addrs[FL_IPV4]);
	set_addr(&live.node_addr6, &node_addrs[FL_IPV6]);
	memcpy(live.snat, source_ports, sizeof(live.snat));
	fl_live_count_ports(&live);
	return live;
}

struct fl_config fl_datapath_config(const struct fl_settings *settings, const struct fl_live *live,
				    bool veth)
{
	struct fl_config config = {
		.new_flow_rate = settings->new_flow_rate,
		.reject_rate = settings->reject_rate,
		.masquerade_local = settings->masquerade_local,
		.reject_unknown_port = settings->reject_unknown_port,
		.answer_echo = settings->answer_echo,
		.unfinished_sums = veth,
		.dispatch = (uint8_t)settings->dispatch,
		.tunnel_mtu6 = (uint16_t)settings->dsr_mtu6,
		.maglev_seed = XXH64(settings->maglev_seed, strlen(settings->maglev_seed), 0),
		.live = *live,
	};

	set_tunnel_sources(&config, &settings->tunnel_sources);
	return config;
}

struct fl_dp_options fl_datapath_options(const struct fl_settings *settings,
					 const struct fl_config *config)
{
	struct fl_dp_options options = {
		.dir = settings->bpffs,
		.cgroup = settings->cgroup && !strcmp(settings->cgroup, "none") ? ""
										: settings->cgroup,
		.mode = settings->mode,
		.no_tcx = settings->tc_hook == FL_TC_HOOK_CLSACT,
		.sizes = settings->sizes,
		.next_hop_ttl_ms = settings->next_hop_ttl_ms,
		.config = *config,
	};

	memcpy(options.timeout_s, settings->timeout_s, sizeof(options.timeout_s));
	return options;
}

struct fl_sync_options fl_datapath_sync_options(const struct fl_settings *settings,
						const struct fl_detect *detect,
						const struct fl_config *config)
{
	struct fl_sync_options options = {
		.maglev_seed = config->maglev_seed,
		.maglev_ratio = settings->maglev_ratio,
		.maglev_length = settings->maglev_length,
		.reject_unknown_port = settings->reject_unknown_port,
		.masquerade_all = settings->masquerade_all,
	};

	memcpy(options.detector, detect->on, sizeof(options.detector));
	return options;
}
