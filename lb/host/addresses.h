/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The pairs of map fl_local: every address of this node, and on which of them node ports are
 * served. Pure. */
#pragma once

#include "bpf/abi/fairlead.h"
#include "lb/model/node_ports.h"
#include "lb/host/network.h"

struct fl_local_pair {
	struct fl_addr addr;
	uint32_t flags; /* enum fl_local_flags */
};

/*
 * One pair per address that is not loopback, without duplicates; allocated. `node_ports` says where
 * node ports are served. 0 or -ENOMEM.
 */
int fl_local_pairs(const struct fl_network *network, const struct fl_node_ports *node_ports,
		   struct fl_local_pair **ret_pairs, size_t *ret_n);

/* The addresses alone, as struct fl_node_ports_input wants them; allocated. */
int fl_local_ips(const struct fl_network *network, struct fl_ip **ret_ips, size_t *ret_n);
