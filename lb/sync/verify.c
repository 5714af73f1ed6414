// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Whether the maps hold what they should, element by element and table by table, and how that is
 * mended. To verify is to read only; but what is found is noted in the mirrors, and fl_sync_retry()
 * mends it.
 */
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/sync/write.h"

#define TABLES_PER_CALL 256

struct verify {
	struct fl_sync *sync;
	void (*fn)(const char *difference, void *arg);
	void *arg;
	bool *seen; /* by element of the map being read */
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
	verify->sync->stale = true;
	if (verify->fn)
		verify->fn(text, verify->arg);
}

static void corrupt(struct verify *verify, const char *what, uint32_t number)
{
	differ(verify, "%s %u differs", what, number);
	verify->sync->corrupt = true;
}

static const char *front_text(const struct fl_frontend_key *key, char buf[static FL_IP_PORT_STRLEN])
{
	struct fl_ip ip;

	memcpy(ip.b, &key->addr, sizeof(ip.b));
	return fl_frontend_format(&ip, ntohs(key->port), buf);
}

static int read_frontend(const void *key, const void *value, void *arg)
{
	struct verify *verify = arg;
	struct fl_sync *sync = verify->sync;
	char buf[FL_IP_PORT_STRLEN];
	struct fl_frontend_key k;
	struct fl_front *front;
	uint32_t f;

	memcpy(&k, key, sizeof(k));
	f = fl_front_find(sync, &k);
	if (f == FL_INDEX_NONE || !sync->fronts.all[f].present) {
		int rc = fl_front_get(sync, &k, &f);

		if (rc)
			return rc;
		differ(verify, "frontends: %s/%u is there but not wanted", front_text(&k, buf),
		       k.proto);
		sync->fronts.present++;
		sync->fronts.all[f].present = true;
		memcpy(&sync->fronts.all[f].value, value, sizeof(struct fl_frontend));
		fl_front_dirty(sync, f);
	}
	front = &sync->fronts.all[f];
	if (f < verify->n_seen)
		verify->seen[f] = true;
	if (memcmp(&front->value, value, sizeof(front->value))) {
		differ(verify, "frontends: %s/%u differs", front_text(&k, buf), k.proto);
		memcpy(&front->value, value, sizeof(front->value));
		fl_front_dirty(sync, f);
	}
	return 0;
}

static int verify_frontends(struct verify *verify)
{
	struct fl_sync *sync = verify->sync;
	_cleanup_free_ bool *seen = calloc(sync->fronts.n + 1ULL, sizeof(*seen));
	char buf[FL_IP_PORT_STRLEN];
	int rc;

	if (!seen)
		return -ENOMEM;
	verify->seen = seen;
	verify->n_seen = sync->fronts.n;
	rc = sync->ops->dump(sync->ctx, FL_SYNC_FRONTENDS, read_frontend, verify);
	for (uint32_t f = 0; f < verify->n_seen && !rc; f++) {
		const struct fl_front *front = &sync->fronts.all[f];

		if (!front->present || seen[f])
			continue;
		differ(verify, "frontends: %s/%u is missing", front_text(&front->key, buf),
		       front->key.proto);
		fl_front_removed(sync, f);
		fl_front_dirty(sync, f);
	}
	return rc;
}

static int read_element(struct verify *verify, struct fl_mirror *mirror, const void *key)
{
	const uint32_t before = mirror->present;
	uint32_t e;
	int rc = fl_mirror_adopt(mirror, key);

	if (rc)
		return rc;
	if (mirror->present != before)
		differ(verify, "%s: an element is there but not wanted",
		       fl_sync_map_descs[mirror->map].name);
	e = fl_mirror_find(mirror, key);
	if (e < verify->n_seen)
		verify->seen[e] = true;
	return 0;
}

static int read_member(const void *key, const void *value, void *arg)
{
	struct verify *verify = arg;

	return read_element(verify, &verify->sync->members, key);
}

static int read_range(const void *key, const void *value, void *arg)
{
	struct verify *verify = arg;

	return read_element(verify, &verify->sync->ranges, key);
}

static int verify_mirror(struct verify *verify, struct fl_mirror *mirror,
			 int (*fn)(const void *key, const void *value, void *arg))
{
	_cleanup_free_ bool *seen = calloc(mirror->n + 1ULL, sizeof(*seen));
	int rc;

	if (!seen)
		return -ENOMEM;
	verify->seen = seen;
	verify->n_seen = mirror->n;
	rc = verify->sync->ops->dump(verify->sync->ctx, mirror->map, fn, verify);
	for (uint32_t e = 0; e < verify->n_seen && !rc; e++) {
		if (!mirror->all[e].present || seen[e])
			continue;
		differ(verify, "%s: an element is missing", fl_sync_map_descs[mirror->map].name);
		fl_mirror_set(mirror, e, false);
	}
	return rc;
}

static bool record_intact(const struct fl_sync *sync, uint32_t id)
{
	const struct fl_backend_ref *ref = &sync->backends.all[id];
	const struct fl_backend *record = &sync->maps->backends[id];

	return record->generation == ref->generation &&
	       (!ref->generation || (record->flags == ref->flags && record->port == ref->port &&
				     record->proto == ref->proto && record->weight == 1 &&
				     !memcmp(&record->addr, &ref->addr, sizeof(ref->addr))));
}

static void verify_frontends_wanted(struct verify *verify)
{
	struct fl_sync *sync = verify->sync;

	for (uint32_t f = 0; f < sync->fronts.n; f++) {
		struct fl_front *front = &sync->fronts.all[f];
		char buf[FL_IP_PORT_STRLEN];
		struct fl_frontend value;
		uint32_t set[FL_SIDES];

		if (!front->used || front->dirty || !front->claims)
			continue;
		fl_claim_value(front->claims, sync, &value, set);
		if (front->present && !memcmp(&value, &front->value, sizeof(value)))
			continue;
		differ(verify, "frontends: %s/%u is not up to date", front_text(&front->key, buf),
		       front->key.proto);
		fl_front_dirty(sync, f);
	}
}

/* All ids, and the tables of some sets: to build one again is the dear part, and the next call goes
 * on. */
static void verify_sets(struct verify *verify)
{
	struct fl_sync *sync = verify->sync;
	const uint32_t n = sync->sets.n;

	for (uint32_t s = 1; s <= n; s++)
		if (sync->sets.all[s].refs && !fl_set_ids_intact(sync, s))
			corrupt(verify, "lines: the set at line", sync->sets.all[s].slab);
	for (uint32_t k = 0; k < n && k < TABLES_PER_CALL; k++) {
		const uint32_t s = sync->verified = sync->verified % n + 1;

		if (sync->sets.all[s].refs && fl_set_ids_intact(sync, s) && !fl_set_intact(sync, s))
			corrupt(verify, "lines: the table of the set at line",
				sync->sets.all[s].slab);
	}
}

int fl_sync_verify(struct fl_sync *sync, void (*fn)(const char *difference, void *arg), void *arg)
{
	struct verify verify = {.sync = sync, .fn = fn, .arg = arg};
	int rc = verify_frontends(&verify);

	if (!rc)
		rc = verify_mirror(&verify, &sync->members, read_member);
	if (!rc)
		rc = verify_mirror(&verify, &sync->ranges, read_range);
	if (rc)
		return rc;
	verify_frontends_wanted(&verify);
	for (uint32_t id = 1; id < sync->backends.fresh; id++)
		if (!record_intact(sync, id))
			corrupt(&verify, "backends: record", id);
	verify_sets(&verify);
	return verify.n;
}

/* ---- mending
 * ---------------------------------------------------------------------------------------- */

/* Elements that are wanted and not there are written, or those there and not wanted removed. */
static int repair_mirror(struct fl_apply *apply, struct fl_mirror *mirror, bool removals)
{
	struct fl_writes writes = {.map = mirror->map};
	static const __u32 one = 1;
	int rc = 0;

	for (uint32_t e = 0; e < mirror->n && !rc; e++) {
		const struct fl_mirror_element *element = &mirror->all[e];

		if (element->used && element->present == removals && !element->wanted == removals)
			rc = fl_writes_add(&writes, e, NULL, fl_mirror_key(mirror, e),
					   removals ? NULL : &one, NULL);
	}
	if (removals)
		fl_writes_remove(apply, &writes);
	else
		fl_writes_run(apply, &writes);
	fl_writes_fini(&writes);
	return rc;
}

static void repair_sets(struct fl_sync *sync, const struct fl_state *state)
{
	for (int list = 0; state && list < FL_LISTS; list++) {
		const uint32_t s = state->set[list];
		uint32_t n = 0;

		if (!s || fl_set_intact(sync, s))
			continue;
		if (fl_grow(&sync->scratch, &sync->cap_scratch, state->n_ids,
			    sizeof(*sync->scratch)))
			continue;
		for (uint32_t i = 0; i < state->n_ids; i++)
			if (state->ids[i] & FL_STATE_IN_LIST(list))
				sync->scratch[n++] = state->ids[i] & FL_STATE_ID_MASK;
		fl_set_repair(sync, s, sync->scratch, n);
	}
}

static void repair_memory(struct fl_sync *sync)
{
	sync->corrupt = false;
	for (uint32_t id = 1; id < sync->backends.fresh; id++)
		if (!record_intact(sync, id))
			fl_backend_write(sync, id);
	for (uint32_t i = 0; i < sync->n_owners; i++)
		for (const struct fl_port *port = sync->owners[i]->ports; port; port = port->next)
			repair_sets(sync, port->cur);
}

static int repair_mirrors(struct fl_sync *sync, bool removals, struct fl_err *err)
{
	struct fl_apply apply = {.sync = sync, .err = err};
	int rc = repair_mirror(&apply, &sync->members, removals);

	if (!rc)
		rc = repair_mirror(&apply, &sync->ranges, removals);
	return rc ? fl_err_set(err, rc, "sync: out of memory") : apply.rc;
}

int fl_sync_repair(struct fl_sync *sync, struct fl_err *err)
{
	if (sync->corrupt)
		repair_memory(sync);
	sync->sweep = sync->stale;
	sync->stale = false; /* until something is refused again */
	return sync->sweep ? repair_mirrors(sync, false, err) : 0;
}

int fl_sync_sweep(struct fl_sync *sync, struct fl_err *err)
{
	const bool sweep = sync->sweep;

	sync->sweep = false;
	if (!sync->settled) {
		sync->stale |= sweep;
		return 0;
	}
	return sweep ? repair_mirrors(sync, true, err) : 0;
}
