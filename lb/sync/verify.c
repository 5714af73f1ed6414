// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether the maps hold what they should, element by element and table by table. To verify is to
 * read only; but what is found makes elements dirty, and fl_sync_retry() repairs it.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/sync/internal.h"

#define TABLES_PER_CALL 256

struct verify {
	struct fl_sync *sync;
	void (*fn)(const char *difference, void *arg);
	void *arg;
	/* the map that is being read, and which of its elements were seen */
	struct fl_table *table;
	bool *seen;
	uint32_t n_seen;
	int n;
};

__attribute__((format(printf, 2, 3))) static void differ(struct verify *verify, const char *fmt,
							 ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	verify->n++;
	if (verify->fn)
		verify->fn(text, verify->arg);
}

/* Hash maps */

static void element_differs(struct verify *verify, uint32_t e, const char *how)
{
	struct fl_table *table = verify->table;
	char text[FL_ELEMENT_TEXT];

	differ(verify, "%s: %s %s", table->map->name,
	       table->desc->text(fl_table_key(table, e), text), how);
	fl_table_mark(table, e);
}

static int read_element(const void *key, const void *value, void *arg)
{
	struct verify *verify = arg;
	struct fl_table *table = verify->table;
	uint32_t e = fl_table_find(table, key);
	const char *how = NULL;
	int rc;

	if (e == FL_INDEX_NONE || !((struct fl_element *)fl_table_at(table, e))->present)
		how = "is there but not wanted";
	else if (memcmp(fl_table_record(table, e), value, table->map->value_size))
		how = "differs";
	if (how) {
		rc = fl_table_found(table, key, value, &e);
		if (rc)
			return rc;
		element_differs(verify, e, how);
	}
	if (e < verify->n_seen)
		verify->seen[e] = true;
	return 0;
}

static void check_wanted(struct verify *verify, uint32_t e)
{
	struct fl_table *table = verify->table;
	const struct fl_element *element = fl_table_at(table, e);
	_Alignas(8) unsigned char record[FL_RECORD_MAX];

	if (!element->used || element->dirty || !table->desc->wants(table, e, record) ||
	    fl_table_has(table, e, record))
		return;
	element_differs(verify, e, "is not up to date");
}

static int verify_table(struct verify *verify, struct fl_table *table)
{
	const struct fl_kernel *kernel = &verify->sync->kernel;
	_cleanup_free_ bool *seen = calloc(table->n + 1ULL, sizeof(*seen));
	int rc;

	if (!seen)
		return -ENOMEM;
	verify->table = table;
	verify->seen = seen;
	verify->n_seen = table->n;
	rc = kernel->ops->dump(kernel->ctx, table->desc->map, read_element, verify);
	for (uint32_t e = 0; e < verify->n_seen && !rc; e++) {
		if (!((struct fl_element *)fl_table_at(table, e))->present || seen[e])
			continue;
		element_differs(verify, e, "is missing");
		fl_table_removed(table, e);
	}
	for (uint32_t e = 0; e < table->n && !rc; e++)
		check_wanted(verify, e);
	return rc;
}

/* Mapped memory */

static void corrupt(struct verify *verify, const char *what, uint32_t number)
{
	differ(verify, "%s %u differs", what, number);
	verify->sync->corrupt = true;
}

/* All ids, and the tables of some sets: rebuilding a table is expensive, so the next call continues
 * with the next ones. */
static void verify_sets(struct verify *verify)
{
	struct fl_sets *sets = &verify->sync->contents.sets;
	uint32_t *at = &verify->sync->verified;
	const uint32_t n = sets->n;

	for (uint32_t s = 1; s <= n; s++)
		if (sets->all[s].refs && !fl_set_ids_intact(sets, s))
			corrupt(verify, "lines: the set at line", sets->all[s].slab);
	for (uint32_t k = 0; k < n && k < TABLES_PER_CALL; k++) {
		const uint32_t s = *at = *at % n + 1;

		if (sets->all[s].refs && fl_set_ids_intact(sets, s) && !fl_set_intact(sets, s))
			corrupt(verify, "lines: the table of the set at line", sets->all[s].slab);
	}
}

int fl_sync_verify(struct fl_sync *sync, void (*fn)(const char *difference, void *arg), void *arg)
{
	struct verify verify = {.sync = sync, .fn = fn, .arg = arg};
	const struct fl_backends *backends = &sync->contents.backends;
	int rc = 0;

	for (int map = 0; map < FL_SYNC_HASHES && !rc; map++)
		rc = verify_table(&verify, fl_contents_table(&sync->contents, map));
	if (rc)
		return rc;
	for (uint32_t id = 1; id < backends->fresh; id++)
		if (!fl_backend_intact(backends, id))
			corrupt(&verify, "backends: record", id);
	verify_sets(&verify);
	return verify.n;
}

static void repair_sets(struct fl_contents *contents, const struct fl_state *state)
{
	for (int list = 0; state && list < FL_LISTS; list++) {
		const uint32_t s = state->set[list];
		struct fl_state_list found;

		if (s && !fl_set_intact(&contents->sets, s) &&
		    !fl_state_list(contents, state, list, &found))
			fl_set_repair(&contents->sets, s, contents->sets.scratch, found.n);
	}
}

void fl_sync_repair(struct fl_sync *sync)
{
	struct fl_backends *backends = &sync->contents.backends;

	if (!sync->corrupt)
		return;
	sync->corrupt = false;
	for (uint32_t id = 1; id < backends->fresh; id++)
		if (!fl_backend_intact(backends, id))
			fl_backend_write(backends, id);
	for (uint32_t i = 0; i < sync->services.n; i++)
		for (const struct fl_sync_service_port *port = sync->services.all[i]->ports; port;
		     port = port->next)
			repair_sets(&sync->contents, port->cur);
}
