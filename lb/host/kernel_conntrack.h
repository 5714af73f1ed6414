/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rule 9.5: settings of the kernel's own connection tracking, as kube-proxy makes them for a node:
 * room for the connections of many pods, and timeouts. Fairlead's flows do not need them; what else
 * the node translates or filters does. Room is only ever added. What cannot be written is a
 * condition and no failure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "lb/base/health.h"

#define FL_KERNEL_CONNTRACK_SYSCTLS "/proc/sys/net"

/* Zero: left as it is. */
struct fl_kernel_conntrack_wants {
	uint32_t max_per_core, min; /* connections: the larger of the two counts for the node */
	uint32_t tcp_established_s, tcp_close_wait_s, udp_s, udp_stream_s;
	bool tcp_be_liberal;
};

struct fl_kernel_conntrack {
	const char *sysctls; /* where net/ of the sysctls is; borrowed */
	struct fl_kernel_conntrack_wants wants;
	unsigned int n_cpus;
	struct fl_health *health; /* borrowed */
	bool done;		  /* nothing is left to set */
};

/* Set what differs, once: to be called again until it is done. That the kernel does not track
 * connections (yet) is nothing to report. */
void fl_kernel_conntrack_apply(struct fl_kernel_conntrack *conntrack);
