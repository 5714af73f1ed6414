// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * UDP flows that must leave a backend which their Service has lost while another Service keeps it
 * (rules 7.1 to 7.3). A backend that nobody serves any more is no longer live, and the datapath
 * sees that by itself; this is the rest, found by a scan of the flow table.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/agent.h"
#include "lb/base/log.h"

#define SOCKETS_BATCH 512

void fl_agent_stale(const struct fl_sync_stale *stale, void *arg)
{
	struct fl_agent *agent = arg;
	struct fl_sync_stale *more =
		realloc(agent->stale, (agent->n_stale + 1) * sizeof(*agent->stale));

	if (!more) {
		fl_log_error("out of memory: UDP flows may stay at a backend that was removed");
		return;
	}
	agent->stale = more;
	agent->stale[agent->n_stale++] = *stale;
}

/* The service port that serves this address and port now; 0 none. */
static uint32_t service_at(const struct fl_maps *maps, const struct fl_addr *addr, __be16 port)
{
	struct fl_frontend_key key = {.addr = *addr, .port = port, .proto = IPPROTO_UDP};
	struct fl_frontend value;

	if (!bpf_map_lookup_elem(maps->frontends_fd, &key, &value))
		return value.service_id;
	key.addr.w[3] = 0;
	if (key.addr.w[0] || key.addr.w[1] || key.addr.w[2] != htonl(0xffff))
		memset(&key.addr, 0, sizeof(key.addr));
	return bpf_map_lookup_elem(maps->frontends_fd, &key, &value) ? 0 : value.service_id;
}

static bool is_stale(const struct fl_agent *agent, uint32_t backend, uint16_t generation,
		     const struct fl_addr *frontend, __be16 port)
{
	for (size_t i = 0; i < agent->n_stale; i++) {
		const struct fl_sync_stale *s = &agent->stale[i];

		/* the look into the map only for the few that have such a backend */
		if (s->backend == backend && s->generation == generation &&
		    s->service_id == service_at(fl_dp_maps(agent->dp), frontend, port))
			return true;
	}
	return false;
}

struct leaving {
	struct fl_agent *agent;
	size_t n;
};

/*
 * A generation that no backend has: the client's next packet finds its backend gone and is steered
 * afresh, while a reply that is under way still gets home. Should the slot have passed to another
 * flow meanwhile, that one is steered afresh as well, which brings it back to where it was.
 */
static int steer_afresh(const struct fl_flow *flow, void *arg)
{
	struct leaving *leaving = arg;
	const struct fl_flow_table *table = &leaving->agent->flows;
	const uint32_t bucket = flow->slot / FL_FLOW_WAYS, way = flow->slot % FL_FLOW_WAYS;
	struct fl_flow_head *head = flow->family == FL_IPV4 ? &table->flows4[bucket].way[way].head
							    : &table->flows6[bucket].way[way].head;
	struct fl_addr frontend;

	memcpy(&frontend, &flow->frontend, sizeof(frontend));
	if (flow->proto != IPPROTO_UDP ||
	    !is_stale(leaving->agent, flow->backend_id, flow->backend_generation, &frontend,
		      htons(flow->frontend_port)))
		return 0;
	__atomic_store_n(&head->backend_generation, 0, __ATOMIC_RELAXED);
	leaving->n++;
	return 0;
}

/* Unconnected sockets choose afresh at their next send. */
static void forget_sockets(const struct fl_agent *agent)
{
	static struct fl_socket_key keys[SOCKETS_BATCH];
	static struct fl_socket_peer peers[SOCKETS_BATCH];
	const int fd = fl_dp_maps(agent->dp)->sockets_fd;
	__u32 position, *from = NULL, n;
	int rc;

	do {
		n = SOCKETS_BATCH;
		rc = bpf_map_lookup_batch(fd, from, &position, keys, peers, &n, NULL);
		for (__u32 i = 0; i < n && (!rc || rc == -ENOENT); i++)
			if (keys[i].proto == IPPROTO_UDP &&
			    keys[i].direction == FL_SOCKET_FORWARD &&
			    is_stale(agent, peers[i].backend, peers[i].generation, &keys[i].addr,
				     keys[i].port))
				bpf_map_delete_elem(fd, &keys[i]);
		from = &position;
	} while (!rc);
	if (rc != -ENOENT)
		fl_log_warn("cannot look through the sockets for a removed backend: %s",
			    strerror(-rc));
}

void fl_agent_flush_stale(struct fl_agent *agent)
{
	struct leaving leaving = {.agent = agent};

	if (!agent->n_stale)
		return;
	fl_flow_walk(&agent->flows, fl_dp_now(agent->dp), steer_afresh, &leaving);
	forget_sockets(agent);
	fl_log_debug("%zu UDP flows leave backends that their Services lost", leaving.n);
	agent->n_stale = 0;
}
