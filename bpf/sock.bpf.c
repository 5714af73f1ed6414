/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup socket hooks: pods and the node itself are sent straight to a backend when they connect or
 * send, and are shown the frontend they asked for when they look. Nothing is done per packet of a
 * connected socket.
 */
#include "bpf/lib/service.bpf.h"

#define FL_ECONNREFUSED 111

FL_MAPS_OF_SOCKETS(FL_MAP_DEFINE)

/* Where a socket wants to go, or what it is shown. */
struct peer {
	struct fl_addr addr;
	__be16 port;
	__u8 proto;
	bool v6; /* by the address, so false for a mapped IPv4 address on an IPv6 socket */
};

enum outcome {
	PASS,
	TRANSLATED,
	REFUSE,
};

static __always_inline bool on_host(struct bpf_sock_addr *ctx)
{
	return bpf_get_netns_cookie(ctx) == fl_config.host_netns;
}

static __always_inline bool is_loopback(const struct peer *p)
{
	if (p->v6)
		return !p->addr.w[0] && !p->addr.w[1] && !p->addr.w[2] &&
		       p->addr.w[3] == bpf_htonl(1);
	return bpf_ntohl(p->addr.w[3]) >> 24 == 127;
}

static __always_inline struct fl_frontend *
find_frontend(struct bpf_sock_addr *ctx, const struct peer *p, enum outcome *ret_outcome)
{
	struct fl_frontend *fe = fl_frontend_get(&p->addr, p->port, p->proto);
	__u32 local;

	*ret_outcome = PASS;
	if (fe)
		return fe; /* rule 2.19: before a node port */
	local = fl_local_flags(&p->addr);
	/* localhost is this node only for those who live in its namespace */
	if (local & FL_LOCAL_NODE_PORTS || (is_loopback(p) && on_host(ctx)))
		return fl_frontend_get_node_port(p->v6, p->port, p->proto);
	if (fl_config.reject_unknown_port && !local && fl_frontend_get(&p->addr, 0, 0))
		*ret_outcome = REFUSE; /* rule 2.22 */
	return NULL;
}

/*
 * The source of a socket that is bound to an address; otherwise what a socket of the node will
 * probably get. False: not known before the kernel has routed.
 */
static __always_inline bool source_of(struct bpf_sock_addr *ctx, bool v6,
				      struct fl_addr *ret_source)
{
	struct bpf_sock *sk = ctx->sk;

	__builtin_memset(ret_source, 0, sizeof(*ret_source));
	if (sk && v6) {
		ret_source->w[0] = sk->src_ip6[0];
		ret_source->w[1] = sk->src_ip6[1];
		ret_source->w[2] = sk->src_ip6[2];
		ret_source->w[3] = sk->src_ip6[3];
	} else if (sk && sk->src_ip4) {
		fl_addr_map4(ret_source);
		ret_source->w[3] = sk->src_ip4;
	}
	if (fl_addr_is_zero(ret_source) && on_host(ctx))
		fl_node_addr(v6, ret_source);
	return !fl_addr_is_zero(ret_source);
}

/*
 * Choose for a new connection. The affinity record of a socket is kept for its network namespace: a
 * pod, or the node, is one client, and its address is not known yet.
 */
static __always_inline __u32 choose(struct bpf_sock_addr *ctx, const struct fl_frontend *fe,
				    struct fl_backend **ret_backend)
{
	const struct fl_list *list = &fe->list[FL_SIDE_INTERNAL];
	struct fl_affinity_key who = {.service_id = fe->service_id};
	__u32 id = 0, now = 0;

	if (!list->count)
		return 0;
	if (fe->flags & FL_AFFINITY) {
		__u64 netns = bpf_get_netns_cookie(ctx);

		now = fl_now();
		who.client.w[1] = 0xffffffff; /* no address begins like this */
		who.client.w[2] = netns >> 32;
		who.client.w[3] = (__u32)netns;
		id = fl_affinity_get(&who, fe, list, now);
	}
	if (!id) {
		id = fl_list_id(list, bpf_get_prandom_u32() % list->count);
		*ret_backend = fl_backend_get(id);
		if (!id || !*ret_backend)
			return 0;
		if (fe->flags & FL_AFFINITY)
			fl_affinity_put(&who, id, (*ret_backend)->generation, now);
	}
	*ret_backend = fl_backend_get(id);
	return *ret_backend ? id : 0;
}

static __always_inline void remember(__u64 cookie, __u8 proto, __u8 direction,
				     const struct fl_addr *addr, __be16 port,
				     const struct fl_addr *peer_addr, __be16 peer_port,
				     __u32 backend, __u16 generation)
{
	struct fl_socket_key key = {
		.cookie = cookie,
		.addr = *addr,
		.port = port,
		.proto = proto,
		.direction = direction,
	};
	struct fl_socket_peer peer = {
		.addr = *peer_addr,
		.port = peer_port,
		.backend = backend,
		.generation = generation,
	};

	bpf_map_update_elem(&fl_sockets, &key, &peer, BPF_ANY);
}

/* Send *p to a backend. `keep`: an unconnected socket, which keeps its backend from one send to the
 * next. */
static __always_inline enum outcome translate(struct bpf_sock_addr *ctx, struct peer *p, bool keep)
{
	struct fl_backend *backend;
	struct fl_addr source;
	struct fl_frontend *fe;
	enum outcome outcome;
	__u64 cookie;
	__u32 id;

	fe = find_frontend(ctx, p, &outcome);
	if (!fe)
		return outcome;
	/* a source we do not know is left to the packet path, which will */
	if (fe->flags & FL_SOURCE_RANGES &&
	    (!source_of(ctx, p->v6, &source) || !fl_source_allowed(fe->service_id, &source)))
		return PASS;
	if (fe->verdict[FL_SIDE_INTERNAL] == FL_VERDICT_REJECT)
		return REFUSE;
	if (fe->verdict[FL_SIDE_INTERNAL] != FL_VERDICT_FORWARD)
		return PASS; /* rule 5.7.4: a timeout, not an error; the way out drops it */
	cookie = bpf_get_socket_cookie(ctx);
	if (keep) {
		struct fl_socket_key key = {
			.cookie = cookie,
			.addr = p->addr,
			.port = p->port,
			.proto = p->proto,
			.direction = FL_SOCKET_FORWARD,
		};
		struct fl_socket_peer *kept = bpf_map_lookup_elem(&fl_sockets, &key);

		if (kept && fl_backend_is(fl_backend_get(kept->backend), kept->generation)) {
			p->addr = kept->addr;
			p->port = kept->port;
			return TRANSLATED;
		}
	}
	id = choose(ctx, fe, &backend);
	if (!id || !backend)
		return REFUSE;
	if (keep)
		remember(cookie, p->proto, FL_SOCKET_FORWARD, &p->addr, p->port, &backend->addr,
			 backend->port, id, backend->generation);
	remember(cookie, p->proto, FL_SOCKET_REVERSE, &backend->addr, backend->port, &p->addr,
		 p->port, id, backend->generation);
	p->addr = backend->addr;
	p->port = backend->port;
	return TRANSLATED;
}

/* The frontend that the socket was sent to *p for. */
static __always_inline bool restore(struct bpf_sock_addr *ctx, struct peer *p)
{
	struct fl_socket_key key = {
		.cookie = bpf_get_socket_cookie(ctx),
		.addr = p->addr,
		.port = p->port,
		.proto = p->proto,
		.direction = FL_SOCKET_REVERSE,
	};
	struct fl_socket_peer *peer = bpf_map_lookup_elem(&fl_sockets, &key);

	if (!peer)
		return false;
	p->addr = peer->addr;
	p->port = peer->port;
	return true;
}

static __always_inline bool ours(struct bpf_sock_addr *ctx)
{
	return (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_UDP) && ctx->user_port;
}

static __always_inline void read4(struct bpf_sock_addr *ctx, struct peer *ret_p)
{
	fl_addr_map4(&ret_p->addr);
	ret_p->addr.w[3] = ctx->user_ip4;
	ret_p->port = ctx->user_port;
	ret_p->proto = ctx->protocol;
	ret_p->v6 = false;
}

static __always_inline void write4(struct bpf_sock_addr *ctx, const struct peer *p)
{
	ctx->user_ip4 = p->addr.w[3];
	ctx->user_port = p->port;
}

static __always_inline void read6(struct bpf_sock_addr *ctx, struct peer *ret_p)
{
	ret_p->addr.w[0] = ctx->user_ip6[0];
	ret_p->addr.w[1] = ctx->user_ip6[1];
	ret_p->addr.w[2] = ctx->user_ip6[2];
	ret_p->addr.w[3] = ctx->user_ip6[3];
	ret_p->port = ctx->user_port;
	ret_p->proto = ctx->protocol;
	ret_p->v6 = ret_p->addr.w[0] || ret_p->addr.w[1] || ret_p->addr.w[2] != bpf_htonl(0xffff);
}

static __always_inline void write6(struct bpf_sock_addr *ctx, const struct peer *p)
{
	ctx->user_ip6[0] = p->addr.w[0];
	ctx->user_ip6[1] = p->addr.w[1];
	ctx->user_ip6[2] = p->addr.w[2];
	ctx->user_ip6[3] = p->addr.w[3];
	ctx->user_port = p->port;
}

/* 1: go on; 0: fail with the error that was set. */
static __always_inline int conclude(struct bpf_sock_addr *ctx, enum outcome outcome, __u32 counter)
{
	if (outcome == TRANSLATED)
		fl_count(counter);
	if (outcome != REFUSE)
		return 1;
	fl_count(FL_COUNTER_SOCKET_REFUSED);
	if (fl_config.set_retval)
		bpf_set_retval(-FL_ECONNREFUSED);
	return 0;
}

static __always_inline int outward(struct bpf_sock_addr *ctx, bool v6, bool keep, __u32 counter)
{
	enum outcome outcome;
	struct peer p = {};

	if (!ours(ctx))
		return 1;
	if (v6)
		read6(ctx, &p);
	else
		read4(ctx, &p);
	outcome = translate(ctx, &p, keep);
	if (outcome == TRANSLATED) {
		if (v6)
			write6(ctx, &p);
		else
			write4(ctx, &p);
	}
	return conclude(ctx, outcome, counter);
}

static __always_inline int inward(struct bpf_sock_addr *ctx, bool v6)
{
	struct peer p = {};

	if (!ours(ctx))
		return 1;
	if (v6)
		read6(ctx, &p);
	else
		read4(ctx, &p);
	if (restore(ctx, &p)) {
		if (v6)
			write6(ctx, &p);
		else
			write4(ctx, &p);
	}
	return 1;
}

/* Remember which ports of the node have sockets, for whoever looks for a free one. */
static __always_inline int bound(struct bpf_sock *ctx)
{
	__u32 proto = ctx->protocol, port = ctx->src_port & 0xffff, at = FL_BOUND_WORD(proto, port);
	__u64 *word = bpf_map_lookup_elem(&fl_bound_ports, &at), bit = 1ULL << (port & 63);

	if (!word || (proto != IPPROTO_TCP && proto != IPPROTO_UDP) || READ_ONCE(*word) & bit)
		return 1;
	/* kernels that do not tell us our namespace let all of them count */
	if (!fl_config.host_netns || bpf_get_netns_cookie(ctx) == fl_config.host_netns)
		__sync_fetch_and_or(word, bit);
	return 1;
}

SEC("cgroup/connect4")
int fl_connect4(struct bpf_sock_addr *ctx)
{
	return outward(ctx, false, false, FL_COUNTER_SOCKET_CONNECT);
}

SEC("cgroup/connect6")
int fl_connect6(struct bpf_sock_addr *ctx)
{
	return outward(ctx, true, false, FL_COUNTER_SOCKET_CONNECT);
}

SEC("cgroup/sendmsg4")
int fl_sendmsg4(struct bpf_sock_addr *ctx)
{
	return outward(ctx, false, true, FL_COUNTER_SOCKET_SEND);
}

SEC("cgroup/sendmsg6")
int fl_sendmsg6(struct bpf_sock_addr *ctx)
{
	return outward(ctx, true, true, FL_COUNTER_SOCKET_SEND);
}

SEC("cgroup/recvmsg4")
int fl_recvmsg4(struct bpf_sock_addr *ctx)
{
	return inward(ctx, false);
}

SEC("cgroup/recvmsg6")
int fl_recvmsg6(struct bpf_sock_addr *ctx)
{
	return inward(ctx, true);
}

SEC("cgroup/getpeername4")
int fl_getpeername4(struct bpf_sock_addr *ctx)
{
	return inward(ctx, false);
}

SEC("cgroup/getpeername6")
int fl_getpeername6(struct bpf_sock_addr *ctx)
{
	return inward(ctx, true);
}

SEC("cgroup/post_bind4")
int fl_post_bind4(struct bpf_sock *ctx)
{
	return bound(ctx);
}

SEC("cgroup/post_bind6")
int fl_post_bind6(struct bpf_sock *ctx)
{
	return bound(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
