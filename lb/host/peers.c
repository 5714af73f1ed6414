/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Map fl_peers: from whom the datapath takes encapsulated packets. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/host/internal.h"

struct peer_pair {
	struct fl_addr addr;
	uint32_t one;
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct fl_addr));
}

int fl_host_set_peers(struct fl_host *host, const struct fl_ip *ips, size_t n, struct fl_err *err)
{
	_cleanup_free_ struct peer_pair *pairs = calloc(n + 1, sizeof(*pairs));
	size_t kept = 0, writes = 0;
	int r;

	if (!pairs)
		return fl_err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++) {
		memcpy(&pairs[i].addr, &ips[i], sizeof(ips[i]));
		pairs[i].one = 1;
	}
	qsort(pairs, n, sizeof(*pairs), compare);
	for (size_t i = 0; i < n; i++)
		if (!kept || compare(&pairs[kept - 1], &pairs[i]))
			pairs[kept++] = pairs[i];
	r = fl_map_mirror_apply(host->peers, pairs, kept, &writes, err);
	/* the datapath remembers for as long as next hops who was one */
	if (writes)
		fl_host_forget_next_hops(host);
	return r;
}
