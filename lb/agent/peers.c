/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Addresses of nodes, from where they are known, to the datapath. */
#include "lb/agent/peers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

int fl_peers_set(struct fl_host *host, const struct fl_settings *settings, struct fl_store *store,
		 struct fl_err *err)
{
	const struct fl_strings *texts = &settings->node_addresses;
	_cleanup_free_ struct fl_ip *ips = NULL;
	const struct fl_ip *nodes;
	size_t n, n_nodes;

	if (fl_store_node_addresses(store, &nodes, &n_nodes))
		return fl_err_set(err, -ENOMEM, "out of memory");
	n = n_nodes;
	ips = calloc(n_nodes + texts->n + 1, sizeof(*ips));
	if (!ips)
		return fl_err_set(err, -ENOMEM, "out of memory");
	if (n_nodes)
		memcpy(ips, nodes, n_nodes * sizeof(*ips));
	/* fl_settings_check() has found all of them good */
	for (size_t i = 0; i < texts->n; i++)
		n += !fl_ip_parse(texts->items[i], &ips[n]);
	return fl_host_set_peers(host, ips, n, err);
}
