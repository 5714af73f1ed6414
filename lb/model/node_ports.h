/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * On which of this node's addresses node ports are served: the nodePortAddresses setting applied to
 * the addresses the machine has now (rules 2.9 to 2.18). Pure; to be asked again when addresses
 * change.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/err.h"
#include "lb/base/ip.h"
#include "lb/model/object.h"

struct fl_node_ports_input {
	/* CIDRs of both families and the keywords "all", "primary", "localhost"; none = all */
	const char *const *addresses;
	size_t n_addresses;
	const struct fl_ip *node_ips; /* for "primary": at most one per family, see fl_node_ips() */
	size_t n_node_ips;
	const struct fl_ip *local; /* every address assigned to an interface, in any order */
	size_t n_local;
};

struct fl_node_ports {
	/* every local address of the family but loopback; new ones too, without asking again */
	bool match_all[FL_FAMILIES];
	/* otherwise these, sorted, without duplicates and without loopback; none when the setting
	 * matches no address of the machine (rule 2.14: then no node port works) */
	struct fl_ip *accepted[FL_FAMILIES];
	size_t n_accepted[FL_FAMILIES];
	/* the CIDRs of the family cover a loopback address (rule 2.16: localhost node ports exist
	 * for IPv4 only) */
	bool ipv4_loopback;
	/* loopback addresses were left out of a set that names them: worth a word to the user */
	bool dropped_loopback[FL_FAMILIES];
};

/* 0, -EINVAL (an entry is neither a CIDR nor a keyword) or -ENOMEM. The result is the caller's, to
 * be fini'd. */
int fl_node_ports_init(const struct fl_node_ports_input *input,
		       struct fl_node_ports *ret_node_ports, struct fl_err *err);
/* 0, or -ENOMEM: the copy is empty. */
int fl_node_ports_copy(const struct fl_node_ports *node_ports, struct fl_node_ports *ret_copy);
void fl_node_ports_fini(struct fl_node_ports *node_ports);

/* Whether the same addresses accept node ports. */
bool fl_node_ports_equal(const struct fl_node_ports *a, const struct fl_node_ports *b);

/* Whether node ports are served on `ip`, which must be an address of this machine; never on
 * loopback. */
bool fl_node_ports_accept(const struct fl_node_ports *node_ports, const struct fl_ip *ip);

/*
 * The node's own addresses, at most one per family (rule 9.6: the bind address, else the Node
 * object): `bind_address` for its family if it
 * is a specific address, else the first of the Node. Either may be NULL. Returns how many were
 * written.
 */
size_t fl_node_ips(const struct fl_node *node, const struct fl_ip *bind_address,
		   struct fl_ip ret_ips[static FL_FAMILIES]);
