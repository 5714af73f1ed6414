/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cgroup socket hooks: pods and the node itself are sent straight to a backend when they connect or
 * send, and are shown the frontend they asked for when they look. Nothing is done per packet of a
 * connected socket, but while there are UDP sockets that have to leave their backend.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>

#include "conntrack/socket.bpf.h"
#include "nodeport/bound.bpf.h"

#define FL_ECONNREFUSED 111

enum operation {
	CONNECT,
	SEND, /* of an unconnected datagram socket */
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

static __always_inline bool is_loopback(const struct fl_peer *p)
{
	if (p->v6)
		return !p->addr.w[0] && !p->addr.w[1] && !p->addr.w[2] &&
		       p->addr.w[3] == bpf_htonl(1);
	return bpf_ntohl(p->addr.w[3]) >> 24 == 127;
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
 * Choose for a new connection, at random: there is no source port yet to hash. The affinity record
 * of a socket is kept for its network namespace: a pod, or the node, is one client, and its address
 * is not known yet. 0: there is no backend.
 */
static __always_inline __u32 choose(struct bpf_sock_addr *ctx, const struct fl_frontend_packed *fe)
{
	const struct fl_list list = fl_frontend_list(fe, FL_SIDE_INTERNAL);
	struct fl_choice choice = {.hash = bpf_get_prandom_u32()};
	struct fl_affinity_key client = {.service_id = fe->service_id};
	__u64 netns;
	__u32 id;

	if (fe->flags & FL_AFFINITY) {
		netns = bpf_get_netns_cookie(ctx);
		client.client.w[1] = 0xffffffff; /* no address begins like this */
		client.client.w[2] = netns >> 32;
		client.client.w[3] = (__u32)netns;
	}
	id = fl_list_pick_for(&client, fe, &list, &choice, fl_now());
	if (id && fe->flags & FL_AFFINITY)
		fl_affinity_keep(&client, id, fl_now());
	return id;
}

/* Of an unconnected socket, which keeps its backend between sends. */
static __always_inline bool keep(__u64 cookie, struct fl_peer *p)
{
	struct fl_socket_record value;

	if (!fl_socket_kept(cookie, p, &value))
		return false;
	fl_socket_show(&value);
	p->addr = value.backend;
	p->port = value.backend_port;
	return true;
}

/* Send *p to a backend. */
static __always_inline enum outcome translate(struct bpf_sock_addr *ctx, struct fl_peer *p,
					      enum operation operation)
{
	struct fl_peer frontend = *p;
	struct fl_backend *backend;
	struct fl_addr source = {};
	struct fl_socket_record value;
	struct fl_frontend_packed fe = {};
	__u64 cookie;
	__u32 local, id;

	/* localhost is this node only to clients that live in its namespace */
	if (!fl_frontend_find(p->v6, &p->addr, p->port, p->proto,
			      fl_forget(is_loopback(p) && on_host(ctx), p->port), &local, &fe))
		return fl_frontend_unknown_port(p->v6, &p->addr, local, false) ? REFUSE : PASS;
	/* a source that is not known yet is left to the packet path, where it will be */
	if (fe.flags & FL_SOURCE_RANGES && !source_of(ctx, p->v6, &source))
		return PASS;
	switch (fl_frontend_refuses(&fe, FL_SIDE_INTERNAL, &source)) {
	case FL_REASON_NONE:
		break;
	case FL_REASON_REJECT_NO_ENDPOINT:
		return REFUSE;
	default:
		/* 5.7.4: a timeout, not an error; the egress program drops it */
		return PASS;
	}
	cookie = bpf_get_socket_cookie(ctx);
	if (operation == SEND && keep(cookie, p))
		return TRANSLATED;
	id = choose(ctx, &fe);
	backend = fl_backend_get(id);
	if (!id || !backend)
		return REFUSE;
	fl_socket_translate(cookie, p, id, backend, &value);
	if (operation == CONNECT) {
		fl_socket_put(FL_SOCKET_CONNECTED, NULL, &value);
	} else {
		fl_socket_put(FL_SOCKET_SENDS, &frontend, &value);
		fl_socket_show(&value);
	}
	return TRANSLATED;
}

static __always_inline bool ours(struct bpf_sock_addr *ctx)
{
	return (ctx->protocol == IPPROTO_TCP || ctx->protocol == IPPROTO_UDP) && ctx->user_port;
}

static __always_inline void read4(struct bpf_sock_addr *ctx, struct fl_peer *ret_p)
{
	fl_addr_map4(&ret_p->addr);
	ret_p->addr.w[3] = ctx->user_ip4;
	ret_p->port = ctx->user_port;
	ret_p->proto = ctx->protocol;
	ret_p->v6 = false;
}

static __always_inline void write4(struct bpf_sock_addr *ctx, const struct fl_peer *p)
{
	ctx->user_ip4 = p->addr.w[3];
	ctx->user_port = p->port;
}

static __always_inline void read6(struct bpf_sock_addr *ctx, struct fl_peer *ret_p)
{
	ret_p->addr.w[0] = ctx->user_ip6[0];
	ret_p->addr.w[1] = ctx->user_ip6[1];
	ret_p->addr.w[2] = ctx->user_ip6[2];
	ret_p->addr.w[3] = ctx->user_ip6[3];
	ret_p->port = ctx->user_port;
	ret_p->proto = ctx->protocol;
	ret_p->v6 = !fl_addr_is_mapped(&ret_p->addr);
}

static __always_inline void write6(struct bpf_sock_addr *ctx, const struct fl_peer *p)
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

/*
 * What a socket goes over to itself is shown as what it is, from now on. A datagram socket's
 * connect() is never refused, since nothing was asked yet: glibc connects one to learn whether an
 * address family can be used at all. What it sends is answered by ICMP.
 */
static __always_inline enum outcome leave_alone(struct bpf_sock_addr *ctx, const struct fl_peer *p,
						enum operation operation, enum outcome outcome)
{
	__u64 cookie;

	if (outcome == REFUSE && (operation == SEND || p->proto != IPPROTO_UDP))
		return REFUSE;
	cookie = bpf_get_socket_cookie(ctx);
	if (operation == SEND)
		fl_socket_forget(cookie, FL_SOCKET_SHOWS, p);
	else
		fl_socket_forget(cookie, FL_SOCKET_CONNECTED, NULL);
	return PASS;
}

static __always_inline int outward(struct bpf_sock_addr *ctx, bool v6, enum operation operation,
				   __u32 counter)
{
	enum outcome outcome;
	struct fl_peer p = {};

	if (!ours(ctx))
		return 1;
	if (v6)
		read6(ctx, &p);
	else
		read4(ctx, &p);
	outcome = translate(ctx, &p, operation);
	if (outcome != TRANSLATED)
		outcome = leave_alone(ctx, &p, operation, outcome);
	else if (v6)
		write6(ctx, &p);
	else
		write4(ctx, &p);
	return conclude(ctx, outcome, counter);
}

static __always_inline bool is_connected(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;

	return sk && sk->state == BPF_TCP_ESTABLISHED;
}

static __always_inline int inward(struct bpf_sock_addr *ctx, bool v6, bool connected)
{
	struct fl_peer p = {};

	if (!ours(ctx))
		return 1;
	if (v6)
		read6(ctx, &p);
	else
		read4(ctx, &p);
	if (fl_socket_restore(bpf_get_socket_cookie(ctx), connected, &p)) {
		if (v6)
			write6(ctx, &p);
		else
			write4(ctx, &p);
	}
	return 1;
}

/* Note which ports of the node have sockets: a masqueraded flow must not be given one of them. */
static __always_inline int bound(struct bpf_sock *ctx)
{
	if (ctx->protocol != IPPROTO_TCP && ctx->protocol != IPPROTO_UDP)
		return 1;
	/* kernels that do not report our namespace's cookie let all of them count */
	if (!fl_config.host_netns || bpf_get_netns_cookie(ctx) == fl_config.host_netns)
		fl_bound_add(ctx->protocol, ctx->src_port & 0xffff);
	return 1;
}

SEC("cgroup/connect4")
int fl_connect4(struct bpf_sock_addr *ctx)
{
	return outward(ctx, false, CONNECT, FL_COUNTER_SOCKET_CONNECT);
}

SEC("cgroup/connect6")
int fl_connect6(struct bpf_sock_addr *ctx)
{
	return outward(ctx, true, CONNECT, FL_COUNTER_SOCKET_CONNECT);
}

SEC("cgroup/sendmsg4")
int fl_sendmsg4(struct bpf_sock_addr *ctx)
{
	return outward(ctx, false, SEND, FL_COUNTER_SOCKET_SEND);
}

SEC("cgroup/sendmsg6")
int fl_sendmsg6(struct bpf_sock_addr *ctx)
{
	return outward(ctx, true, SEND, FL_COUNTER_SOCKET_SEND);
}

SEC("cgroup/recvmsg4")
int fl_recvmsg4(struct bpf_sock_addr *ctx)
{
	return inward(ctx, false, is_connected(ctx));
}

SEC("cgroup/recvmsg6")
int fl_recvmsg6(struct bpf_sock_addr *ctx)
{
	return inward(ctx, true, is_connected(ctx));
}

SEC("cgroup/getpeername4")
int fl_getpeername4(struct bpf_sock_addr *ctx)
{
	return inward(ctx, false, true);
}

SEC("cgroup/getpeername6")
int fl_getpeername6(struct bpf_sock_addr *ctx)
{
	return inward(ctx, true, true);
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

/* A socket's record goes with it. Of TCP it is of no further use, and makes way when it is old. */
SEC("cgroup/sock_release")
int fl_sock_release(struct bpf_sock *ctx)
{
	if (ctx->protocol == IPPROTO_UDP)
		fl_socket_forget(bpf_get_socket_cookie(ctx), FL_SOCKET_CONNECTED, NULL);
	return 1;
}

/* Where a datagram without options goes. */
static __always_inline bool destination_of(const struct __sk_buff *skb, struct fl_peer *ret_to)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	const struct ipv6hdr *ip6 = data;
	const struct iphdr *ip = data;
	const struct udphdr *udp;

	ret_to->proto = IPPROTO_UDP;
	if (skb->protocol == bpf_htons(FL_ETH_P_IP)) {
		udp = (const void *)(ip + 1);
		if ((const void *)(udp + 1) > end || ip->ihl != 5 || ip->protocol != IPPROTO_UDP)
			return false;
		fl_addr_map4(&ret_to->addr);
		ret_to->addr.w[3] = ip->daddr;
	} else if (skb->protocol == bpf_htons(FL_ETH_P_IPV6)) {
		udp = (const void *)(ip6 + 1);
		if ((const void *)(udp + 1) > end || ip6->nexthdr != IPPROTO_UDP)
			return false;
		__builtin_memcpy(&ret_to->addr, &ip6->daddr, sizeof(ret_to->addr));
	} else {
		return false;
	}
	ret_to->port = udp->dest;
	return true;
}

/*
 * A connected UDP socket whose frontend does not serve its backend any more (7.3): the kernel asks
 * no other hook where its datagrams go, and here they cannot be changed. So the send fails, with
 * EPERM, until the application connects again. Attached only while there is such a socket.
 */
SEC("cgroup_skb/egress")
int fl_sock_egress(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct fl_peer to = {};

	if (!sk || !destination_of(skb, &to))
		return 1;
	/* one that was disconnected sends where the application says */
	sk = bpf_sk_fullsock(sk);
	if (!sk || sk->state != BPF_TCP_ESTABLISHED ||
	    !fl_socket_must_leave(bpf_get_socket_cookie(skb), &to))
		return 1;
	fl_count(FL_COUNTER_SOCKET_BACKEND_GONE);
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
