// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Loading the objects the way the agent does, over one set of maps, but pinned and attached
 * nowhere. */
#include "tests/packet/plane.h"

#include "conntrack/entry.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lb/base/cleanup.h"
#include "lb/dp/map_table.h"
#include "tests/packet/packet.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

#define MAX_CPUS 1024

static const char *const prog_names[PROGS] = {
	[PROG_XDP] = "fl_xdp",
	[PROG_CLOCK] = "fl_clock",
	[PROG_TC_INGRESS] = "fl_tc_ingress",
	[PROG_TC_FROM_XDP] = "fl_tc_from_xdp",
	[PROG_TC_EGRESS] = "fl_tc_egress",
	[PROG_POD_INGRESS] = "fl_pod_ingress",
	[PROG_POD_EGRESS] = "fl_pod_egress",
};

static const uint32_t flow_buckets[PLANES] = {USUAL_BUCKETS, SMALL_BUCKETS, LIMITED_BUCKETS,
					      TINY_BUCKETS, USUAL_BUCKETS};

#define FRONTEND_LINES 1024

/* 0: as the objects have it */
static uint32_t map_size(const struct fl_config *config, enum fl_map_id id)
{
	const uint32_t buckets = config->flow4_mask + 1;

	switch (id) {
	case FL_MAP_flows4:
	case FL_MAP_flows6:
		return buckets;
	case FL_MAP_overflow4:
	case FL_MAP_overflow6:
		return (buckets + FL_OVERFLOW_BUCKETS - 1) / FL_OVERFLOW_BUCKETS;
	case FL_MAP_backends:
	case FL_MAP_backend_nodes:
		return 512;
	case FL_MAP_lines:
		return 4096;
	case FL_MAP_frontends:
		return FRONTEND_LINES;
	case FL_MAP_sockets:
		return SOCKET_BUCKETS;
	default:
		return 0;
	}
}

static struct fl_addr to_abi(const struct fl_ip *ip)
{
	struct fl_addr a;

	memcpy(&a, ip, sizeof(a));
	return a;
}

static void mask_of(const char *text, struct fl_addr *ret_cidr, struct fl_addr *ret_mask)
{
	struct fl_prefix prefix;
	struct fl_ip mask = {0};

	assert_int_equal(fl_prefix_parse(text, &prefix), 0);
	for (int i = 0; i < prefix.len; i++)
		mask.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	*ret_cidr = to_abi(&prefix.ip);
	*ret_mask = to_abi(&mask);
}

static uint64_t netns_cookie(void)
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len))
		return 0;
	return cookie;
}

struct fl_config plane_config(enum plane_kind kind, uint32_t hz)
{
	struct fl_ip node4 = addr(FL_IPV4, AT_EXT0, 1), node6 = addr(FL_IPV6, AT_EXT0, 1);
	struct fl_addr open4, open6;
	struct fl_config c = {
		.flow_seed = {0x0123456789abcdef, 0xfedcba9876543210},
		.maglev_seed = 0x1122334455667788,
		.host_netns = netns_cookie(),
		.flow4_mask = flow_buckets[kind] - 1,
		.flow6_mask = flow_buckets[kind] - 1,
		.socket_mask = SOCKET_BUCKETS - 1,
		.frontend_mask = FRONTEND_LINES - 1,
		.timeout = {[FL_TIMEOUT_TCP_EMBRYONIC] = 60 * hz,
			    [FL_TIMEOUT_TCP_ESTABLISHED] = 86400 * hz,
			    [FL_TIMEOUT_TCP_CLOSE_WAIT] = 3600 * hz,
			    [FL_TIMEOUT_TCP_TIME_WAIT] = 120 * hz,
			    [FL_TIMEOUT_TCP_CLOSING] = 30 * hz,
			    [FL_TIMEOUT_UDP_EMBRYONIC] = 30 * hz,
			    [FL_TIMEOUT_UDP_ESTABLISHED] = 120 * hz},
		.hz = hz,
		.next_hop_ttl = 3600 * hz,
		.live.snat = {{20000, 2000}, {61000, 500}},
		.set_retval = 1,
#if !defined(__x86_64__) && !defined(__i386__)
		.weak_loads = 1,
#endif
	};

	switch (kind) {
	case PLANE_GENEVE:
		c.dispatch = FL_DISPATCH_GENEVE;
		/* fall through */
	case PLANE_USUAL:
		mask_of("10.1.0.0/16", &c.live.pod_cidr4, &c.live.pod_mask4);
		mask_of("fd01::/16", &c.live.pod_cidr6, &c.live.pod_mask6);
		c.live.pod_detector4 = c.live.pod_detector6 = 1;
		c.reject_unknown_port = 1;
		c.answer_echo = 1;
		c.live.pod_by_device = 1;
		c.check_mtu = 1;
		c.xdp_frags = libbpf_probe_bpf_helper(BPF_PROG_TYPE_XDP, BPF_FUNC_xdp_get_buff_len,
						      NULL) == 1;
		c.live.node_addr4 = to_abi(&node4);
		c.live.node_addr6 = to_abi(&node6);
		break;
	case PLANE_SMALL:
		c.weak_loads = 1;
		c.live.snat[0] = (struct fl_port_range){40000, SMALL_PORTS - 40};
		c.live.snat[1] = (struct fl_port_range){50000, 40};
		mask_of("198.19.0.0/16", &c.tunnel_addr4, &open4);
		mask_of("fdaa::/112", &c.tunnel_addr6, &open6);
		c.tunnel_mask4 = ~open4.w[3];
		c.tunnel_mask6 = ~open6.w[3];
		break;
	case PLANE_LIMITED:
		c.new_flow_rate = NEW_FLOW_RATE;
		c.reject_rate = REJECT_RATE;
		c.tunnel_mtu6 = 1280;
		c.reject_unknown_port = 1;
		c.masquerade_local = 1;
		c.live.node_addr4 = to_abi(&node4);
		c.live.node_addr6 = to_abi(&node6);
		break;
	case PLANE_TINY:
		c.live.snat[0] = (struct fl_port_range){40000, 12};
		c.live.snat[1] = (struct fl_port_range){50000, 4};
		break;
	default:
		break;
	}
	fl_config_spread_timeouts(&c);
	fl_live_count_ports(&c.live);
	return c;
}

/*
 * Hand the maps that are there to an object, or size those it makes, load it and keep what it made.
 */
static int load(struct plane *p, struct fl_bpf_object *o, struct fl_err *err)
{
	int r;

	fl_bpf_object_configure(o, &p->config);
	assert_int_equal(fl_bpf_object_take_frags(o), 0);
	for (int load_done = 0; load_done < 2; load_done++) {
		for (int i = 0; i < FL_MAPS; i++) {
			const char *name = fl_map_descs[i].object;
			int *fd = fl_map_fd(&p->maps, i);
			struct bpf_map *map;

			map = bpf_object__find_map_by_name(o->bpf, name);
			r = 0;
			if (!map)
				continue;
			if (load_done && *fd < 0)
				*fd = dup(bpf_map__fd(map));
			else if (!load_done && *fd >= 0)
				r = bpf_map__reuse_fd(map, *fd);
			else if (!load_done && map_size(&p->config, i))
				r = bpf_map__set_max_entries(map, map_size(&p->config, i));
			if (r)
				return fl_err_set(err, r, "cannot prepare map %s", name);
		}
		r = load_done ? 0 : fl_bpf_objects_load(o, 1, err);
		if (r)
			return r;
	}
	return 0;
}

int plane_open(enum plane_kind kind, const struct net *net, uint32_t hz, struct plane *p,
	       struct fl_err *err)
{
	const struct fl_config config = plane_config(kind, hz);

	return plane_open_with(&config, net, p, err);
}

int plane_open_with(const struct fl_config *config, const struct net *net, struct plane *p,
		    struct fl_err *err)
{
	int r = 0;

	memset(p, 0, sizeof(*p));
	p->maps = (struct fl_maps)FL_MAPS_INIT;
	p->config = *config;
	p->net = net;
	for (int i = 0; i < FL_OBJECTS && !r; i++) {
		r = fl_bpf_object_open(i, &p->objects[i], err);
		if (!r)
			r = load(p, &p->objects[i], err);
	}
	if (!r)
		r = fl_maps_mmap(&p->maps, true, err);
	for (int i = 0; i < PROGS && !r; i++) {
		struct bpf_program *prog = NULL;

		for (int o = 0; o < FL_OBJECTS && !prog; o++)
			prog = bpf_object__find_program_by_name(p->objects[o].bpf, prog_names[i]);
		if (!prog)
			return fl_err_set(err, -ENOENT, "there is no program %s", prog_names[i]);
		p->prog_fd[i] = bpf_program__fd(prog);
	}
	return r;
}

void plane_close(struct plane *p)
{
	for (int i = 0; i < FL_OBJECTS; i++)
		fl_bpf_object_close(&p->objects[i]);
	fl_maps_close(&p->maps);
}

/* Hash maps lose their elements, arrays get zeroes. */
static void empty(int fd, const struct fl_map_desc *d)
{
	bool array = d->type == BPF_MAP_TYPE_ARRAY;
	uint8_t key[64], zero[sizeof(struct fl_device)] = {0};
	uint32_t index = 0;

	assert_true(d->key_size <= sizeof(key) && d->value_size <= sizeof(zero));
	while (array && !bpf_map_update_elem(fd, &index, zero, BPF_EXIST))
		index++;
	while (!array && !bpf_map_get_next_key(fd, NULL, key))
		assert_int_equal(bpf_map_delete_elem(fd, key), 0);
}

uint64_t plane_total(const struct plane *p, uint32_t counter)
{
	const int cpus = libbpf_num_possible_cpus();
	uint64_t value[MAX_CPUS], sum = 0;

	assert_true(cpus > 0 && cpus <= MAX_CPUS);
	assert_int_equal(bpf_map_lookup_elem(p->maps.stats_fd, &counter, value), 0);
	for (int i = 0; i < cpus; i++)
		sum += value[i];
	return sum;
}

void plane_totals(const struct plane *p, uint64_t ret_totals[FL_COUNTER_MAX])
{
	const uint32_t cpus = (uint32_t)libbpf_num_possible_cpus();
	uint32_t keys[FL_COUNTER_MAX], next, n = FL_COUNTER_MAX;
	_cleanup_free_ uint64_t *values = calloc((size_t)FL_COUNTER_MAX * cpus, sizeof(*values));

	assert_non_null(values);
	/* kernels before 5.13 have no such call for this kind of map */
	if ((bpf_map_lookup_batch(p->maps.stats_fd, NULL, &next, keys, values, &n, NULL) &&
	     errno != ENOENT) ||
	    n != FL_COUNTER_MAX) {
		for (uint32_t c = 0; c < FL_COUNTER_MAX; c++)
			ret_totals[c] = plane_total(p, c);
		return;
	}
	for (uint32_t i = 0; i < n; i++) {
		ret_totals[keys[i]] = 0;
		for (uint32_t cpu = 0; cpu < cpus; cpu++)
			ret_totals[keys[i]] += values[i * cpus + cpu];
	}
}

void mac_add(struct plane *p, unsigned int ifindex, const uint8_t mac[ETH_ALEN])
{
	struct fl_mac_key key = {.ifindex = ifindex};
	uint32_t value = 1;

	memcpy(key.mac, mac, ETH_ALEN);
	assert_int_equal(bpf_map_update_elem(p->maps.macs_fd, &key, &value, 0), 0);
}

/* The shortcut to a device's own address. */
static void own_mac_set(struct plane *p, unsigned int ifindex, const uint8_t mac[ETH_ALEN])
{
	uint32_t low;
	uint16_t high;

	memcpy(&low, mac, sizeof(low));
	memcpy(&high, mac + sizeof(low), sizeof(high));
	p->maps.own_macs[ifindex % FL_OWN_MACS] = fl_own_mac(ifindex, low, high);
}

static void add_node(struct plane *p)
{
	static const uint32_t flags[DEVS] = {
		[DEV_EXT0] = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL,
		[DEV_EXT1] = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL,
		[DEV_EXT2] = FL_DEVICE_EXTERNAL,
		[DEV_POD] = FL_DEVICE_POD,
	};
	const uint32_t local = FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS;

	for (int d = 0; d < DEVS; d++) {
		struct fl_device device = {.flags = flags[d], .mtu = 1500};

		mac_add(p, p->net->ifindex[d], p->net->mac[d]);
		own_mac_set(p, p->net->ifindex[d], p->net->mac[d]);

		for (enum fl_family v = FL_IPV4; d <= DEV_EXT2 && v < FL_FAMILIES; v++) {
			struct fl_ip ip = addr(v, (enum network)d, 1);

			*(v == FL_IPV4 ? &device.addr4 : &device.addr6) = to_abi(&ip);
			local_add(p, &ip, local);
		}
		assert_int_equal(
			bpf_map_update_elem(p->maps.devices_fd, &p->net->ifindex[d], &device, 0),
			0);
	}
}

void plane_flows_clear(struct plane *p)
{
	memset(p->maps.flows4, 0, p->maps.n_flows4 * sizeof(*p->maps.flows4));
	memset(p->maps.flows6, 0, p->maps.n_flows6 * sizeof(*p->maps.flows6));
	memset(p->maps.overflow4, 0, p->maps.n_overflow4 * sizeof(*p->maps.overflow4));
	memset(p->maps.overflow6, 0, p->maps.n_overflow6 * sizeof(*p->maps.overflow6));
}

/* -1: the object has no limits. */
static int rates_fd(const struct plane *p, enum fl_bpf_object_id id)
{
	struct bpf_map *map = bpf_object__find_map_by_name(p->objects[id].bpf, "fl_rates");

	return map ? bpf_map__fd(map) : -1;
}

struct rate_bucket plane_rate_get(const struct plane *p, enum fl_bpf_object_id id, enum rate rate)
{
	struct rate_bucket all[MAX_CPUS];
	uint32_t key = rate;

	assert_int_equal(bpf_map_lookup_elem(rates_fd(p, id), &key, all), 0);
	return all[sched_getcpu()]; /* the tests stay on one processor */
}

void plane_rate_set(const struct plane *p, enum fl_bpf_object_id id, enum rate rate,
		    struct rate_bucket bucket)
{
	struct rate_bucket all[MAX_CPUS];
	uint32_t key = rate;

	for (int i = 0; i < MAX_CPUS; i++)
		all[i] = bucket;
	assert_int_equal(bpf_map_update_elem(rates_fd(p, id), &key, all, 0), 0);
}

/* A second's worth in each bucket. */
static void refill(struct plane *p, enum fl_bpf_object_id id)
{
	const uint32_t hz = p->config.hz, now = plane_now(p);

	if (rates_fd(p, id) < 0)
		return;
	plane_rate_set(p, id, RATE_NEW_FLOW,
		       (struct rate_bucket){.stamp = now, .parts = p->config.new_flow_rate * hz});
	plane_rate_set(p, id, RATE_REJECT,
		       (struct rate_bucket){.stamp = now, .parts = p->config.reject_rate * hz});
}

void plane_forget_fragments(const struct plane *p)
{
	static const char *const names[] = {"fl_frags", "fl_frag_held"};

	for (size_t n = 0; n < N(names); n++) {
		const struct bpf_map *map =
			bpf_object__find_map_by_name(p->objects[FL_OBJECT_TC].bpf, names[n]);
		void *nothing = calloc(1, bpf_map__value_size(map));

		assert_non_null(nothing);
		for (uint32_t i = 0; i < bpf_map__max_entries(map); i++)
			assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &i, nothing, 0), 0);
		free(nothing);
	}
}

/* What routers have said, of which each object of programs has a map that is not pinned. */
static void forget_paths(const struct plane *p)
{
	struct fl_addr key;

	for (int id = 0; id < FL_OBJECTS; id++) {
		const int fd = bpf_object__find_map_fd_by_name(p->objects[id].bpf, "fl_paths");

		while (fd >= 0 && !bpf_map_get_next_key(fd, NULL, &key))
			assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
	}
}

void plane_reset(struct plane *p)
{
	for (int i = 0; i < FL_MAPS; i++)
		if (!fl_map_descs[i].mem_offset && i != FL_MAP_stats)
			empty(*fl_map_fd(&p->maps, i), &fl_map_descs[i]);
	memset(p->maps.backends, 0, p->maps.n_backends * sizeof(*p->maps.backends));
	memset(p->maps.backend_nodes, 0, p->maps.n_backend_nodes * sizeof(*p->maps.backend_nodes));
	memset(p->maps.bound_ports, 0, FL_BOUND_WORDS * sizeof(*p->maps.bound_ports));
	p->maps.meta->bound_ports_stamp = 0;
	memset(p->maps.frontends, 0, p->maps.n_frontends * sizeof(*p->maps.frontends));
	memset(p->maps.formers, 0, p->maps.n_formers * sizeof(*p->maps.formers));
	memset(p->maps.lines, 0, p->maps.n_lines * sizeof(*p->maps.lines));
	memset(p->maps.sockets, 0, p->maps.n_sockets * sizeof(*p->maps.sockets));
	memset(p->maps.next_hops, 0, p->maps.n_next_hops * sizeof(*p->maps.next_hops));
	/* for as long as a test may take; what programs remember of another one counts no more */
	p->maps.meta->next_hops =
		fl_hops_word(fl_hops_next(fl_hops_generation(p->maps.meta->next_hops)),
			     plane_now(p) + 3600 * p->config.hz);
	memset(p->maps.filter, 0, p->maps.n_filter * sizeof(*p->maps.filter));
	memset(p->maps.own_ports, 0, p->maps.n_own_ports * sizeof(*p->maps.own_ports));
	memset(p->maps.own_macs, 0, p->maps.n_own_macs * sizeof(*p->maps.own_macs));
	forget_paths(p);
	plane_flows_clear(p);
	p->maps.meta->overflow_half = 0;
	p->maps.meta->filter_half = 0;
	memcpy(p->maps.meta->flow_seed, p->config.flow_seed, sizeof(p->config.flow_seed));
	p->next_line = 1;
	for (uint32_t i = 0; i < FL_COUNTER_MAX; i++)
		p->seen[i] = plane_total(p, i);
	add_node(p);
	if (p->config.new_flow_rate)
		for (int id = 0; id < FL_OBJECTS; id++)
			refill(p, id);
}

uint64_t plane_counter(const struct plane *p, uint32_t counter)
{
	return plane_total(p, counter) - p->seen[counter];
}

uint32_t plane_now(struct plane *p)
{
	uint8_t packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	assert_int_equal(bpf_prog_test_run_opts(p->prog_fd[PROG_CLOCK], &opts), 0);
	return (uint32_t)p->maps.meta->now_jiffies;
}

void plane_forget_exhaustion(struct plane *p)
{
	uint32_t since = plane_now(p);

	while (plane_now(p) - since < 4 + p->config.hz / 256)
		;
}

struct fl_flow_table plane_flows(const struct plane *p)
{
	return fl_flow_table_of(&p->maps);
}

struct fl_flow_head *plane_head(const struct plane *p, enum fl_family family, uint32_t slot)
{
	if (family == FL_IPV4)
		return &p->maps.flows4[slot / FL_FLOW_WAYS].way[slot % FL_FLOW_WAYS].head;
	return &p->maps.flows6[slot / FL_FLOW_WAYS].way[slot % FL_FLOW_WAYS].head;
}

void plane_forget(const struct plane *p, enum fl_family family, uint32_t slot)
{
	plane_forget_entry(plane_head(p, family, slot));
}

void plane_forget_entry(struct fl_flow_head *head)
{
	head->word = ((head->word >> FL_FLOW_GENERATION_SHIFT) + 1) << FL_FLOW_GENERATION_SHIFT |
		     FL_FLOW_FREE;
}

void plane_abandon(const struct plane *p, enum fl_family family)
{
	const struct fl_flow_table table = plane_flows(p);

	for (size_t slot = 0; slot < fl_entry_slots(&table, family); slot++) {
		struct fl_flow_head *head = plane_head(p, family, (uint32_t)slot);

		if (fl_flow_state(head->word) >= FL_FLOW_NEW && !(head->flags & FL_FLOW_IS_REPLY))
			fl_entry_change_flags(head, head->word, FL_FLOW_STALE, 0);
	}
}

size_t plane_count(const struct plane *p, enum fl_family family)
{
	struct fl_flow_table table = plane_flows(p);
	struct fl_flow_counts counts;
	size_t n = 0;

	fl_flow_count(&table, &counts);
	for (int s = FL_FLOW_NEW; s < FL_FLOW_STATES; s++)
		n += counts.flows[family][s];
	return n;
}

bool plane_may_use_port(const struct plane *p, uint16_t port)
{
	for (int i = 0; i < FL_PORT_RANGES; i++)
		if (port >= p->config.live.snat[i].first &&
		    port < p->config.live.snat[i].first + p->config.live.snat[i].count)
			return true;
	return false;
}
