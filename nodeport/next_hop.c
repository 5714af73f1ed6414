/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Next hops: which look-ups the datapath may rely on. */
#include "nodeport/next_hop.h"

void fl_next_hops_forget(struct fl_meta *meta)
{
	__u64 word = __atomic_load_n(&meta->next_hops, __ATOMIC_RELAXED), next;

	do {
		next = fl_hops_word(fl_hops_next(fl_hops_generation(word)), (uint32_t)(word >> 32));
	} while (!__atomic_compare_exchange_n(&meta->next_hops, &word, next, false,
					      __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
}

void fl_next_hops_keep(struct fl_meta *meta, uint32_t until)
{
	__u64 word = __atomic_load_n(&meta->next_hops, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(&meta->next_hops, &word,
					    fl_hops_word(fl_hops_generation(word), until), false,
					    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		;
}
