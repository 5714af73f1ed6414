/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What this node would program, as the JSON of `fairlead plan -o json` (kind Plan). */
#pragma once

#include "lb/base/json_write.h"
#include "lb/model/plan.h"
#include "lb/model/store.h"

/*
 * Plan every Service of the store and write the whole document: Services by namespace and name,
 * their ports in the order of the Service, IPv4 before IPv6. 0 or -ENOMEM; a failure of the writer
 * shows in fl_json_text().
 */
int fl_plan_json(struct fl_json *json, const struct fl_store *store,
		 const struct fl_plan_options *options);

/* The same as text, which is the caller's to free. 0 or -ENOMEM. */
int fl_plan_json_text(const struct fl_store *store, const struct fl_plan_options *options,
		      bool pretty, char **ret_text);
