// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Batches of writes, and how they are taken back. After each element its table says what the map
 * has; a write keeps the record that was there before, with all that it refers to, until the batch
 * is reset.
 */
#include <string.h>

#include "lb/sync/stride.h"
#include "lb/sync/writes.h"

#define CHUNK 4096 /* elements in flight: bounds memory, and one batch is one system call */

void fl_batch_init(struct fl_batch *batch, struct fl_kernel *kernel,
		   struct fl_table *const tables[FL_SYNC_HASHES])
{
	*batch = (struct fl_batch){.kernel = kernel};
	for (int map = 0; map < FL_SYNC_HASHES; map++)
		batch->writes[map].table = tables[map];
}

static void writes_fini(struct fl_writes *writes)
{
	free(writes->item);
	free(writes->keys);
	free(writes->values);
	free(writes->records);
}

void fl_batch_fini(struct fl_batch *batch)
{
	fl_batch_reset(batch);
	for (int map = 0; map < FL_SYNC_HASHES; map++)
		writes_fini(&batch->writes[map]);
}

/* Adding */

static void *new_record(const struct fl_writes *writes, uint32_t i)
{
	return writes->records + 2ULL * i * writes->table->desc->record_size;
}

static void *old_record(const struct fl_writes *writes, uint32_t i)
{
	return writes->records + (2ULL * i + 1) * writes->table->desc->record_size;
}

static int reserve(struct fl_writes *writes)
{
	const struct fl_table *table = writes->table;
	const uint64_t need = writes->n + 1ULL;
	int rc = FL_ARRAY_ROOM(writes->item, writes->cap_item, need);

	if (!rc)
		rc = fl_stride_room(&writes->keys, &writes->cap_key, need, table->map->key_size);
	if (rc || writes->removals)
		return rc;
	rc = fl_stride_room(&writes->values, &writes->cap_value, need, table->map->value_size);
	if (!rc)
		rc = fl_stride_room(&writes->records, &writes->cap_record, need,
				    2 * table->desc->record_size);
	return rc;
}

/* `record` NULL: a removal. */
static int add(struct fl_writes *writes, uint32_t element, struct fl_change *change,
	       const void *record)
{
	const struct fl_sync_map_desc *map = writes->table->map;
	const uint32_t i = writes->n;
	int rc = reserve(writes);

	if (rc)
		return rc;
	writes->item[i] = (struct fl_write){.element = element, .change = change};
	memcpy(writes->keys + (size_t)i * map->key_size, fl_table_key(writes->table, element),
	       map->key_size);
	if (record) {
		memcpy(writes->values + (size_t)i * map->value_size, record, map->value_size);
		memcpy(new_record(writes, i), record, writes->table->desc->record_size);
	}
	if (change && (!i || writes->item[i - 1].change != change))
		change->first[writes->table->desc->map] = i;
	writes->n++;
	return 0;
}

int fl_batch_add(struct fl_batch *batch, enum fl_sync_map map, uint32_t element,
		 struct fl_change *change)
{
	struct fl_writes *writes = &batch->writes[map];
	struct fl_table *table = writes->table;
	_Alignas(8) unsigned char record[FL_RECORD_MAX];

	if (!table->desc->wants(table, element, record) || fl_table_has(table, element, record))
		return 0;
	return add(writes, element, change, record);
}

/* Taking back */

static int kernel_update(struct fl_kernel *kernel, enum fl_sync_map map, const void *keys,
			 const void *values, uint32_t *count)
{
	int rc = kernel->ops->update(kernel->ctx, map, keys, values, count);

	kernel->writes += *count;
	return rc;
}

static int kernel_remove(struct fl_kernel *kernel, enum fl_sync_map map, const void *keys,
			 uint32_t *count)
{
	int rc = kernel->ops->remove(kernel->ctx, map, keys, count);

	kernel->writes += *count;
	return rc;
}

static void undo_write(struct fl_kernel *kernel, struct fl_writes *writes, uint32_t i)
{
	const struct fl_write *write = &writes->item[i];
	struct fl_table *table = writes->table;
	const void *key = fl_table_key(table, write->element);
	uint32_t one = 1;
	int rc;

	if (write->was_present) {
		rc = kernel_update(kernel, table->desc->map, key, old_record(writes, i), &one);
		if (!rc)
			fl_table_written(table, write->element, old_record(writes, i));
	} else {
		rc = kernel_remove(kernel, table->desc->map, key, &one);
		if (!rc)
			fl_table_removed(table, write->element);
	}
	if (rc)
		fl_table_mark(table, write->element);
}

void fl_batch_undo(struct fl_batch *batch, struct fl_change *change)
{
	change->undone = true;
	/* the maps in the other order than they are written in */
	for (int map = FL_SYNC_HASHES; map--;) {
		struct fl_writes *writes = &batch->writes[map];

		for (uint32_t i = change->first[map];
		     i < writes->n && writes->item[i].change == change; i++)
			if (writes->item[i].done)
				undo_write(batch->kernel, writes, i);
	}
}

/* Writing */

static void write_done(struct fl_writes *writes, uint32_t i)
{
	struct fl_write *write = &writes->item[i];
	struct fl_table *table = writes->table;
	const struct fl_element *element = fl_table_at(table, write->element);

	write->done = true;
	if (write->change)
		write->change->n_done++;
	write->was_present = element->present;
	if (element->present) {
		memcpy(old_record(writes, i), fl_table_record(table, write->element),
		       table->desc->record_size);
		if (table->desc->hold)
			table->desc->hold(table, old_record(writes, i));
	}
	fl_table_written(table, write->element, new_record(writes, i));
}

static void refused(struct fl_batch *batch, struct fl_writes *writes, uint32_t i, int rc)
{
	struct fl_change *change = writes->item[i].change;

	if (change)
		fl_batch_undo(batch, change);
	else
		fl_table_mark(writes->table, writes->item[i].element);
	batch->refused(batch, change, writes->table, rc);
}

static int run(struct fl_kernel *kernel, struct fl_writes *writes, uint32_t *count)
{
	const struct fl_sync_map_desc *map = writes->table->map;
	const enum fl_sync_map id = writes->table->desc->map;
	const unsigned char *keys = writes->keys + (size_t)writes->n_done * map->key_size;

	return writes->removals
		       ? kernel_remove(kernel, id, keys, count)
		       : kernel_update(kernel, id, keys,
				       writes->values + (size_t)writes->n_done * map->value_size,
				       count);
}

/* How many of the next ones can be written at once: up to those of a change that is undone. */
static uint32_t next_count(const struct fl_writes *writes)
{
	uint32_t at = writes->n_done;

	while (at < writes->n && !(writes->item[at].change && writes->item[at].change->undone))
		at++;
	return at - writes->n_done;
}

static void run_all(struct fl_batch *batch, struct fl_writes *writes)
{
	while (writes->n_done < writes->n) {
		const uint32_t at = writes->n_done;
		uint32_t count = next_count(writes);
		const uint32_t end = at + count;
		int rc;

		if (!count) {
			writes->n_done++;
			continue;
		}
		rc = run(batch->kernel, writes, &count);
		for (uint32_t i = at; i < at + count; i++) {
			if (writes->removals) {
				fl_table_removed(writes->table, writes->item[i].element);
				fl_table_gc(writes->table, writes->item[i].element);
			} else {
				write_done(writes, i);
			}
		}
		writes->n_done += count;
		if (rc && writes->n_done < end) {
			refused(batch, writes, writes->n_done, rc);
			writes->n_done++;
		}
	}
}

void fl_batch_write(struct fl_batch *batch, enum fl_sync_map map)
{
	run_all(batch, &batch->writes[map]);
}

static void reset(struct fl_writes *writes)
{
	const struct fl_table_desc *desc = writes->table->desc;

	for (uint32_t i = 0; i < writes->n && desc->release; i++)
		if (writes->item[i].done && writes->item[i].was_present)
			desc->release(writes->table, old_record(writes, i));
	writes->n = writes->n_done = 0;
}

void fl_batch_reset(struct fl_batch *batch)
{
	for (int map = 0; map < FL_SYNC_HASHES; map++)
		reset(&batch->writes[map]);
}

/* Dirty elements */

/* Returns whether the element stays dirty. `removals` has the same table. */
static bool update(struct fl_batch *batch, struct fl_writes *removals, uint32_t e, unsigned parts,
		   int *rc)
{
	struct fl_writes *writes = &batch->writes[removals->table->desc->map];
	struct fl_table *table = removals->table;
	const struct fl_element *element = fl_table_at(table, e);
	_Alignas(8) unsigned char record[FL_RECORD_MAX];

	if (table->desc->wants(table, e, record)) {
		if (fl_table_has(table, e, record))
			return false;
		if (!(parts & FL_BATCH_PUT))
			return true;
		*rc = add(writes, e, NULL, record);
		return *rc;
	}
	if (!element->present)
		return false;
	if (!(parts & FL_BATCH_REMOVE))
		return true;
	*rc = add(removals, e, NULL, NULL);
	return *rc;
}

int fl_batch_update(struct fl_batch *batch, enum fl_sync_map map, unsigned parts)
{
	struct fl_writes *writes = &batch->writes[map];
	struct fl_table *table = writes->table;
	struct fl_writes removals = {.table = table, .removals = true};
	const uint32_t n = table->n_dirty;
	int rc = 0;

	/* what stays dirty or is refused goes back into the list, behind the place we read */
	table->n_dirty = 0;
	for (uint32_t i = 0; i < n; i++) {
		const uint32_t e = table->dirty[i];

		((struct fl_element *)fl_table_at(table, e))->dirty = false;
		if (update(batch, &removals, e, parts, &rc))
			fl_table_mark(table, e);
		else
			fl_table_gc(table, e);
		if (writes->n >= CHUNK || i + 1 == n) {
			run_all(batch, writes);
			reset(writes);
		}
		if (removals.n >= CHUNK || i + 1 == n) {
			run_all(batch, &removals);
			reset(&removals);
		}
	}
	writes_fini(&removals);
	return rc;
}
