/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Contents of fl_members and fl_ranges, whose elements are there or not: one is in the map while a
 * state that is in force, or is being put in force, is linked to it.
 */
#pragma once

#include "lb/sync/table.h"

/* First member of the elements of these maps. */
struct fl_counted {
	struct fl_element head;
	uint32_t links;
};

extern const struct fl_table_desc fl_members_desc, fl_ranges_desc;

void fl_counted_link(struct fl_table *table, const uint32_t *elements, uint32_t n);
/* What no state is linked to any more becomes dirty. */
void fl_counted_unlink(struct fl_table *table, const uint32_t *elements, uint32_t n);
