// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The bits of the filter, made anew: from frontends, backends and addresses first, which is quick,
 * then from the flows. All bits are set in both halves, as everybody does; in the one that is read
 * they are there already.
 */
#include "lb/dp/filter.h"

#include <arpa/inet.h>

#include "conntrack/entry.h"
#include "lb/model/addr.h"

/* A bit too many costs little, and a round reads all of the flow table. */
#define REST_S 600

/* There is no node without an address. */
static bool always(const struct fl_rebuilt *what, uint32_t half)
{
	(void)what;
	(void)half;
	return true;
}

static void clear(const struct fl_rebuilt *what, uint32_t half)
{
	fl_filter_clear(what->maps, half);
}

static int mark_others(const struct fl_rebuilt *what, uint32_t half)
{
	(void)half;
	return fl_filter_add_state(what->maps);
}

static void mark(const struct fl_rebuilt *what, enum fl_family family, size_t slot, uint32_t half)
{
	const bool v6 = family == FL_IPV6;
	struct fl_tuple6 key = {0};
	struct fl_entry entry;

	(void)half;
	if (!fl_entry_read(what->table, family, slot, &entry))
		return;
	key.daddr = fl_addr_from_ip(&entry.daddr);
	key.dport = htons(entry.dport);
	key.saddr = fl_addr_from_ip(&entry.saddr);
	key.sport = htons(entry.sport);
	fl_filter_add_entry(what->maps, v6, &key, entry.head.proto, entry.head.flags);
	if (!(entry.head.flags & FL_FLOW_IS_REPLY))
		return;
	/* its original may be lost, and is made again by the reply's packets without bits */
	key.daddr = fl_addr_from_ip(&entry.new_saddr);
	key.dport = htons(entry.new_sport);
	fl_filter_add_entry(what->maps, v6, &key, entry.head.proto, 0);
}

void fl_filter_rebuild(const struct fl_maps *maps, struct fl_rebuild *rebuild, uint64_t now,
		       uint32_t hz, size_t max_buckets)
{
	const struct fl_flow_table table = fl_flow_table_of(maps);
	const struct fl_rebuilt what = {
		.table = &table,
		.max_buckets = max_buckets,
		.half = &maps->meta->filter_half,
		.rest_s = REST_S,
		.wanted = always,
		.clear = clear,
		.mark_others = mark_others,
		.mark = mark,
		.maps = maps,
	};

	fl_rebuild(&what, rebuild, now, hz);
}
