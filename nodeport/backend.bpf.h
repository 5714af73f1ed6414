/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Choosing the backend of a new flow: by session affinity, else by the frontend's Maglev table. */
#pragma once

#include "nodeport/decision.bpf.h"

/*
 * The id of the backend that this client had lately (5.5: all its flows to one service port go to
 * one backend), or one that its record is to name: the hash of this flow chooses it, so that a
 * client whose record has expired may get another (5.5.2). 0: none. Global, so that its keys take
 * no stack from flows without affinity.
 */
__u32 fl_new_sticky(const struct fl_packet *p, __u64 service, __u64 side, bool v6, __u32 now);
int fl_new_sticky_keep(const struct fl_packet *p, __u32 service, __u32 backend);

/* service: id, and the affinity's timeout above it; side: of the frontend. */
__noinline __u32 fl_new_sticky(const struct fl_packet *p, __u64 service, __u64 side, bool v6,
			       __u32 now)
{
	struct fl_frontend_packed fe = {.service_id = (__u32)service,
					.affinity_timeout = service >> 32,
					.flags = FL_AFFINITY};
	struct fl_list list = fl_packed_list(side, fe.service_id);
	struct fl_choice choice = {.by_table = true};
	struct fl_affinity_key client = {};

	if (!p)
		return 0;
	client.client = p->tuple.saddr;
	client.service_id = fe.service_id;
	choice.hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.maglev_seed);
	return fl_list_pick_for(&client, &fe, &list, &choice, now);
}

/* And write that record. */
__noinline int fl_new_sticky_keep(const struct fl_packet *p, __u32 service, __u32 backend)
{
	struct fl_affinity_key client = {.service_id = service};

	if (!p)
		return 0;
	client.client = p->tuple.saddr;
	fl_affinity_keep(&client, backend, fl_now());
	return 0;
}

/* A backend of the list; its id in *ret_id. NULL: none. */
static __always_inline struct fl_backend *fl_new_backend(bool v6, const struct fl_packet *p,
							 const struct fl_frontend_packed *fe,
							 enum fl_side side, __u32 now,
							 __u32 *ret_id)
{
	struct fl_list list = fl_frontend_list(fe, side);
	struct fl_backend *backend;

	if (fe->flags & FL_AFFINITY)
		*ret_id = fl_new_sticky(p, fl_pair(fe->service_id, fe->affinity_timeout),
					fl_frontend_side(fe, side), v6, now);
	else
		*ret_id = fl_list_choose(
			&list, fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.maglev_seed));
	backend = fl_backend_get(*ret_id);
	return *ret_id && backend && backend->generation ? backend : NULL;
}
