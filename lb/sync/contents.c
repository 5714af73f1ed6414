// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The parts of the service maps' contents, made and freed together. */
#include "lb/sync/contents.h"

#define HZ_DEFAULT 250

int fl_contents_init(struct fl_contents *contents, const struct fl_maps *maps,
		     const struct fl_sync_options *options)
{
	const struct fl_sets_options sets = {
		.seed = options->maglev_seed,
		.ratio = options->maglev_ratio,
		.length = options->maglev_length,
	};
	int rc;

	contents->options = *options;
	contents->options.hz = options->hz ? options->hz : HZ_DEFAULT;
	fl_sets_init(&contents->sets, &sets, maps->lines, maps->n_lines, &contents->backends);
	fl_table_init(&contents->members, &fl_members_desc);
	fl_table_init(&contents->ranges, &fl_ranges_desc);
	fl_frontends_init(&contents->frontends, &contents->sets);
	rc = fl_formers_init(&contents->formers, maps, &contents->sets);
	return rc ? rc : fl_backends_init(&contents->backends, maps);
}

void fl_contents_fini(struct fl_contents *contents)
{
	fl_table_fini(&contents->frontends.table);
	fl_table_fini(&contents->members);
	fl_table_fini(&contents->ranges);
	fl_formers_fini(&contents->formers);
	fl_sets_fini(&contents->sets);
	fl_service_ids_fini(&contents->service_ids);
	fl_backends_fini(&contents->backends);
}

struct fl_table *fl_contents_table(struct fl_contents *contents, enum fl_sync_map map)
{
	struct fl_table *const tables[FL_SYNC_HASHES] = {
		[FL_SYNC_MEMBERS] = &contents->members,
		[FL_SYNC_RANGES] = &contents->ranges,
		[FL_SYNC_FRONTENDS] = &contents->frontends.table,
	};

	return tables[map];
}

void fl_contents_settle(struct fl_contents *contents)
{
	contents->settled = true;
	fl_backends_settle(&contents->backends, contents->n_found);
	fl_service_ids_settle(&contents->service_ids);
}

uint32_t fl_contents_used(const struct fl_contents *contents, enum fl_sync_map map)
{
	const uint32_t used[FL_SYNC_MAPS] = {
		[FL_SYNC_MEMBERS] = contents->members.present,
		[FL_SYNC_RANGES] = contents->ranges.present,
		[FL_SYNC_FRONTENDS] = contents->frontends.table.present,
		[FL_SYNC_BACKENDS] = fl_backends_used(&contents->backends),
		[FL_SYNC_LINES] = contents->sets.lines.used - 1,
	};

	return used[map];
}
