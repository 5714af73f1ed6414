// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A load balancer as one would write it from the BPF manual: services in a hash, endpoints in a
 * hash, both directions of a connection in an LRU hash, the clock for timestamps, source NAT by
 * trying ports, checksums by difference. IPv4. It does less than Fairlead: no next hops (the
 * addresses of the frame are exchanged and it is sent back), no state but SYN/FIN/RST, no MTU, no
 * timeouts, and under pressure it forgets whichever flow was used least recently. With `use_fib` it
 * asks the kernel for the way of each packet.
 */
#include "bench/packet.bpf.h"

#define TEXTBOOK_AF_INET 2
#define PORT_TRIES 16
#define FIRST_PORT 32768
#define PORTS 28232

const volatile __u32 masquerade_address = 0; /* network byte order */
const volatile bool use_fib = false;

struct service_key {
	__be32 addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};

struct service {
	__u32 id;
	__u32 count;
};

struct endpoint_key {
	__u32 service;
	__u32 index;
};

struct endpoint {
	__be32 addr;
	__be16 port;
	__u16 pad;
};

struct flow_key {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u8 proto;
	__u8 pad[3];
};

struct flow {
	__be32 saddr, daddr;
	__be16 sport, dport;
	__u32 state;
	__u64 last_seen;
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct service_key);
	__type(value, struct service);
} textbook_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__type(key, struct endpoint_key);
	__type(value, struct endpoint);
} textbook_endpoints SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 2097152);
	__type(key, struct flow_key);
	__type(value, struct flow);
} textbook_flows SEC(".maps");

static __always_inline __u16 apply(__u16 check, __u64 diff)
{
	return bench_fold(diff + (__u16)~check);
}

static __always_inline __u32 mix(const struct flow_key *key)
{
	__u64 h = ((__u64)key->saddr << 32 | key->daddr) * 0x9e3779b97f4a7c15ULL;

	h = (h ^ h >> 32 ^ ((__u32)key->sport << 16 | key->dport)) * 0xff51afd7ed558ccdULL;
	return h >> 32;
}

static __always_inline bool new_flow(const struct flow_key *key, struct flow *ret_flow)
{
	struct service_key service_key = {
		.addr = key->daddr, .port = key->dport, .proto = key->proto};
	struct endpoint_key endpoint_key = {};
	struct flow_key reply_key = {};
	struct flow reply = {};
	struct endpoint *endpoint;
	struct service *service;
	__u32 hash = mix(key);

	service = bpf_map_lookup_elem(&textbook_services, &service_key);
	if (!service || !service->count)
		return false;
	endpoint_key.service = service->id;
	endpoint_key.index = hash % service->count;
	endpoint = bpf_map_lookup_elem(&textbook_endpoints, &endpoint_key);
	if (!endpoint)
		return false;
	ret_flow->saddr = masquerade_address;
	ret_flow->daddr = endpoint->addr;
	ret_flow->dport = endpoint->port;
	ret_flow->last_seen = bpf_ktime_get_ns();
	reply_key.saddr = endpoint->addr;
	reply_key.sport = endpoint->port;
	reply_key.daddr = masquerade_address;
	reply_key.proto = key->proto;
	reply.saddr = key->daddr;
	reply.sport = key->dport;
	reply.daddr = key->saddr;
	reply.dport = key->sport;
	reply.last_seen = ret_flow->last_seen;
	for (__u32 i = 0; i < PORT_TRIES; i++) {
		reply_key.dport = bpf_htons(FIRST_PORT + (hash + i * 7919) % PORTS);
		if (!bpf_map_update_elem(&textbook_flows, &reply_key, &reply, BPF_NOEXIST)) {
			ret_flow->sport = reply_key.dport;
			return !bpf_map_update_elem(&textbook_flows, key, ret_flow, BPF_ANY);
		}
	}
	return false;
}

static __always_inline int send(struct xdp_md *ctx, const struct flow_key *key, __u16 len)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct bpf_fib_lookup fib = {};
	__u8 mac[6];

	if (data + BENCH_ETH_LEN > data_end)
		return XDP_ABORTED;
	if (!use_fib) {
		__builtin_memcpy(mac, data, 6);
		__builtin_memcpy(data, data + 6, 6);
		__builtin_memcpy(data + 6, mac, 6);
		return XDP_TX;
	}
	fib.family = TEXTBOOK_AF_INET;
	fib.ifindex = ctx->ingress_ifindex;
	fib.ipv4_dst = key->daddr;
	fib.tot_len = len;
	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_PASS;
	__builtin_memcpy(data, fib.dmac, 6);
	__builtin_memcpy(data + 6, fib.smac, 6);
	return fib.ifindex == ctx->ingress_ifindex ? XDP_TX : bpf_redirect(fib.ifindex, 0);
}

static __always_inline int run(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + BENCH_ETH_LEN;
	struct tcphdr *th = (void *)(ip + 1);
	struct flow_key key = {}, to = {};
	struct flow *flow, fresh = {};
	__u64 diff, now;
	__u16 *check;

	if ((void *)(th + 1) > data_end || ip->version != 4 ||
	    (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP))
		return XDP_PASS;
	key.saddr = ip->saddr;
	key.daddr = ip->daddr;
	key.sport = th->source;
	key.dport = th->dest;
	key.proto = ip->protocol;
	flow = bpf_map_lookup_elem(&textbook_flows, &key);
	if (flow) {
		now = bpf_ktime_get_ns();
		flow->last_seen = now;
		flow->packets++;
		flow->bytes += bpf_ntohs(ip->tot_len);
		if (key.proto == IPPROTO_TCP && (th->fin || th->rst))
			flow->state = 1;
	} else {
		if (!new_flow(&key, &fresh))
			return XDP_PASS;
		flow = &fresh;
	}
	to.saddr = flow->saddr;
	to.daddr = flow->daddr;
	to.sport = flow->sport;
	to.dport = flow->dport;
	diff = (__u64)to.saddr + (__u32)~ip->saddr + to.daddr + (__u32)~ip->daddr;
	ip->saddr = to.saddr;
	ip->daddr = to.daddr;
	ip->ttl--;
	/* the TTL is the high byte of its 16-bit word */
	ip->check = apply(ip->check, diff + bpf_htons(0xfeff));
	check = key.proto == IPPROTO_TCP ? &th->check : &((struct udphdr *)th)->check;
	diff += (__u64)to.sport + (__u16)~th->source + to.dport + (__u16)~th->dest;
	*check = apply(*check, diff);
	th->source = to.sport;
	th->dest = to.dport;
	return send(ctx, &to, bpf_ntohs(ip->tot_len));
}

SEC("xdp.frags")
int bench_textbook(struct xdp_md *ctx)
{
	return run(ctx);
}

char _license[] SEC("license") = "Dual BSD/GPL";
