/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Choosing the backend of a new flow: by session affinity, else by the frontend's Maglev table. */
#pragma once

#include "nodeport/decision.bpf.h"

/*
 * The id of the backend that this client had lately, or that it gets by its address alone (5.5: all
 * flows of one address to one service port go to one backend). 0: none. Global, so that its keys
 * take no stack from flows without affinity.
 */
__u32 fl_new_sticky(const struct fl_addr *addr, const struct fl_frontend *fe, enum fl_side side,
		    bool v6, __u32 now);

__noinline __u32 fl_new_sticky(const struct fl_addr *addr, const struct fl_frontend *fe,
			       enum fl_side side, bool v6, __u32 now)
{
	struct fl_affinity_key client = {};
	struct fl_choice choice = {.by_table = true};

	if (!addr || !fe)
		return 0;
	client.client = *addr;
	client.service_id = fe->service_id;
	choice.hash = fl_hash_finish(fl_hash_addr(v6, fl_config.maglev_seed, addr));
	side = side == FL_SIDE_EXTERNAL ? FL_SIDE_EXTERNAL : FL_SIDE_INTERNAL;
	return fl_list_pick_for(&client, fe, &fe->list[side], &choice, now);
}

/* A backend of the list; its id in *ret_id. NULL: none. */
static __always_inline struct fl_backend *fl_new_backend(bool v6, const struct fl_packet *p,
							 const struct fl_frontend *fe,
							 enum fl_side side, __u32 now,
							 __u32 *ret_id)
{
	struct fl_backend *backend;

	if (fe->flags & FL_AFFINITY)
		*ret_id = fl_new_sticky(&p->tuple.saddr, fe, side, v6, now);
	else
		*ret_id = fl_list_choose(&fe->list[side], fl_hash_tuple(v6, &p->tuple, p->proto,
									fl_config.maglev_seed));
	backend = fl_backend_get(*ret_id);
	return *ret_id && backend && backend->generation ? backend : NULL;
}
