// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Members and ranges: wanted as long as a state is linked to them. */
#include <string.h>

#include "lb/sync/counted.h"

struct fl_member_element {
	struct fl_counted counted;
	struct fl_member_key key;
	uint32_t value;
};

struct fl_range_element {
	struct fl_counted counted;
	struct fl_range_key key;
	uint32_t value;
};

static bool counted_wants(const struct fl_table *table, uint32_t e, void *ret_record)
{
	static const uint32_t there = 1;

	memcpy(ret_record, &there, sizeof(there));
	return ((struct fl_counted *)fl_table_at(table, e))->links;
}

static const char *counted_text(const void *key, char buf[static FL_ELEMENT_TEXT])
{
	return "an element";
}

#define DESC(id, type)                                                                             \
	{                                                                                          \
		.map = (id), .size = sizeof(type), .key_at = offsetof(type, key),                  \
		.record_at = offsetof(type, value), .record_size = sizeof(uint32_t),               \
		.wants = counted_wants, .text = counted_text,                                      \
	}

const struct fl_table_desc fl_members_desc = DESC(FL_SYNC_MEMBERS, struct fl_member_element);
const struct fl_table_desc fl_ranges_desc = DESC(FL_SYNC_RANGES, struct fl_range_element);

void fl_counted_link(struct fl_table *table, const uint32_t *elements, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct fl_counted *counted = fl_table_at(table, elements[i]);

		counted->links++;
	}
}

void fl_counted_unlink(struct fl_table *table, const uint32_t *elements, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		struct fl_counted *counted = fl_table_at(table, elements[i]);

		if (!--counted->links && counted->head.present)
			fl_table_mark(table, elements[i]);
	}
}
