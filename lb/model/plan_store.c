/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Planning from what a store holds. */
#include "lb/model/plan_store.h"

struct fl_plan_options fl_plan_options_of(const struct fl_store *store)
{
	const struct fl_node *node = fl_store_node(store);

	return (struct fl_plan_options){
		.node_name = fl_store_node_name(store),
		.zone = node ? node->zone : "",
		.node_hints = true,
	};
}

int fl_plan_stored(const struct fl_store *store, const char *ns, const char *name,
		   const struct fl_plan_options *options, struct fl_plan *ret_plan)
{
	const struct fl_service *service = fl_store_service(store, ns, name);
	const struct fl_slice *const *slices;
	size_t n;

	if (!service) {
		*ret_plan = (struct fl_plan){0};
		return 0;
	}
	slices = fl_store_slices(store, ns, name, &n);
	return fl_plan_service(service, slices, n, options, ret_plan);
}
