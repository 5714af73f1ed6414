// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the datapath may be concerned with: the agent's half. */
#include "lb/dp/filter.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>

#include "lb/dp/frontend_table.h"
#include "lb/dp/map_each.h"

static bool is_ipv6(const struct fl_addr *addr)
{
	return addr->w[0] || addr->w[1] || addr->w[2] != htonl(0xffff);
}

/* In both halves, and seen by whatever sees what is written next. */
static void set(struct fl_filter_word *words, uint32_t bit)
{
	const uint64_t mask = 1ULL << (bit & 63);

	for (int half = 0; half < 2; half++) {
		__u64 *word = &words[bit / 64].half[half];

		if (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & mask))
			__atomic_fetch_or(word, mask, __ATOMIC_SEQ_CST);
	}
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

void fl_filter_add_entry(const struct fl_maps *maps, bool v6, const struct fl_tuple6 *key,
			 uint8_t proto, uint8_t flags)
{
	const uint64_t seed = maps->meta->flow_seed[1];
	const uint32_t port = ntohs(key->dport);

	if (!(flags & FL_FLOW_IS_REPLY)) {
		const uint64_t frontend = fl_filter_hash(v6, &key->daddr, seed);

		set(maps->filter, fl_filter_port(frontend, key->dport, proto));
		/* its fragments, and errors about it, have the address only */
		set(maps->filter, fl_filter_addr(frontend) + 1);
	} else if (flags & FL_FLOW_SNAT) {
		set(maps->filter, fl_filter_addr(fl_filter_hash(v6, &key->daddr, seed)));
		set(maps->own_ports + FL_BOUND_WORD(proto, port), port & 63);
	} else {
		const uint64_t backend = fl_filter_hash(v6, &key->saddr, seed);

		set(maps->filter, fl_filter_port(backend, key->sport, proto));
		set(maps->filter, fl_filter_backend(backend));
	}
}

static int add_frontend(const void *key, const void *value, void *arg)
{
	(void)value;
	fl_filter_add_frontend(arg, key);
	return 0;
}

static int add_own(const void *key, const void *value, void *arg)
{
	(void)value;
	fl_filter_add_own(arg, key);
	return 0;
}

int fl_filter_add_state(const struct fl_maps *maps)
{
	const struct fl_frontend_table frontends = fl_frontend_table_of(maps);

	for (size_t id = 1; id < maps->n_backends; id++)
		if (maps->backends[id].flags & FL_BACKEND_LIVE)
			fl_filter_add_backend(maps, &maps->backends[id].addr);
	fl_frontend_table_each(&frontends, add_frontend, (void *)maps);
	return fl_map_each(maps->local_fd, add_own, (void *)maps);
}

static void clear(struct fl_filter_word *words, size_t n, uint32_t half)
{
	for (size_t i = 0; i < n; i++)
		__atomic_store_n(&words[i].half[half], 0, __ATOMIC_RELAXED);
}

void fl_filter_clear(const struct fl_maps *maps, uint32_t half)
{
	clear(maps->filter, maps->n_filter, half);
	clear(maps->own_ports, maps->n_own_ports, half);
}
