// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Frontends, lists and backends in the layout of bpf/abi/fairlead.h. */
#include "tests/packet/service.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#include "lb/dp/filter.h"
#include "lb/dp/frontend_table.h"
#include "tests/packet/packet.h"

#define LUT_LEN 251

struct fl_ip backend_node(const struct fl_ip *backend)
{
	struct fl_ip node = *backend;

	node.b[15] += 100;
	return node;
}

void backend_add(struct plane *p, uint32_t id, const struct fl_ip *ip, uint16_t port, uint8_t proto,
		 uint8_t more_flags)
{
	struct fl_backend *b = &p->maps.backends[id];

	assert_true(id > 0 && id < p->maps.n_backends);
	memcpy(&b->addr, ip, sizeof(b->addr));
	fl_filter_add_backend(&p->maps, &b->addr);
	b->port = htons(port);
	b->proto = proto;
	b->weight = 1;
	b->generation++;
	if (p->config.dispatch == FL_DISPATCH_GENEVE && !(more_flags & FL_BACKEND_LOCAL)) {
		const struct fl_ip node = backend_node(ip);

		memcpy(&p->maps.backend_nodes[id].addr, &node, sizeof(node));
	}
	__atomic_store_n(&b->flags, FL_BACKEND_LIVE | more_flags, __ATOMIC_RELEASE);
}

void backend_remove(struct plane *p, uint32_t id)
{
	p->maps.backends[id].flags &= (uint8_t)~FL_BACKEND_LIVE;
}

/* The ids, and a table in which each has the same share. */
static void list_add(struct plane *p, const uint32_t *ids, uint32_t list_id,
		     struct fl_list *ret_list)
{
	uint32_t n = 0, lines, one = 1;
	struct fl_line *line;

	memset(ret_list, 0, sizeof(*ret_list));
	ret_list->id = list_id;
	for (; n < MAX_IDS && ids[n]; n++) {
		struct fl_member_key member = {.list_id = list_id, .backend = ids[n]};

		p->maps.lines[p->next_line + n / FL_LINE_IDS].id[n % FL_LINE_IDS] = ids[n];
		assert_int_equal(bpf_map_update_elem(p->maps.members_fd, &member, &one, 0), 0);
	}
	if (!n)
		return;
	lines = (n + FL_LINE_IDS - 1) / FL_LINE_IDS;
	line = &p->maps.lines[p->next_line + lines];
	for (uint32_t i = 0; i < LUT_LEN; i++)
		line[i / FL_LINE_ORDINALS].ordinal[i % FL_LINE_ORDINALS] = (uint16_t)(i % n);
	ret_list->slab = p->next_line;
	ret_list->count = n;
	ret_list->lut_len = LUT_LEN;
	p->next_line += lines + (LUT_LEN + FL_LINE_ORDINALS - 1) / FL_LINE_ORDINALS;
	assert_true(p->next_line < p->maps.n_lines);
}

static void frontend_put(struct plane *p, const struct fl_frontend_key *key,
			 const struct fl_frontend *value)
{
	struct fl_frontend_table table = fl_frontend_table_of(&p->maps);

	fl_filter_add_frontend(&p->maps, key);
	assert_int_equal(fl_frontend_table_put(&table, key, value), 0);
}

void service_add(struct plane *p, const struct service *s)
{
	struct fl_frontend_key key = {.port = htons(s->port), .proto = s->proto};
	struct fl_frontend fe = {
		.service_id = s->id,
		.flags = s->flags,
		.type = s->type,
		.affinity_timeout = s->affinity_timeout,
	};
	const struct fl_ip any4 = fl_ip_unspecified(FL_IPV4);

	memcpy(&key.addr, &s->ip, sizeof(key.addr));
	if (s->type == FL_FRONTEND_NODE_PORT && s->family == FL_IPV4)
		memcpy(&key.addr, &any4, sizeof(key.addr));
	for (int side = 0; side < FL_SIDES; side++) {
		/* DSR is for Services whose traffic policy is Cluster on both sides */
		list_add(p, s->ids[side], s->id * 2 + (s->flags & FL_TUNNEL ? 0 : (uint32_t)side),
			 &fe.list[side]);
		fe.verdict[side] = s->verdict[side]	 ? s->verdict[side]
				   : fe.list[side].count ? FL_VERDICT_FORWARD
							 : FL_VERDICT_REJECT;
	}
	frontend_put(p, &key, &fe);
}

void former_set(struct plane *p, uint32_t service_id, int which, uint32_t backend)
{
	struct fl_former *former = &p->maps.formers[service_id % FL_FORMER_LISTS];
	const uint32_t ids[MAX_IDS] = {backend};
	struct fl_list list;

	list_add(p, ids, service_id * 2, &list);
	former->service_id = service_id;
	former->side[which] = backend ? fl_pack_side(&list, FL_VERDICT_FORWARD) : 0;
}

void vip_add(struct plane *p, const struct fl_ip *ip, bool cluster_ip)
{
	struct fl_frontend_key key = {.proto = cluster_ip ? 0 : IPPROTO_ICMP};
	struct fl_frontend fe = {.type = cluster_ip ? FL_FRONTEND_VIP : FL_FRONTEND_ADDRESS};

	memcpy(&key.addr, ip, sizeof(key.addr));
	frontend_put(p, &key, &fe);
}

void range_add(struct plane *p, uint32_t service_id, const char *prefix)
{
	struct fl_range_key key = {.service_id = service_id};
	struct fl_prefix parsed;
	uint32_t one = 1;

	assert_int_equal(fl_prefix_parse(prefix, &parsed), 0);
	key.prefix_len = 32U + parsed.len;
	memcpy(&key.addr, &parsed.ip, sizeof(key.addr));
	assert_int_equal(bpf_map_update_elem(p->maps.ranges_fd, &key, &one, 0), 0);
}

struct fl_ip ip(const char *text)
{
	struct fl_ip a;

	assert_int_equal(fl_ip_parse(text, &a), 0);
	return a;
}

void local_add(struct plane *p, const struct fl_ip *ip, uint32_t flags)
{
	struct fl_addr a;

	memcpy(&a, ip, sizeof(a));
	fl_filter_add_own(&p->maps, &a);
	assert_int_equal(bpf_map_update_elem(p->maps.local_fd, ip, &flags, 0), 0);
}

void pool_set(struct plane *p, enum dev dev, enum fl_family family, unsigned int host, uint32_t n)
{
	const uint32_t key = p->net->ifindex[dev];
	struct fl_device device;

	assert_true(n <= FL_DEVICE_POOL);
	assert_int_equal(bpf_map_lookup_elem(p->maps.devices_fd, &key, &device), 0);
	for (uint32_t i = 0; i < n; i++) {
		const struct fl_ip ip = addr(family, (enum network)dev, host + i);

		memcpy(family == FL_IPV4 ? &device.pool4[i] : &device.pool6[i], &ip, sizeof(ip));
		local_add(p, &ip, FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS);
	}
	*(family == FL_IPV4 ? &device.n_pool4 : &device.n_pool6) = n;
	assert_int_equal(bpf_map_update_elem(p->maps.devices_fd, &key, &device, 0), 0);
}

bool pool_allows(const struct plane *p, enum dev dev, const struct fl_ip *ip)
{
	const bool v6 = fl_ip_family(ip) == FL_IPV6;
	const struct fl_ip usual = addr(fl_ip_family(ip), (enum network)dev, 1);
	struct fl_device device;
	uint32_t n;

	assert_int_equal(bpf_map_lookup_elem(p->maps.devices_fd, &p->net->ifindex[dev], &device),
			 0);
	n = v6 ? device.n_pool6 : device.n_pool4;
	for (uint32_t i = 0; i < n; i++)
		if (!memcmp(v6 ? &device.pool6[i] : &device.pool4[i], ip, sizeof(*ip)))
			return true;
	return !n && !memcmp(ip, &usual, sizeof(*ip));
}

void service_replace(struct plane *p, const struct frontend frontends[SCENE_FRONTENDS],
		     struct service service)
{
	for (int i = 0; i < SCENE_FRONTENDS; i++) {
		service.type = frontends[i].type;
		service.port = frontends[i].port;
		service.ip = frontends[i].ip;
		if (service.type == FL_FRONTEND_NODE_PORT)
			service.ip = (struct fl_ip){0};
		service_add(p, &service);
	}
}

void scene_set(struct plane *p, const struct scene *scene,
	       struct frontend ret_frontends[SCENE_FRONTENDS])
{
	const struct frontend frontends[SCENE_FRONTENDS] = {
		{FL_FRONTEND_CLUSTER_IP, addr(scene->family, AT_SERVICE, 10), SERVICE_PORT},
		{FL_FRONTEND_EXTERNAL_IP, addr(scene->family, AT_VIP, 20), SERVICE_PORT},
		{FL_FRONTEND_LOAD_BALANCER, addr(scene->family, AT_VIP, 30), SERVICE_PORT},
		{FL_FRONTEND_NODE_PORT, addr(scene->family, AT_EXT0, 1), NODE_PORT},
	};
	unsigned int n = scene->backends ? scene->backends : 1;
	struct service service = {
		.id = 1,
		.family = scene->family,
		.proto = scene->proto,
		.flags = scene->more_flags | (scene->keep_source ? 0 : MASQUERADE_ALL),
		.affinity_timeout = 3600 * p->config.hz,
	};

	assert_true(n < MAX_IDS);
	for (unsigned int i = 1; i <= n; i++) {
		struct fl_ip ip = addr(scene->family, scene->network, i);

		backend_add(p, i, &ip, BACKEND_PORT, scene->proto,
			    scene->network == AT_POD ? FL_BACKEND_LOCAL : 0);
		for (int side = 0; side < FL_SIDES; side++)
			service.ids[side][i - 1] = i;
	}
	service_replace(p, frontends, service);
	for (int i = 0; i < SCENE_FRONTENDS; i++)
		if (frontends[i].type != FL_FRONTEND_NODE_PORT)
			vip_add(p, &frontends[i].ip, frontends[i].type == FL_FRONTEND_CLUSTER_IP);
	memcpy(ret_frontends, frontends, sizeof(frontends));
}
