// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A flow leaves its backend by being marked as stale: the client's next packet chooses again, while
 * a reply that is under way still gets home. Should the entry have passed to another flow since it
 * was read, that flow is left alone.
 */
#include "conntrack/resteer.h"

#include <netinet/in.h>
#include <string.h>

#include "conntrack/entry.h"

#define SLICE 65536 /* slots: a millisecond or less of entries that are passed over */
#define REST_MS 50  /* between two passes, and not less than */
#define REST_OF_PASS 9

void fl_resteer_init(struct fl_resteer *r, const struct fl_resteer_ops *ops, void *ctx,
		     const struct fl_clock *clock, const struct fl_maps *maps)
{
	*r = (struct fl_resteer){
		.ops = ops,
		.ctx = ctx,
		.clock = clock,
		.flows = fl_flow_table_of(maps),
		.sockets = fl_socket_table_of(maps),
		.part = FL_RESTEER_PARTS,
	};
}

void fl_resteer_fini(struct fl_resteer *r)
{
	fl_touched_fini(&r->touched);
}

void fl_resteer_touch(struct fl_resteer *r, const struct fl_frontend_key *frontend)
{
	fl_touched_add(&r->touched, frontend, fl_clock_now(r->clock));
}

/* The key under which a node port of the address's family is found. */
static struct fl_frontend_key node_port(const struct fl_frontend_key *frontend)
{
	const __be32 *w = frontend->addr.w;
	struct fl_frontend_key key = {.port = frontend->port, .proto = frontend->proto};

	if (!w[0] && !w[1] && w[2] == htonl(0xffff))
		key.addr.w[2] = w[2];
	return key;
}

static bool is_loopback(const struct fl_addr *addr)
{
	const __be32 *w = addr->w;

	if (w[0] || w[1])
		return false;
	return w[2] ? w[2] == htonl(0xffff) && ntohl(w[3]) >> 24 == 127 : w[3] == htonl(1);
}

/*
 * A UDP flow stays with no backend that nobody serves. A TCP connection does, unless its Service
 * was one that resets: that is known of those that were touched.
 */
static bool is_orphan_stale(const struct fl_resteer *r, const struct fl_frontend_key *frontend,
			    const struct fl_frontend_key *any)
{
	return frontend->proto == IPPROTO_UDP || r->reset_orphans ||
	       fl_touched_names(&r->touched, frontend) || fl_touched_names(&r->touched, any);
}

/* Whether this frontend, or the node port that it is, may serve something else than before. */
static bool is_touched(const struct fl_resteer *r, const struct fl_frontend_key *frontend)
{
	const struct fl_frontend_key any = node_port(frontend);

	return fl_touched_has_port(&r->touched, ntohs(frontend->port)) &&
	       (fl_touched_has(&r->touched, frontend) || fl_touched_has(&r->touched, &any));
}

static enum fl_serving ask(const struct fl_resteer *r, const struct fl_frontend_key *frontend,
			   const struct fl_addr *backend, __be16 backend_port)
{
	const struct fl_frontend_key any = node_port(frontend);
	enum fl_serving serving;

	/* 2.19: a Service's own address and port beat a node port; sockets of the node reach node
	 * ports at loopback addresses as well */
	serving = r->ops->serving(frontend, backend, backend_port, r->ctx);
	if (serving == FL_SERVING_NO_FRONTEND &&
	    (is_loopback(&frontend->addr) || r->ops->has_node_ports(&frontend->addr, r->ctx)))
		serving = r->ops->serving(&any, backend, backend_port, r->ctx);
	return serving;
}

/* Whether a client of this frontend has to leave a backend of which that is known. */
static bool must_leave(const struct fl_resteer *r, const struct fl_frontend_key *frontend,
		       enum fl_serving serving)
{
	const struct fl_frontend_key any = node_port(frontend);

	return serving == FL_SERVING_NO ||
	       (serving == FL_SERVING_NO_FRONTEND && is_orphan_stale(r, frontend, &any));
}

static struct fl_addr to_abi(const struct fl_ip *ip)
{
	struct fl_addr addr;

	memcpy(&addr, ip, sizeof(addr));
	return addr;
}

/* Without a lock: should the entry change meanwhile, it is new, and right. */
static uint16_t frontend_port(const struct fl_flow_head *head, enum fl_family family)
{
	const __be16 *port = family == FL_IPV4 ? &((const struct fl_flow4 *)head)->key.dport
					       : &((const struct fl_flow6 *)head)->key.dport;

	return ntohs(__atomic_load_n(port, __ATOMIC_RELAXED));
}

/* Whether flows of this protocol may have to leave. */
static bool is_judged(const struct fl_resteer *r, uint8_t proto)
{
	return proto == IPPROTO_UDP ||
	       (proto == IPPROTO_TCP && (r->touched.tcp || r->touched.everything.since.ns));
}

/* Of TCP, what is over needs no reset. */
static bool may_leave(const struct fl_flow_head *head)
{
	return head->proto == IPPROTO_UDP || fl_flow_state(head->word) < FL_FLOW_TIME_WAIT;
}

/* Most entries are passed over by what their first line says. */
static void look_at_flow(struct fl_resteer *r, enum fl_family family, size_t slot)
{
	struct fl_flow_head *head = fl_entry_head(&r->flows, family, slot);
	struct fl_frontend_key frontend = {0};
	struct fl_entry entry, twin;
	struct fl_addr backend;
	uint16_t port;

	if (!is_judged(r, head->proto) || head->flags & (FL_FLOW_IS_REPLY | FL_FLOW_STALE) ||
	    (!fl_flow_backend(head) && !(head->flags & FL_FLOW_KERNEL)) ||
	    !fl_touched_has_port(&r->touched, frontend_port(head, family)) ||
	    !fl_entry_read(&r->flows, family, slot, &entry) || !may_leave(&entry.head))
		return;
	frontend.addr = to_abi(&entry.daddr);
	frontend.port = htons(entry.dport);
	frontend.proto = entry.head.proto;
	backend = to_abi(&entry.new_daddr);
	port = entry.new_dport;
	if (entry.head.flags & FL_FLOW_KERNEL) {
		if (!fl_entry_twin(&r->flows, family, slot, &entry, &twin))
			return;
		backend = to_abi(&twin.saddr);
		port = twin.sport;
	}
	if (!is_touched(r, &frontend) ||
	    !must_leave(r, &frontend, ask(r, &frontend, &backend, htons(port))) ||
	    !fl_entry_change_flags(head, entry.head.word, FL_FLOW_STALE, 0))
		return;
	if (entry.head.proto == IPPROTO_UDP)
		r->done.flows++;
	else
		r->done.resets++;
}

/* A backend that a connected socket had to leave may be served again. */
static void mark_connected(struct fl_resteer *r, size_t slot, const struct fl_socket_record *socket,
			   bool stale)
{
	if (stale == fl_socket_is_stale(socket))
		return;
	fl_socket_set_stale(&r->sockets, slot, socket, stale);
	r->done.connected += stale;
}

/* What shows a socket the frontend again stays, for replies that are under way. */
static void look_at_socket(struct fl_resteer *r, size_t slot)
{
	struct fl_frontend_key frontend = {.proto = IPPROTO_UDP};
	struct fl_socket_record socket;
	enum fl_serving serving;

	if (!fl_socket_copy(&r->sockets, slot, &socket) || socket.proto != IPPROTO_UDP ||
	    socket.kind == FL_SOCKET_SHOWS)
		return;
	frontend.addr = socket.frontend;
	frontend.port = socket.frontend_port;
	if (!is_touched(r, &frontend))
		return;
	serving = ask(r, &frontend, &socket.backend, socket.backend_port);
	if (socket.kind == FL_SOCKET_SENDS && must_leave(r, &frontend, serving))
		r->done.sockets += fl_socket_free(&r->sockets, slot, &socket);
	else if (socket.kind == FL_SOCKET_CONNECTED && serving != FL_SERVING_UNKNOWN)
		mark_connected(r, slot, &socket, must_leave(r, &frontend, serving));
}

static size_t slots_of(const struct fl_resteer *r, enum fl_resteer_part part)
{
	switch (part) {
	case FL_RESTEER_FLOWS4:
		return fl_entry_slots(&r->flows, FL_IPV4);
	case FL_RESTEER_FLOWS6:
		return fl_entry_slots(&r->flows, FL_IPV6);
	case FL_RESTEER_SOCKETS:
		return r->sockets.n * FL_SOCKET_WAYS;
	default:
		return 0;
	}
}

static void look_at(struct fl_resteer *r, size_t slot)
{
	if (r->part == FL_RESTEER_SOCKETS)
		look_at_socket(r, slot);
	else
		look_at_flow(r, r->part == FL_RESTEER_FLOWS4 ? FL_IPV4 : FL_IPV6, slot);
}

static void slice(struct fl_resteer *r)
{
	for (size_t left = SLICE; left && r->part != FL_RESTEER_PARTS;) {
		size_t end = slots_of(r, r->part);

		end = end - r->next > left ? r->next + left : end;
		left -= end - r->next;
		for (; r->next < end; r->next++)
			look_at(r, r->next);
		if (left) {
			r->part++;
			r->next = 0;
		}
	}
}

static void begin(struct fl_resteer *r, struct fl_mono now)
{
	r->oldest = fl_touched_oldest(&r->touched);
	fl_touched_begin(&r->touched, now);
	r->part = FL_RESTEER_FLOWS4;
	r->next = 0;
	r->pass_ns = 0;
}

static void end(struct fl_resteer *r, struct fl_mono now)
{
	uint64_t rest_ms = REST_OF_PASS * r->pass_ns / FL_NSEC_PER_MSEC;
	const uint64_t waited_ns = r->oldest.ns ? fl_mono_ns_between(r->oldest, now) : 0;

	rest_ms = rest_ms > REST_MS ? rest_ms : REST_MS;
	rest_ms = rest_ms < FL_RESTEER_REST_MS ? rest_ms : FL_RESTEER_REST_MS;
	fl_touched_end(&r->touched);
	r->rest = fl_mono_plus_ms(now, rest_ms);
	if (waited_ns > r->done.longest_ns)
		r->done.longest_ns = waited_ns;
	r->done.passes++;
	r->done.ns += r->pass_ns;
}

bool fl_resteer_run(struct fl_resteer *r)
{
	const struct fl_mono before = fl_clock_now(r->clock);
	struct fl_mono after;

	if (r->part == FL_RESTEER_PARTS) {
		if (before.ns < r->rest.ns || !fl_touched_due(&r->touched, before))
			return false;
		begin(r, before);
	}
	slice(r);
	after = fl_clock_now(r->clock);
	r->pass_ns += fl_mono_ns_between(before, after);
	if (r->part != FL_RESTEER_PARTS)
		return true;
	end(r, after);
	return false;
}
