// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The datapath's own source, compiled for this machine and instrumented: the flow table, source
 * ports, the fast path and the slow one. What it stands on is made up here: a backend for each
 * client, and a device for each address.
 */
#include "bpf/abi/fairlead.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* What is assembly there, is here a word to the memory. */
#define fl_after_load fl_after_load_in_assembly
#define fl_forget fl_forget_in_assembly
#include "bpf/lib/config.bpf.h"
#undef fl_after_load
#undef fl_forget

void memory_depend(uint64_t value);

static __always_inline void *fl_after_load(void *p, __u64 value)
{
	memory_depend(value);
	return p;
}

static __always_inline __u64 fl_forget(__u64 value, __u64 unknown)
{
	(void)unknown;
	return value;
}

#include "bpf/ctx/xdp.bpf.h"
#include "nodeport/decide.bpf.h"
#undef asm

#include "tests/schedules/schedules.h"

#define HZ TICKS_PER_SECOND
#define NODE 0x01000001U /* our address */
#define DEVICES 256

/* The memory that processors share: buckets of the one family or the other, and overflow bits. */
static struct {
	unsigned char bytes[BUCKETS * sizeof(struct fl_bucket6) + sizeof(struct fl_overflow)];
} shared __attribute__((aligned(64)));

static struct {
	bool v6;
	__u32 buckets;
} table = {false, 1};

/* And what they share without a question. */
static struct {
	struct fl_port_space space;
	struct fl_device device;
	struct fl_backend backend[2 * DEVICES]; /* of TCP, and behind them of UDP */
	__u64 stats[FL_COUNTER_MAX], bound_ports[FL_BOUND_WORDS];
	struct fl_filter_word own_ports[FL_OWN_PORT_WORDS];
	struct fl_bucket_rate rate[FL_RATES];
	__u32 now;
	uint64_t scanned; /* flows that were made with one look through each bucket */
} common;

#define NOT_INSTRUMENTED __attribute__((no_sanitize_thread))

NOT_INSTRUMENTED static void *bucket_at(__u32 at)
{
	return shared.bytes +
	       at * (table.v6 ? sizeof(struct fl_bucket6) : sizeof(struct fl_bucket4));
}

NOT_INSTRUMENTED void *bpf_map_lookup_elem(const void *map, const void *key)
{
	const __u32 at = *(const __u32 *)key;

	if (map == (table.v6 ? (void *)&fl_flows6 : (void *)&fl_flows4))
		return at < table.buckets ? bucket_at(at) : NULL;
	if (map == (table.v6 ? (void *)&fl_overflow6 : (void *)&fl_overflow4))
		return at < 1 ? bucket_at(table.buckets) : NULL;
	if (map == &fl_port_spaces)
		return &common.space;
	if (map == &fl_devices)
		return &common.device;
	if (map == &fl_backends)
		return at < 2 * DEVICES && common.backend[at].generation ? &common.backend[at]
									 : NULL;
	if (map == &fl_stats)
		return at < FL_COUNTER_MAX ? &common.stats[at] : NULL;
	if (map == &fl_own_ports)
		return at < FL_OWN_PORT_WORDS ? &common.own_ports[at] : NULL;
	if (map == &fl_bound_ports)
		return at < FL_BOUND_WORDS ? &common.bound_ports[at] : NULL;
	return NULL;
}

NOT_INSTRUMENTED __u64 bpf_jiffies64(void)
{
	return common.now;
}

/* Each address is reached by a device of its own. */
NOT_INSTRUMENTED uint32_t device_of(uint32_t address)
{
	return address >> 24;
}

NOT_INSTRUMENTED long bpf_fib_lookup(void *ctx, struct bpf_fib_lookup *params, int size,
				     __u32 flags)
{
	(void)ctx;
	(void)size;
	(void)flags;
	params->ifindex = device_of(bpf_ntohl(table.v6 ? params->ipv6_dst[3] : params->ipv4_dst));
	memset(params->dmac, (int)params->ifindex, sizeof(params->dmac));
	memset(params->smac, 1, sizeof(params->smac));
	params->mtu_result = 1500;
	return BPF_FIB_LKUP_RET_SUCCESS;
}

NOT_INSTRUMENTED long bpf_check_mtu(void *ctx, __u32 ifindex, __u32 *mtu_len, __s32 len_diff,
				    __u64 flags)
{
	(void)ctx;
	(void)ifindex;
	(void)len_diff;
	(void)flags;
	*mtu_len = 1500;
	return 0;
}

/* No socket of the node has a port that is asked for. */
#define NO_HELPER(name, type, ...)                                                                 \
	type name(__VA_ARGS__)                                                                     \
	{                                                                                          \
		return 0;                                                                          \
	}
/* clang-format off */
NO_HELPER(bpf_map_update_elem, long, const void *map, const void *key, const void *value, __u64 flags)
NO_HELPER(bpf_map_delete_elem, long, const void *map, const void *key)
NO_HELPER(bpf_ktime_get_ns, __u64, void)
NO_HELPER(bpf_get_prandom_u32, __u32, void)
NO_HELPER(bpf_skc_lookup_tcp, struct bpf_sock *, void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns, __u64 flags)
NO_HELPER(bpf_sk_lookup_udp, struct bpf_sock *, void *ctx, struct bpf_sock_tuple *tuple, __u32 size, __u64 netns, __u64 flags)
NO_HELPER(bpf_sk_release, long, void *sk)
NO_HELPER(bpf_xdp_adjust_head, long, struct xdp_md *xdp, int delta)
NO_HELPER(bpf_redirect, long, __u32 ifindex, __u64 flags)
NO_HELPER(bpf_xdp_adjust_tail, long, struct xdp_md *xdp, int delta)
NO_HELPER(bpf_xdp_adjust_meta, long, struct xdp_md *xdp, int delta)
NO_HELPER(bpf_xdp_get_buff_len, __u64, struct xdp_md *xdp)
NO_HELPER(bpf_csum_diff, __s64, __be32 *from, __u32 from_size, __be32 *to, __u32 to_size, __wsum seed)
/* clang-format on */

/* A packet */

NOT_INSTRUMENTED static void map_addr(struct fl_addr *a)
{
	fl_addr_map4(a);
	if (table.v6)
		*a = (struct fl_addr){.w = {bpf_htonl(0xfd000000)}};
}

NOT_INSTRUMENTED static void to_abi(const struct tuple *t, struct fl_tuple6 *ret)
{
	memset(ret, 0, sizeof(*ret));
	map_addr(&ret->saddr);
	map_addr(&ret->daddr);
	ret->saddr.w[3] = bpf_htonl(t->src);
	ret->daddr.w[3] = bpf_htonl(t->dst);
	ret->sport = bpf_htons(t->sport);
	ret->dport = bpf_htons(t->dport);
}

NOT_INSTRUMENTED static struct tuple from_abi(const struct fl_tuple6 *t)
{
	return (struct tuple){bpf_ntohl(t->saddr.w[3]), bpf_ntohl(t->daddr.w[3]),
			      bpf_ntohs(t->sport), bpf_ntohs(t->dport)};
}

/* TCP's header lies where that of the family ends. */
struct frame {
	__u8 eth[FL_L3];
	union {
		struct {
			struct iphdr ip;
			struct tcphdr tcp;
		} __attribute__((packed)) four;
		struct {
			struct ipv6hdr ip;
			struct tcphdr tcp;
		} __attribute__((packed)) six;
	};
} __attribute__((packed));

NOT_INSTRUMENTED static void frame_of(const struct packet *packet, struct frame *f,
				      struct fl_packet *p)
{
	struct tcphdr *tcp = (void *)((__u8 *)f + fl_l4_offset(table.v6));

	memset(f, 0, sizeof(*f));
	memset(p, 0, sizeof(*p));
	to_abi(&packet->t, &p->tuple);
	p->len = fl_l4_offset(table.v6) - FL_L3 + sizeof(*tcp);
	if (table.v6) {
		f->six.ip.version = 6;
		f->six.ip.hop_limit = 64;
		f->six.ip.payload_len = bpf_htons(sizeof(*tcp));
		f->six.ip.nexthdr = packet->proto;
		memcpy(&f->six.ip.saddr, &p->tuple.saddr, 16);
		memcpy(&f->six.ip.daddr, &p->tuple.daddr, 16);
	} else {
		f->four.ip.ihl = 5;
		f->four.ip.version = 4;
		f->four.ip.ttl = 64;
		f->four.ip.tot_len = bpf_htons(p->len);
		f->four.ip.protocol = packet->proto;
		f->four.ip.saddr = bpf_htonl(packet->t.src);
		f->four.ip.daddr = bpf_htonl(packet->t.dst);
	}
	tcp->source = bpf_htons(packet->t.sport);
	tcp->dest = bpf_htons(packet->t.dport);
	tcp->seq = bpf_htonl(packet->seq);
	tcp->ack_seq = bpf_htonl(packet->ack);
	tcp->doff = 5;
	((__u8 *)tcp)[13] = packet->flags;
	p->seq = packet->seq;
	p->ack = packet->ack;
	p->proto = packet->proto;
	p->tcp_flags = packet->proto == IPPROTO_TCP ? packet->flags : 0;
	p->ttl = 64;
	p->headers = p->len;
	p->kind = FL_PACKET_FLOW;
	p->l3 = FL_L3;
	p->l4 = fl_l4_offset(table.v6);
}

NOT_INSTRUMENTED static uint32_t backend_of(const struct packet *packet)
{
	const uint32_t id = device_of(packet->backend) + DEVICES * (packet->proto == IPPROTO_UDP);
	struct fl_backend *b = &common.backend[id];

	map_addr(&b->addr);
	b->addr.w[3] = bpf_htonl(packet->backend);
	b->port = bpf_htons(80);
	b->generation = 1;
	b->proto = packet->proto;
	b->flags = FL_BACKEND_LIVE;
	return id;
}

static void note_made(const struct fl_packet *p, const struct fl_tuple6 *to)
{
	const struct tuple asked = from_abi(&p->tuple), becomes = from_abi(to);

	oracle_made(&asked, &becomes, p->proto);
}

/* As fl_new_decide(), once frontend, backend and way are known. */
static void decide_new(fl_ctx *ctx, const struct packet *packet, const struct fl_packet *p,
		       struct fl_intent *in)
{
	const bool masquerade = !packet->keeps_source;
	const struct tuple to = {masquerade ? NODE : packet->t.src, packet->backend,
				 masquerade ? 0 : packet->t.sport, 80};

	memset(in, 0, sizeof(*in));
	if (!packet->backend || !fl_packet_opens(p))
		return;
	to_abi(&to, &in->d.to);
	if (masquerade && fl_fib_lookup(ctx, &in->d.to.daddr, &in->d.hop) != FL_FIB_OK)
		return;
	in->new.masquerade = masquerade;
	in->new.backend = backend_of(packet);
	in->hop_asked = masquerade;
	in->kind = FL_INTENT_SERVE;
	fl_decision_set(&in->d, masquerade ? FL_ACT_FORWARD : FL_ACT_STACK, FL_REASON_NONE);
	in->hash = fl_hash_tuple(table.v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	fl_tuple_reverse(&in->d.to, &in->reply);
	if (masquerade)
		in->reply.dport = fl_snat_first(in->hash);
}

/* Both, and what is made in the ordinary case. */
static bool decide_begin(fl_ctx *ctx, const struct packet *packet, const struct fl_packet *p,
			 struct fl_intent *in)
{
	struct fl_tuple6 to;

	decide_new(ctx, packet, p, in);
	if (in->kind != FL_INTENT_SERVE)
		return false;
	to = in->d.to;
	to.sport = in->reply.dport;
	note_made(p, &to);
	if (!fl_new_commit_scanned(table.v6, p, fl_now(), in))
		return false;
	if (processor_now() >= 0)
		common.scanned++;
	return true;
}

/* As fl_new_commit(). */
static int commit_new(fl_ctx *ctx, const struct fl_packet *p, struct fl_intent *in, bool insist)
{
	struct fl_tuple6 reply = in->reply;
	enum fl_reason reason;

	fl_new_keep_hop(in);
	if (in->kind != FL_INTENT_SERVE)
		return 0;
	if (!fl_snat_choose(ctx, table.v6, &reply, p->proto,
			    in->new.masquerade ? FL_SNAT_SOCKETS : 0)) {
		fl_decision_set(&in->d, FL_ACT_DROP, FL_REASON_NO_SOURCE_PORT);
		return 0;
	}
	in->d.to.sport = reply.dport;
	note_made(p, &in->d.to);
	reason = fl_new_enter(table.v6, p, &in->d, &reply, &in->new, in->hash, fl_now(), insist);
	if (reason == FL_NEW_GAVE_WAY)
		return 1;
	if (reason)
		fl_decision_set(&in->d, FL_ACT_DROP, reason);
	return 0;
}

/* As fl_decide_slow(). */
static void decide_slow(fl_ctx *ctx, const struct packet *packet, const struct fl_packet *p,
			struct fl_decision *d)
{
	bool decided = p->proto == IPPROTO_TCP && fl_packet_opens(p);
	struct fl_intent in;

	if (decided && decide_begin(ctx, packet, p, &in)) {
		*d = in.d;
		return;
	}
	for (int i = 0; i < FL_DECIDE_TRIES; i++) {
		const enum fl_known known = fl_decide_known(ctx, table.v6, p, FL_HOOK_INGRESS, d);

		if (known == FL_BROKEN) {
			table.v6 ? fl_flow_mend6(p) : fl_flow_mend4(p);
			continue;
		}
		if (known == FL_UNKNOWN_REPLY)
			fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
		if (known != FL_UNKNOWN)
			return;
		if ((!decided && decide_begin(ctx, packet, p, &in)) ||
		    !commit_new(ctx, p, &in, i >= FL_DECIDE_TRIES / 2)) {
			*d = in.d;
			return;
		}
		decided = true;
	}
	fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_SOURCE_PORT);
}

void packet_run(unsigned int processor, const struct packet *packet, struct outcome *ret)
{
	static struct frame frames[PROCESSORS + 1];
	struct xdp_md ctx = {.ingress_ifindex = 1};
	struct fl_decision d = {};
	struct fl_fast_flow fast = {};
	struct fl_packet p;

	frame_of(packet, &frames[processor], &p);
	memset(ret, 0, sizeof(*ret));
	switch (fl_fast_arriving(&ctx, &frames[processor], table.v6, &p, FL_HOOK_INGRESS, &fast)) {
	case FL_FAST_BACK:
		fast.ifindex = ctx.ingress_ifindex;
		__attribute__((fallthrough));
	case FL_FAST_FORWARD:
		fl_fast_done(&fast, &frames[processor], table.v6, &p);
		*ret = (struct outcome){true, from_abi(&fast.to), fast.ifindex};
		return;
	case FL_FAST_STACK:
		fl_fast_done(&fast, &frames[processor], table.v6, &p);
		*ret = (struct outcome){true, from_abi(&fast.to), 0};
		return;
	case FL_FAST_SLOW:
		break;
	default:
		return;
	}
	frame_of(packet, &frames[processor], &p);
	decide_slow(&ctx, packet, &p, &d);
	if (d.action == FL_ACT_FORWARD)
		*ret = (struct outcome){true, from_abi(&d.to), d.hop.ifindex};
	else if (d.action == FL_ACT_STACK)
		*ret = (struct outcome){true, from_abi(&d.to), 0};
}

/* From outside */

NOT_INSTRUMENTED void processor_memory(void **ret_begin, size_t *ret_size)
{
	*ret_begin = &shared;
	*ret_size = (size_t)((unsigned char *)bucket_at(table.buckets) - shared.bytes) +
		    sizeof(struct fl_overflow);
}

NOT_INSTRUMENTED void table_shape(bool v6, uint32_t buckets)
{
	struct fl_config *c = (struct fl_config *)(uintptr_t)&fl_config;

	assert(buckets && buckets <= BUCKETS);
	table.v6 = v6;
	table.buckets = buckets;
	c->flow4_mask = c->flow6_mask = buckets - 1;
}

NOT_INSTRUMENTED bool table_is_v6(void)
{
	return table.v6;
}

NOT_INSTRUMENTED uint32_t table_buckets(void)
{
	return table.buckets;
}

NOT_INSTRUMENTED unsigned int table_slots(void)
{
	return table.buckets * WAYS;
}

NOT_INSTRUMENTED void processor_init(void)
{
	/* constants to the datapath, which are set before it is loaded */
	struct fl_config *c = (struct fl_config *)(uintptr_t)&fl_config;
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)c & ~(page - 1);
	const int r = mprotect((void *)at, (uintptr_t)(c + 1) - at, PROT_READ | PROT_WRITE);

	assert(!r);
	c->flow_seed[0] = 0x0123456789abcdef;
	c->flow_seed[1] = 0xfedcba9876543210;
	c->hz = HZ;
	c->next_hop_ttl = 3600 * HZ;
	c->timeout[FL_TIMEOUT_TCP_EMBRYONIC] = 60 * HZ;
	c->timeout[FL_TIMEOUT_TCP_ESTABLISHED] = 86400 * HZ;
	c->timeout[FL_TIMEOUT_TCP_CLOSE_WAIT] = 3600 * HZ;
	c->timeout[FL_TIMEOUT_TCP_TIME_WAIT] = 120 * HZ;
	c->timeout[FL_TIMEOUT_TCP_CLOSING] = 30 * HZ;
	c->timeout[FL_TIMEOUT_UDP_EMBRYONIC] = 30 * HZ;
	c->timeout[FL_TIMEOUT_UDP_ESTABLISHED] = 120 * HZ;
	c->weak_loads = 1;
	fl_config_spread_timeouts(c);
	common.device.flags = FL_DEVICE_XDP_TX | FL_DEVICE_EXTERNAL;
}

NOT_INSTRUMENTED void source_ports_set(uint16_t first, uint16_t count)
{
	struct fl_live *live = &fl_live.of[0];

	live->snat[0] = (struct fl_port_range){first, count};
	fl_live_count_ports(live);
}

NOT_INSTRUMENTED void clock_set(uint32_t seconds)
{
	common.now = seconds * HZ;
	fl_meta[0].next_hops = fl_hops_word(1, common.now + 3600 * HZ);
	fl_meta[0].bound_ports_stamp = common.now; /* the agent is there: no port is a socket's */
}

NOT_INSTRUMENTED uint64_t scanned_flows(void)
{
	return common.scanned;
}

NOT_INSTRUMENTED uint32_t clock_now(void)
{
	return common.now;
}

NOT_INSTRUMENTED void timeouts_get(uint32_t *timeout, unsigned int n)
{
	for (unsigned int i = 0; i < n && i < FL_TIMEOUTS; i++)
		timeout[i] = fl_config.timeout[i];
}

NOT_INSTRUMENTED void table_clear(void)
{
	memset(&shared, 0, sizeof(shared));
	memset(&common.space, 0, sizeof(common.space));
	memset(fl_next_hops, 0, sizeof(fl_next_hops));
}

NOT_INSTRUMENTED void ways_forget(void)
{
	for (unsigned int i = 0; i < 2 * DEVICES; i++)
		common.backend[i].next_hop = common.backend[i].next_hop_generation = 0;
}

NOT_INSTRUMENTED static struct fl_flow_head *entry(unsigned int slot)
{
	return fl_flow_way(table.v6, bucket_at(slot / WAYS), slot % WAYS);
}

NOT_INSTRUMENTED uint32_t *entry_word(unsigned int slot)
{
	return &entry(slot)->word;
}

NOT_INSTRUMENTED bool is_live(uint32_t word)
{
	return fl_flow_state(word) >= FL_FLOW_NEW;
}

NOT_INSTRUMENTED bool is_proven(uint32_t word)
{
	return fl_flow_state(word) >= FL_FLOW_ESTABLISHED;
}

NOT_INSTRUMENTED bool is_idle_word(uint32_t word)
{
	return is_live(word) || (word & 0xff) == FL_FLOW_FREE;
}

NOT_INSTRUMENTED uint32_t word_generation(uint32_t word)
{
	return fl_flow_generation(word);
}

NOT_INSTRUMENTED uint32_t word_state(uint32_t word)
{
	return fl_flow_state(word);
}

NOT_INSTRUMENTED static struct tuple tuple_of(const struct fl_tuple4 *t)
{
	return (struct tuple){bpf_ntohl(t->saddr), bpf_ntohl(t->daddr), bpf_ntohs(t->sport),
			      bpf_ntohs(t->dport)};
}

NOT_INSTRUMENTED bool entry_content(unsigned int slot, struct content *ret)
{
	const struct fl_flow_head *head = entry(slot);
	const struct fl_flow4 *four = (const void *)head;
	const struct fl_flow6 *six = (const void *)head;

	*ret = (struct content){
		table.v6 ? from_abi(&six->key) : tuple_of(&four->key),
		table.v6 ? from_abi(&six->rewrite) : tuple_of(&four->rewrite),
		head->proto,
		head->flags,
		head->twin,
		head->twin_generation,
	};
	return is_live(head->word);
}

NOT_INSTRUMENTED bool is_being_filled(unsigned int slot, uint32_t generation)
{
	const uint32_t word = entry(slot)->word;

	return fl_flow_generation_is(word, (__u16)generation) &&
	       (word & (FL_FLOW_STATE_MASK | FL_FLOW_CLAIM)) == FL_FLOW_BUSY;
}

NOT_INSTRUMENTED bool is_reply(const struct content *c)
{
	return c->flags & FL_FLOW_IS_REPLY;
}

NOT_INSTRUMENTED void entry_age(unsigned int slot, uint32_t seconds)
{
	entry(slot)->last_seen -= seconds * HZ;
}
