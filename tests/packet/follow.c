// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* conntrack/resteer.c over the maps of a plane. Here the lists in force are all that is served. */
#include "tests/packet/follow.h"

#include <bpf/bpf.h>
#include <string.h>

#include "conntrack/resteer.h"
#include "lb/dp/frontend_table.h"

static bool list_has(const struct plane *p, const struct fl_list *list,
		     const struct fl_addr *backend, __be16 port)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const struct fl_line *line = &p->maps.lines[list->slab + i / FL_LINE_IDS];
		const struct fl_backend *b = &p->maps.backends[line->id[i % FL_LINE_IDS]];

		if (b->port == port && !memcmp(&b->addr, backend, sizeof(*backend)))
			return true;
	}
	return false;
}

static enum fl_serving serving(const struct fl_frontend_key *frontend,
			       const struct fl_addr *backend, __be16 port, void *ctx)
{
	const struct plane *p = ctx;
	const struct fl_frontend_table table = fl_frontend_table_of(&p->maps);
	struct fl_frontend value;

	if (!fl_frontend_table_get(&table, frontend, &value))
		return FL_SERVING_NO_FRONTEND;
	for (int side = 0; side < FL_SIDES; side++)
		if (list_has(p, &value.list[side], backend, port))
			return FL_SERVING_YES;
	return FL_SERVING_NO;
}

static bool has_node_ports(const struct fl_addr *addr, void *ctx)
{
	return fl_maps_local(&((const struct plane *)ctx)->maps, addr) & FL_LOCAL_NODE_PORTS;
}

size_t clients_follow(const struct plane *p)
{
	static const struct fl_resteer_ops ops = {serving, has_node_ports};
	struct fl_resteer resteer;
	size_t n;

	fl_resteer_init(&resteer, &ops, (void *)p, &fl_clock_system, &p->maps);
	fl_resteer_touch(&resteer, NULL);
	while (fl_resteer_run(&resteer))
		;
	n = resteer.done.flows + resteer.done.sockets;
	fl_resteer_fini(&resteer);
	return n;
}
