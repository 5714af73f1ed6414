/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages of ctnetlink, for the files that read and write the kernel's connections. */
#pragma once

#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include "conntrack/kernel_nat.h"

struct fl_kernel_nat {
	struct mnl_socket *sock;
	unsigned int seq;
	char *buffer;
	/* the kernel's, by whether it is UDP, and state; 0: not read yet */
	uint32_t timeout_s[2][FL_FLOW_STATES];
};

#define FL_KERNEL_NAT_MESSAGE 512 /* bytes that a message has room in */

static inline uint8_t fl_kernel_nat_family(enum fl_family family)
{
	return family == FL_IPV6 ? AF_INET6 : AF_INET;
}

/* A message without attributes yet; type: IPCTNL_MSG_CT_*, flags: NLM_F_*. */
struct nlmsghdr *fl_kernel_nat_message(struct fl_kernel_nat *nat, void *buffer, uint8_t type,
				       uint8_t family, uint16_t flags);
/* type: CTA_TUPLE_ORIG or CTA_TUPLE_REPLY */
void fl_kernel_nat_put_tuple(struct nlmsghdr *message, uint16_t type, uint8_t proto,
			     const struct fl_ip *src, uint16_t sport, const struct fl_ip *dst,
			     uint16_t dport);
/* Send it, and give each answer to `on` (NULL: there are none). 0 or -errno. */
int fl_kernel_nat_ask(struct fl_kernel_nat *nat, const struct nlmsghdr *message, mnl_cb_t on,
		      void *arg);
