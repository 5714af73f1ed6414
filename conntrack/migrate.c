// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Walking over another flow table and placing what it has in ours, each flow with the number that
 * its backend has here. */
#include "conntrack/migrate.h"

#include <errno.h>
#include <netinet/in.h>

#include "conntrack/half.h"
#include "conntrack/migrate_records.h"
#include "conntrack/raw.h"
#include "lb/base/cleanup.h"
#include "lb/dp/filter.h"

/* Both directions name the backend, or neither. */
static void name_backend(const struct fl_backend_ids *ids, enum fl_family family,
			 struct fl_half *original, struct fl_half *reply)
{
	struct fl_addr backend = original->rewrite.daddr;
	uint32_t id;

	if (!original->has_backend && !reply->has_backend)
		return;
	if (family == FL_IPV4) /* ::ffff:a.b.c.d */
		backend.w[2] = htonl(0xffff);
	id = fl_backend_ids_find(ids, &backend, original->rewrite.dport, original->proto);
	if (original->has_backend)
		original->backend = id;
	if (reply->has_backend)
		reply->backend = id;
	/* 7.1: it is none any more; connections go on, datagrams to another */
	if (!id && original->proto == IPPROTO_UDP)
		original->flags |= FL_FLOW_STALE;
}

static void walk(const struct fl_maps *maps, const struct fl_backend_ids *ids,
		 const struct fl_old_flows *old, enum fl_family family, bool open,
		 struct fl_migrated *sum)
{
	const struct fl_flow_table table = fl_flow_table_of(maps);
	const size_t slots = fl_raw_slots(old, family);

	for (size_t slot = 0; slot < slots; slot++) {
		struct fl_half original, reply;

		if (!fl_half_read_pair(old, family, slot, &original, &reply) ||
		    fl_flow_open(original.state) != open)
			continue;
		name_backend(ids, family, &original, &reply);
		fl_filter_add_entry(maps, family == FL_IPV6, &original.key, original.proto,
				    original.flags);
		fl_filter_add_entry(maps, family == FL_IPV6, &reply.key, reply.proto,
				    reply.flags | (original.flags & FL_FLOW_SNAT));
		switch (fl_half_place_pair(&table, family, &original, &reply)) {
		case FL_PLACED_MOVED:
			sum->moved++;
			break;
		case FL_PLACED_RENEWED:
			sum->renewed++;
			break;
		case FL_PLACED_KEPT:
			sum->kept++;
			break;
		case FL_PLACED_NO_ROOM:
			sum->lost++;
			break;
		}
	}
}

int fl_flow_migrate(const struct fl_maps *maps, const struct fl_old_flows *old,
		    struct fl_migrated *ret_migrated)
{
	_cleanup_(fl_backend_ids_fini) struct fl_backend_ids ids = {0};
	const struct fl_socket_table sockets = fl_socket_table_of(maps);
	struct fl_migrated sum = {0};

	if (fl_backend_ids_init(&ids, maps->backends, maps->n_backends))
		return -ENOMEM;
	for (int open = 1; open >= 0; open--)
		for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
			walk(maps, &ids, old, family, open, &sum);
	/* last, since a socket that is connected just now is asked for its peer at once */
	fl_sockets_migrate(&sockets, maps->backends, &ids, maps->meta->flow_seed[1], old);
	if (fl_records_migrate(maps, &ids, &old->records, &sum.records))
		return -ENOMEM;
	*ret_migrated = sum;
	return 0;
}
