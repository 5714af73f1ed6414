// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the datapath may be concerned with: the agent's half. */
#include "lb/dp/filter.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

static bool is_ipv6(const struct fl_addr *addr)
{
	return addr->w[0] || addr->w[1] || addr->w[2] != htonl(0xffff);
}

/* Seen by whatever sees what is written next. */
static void set(__u64 *words, uint32_t bit)
{
	__atomic_fetch_or(&words[bit / 64], 1ULL << (bit & 63), __ATOMIC_SEQ_CST);
}

static uint64_t hash_of(const struct fl_maps *maps, const struct fl_addr *addr)
{
	return fl_filter_hash(is_ipv6(addr), addr, maps->meta->flow_seed[1]);
}

static void add_node_port(const struct fl_maps *maps, const struct fl_frontend_key *key)
{
	const uint32_t port = ntohs(key->port), at = FL_BOUND_WORD(key->proto, port);

	for (uint32_t first = 0; first < FL_OWN_PORT_WORDS; first += FL_BOUND_WORDS)
		set(maps->own_ports + first + at, port & 63);
}

/*
 * An external IP that is this node's has other ports, which nobody refuses. Without the bit their
 * packets need not be looked at.
 */
static bool is_own(const struct fl_maps *maps, const struct fl_frontend_key *key)
{
	__u32 flags;

	return key->proto && !bpf_map_lookup_elem(maps->local_fd, &key->addr, &flags);
}

void fl_filter_add_frontend(const struct fl_maps *maps, const struct fl_frontend_key *key)
{
	const bool any = !key->addr.w[3] && (!is_ipv6(&key->addr) ||
					     !(key->addr.w[0] | key->addr.w[1] | key->addr.w[2]));
	uint64_t hash;

	if (!maps->filter || !maps->own_ports || !maps->meta)
		return;
	hash = hash_of(maps, &key->addr);
	if (any)
		add_node_port(maps, key);
	else if (!key->port && !is_own(maps, key))
		set(maps->filter, fl_filter_addr(hash) + 1);
	else if (!key->port)
		return;
	else
		set(maps->filter, fl_filter_port(hash, key->port, key->proto));
}

void fl_filter_add_backend(const struct fl_maps *maps, const struct fl_addr *addr)
{
	if (maps->filter && maps->meta)
		set(maps->filter, fl_filter_backend(hash_of(maps, addr)));
}

void fl_filter_add_own(const struct fl_maps *maps, const struct fl_addr *addr)
{
	if (maps->filter && maps->meta)
		set(maps->filter, fl_filter_addr(hash_of(maps, addr)));
}

void fl_filter_add_flow(const struct fl_maps *maps, bool v6, const struct fl_tuple6 *original,
			const struct fl_tuple6 *reply, uint8_t proto, bool masqueraded)
{
	const uint64_t seed = maps->meta->flow_seed[1];
	const uint32_t port = ntohs(reply->dport);

	set(maps->filter,
	    fl_filter_port(fl_filter_hash(v6, &original->daddr, seed), original->dport, proto));
	if (!masqueraded) {
		const uint64_t backend = fl_filter_hash(v6, &reply->saddr, seed);

		set(maps->filter, fl_filter_port(backend, reply->sport, proto));
		set(maps->filter, fl_filter_backend(backend));
		return;
	}
	set(maps->filter, fl_filter_addr(fl_filter_hash(v6, &reply->daddr, seed)));
	set(maps->own_ports + FL_BOUND_WORD(proto, port), port & 63);
}
