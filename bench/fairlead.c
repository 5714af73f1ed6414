// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Fairlead as the agent would open it, in the bench's own namespaces. */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"
#include "lb/base/cleanup.h"
#include "nodeport/next_hop.h"

#define MAGLEV_SEED 0x66616972ULL

/* In the form of the maps; IPv4 where net6 is 0. */
static struct fl_addr addr_of(uint32_t net6, uint32_t low)
{
	struct fl_addr addr = {.w = {htonl(net6), 0, net6 ? 0 : htonl(0xffff), htonl(low)}};

	return addr;
}

static void set_pod_network(struct fl_config *config)
{
	config->live.pod_detector4 = 1;
	config->live.pod_cidr4.w[3] = htonl(BENCH_POD_NET);
	config->live.pod_mask4.w[3] = htonl(0xff800000U);
	config->live.pod_detector6 = 1;
	config->live.pod_cidr6.w[0] = htonl(BENCH_POD_NET6);
	config->live.pod_mask6.w[0] = 0xffffffffU;
}

/* Tables for what is to go in, with room to move: each endpoint has some 200 to 400 slots of two
 * bytes. */
static void set_sizes(const struct bench_fairlead_options *o, struct fl_dp_sizes *sizes)
{
	uint64_t endpoints = o->endpoints,
		 lines = endpoints * 400 * sizeof(uint16_t) / sizeof(struct fl_line) * 3;

	sizes->frontends = o->services * 3 * 2 + 1024;
	sizes->backends = endpoints * 3 + 1024;
	sizes->lines = lines + o->services * 64ULL + 16384;
	sizes->flows4 = o->flow_buckets;
	sizes->flows6 = o->flow_buckets;
}

int bench_fairlead_open(const struct bench_fairlead_options *o, struct bench_fairlead *ret_fairlead,
			struct fl_err *err)
{
	struct fl_dp_options options = {
		.dir = FL_DP_DEFAULT_DIR,
		.cgroup = o->cgroup ? o->cgroup : "",
		.mode = o->mode,
		/* flows wait for their turn while others are measured */
		.timeout_s = {[FL_TIMEOUT_UDP_ESTABLISHED] = 3600},
		.config =
			{
				.maglev_seed = MAGLEV_SEED,
				.reject_rate = o->answer_all ? 0 : 1000,
				.dispatch = o->dispatch,
				/* what the default ip_local_port_range and node ports leave */
				.live.snat = {{1024, 28976}, {61000, 4536}},
			},
	};
	struct fl_sync_options sync_options = {.maglev_seed = MAGLEV_SEED,
					       .detector = {true, true}};
	struct bench_fairlead f = {.mode = o->mode};
	int rc;

	set_pod_network(&options.config);
	options.config.live.node_addr4 = addr_of(0, BENCH_NODE);
	options.config.live.node_addr6 = addr_of(BENCH_NODE_NET6, BENCH_NODE_LOW6);
	set_sizes(o, &options.sizes);
	rc = fl_dp_open(&options, &f.dp, err);
	if (rc)
		return rc;
	sync_options.hz = fl_dp_hz(f.dp);
	rc = fl_sync_new(fl_dp_maps(f.dp), &sync_options, &f.sync, err);
	if (!rc) {
		rc = bench_services_new(o->services, o->endpoints, o->ports, o->kind, &f.services);
		if (rc)
			fl_err_set(err, rc, "out of memory");
	}
	if (rc) {
		bench_fairlead_close(&f);
		return rc;
	}
	*ret_fairlead = f;
	return 0;
}

void bench_fairlead_close(struct bench_fairlead *f)
{
	bench_services_free(&f->services);
	fl_sync_free(&f->sync);
	fl_dp_close(&f->dp);
}

int bench_fairlead_attach(struct bench_fairlead *f, const char *device, const char *addr4,
			  const char *addr6, struct fl_err *err)
{
	struct fl_device d = {.flags = FL_DEVICE_EXTERNAL, .mtu = 1500};
	struct fl_dp_device got;
	const struct fl_maps *maps = fl_dp_maps(f->dp);
	struct fl_mac_key mac = {0};
	const uint32_t one = 1;
	unsigned int ifindex;
	uint32_t low;
	uint16_t high;
	int rc = bench_device(device, &ifindex, mac.mac, err);

	if (rc)
		return rc;
	rc = fl_dp_attach_device(f->dp, ifindex, FL_DP_EXTERNAL, f->mode, &got, err);
	if (rc)
		return rc;
	if (got.xdp_tx)
		d.flags |= FL_DEVICE_XDP_TX;
	d.addr4.w[2] = htonl(0xffff);
	if (inet_pton(AF_INET, addr4, &d.addr4.w[3]) != 1 ||
	    (addr6 && inet_pton(AF_INET6, addr6, &d.addr6) != 1))
		return fl_err_set(err, -EINVAL, "bad address");
	mac.ifindex = ifindex;
	memcpy(&low, mac.mac, sizeof(low));
	memcpy(&high, mac.mac + sizeof(low), sizeof(high));
	maps->own_macs[ifindex % FL_OWN_MACS] = fl_own_mac(ifindex, low, high);
	if (bpf_map_update_elem(maps->macs_fd, &mac, &one, BPF_ANY) ||
	    bpf_map_update_elem(maps->devices_fd, &ifindex, &d, BPF_ANY))
		return fl_err_set(err, -errno, "cannot describe device %s: %s", device,
				  strerror(errno));
	return 0;
}

int bench_fairlead_join(struct bench_fairlead *f, struct fl_err *err)
{
	const struct fl_addr own[] = {addr_of(0, BENCH_NODE),
				      addr_of(BENCH_NODE_NET6, BENCH_NODE_LOW6)},
			     peers[] = {addr_of(0, BENCH_PEER),
					addr_of(BENCH_PEER_NET6, BENCH_PEER_LOW6)};
	const struct fl_maps *maps = fl_dp_maps(f->dp);
	const uint32_t flags = FL_LOCAL_NODE, one = 1;

	for (size_t i = 0; i < 2; i++)
		if (bpf_map_update_elem(maps->local_fd, &own[i], &flags, BPF_ANY) ||
		    bpf_map_update_elem(maps->peers_fd, &peers[i], &one, BPF_ANY))
			return fl_err_set(err, -errno, "cannot describe the nodes: %s",
					  strerror(errno));
	return 0;
}

void bench_fairlead_refresh(struct bench_fairlead *f)
{
	struct fl_meta *meta = fl_dp_maps(f->dp)->meta;
	const uint32_t now = (uint32_t)fl_dp_now(f->dp);

	meta->bound_ports_stamp = now | 1;
	fl_next_hops_keep(meta, now + 60 * fl_dp_kernel_hz());
}

uint64_t bench_fairlead_counter(struct bench_fairlead *f, uint32_t counter)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ uint64_t *values = cpus > 0 ? calloc(cpus, sizeof(*values)) : NULL;
	uint64_t sum = 0;

	if (!values || bpf_map_lookup_elem(fl_dp_maps(f->dp)->stats_fd, &counter, values))
		return 0;
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

uint64_t bench_fairlead_dropped(struct bench_fairlead *f)
{
	uint64_t sum = 0;

	for (uint32_t reason = FL_REASON_NONE + 1; reason < FL_REASON_MAX; reason++)
		sum += bench_fairlead_counter(f, reason);
	return sum;
}

void bench_fairlead_reasons(struct bench_fairlead *f, char *ret_text, size_t size)
{
	static const char *const tokens[FL_COUNTER_MAX] = {
#define X(name, token, text) [FL_REASON_##name] = token,
		FL_REASONS(X)
#undef X
#define X(name, token, text) [FL_COUNTER_##name] = token,
			FL_COUNTERS(X)
#undef X
	};
	size_t used = 0;

	ret_text[0] = '\0';
	for (uint32_t i = 0; i < FL_COUNTER_MAX; i++) {
		uint64_t n = bench_fairlead_counter(f, i);

		if (n && used < size)
			used += snprintf(ret_text + used, size - used, "%s\"%s\":%llu",
					 used ? "," : "", tokens[i], (unsigned long long)n);
	}
}
