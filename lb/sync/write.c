// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Batches of writes, and how they are undone. After each element the mirrors say what the map
 * holds; a frontend that is written holds on to the sets it named before until the batch is
 * emptied.
 */
#include <string.h>

#include "lb/sync/write.h"

void fl_writes_fini(struct fl_writes *writes)
{
	free(writes->item);
	free(writes->keys);
	free(writes->values);
	*writes = (struct fl_writes){.map = writes->map};
}

void fl_apply_fini(struct fl_apply *apply)
{
	fl_writes_fini(&apply->frontends);
	fl_writes_fini(&apply->members);
	fl_writes_fini(&apply->ranges);
}

int fl_writes_add(struct fl_writes *writes, uint32_t element, struct fl_port *port, const void *key,
		  const void *value, struct fl_write **ret_write)
{
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[writes->map];
	const uint64_t need = writes->n + 1ULL;
	int rc = fl_grow(&writes->item, &writes->cap_item, need, sizeof(*writes->item));

	if (!rc)
		rc = fl_grow(&writes->keys, &writes->cap_key, need, desc->key_size);
	if (!rc && value)
		rc = fl_grow(&writes->values, &writes->cap_value, need, desc->value_size);
	if (rc)
		return rc;
	writes->item[writes->n] = (struct fl_write){.element = element, .port = port};
	memcpy(writes->keys + (size_t)writes->n * desc->key_size, key, desc->key_size);
	if (value)
		memcpy(writes->values + (size_t)writes->n * desc->value_size, value,
		       desc->value_size);
	if (ret_write)
		*ret_write = &writes->item[writes->n];
	writes->n++;
	return 0;
}

void fl_apply_failure(struct fl_apply *apply, int rc, const struct fl_port *port, const char *what)
{
	const bool full = rc == -E2BIG || rc == -ENOSPC;
	const char *why = full ? "full" : strerror(-rc);

	if (apply->rc)
		return;
	apply->rc = full ? -ENOSPC : rc;
	if (port)
		fl_err_set(apply->err, apply->rc, "%s/%s port \"%s\": map %s: %s", port->pub.ns,
			   port->pub.name, port->pub.port_name, what, why);
	else
		fl_err_set(apply->err, apply->rc, "map %s: %s", what, why);
}

static int map_update(struct fl_sync *sync, enum fl_sync_map map, const void *keys,
		      const void *values, uint32_t *count)
{
	int rc = sync->ops->update(sync->ctx, map, keys, values, count);

	sync->map_writes += *count;
	return rc;
}

static int map_remove(struct fl_sync *sync, enum fl_sync_map map, const void *keys, uint32_t *count)
{
	int rc = sync->ops->remove(sync->ctx, map, keys, count);

	sync->map_writes += *count;
	return rc;
}

static struct fl_mirror *mirror_of(struct fl_sync *sync, enum fl_sync_map map)
{
	return map == FL_SYNC_MEMBERS ? &sync->members : &sync->ranges;
}

/* ---- undoing ----------------------------------------------------------------------------------
 */

static void undo_frontend(struct fl_sync *sync, const struct fl_write *write)
{
	struct fl_front *front = &sync->fronts.all[write->element];
	uint32_t one = 1;

	if (write->was_present) {
		if (map_update(sync, FL_SYNC_FRONTENDS, &front->key, &write->old, &one))
			return;
		fl_front_written(sync, write->element, &write->old, write->old_set);
		front->adopted = write->was_adopted;
	} else if (!map_remove(sync, FL_SYNC_FRONTENDS, &front->key, &one)) {
		fl_front_removed(sync, write->element);
	}
}

/* Only what this batch added: other elements may belong to what is still in force. */
static void undo_elements(struct fl_apply *apply, const struct fl_writes *writes,
			  const struct fl_port *port)
{
	struct fl_writes removals = {.map = writes->map};

	for (uint32_t i = 0; i < writes->n_done; i++) {
		const struct fl_write *write = &writes->item[i];

		if (write->port == port && write->done &&
		    fl_writes_add(
			    &removals, write->element, NULL,
			    fl_mirror_key(mirror_of(apply->sync, writes->map), write->element),
			    NULL, NULL))
			apply->sync->stale = true;
	}
	fl_writes_remove(apply, &removals);
	fl_writes_fini(&removals);
}

void fl_apply_undo(struct fl_apply *apply, struct fl_port *port, int rc, const char *what)
{
	struct fl_sync *sync = apply->sync;

	port->undone = true;
	fl_apply_failure(apply, rc, port, what);
	/* its writes are the last ones done */
	for (uint32_t i = apply->frontends.n_done; i--;) {
		const struct fl_write *write = &apply->frontends.item[i];

		if (write->port != port)
			break;
		if (write->done)
			undo_frontend(sync, write);
	}
	/* this makes the frontends dirty: if one could not be put back, it is tried again at the
	 * end */
	fl_claims_unlink(sync, port->want);
	undo_elements(apply, &apply->members, port);
	undo_elements(apply, &apply->ranges, port);
	fl_port_failed(sync, port, true);
}

void fl_apply_withdraw(struct fl_apply *apply, struct fl_mirror *mirror, const uint32_t *elements,
		       uint32_t n)
{
	struct fl_writes removals = {.map = mirror->map};
	struct fl_sync *sync = apply->sync;

	for (uint32_t i = 0; i < n; i++) {
		if (!mirror->all[elements[i]].present || mirror->all[elements[i]].wanted > 1)
			continue;
		/* after a restart more may be in force than was planned so far: left to the sweep
		 */
		if (!sync->settled || fl_writes_add(&removals, elements[i], NULL,
						    fl_mirror_key(mirror, elements[i]), NULL, NULL))
			sync->stale = true;
	}
	fl_writes_remove(apply, &removals);
	fl_writes_fini(&removals);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static void write_done(struct fl_sync *sync, struct fl_writes *writes, uint32_t i)
{
	struct fl_write *write = &writes->item[i];
	struct fl_frontend value;
	struct fl_front *front;

	write->done = true;
	if (writes->map != FL_SYNC_FRONTENDS) {
		fl_mirror_set(mirror_of(sync, writes->map), write->element, true);
		return;
	}
	front = &sync->fronts.all[write->element];
	write->old = front->value;
	write->was_present = front->present;
	write->was_adopted = front->adopted;
	for (int side = 0; side < FL_SIDES; side++) {
		write->old_set[side] = front->set[side];
		fl_set_ref(sync, front->set[side]);
	}
	memcpy(&value, writes->values + (size_t)i * sizeof(value), sizeof(value));
	fl_front_written(sync, write->element, &value, write->set);
}

static void remove_done(struct fl_sync *sync, const struct fl_writes *writes, uint32_t i)
{
	const uint32_t element = writes->item[i].element;

	if (writes->map != FL_SYNC_FRONTENDS) {
		fl_mirror_set(mirror_of(sync, writes->map), element, false);
		return;
	}
	fl_front_removed(sync, element);
	fl_front_gc(sync, element);
}

static void refused(struct fl_apply *apply, enum fl_sync_map map, const struct fl_write *write,
		    int rc)
{
	const char *name = fl_sync_map_descs[map].name;

	if (write->port) {
		fl_apply_undo(apply, write->port, rc, name);
		return;
	}
	fl_apply_failure(apply, rc, NULL, name);
	if (map == FL_SYNC_FRONTENDS)
		fl_front_dirty(apply->sync, write->element);
	apply->sync->stale = true;
}

void fl_writes_run(struct fl_apply *apply, struct fl_writes *writes)
{
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[writes->map];
	struct fl_sync *sync = apply->sync;

	while (writes->n_done < writes->n) {
		const uint32_t at = writes->n_done;
		uint32_t count = writes->n - at;
		int rc;

		if (writes->item[at].port && writes->item[at].port->undone) {
			writes->n_done++;
			continue;
		}
		rc = map_update(sync, writes->map, writes->keys + (size_t)at * desc->key_size,
				writes->values + (size_t)at * desc->value_size, &count);
		for (uint32_t i = 0; i < count; i++)
			write_done(sync, writes, at + i);
		writes->n_done += count;
		if (rc && writes->n_done < writes->n) {
			refused(apply, writes->map, &writes->item[writes->n_done], rc);
			writes->n_done++;
		}
	}
}

void fl_writes_remove(struct fl_apply *apply, struct fl_writes *writes)
{
	const struct fl_sync_map_desc *desc = &fl_sync_map_descs[writes->map];
	struct fl_sync *sync = apply->sync;

	while (writes->n_done < writes->n) {
		const uint32_t at = writes->n_done;
		uint32_t count = writes->n - at;
		int rc = map_remove(sync, writes->map, writes->keys + (size_t)at * desc->key_size,
				    &count);

		for (uint32_t i = 0; i < count; i++)
			remove_done(sync, writes, at + i);
		writes->n_done += count;
		if (rc && writes->n_done < writes->n) {
			refused(apply, writes->map, &writes->item[writes->n_done], rc);
			writes->n_done++;
		}
	}
	writes->n = writes->n_done = 0;
}

void fl_writes_reset(struct fl_sync *sync, struct fl_writes *writes)
{
	for (uint32_t i = 0; i < writes->n && writes->map == FL_SYNC_FRONTENDS; i++)
		for (int side = 0; side < FL_SIDES && writes->item[i].done; side++)
			fl_set_drop(sync, writes->item[i].old_set[side]);
	writes->n = writes->n_done = 0;
}
