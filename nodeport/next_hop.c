/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Forgetting next hops. */
#include "nodeport/next_hop.h"

void fl_next_hops_forget(struct fl_meta *meta, struct fl_next_hop *hops, size_t n_hops)
{
	/* the epoch first: a program that is storing a hop looks at the epoch again afterwards */
	__atomic_add_fetch(&meta->next_hop_epoch, 1, __ATOMIC_SEQ_CST);
	for (size_t i = 0; i < n_hops; i++)
		__atomic_store_n(&hops[i].epoch, 0, __ATOMIC_SEQ_CST);
}
