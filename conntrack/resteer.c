/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A flow leaves its backend by being marked as stale: the client's next packet chooses again, while
 * a reply that is under way still gets home. Should
 * the entry have passed to another flow since it was read, that flow chooses again too, which
 * brings it back to where it was.
 */
#include "conntrack/resteer.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <string.h>

#include "conntrack/entry.h"
#include "conntrack/sockets.h"

struct leaving {
	const struct fl_flow_table *table;
	const struct fl_lost *lost;
	size_t n;
};

static int leave(const struct fl_flow *flow, void *arg)
{
	struct leaving *l = arg;
	struct fl_flow_head *head = fl_entry_head(l->table, flow->family, flow->slot);
	struct fl_addr frontend;

	memcpy(&frontend, &flow->frontend, sizeof(frontend));
	if (!head || flow->proto != IPPROTO_UDP || flow->flags & FL_FLOW_STALE ||
	    !fl_lost_has(l->lost, flow->backend_id, 0, &frontend, htons(flow->frontend_port)))
		return 0;
	fl_entry_set_flag(head, FL_FLOW_STALE);
	l->n++;
	return 0;
}

size_t fl_flow_resteer(const struct fl_flow_table *table, uint64_t now, const struct fl_lost *lost)
{
	struct leaving l = {.table = table, .lost = lost};

	fl_flow_walk(table, now, leave, &l);
	return l.n;
}

/* By the map: the address itself, else a node port, which has no address. */
static uint32_t service_in_map(const struct fl_addr *addr, __be16 port, void *arg)
{
	const struct fl_maps *maps = arg;
	struct fl_frontend_key key = {.addr = *addr, .port = port, .proto = IPPROTO_UDP};
	struct fl_frontend value;

	if (!bpf_map_lookup_elem(maps->frontends_fd, &key, &value))
		return value.service_id;
	key.addr.w[3] = 0;
	if (key.addr.w[0] || key.addr.w[1] || key.addr.w[2] != htonl(0xffff))
		memset(&key.addr, 0, sizeof(key.addr));
	return bpf_map_lookup_elem(maps->frontends_fd, &key, &value) ? 0 : value.service_id;
}

int fl_resteer(const struct fl_maps *maps, uint64_t now, struct fl_lost_backends *backends,
	       struct fl_resteered *ret_resteered, struct fl_err *err)
{
	const struct fl_flow_table table = fl_flow_table_of(maps);
	const struct fl_lost lost = {backends, service_in_map, (void *)maps};
	int r;

	*ret_resteered = (struct fl_resteered){0};
	if (!backends->n)
		return 0;
	ret_resteered->flows = fl_flow_resteer(&table, now, &lost);
	r = fl_sockets_resteer(maps->sockets_fd, &lost, &ret_resteered->sockets);
	if (r)
		return fl_err_set(err, r, "cannot look through the sockets for a lost backend: %s",
				  strerror(-r));
	return 0;
}
