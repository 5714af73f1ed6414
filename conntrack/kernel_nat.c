// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * NETLINK_NETFILTER, subsystem ctnetlink. Attributes are parsed with libmnl alone: five of them
 * matter, and libnetfilter_conntrack would be a library more for that.
 */
#include "conntrack/kernel_nat.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "conntrack/kernel_nat_ask.h"
#include "lb/base/cleanup.h"

#define BUFFER_SIZE (1 << 16) /* of what is answered: a dump comes in pieces */

struct tuple {
	struct fl_ip src, dst;
	uint16_t sport, dport;
	uint8_t proto;
	bool whole;
};

/* Attributes of one level, by their type. */
struct attr_level {
	const struct nlattr **attrs;
	uint16_t n;
};

static int on_attr(const struct nlattr *attr, void *arg)
{
	const struct attr_level *level = arg;

	if (mnl_attr_get_type(attr) < level->n)
		level->attrs[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

#define PARSE_NESTED(nest, attrs)                                                                  \
	mnl_attr_parse_nested(                                                                     \
		(nest), on_attr,                                                                   \
		&(struct attr_level){(attrs), (uint16_t)(sizeof(attrs) / sizeof((attrs)[0]))})

static bool read_ip(const struct nlattr *attr, struct fl_ip *ret_ip)
{
	return attr && !fl_ip_from_bytes(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr),
					 ret_ip);
}

static bool read_u16(const struct nlattr *attr, uint16_t *ret_value)
{
	if (!attr || mnl_attr_get_payload_len(attr) != sizeof(*ret_value))
		return false;
	*ret_value = ntohs(mnl_attr_get_u16(attr));
	return true;
}

static bool read_u8(const struct nlattr *attr, uint8_t *ret_value)
{
	if (!attr || mnl_attr_get_payload_len(attr) < sizeof(*ret_value))
		return false;
	*ret_value = mnl_attr_get_u8(attr);
	return true;
}

/* One with ports. */
static bool read_tuple(const struct nlattr *nest, struct tuple *ret_tuple)
{
	const struct nlattr *parts[CTA_TUPLE_MAX + 1] = {0}, *ip[CTA_IP_MAX + 1] = {0},
						   *proto[CTA_PROTO_MAX + 1] = {0};

	if (!nest || PARSE_NESTED(nest, parts) < 0 || !parts[CTA_TUPLE_IP] ||
	    !parts[CTA_TUPLE_PROTO])
		return false;
	if (PARSE_NESTED(parts[CTA_TUPLE_IP], ip) < 0 ||
	    PARSE_NESTED(parts[CTA_TUPLE_PROTO], proto) < 0)
		return false;
	return read_ip(ip[ip[CTA_IP_V4_SRC] ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], &ret_tuple->src) &&
	       read_ip(ip[ip[CTA_IP_V4_DST] ? CTA_IP_V4_DST : CTA_IP_V6_DST], &ret_tuple->dst) &&
	       read_u8(proto[CTA_PROTO_NUM], &ret_tuple->proto) &&
	       read_u16(proto[CTA_PROTO_SRC_PORT], &ret_tuple->sport) &&
	       read_u16(proto[CTA_PROTO_DST_PORT], &ret_tuple->dport);
}

/* A connection in TIME_WAIT is over: another SYN begins a new one. */
static enum fl_flow_state state_of_tcp(const struct nlattr *nest)
{
	static const enum fl_flow_state states[] = {
		[TCP_CONNTRACK_SYN_SENT] = FL_FLOW_NEW,
		[TCP_CONNTRACK_SYN_RECV] = FL_FLOW_REPLIED,
		[TCP_CONNTRACK_ESTABLISHED] = FL_FLOW_ESTABLISHED,
		[TCP_CONNTRACK_FIN_WAIT] = FL_FLOW_HALF_CLOSED,
		[TCP_CONNTRACK_CLOSE_WAIT] = FL_FLOW_HALF_CLOSED,
		[TCP_CONNTRACK_LAST_ACK] = FL_FLOW_HALF_CLOSED,
		[TCP_CONNTRACK_SYN_SENT2] = FL_FLOW_NEW,
	};
	const struct nlattr *protocol[CTA_PROTOINFO_MAX + 1] = {0},
							  *tcp[CTA_PROTOINFO_TCP_MAX + 1] = {0};
	uint8_t state;

	if (!nest || PARSE_NESTED(nest, protocol) < 0 || !protocol[CTA_PROTOINFO_TCP] ||
	    PARSE_NESTED(protocol[CTA_PROTOINFO_TCP], tcp) < 0 ||
	    !read_u8(tcp[CTA_PROTOINFO_TCP_STATE], &state) ||
	    state >= sizeof(states) / sizeof(states[0]))
		return FL_FLOW_FREE;
	return states[state];
}

static enum fl_flow_state state_of_udp(uint32_t status)
{
	if (status & IPS_ASSURED)
		return FL_FLOW_ESTABLISHED;
	return status & IPS_SEEN_REPLY ? FL_FLOW_REPLIED : FL_FLOW_NEW;
}

/* False: no flow that is translated and lives. */
static bool read_flow(const struct nlmsghdr *message, struct fl_flow *ret_flow)
{
	const struct nlattr *attrs[CTA_MAX + 1] = {0};
	struct tuple original, reply;
	uint32_t status;

	if (mnl_attr_parse(message, sizeof(struct nfgenmsg), on_attr,
			   &(struct attr_level){attrs, CTA_MAX + 1}) < 0 ||
	    !attrs[CTA_STATUS] || mnl_attr_get_payload_len(attrs[CTA_STATUS]) != sizeof(status))
		return false;
	status = ntohl(mnl_attr_get_u32(attrs[CTA_STATUS]));
	/* those of another zone may have the tuples of one of ours */
	if (!(status & IPS_DST_NAT) || status & IPS_DYING || attrs[CTA_ZONE] ||
	    !read_tuple(attrs[CTA_TUPLE_ORIG], &original) ||
	    !read_tuple(attrs[CTA_TUPLE_REPLY], &reply) ||
	    fl_ip_family(&original.src) != fl_ip_family(&reply.src) ||
	    (original.proto != IPPROTO_TCP && original.proto != IPPROTO_UDP))
		return false;
	*ret_flow = (struct fl_flow){
		.family = fl_ip_family(&original.src),
		.proto = original.proto,
		.state = original.proto == IPPROTO_UDP ? state_of_udp(status)
						       : state_of_tcp(attrs[CTA_PROTOINFO]),
		.client = original.src,
		.client_port = original.sport,
		.frontend = original.dst,
		.frontend_port = original.dport,
		.backend = reply.src,
		.backend_port = reply.sport,
		.source = reply.dst,
		.source_port = reply.dport,
	};
	return ret_flow->state != FL_FLOW_FREE;
}

int fl_kernel_nat_open(struct fl_kernel_nat **ret_nat, struct fl_err *err)
{
	_cleanup_(fl_kernel_nat_close) struct fl_kernel_nat *nat = calloc(1, sizeof(*nat));

	if (!nat)
		return fl_err_set(err, -ENOMEM, "no memory");
	nat->buffer = malloc(BUFFER_SIZE);
	if (!nat->buffer)
		return fl_err_set(err, -ENOMEM, "no memory");
	nat->sock = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	if (!nat->sock || mnl_socket_bind(nat->sock, 0, MNL_SOCKET_AUTOPID) < 0)
		return fl_err_set(err, -errno, "cannot ask the kernel's connection tracking: %s",
				  strerror(errno));
	*ret_nat = TAKE_PTR(nat);
	return 0;
}

void fl_kernel_nat_close(struct fl_kernel_nat **nat)
{
	if (!*nat)
		return;
	if ((*nat)->sock)
		mnl_socket_close((*nat)->sock);
	free((*nat)->buffer);
	free(*nat);
	*nat = NULL;
}

struct nlmsghdr *fl_kernel_nat_message(struct fl_kernel_nat *nat, void *buffer, uint8_t type,
				       uint8_t family, uint16_t flags)
{
	struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
	struct nfgenmsg *nfgen;

	message->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | type;
	message->nlmsg_flags = NLM_F_REQUEST | flags;
	message->nlmsg_seq = ++nat->seq;
	nfgen = mnl_nlmsg_put_extra_header(message, sizeof(*nfgen));
	nfgen->nfgen_family = family;
	nfgen->version = NFNETLINK_V0;
	return message;
}

int fl_kernel_nat_ask(struct fl_kernel_nat *nat, const struct nlmsghdr *message, mnl_cb_t on,
		      void *arg)
{
	const unsigned int port = mnl_socket_get_portid(nat->sock);
	int r = MNL_CB_OK;

	if (mnl_socket_sendto(nat->sock, message, message->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		ssize_t n = mnl_socket_recvfrom(nat->sock, nat->buffer, BUFFER_SIZE);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* what an earlier question was answered with, that was given up */
		if (((const struct nlmsghdr *)(void *)nat->buffer)->nlmsg_seq != nat->seq)
			continue;
		r = mnl_cb_run(nat->buffer, (size_t)n, nat->seq, port, on, arg);
		/* what changes while it is dumped may be there twice, or not yet */
		if (r < 0 && errno == EINTR)
			r = MNL_CB_OK;
	}
	return r < 0 ? -errno : 0;
}

struct each_flow {
	int (*fn)(const struct fl_flow *flow, void *arg);
	void *arg;
	int r;
};

static int on_each(const struct nlmsghdr *message, void *arg)
{
	struct each_flow *each = arg;
	struct fl_flow flow;

	if (!each->r && read_flow(message, &flow))
		each->r = each->fn(&flow, each->arg);
	return MNL_CB_OK;
}

int fl_kernel_nat_each(struct fl_kernel_nat *nat, int (*fn)(const struct fl_flow *flow, void *arg),
		       void *arg, struct fl_err *err)
{
	struct each_flow each = {.fn = fn, .arg = arg};
	char buffer[FL_KERNEL_NAT_MESSAGE];
	int r = fl_kernel_nat_ask(
		nat, fl_kernel_nat_message(nat, buffer, IPCTNL_MSG_CT_GET, AF_UNSPEC, NLM_F_DUMP),
		on_each, &each);

	if (r)
		return fl_err_set(err, r, "cannot list the kernel's connections: %s", strerror(-r));
	return each.r;
}

void fl_kernel_nat_put_tuple(struct nlmsghdr *message, uint16_t type, uint8_t proto,
			     const struct fl_ip *src, uint16_t sport, const struct fl_ip *dst,
			     uint16_t dport)
{
	const bool v6 = fl_ip_family(src) == FL_IPV6;
	const size_t skip = v6 ? 0 : 12, len = sizeof(src->b) - skip;
	struct nlattr *tuple = mnl_attr_nest_start(message, type);
	struct nlattr *nest = mnl_attr_nest_start(message, CTA_TUPLE_IP);

	mnl_attr_put(message, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, len, src->b + skip);
	mnl_attr_put(message, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, len, dst->b + skip);
	mnl_attr_nest_end(message, nest);
	nest = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(message, CTA_PROTO_NUM, proto);
	mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(sport));
	mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(dport));
	mnl_attr_nest_end(message, nest);
	mnl_attr_nest_end(message, tuple);
}

static int on_state(const struct nlmsghdr *message, void *arg)
{
	struct fl_flow flow;

	*(enum fl_flow_state *)arg = read_flow(message, &flow) ? flow.state : FL_FLOW_FREE;
	return MNL_CB_OK;
}

enum fl_flow_state fl_kernel_nat_state(struct fl_kernel_nat *nat, const struct fl_flow *flow)
{
	enum fl_flow_state state = FL_FLOW_STATES;
	char buffer[FL_KERNEL_NAT_MESSAGE];
	struct nlmsghdr *message = fl_kernel_nat_message(
		nat, buffer, IPCTNL_MSG_CT_GET, fl_kernel_nat_family(flow->family), NLM_F_ACK);
	int r;

	fl_kernel_nat_put_tuple(message, CTA_TUPLE_ORIG, flow->proto, &flow->client,
				flow->client_port, &flow->frontend, flow->frontend_port);
	r = fl_kernel_nat_ask(nat, message, on_state, &state);
	return r == -ENOENT ? FL_FLOW_FREE : r ? FL_FLOW_STATES : state;
}
