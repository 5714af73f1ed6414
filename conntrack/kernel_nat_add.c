// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Entering a flow into the kernel's connection tracking, with its translation. The kernel applies
 * the translation to the tuples that it is given, which are those of a flow without one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "conntrack/kernel_nat_ask.h"
#include "lb/base/cleanup.h"
#include "lb/base/read_file.h"

/* A packet of the flow may make another entry of it between the removal of one and ours. */
#define ADD_TRIES 8
#define SYSCTL_MAX 64

/* What the kernel is told of a state. */
struct kernel_state {
	uint32_t status;
	uint8_t tcp; /* TCP_CONNTRACK_* */
	/* how long it lasts without a packet: a sysctl of net.netfilter, and that one's default */
	const char *timeout;
	uint32_t timeout_s;
};

#define PROVEN (IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED)

static const struct kernel_state tcp_states[FL_FLOW_STATES] = {
	[FL_FLOW_NEW] = {IPS_CONFIRMED, TCP_CONNTRACK_SYN_SENT, "tcp_timeout_syn_sent", 120},
	[FL_FLOW_REPLIED] = {IPS_CONFIRMED | IPS_SEEN_REPLY, TCP_CONNTRACK_SYN_RECV,
			     "tcp_timeout_syn_recv", 60},
	[FL_FLOW_ESTABLISHED] = {PROVEN, TCP_CONNTRACK_ESTABLISHED, "tcp_timeout_established",
				 432000},
	[FL_FLOW_HALF_CLOSED] = {PROVEN, TCP_CONNTRACK_CLOSE_WAIT, "tcp_timeout_close_wait", 60},
	[FL_FLOW_TIME_WAIT] = {PROVEN, TCP_CONNTRACK_TIME_WAIT, "tcp_timeout_time_wait", 120},
	[FL_FLOW_CLOSING] = {PROVEN, TCP_CONNTRACK_CLOSE, "tcp_timeout_close", 10},
};

static const struct kernel_state udp_states[FL_FLOW_STATES] = {
	[FL_FLOW_NEW] = {IPS_CONFIRMED, 0, "udp_timeout", 30},
	[FL_FLOW_REPLIED] = {IPS_CONFIRMED | IPS_SEEN_REPLY, 0, "udp_timeout", 30},
	[FL_FLOW_ESTABLISHED] = {PROVEN, 0, "udp_timeout_stream", 120},
};

static uint32_t read_timeout(const struct kernel_state *state)
{
	_cleanup_free_ char *text = NULL;
	unsigned long value = 0;
	char path[128];
	size_t len;

	snprintf(path, sizeof(path), "/proc/sys/net/netfilter/nf_conntrack_%s", state->timeout);
	if (!fl_read_file(path, SYSCTL_MAX, &text, &len, NULL, NULL))
		value = strtoul(text, NULL, 10);
	return value && value < INT32_MAX ? (uint32_t)value : state->timeout_s;
}

/* One end of the translation: this address and port, and no other. */
static void put_nat(struct nlmsghdr *message, uint16_t type, const struct fl_ip *ip, uint16_t port)
{
	const bool v6 = fl_ip_family(ip) == FL_IPV6;
	const size_t skip = v6 ? 0 : 12, len = sizeof(ip->b) - skip;
	struct nlattr *nat = mnl_attr_nest_start(message, type), *proto;

	mnl_attr_put(message, v6 ? CTA_NAT_V6_MINIP : CTA_NAT_V4_MINIP, len, ip->b + skip);
	mnl_attr_put(message, v6 ? CTA_NAT_V6_MAXIP : CTA_NAT_V4_MAXIP, len, ip->b + skip);
	proto = mnl_attr_nest_start(message, CTA_NAT_PROTO);
	mnl_attr_put_u16(message, CTA_PROTONAT_PORT_MIN, htons(port));
	mnl_attr_put_u16(message, CTA_PROTONAT_PORT_MAX, htons(port));
	mnl_attr_nest_end(message, proto);
	mnl_attr_nest_end(message, nat);
}

/* The windows are not known: it is to be liberal about them, as with a connection that it has met
 * midway. */
static void put_tcp(struct nlmsghdr *message, uint8_t state)
{
	static const struct nf_ct_tcp_flags liberal = {IP_CT_TCP_FLAG_BE_LIBERAL,
						       IP_CT_TCP_FLAG_BE_LIBERAL};
	struct nlattr *protocol = mnl_attr_nest_start(message, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(message, CTA_PROTOINFO_TCP);

	mnl_attr_put_u8(message, CTA_PROTOINFO_TCP_STATE, state);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof(liberal), &liberal);
	mnl_attr_put(message, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof(liberal), &liberal);
	mnl_attr_nest_end(message, tcp);
	mnl_attr_nest_end(message, protocol);
}

/* Forget the connection that has this tuple, in whichever direction. */
static int forget(struct fl_kernel_nat *nat, const struct fl_flow *flow, const struct fl_ip *src,
		  uint16_t sport, const struct fl_ip *dst, uint16_t dport)
{
	char buffer[FL_KERNEL_NAT_MESSAGE];
	struct nlmsghdr *message = fl_kernel_nat_message(
		nat, buffer, IPCTNL_MSG_CT_DELETE, fl_kernel_nat_family(flow->family), NLM_F_ACK);
	int r;

	fl_kernel_nat_put_tuple(message, CTA_TUPLE_ORIG, flow->proto, src, sport, dst, dport);
	r = fl_kernel_nat_ask(nat, message, NULL, NULL);
	return r == -ENOENT ? 0 : r;
}

static int enter(struct fl_kernel_nat *nat, const struct fl_flow *flow,
		 const struct kernel_state *state, uint32_t timeout_s)
{
	char buffer[FL_KERNEL_NAT_MESSAGE];
	struct nlmsghdr *message = fl_kernel_nat_message(nat, buffer, IPCTNL_MSG_CT_NEW,
							 fl_kernel_nat_family(flow->family),
							 NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK);

	fl_kernel_nat_put_tuple(message, CTA_TUPLE_ORIG, flow->proto, &flow->client,
				flow->client_port, &flow->frontend, flow->frontend_port);
	fl_kernel_nat_put_tuple(message, CTA_TUPLE_REPLY, flow->proto, &flow->frontend,
				flow->frontend_port, &flow->client, flow->client_port);
	mnl_attr_put_u32(message, CTA_STATUS, htonl(state->status));
	mnl_attr_put_u32(message, CTA_TIMEOUT, htonl(timeout_s));
	/* both, since without one the kernel chooses a source port if ours is in use */
	put_nat(message, CTA_NAT_DST, &flow->backend, flow->backend_port);
	put_nat(message, CTA_NAT_SRC, &flow->source, flow->source_port);
	if (flow->proto == IPPROTO_TCP)
		put_tcp(message, state->tcp);
	return fl_kernel_nat_ask(nat, message, NULL, NULL);
}

int fl_kernel_nat_add(struct fl_kernel_nat *nat, const struct fl_flow *flow)
{
	const bool udp = flow->proto == IPPROTO_UDP;
	const enum fl_flow_state in = flow->state < FL_FLOW_STATES ? flow->state : FL_FLOW_FREE;
	const struct kernel_state *state = udp ? &udp_states[in] : &tcp_states[in];
	uint32_t *timeout_s = &nat->timeout_s[udp][in];
	int r = -EEXIST;

	if (!state->status)
		return -EINVAL;
	if (!*timeout_s)
		*timeout_s = read_timeout(state);
	for (int i = 0; i < ADD_TRIES && r == -EEXIST; i++) {
		r = forget(nat, flow, &flow->client, flow->client_port, &flow->frontend,
			   flow->frontend_port);
		if (!r)
			r = forget(nat, flow, &flow->backend, flow->backend_port, &flow->source,
				   flow->source_port);
		if (!r)
			r = enter(nat, flow, state, *timeout_s);
	}
	return r;
}
