/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What becomes of a file that was read, or is gone: its objects take effect, what is at fault keeps
 * its last good state, and what looks like an accident is held for the grace time.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/source/manifest_files.h"

static struct fl_mono now_of(const struct fl_manifest *m)
{
	return fl_clock_now(&m->clock);
}

static bool may_hold(const struct fl_manifest *m)
{
	return m->options.follow && m->options.grace_ms;
}

/* Something is held from now on: the timer has to know. */
static void hold(struct fl_manifest *m)
{
	struct fl_mono due = fl_mono_plus_ms(now_of(m), m->options.grace_ms);

	if (!m->next_hold.ns || due.ns < m->next_hold.ns)
		m->next_hold = due;
}

void fl_manifest_doubt(struct fl_manifest *m, struct fl_mono *ret_since)
{
	if (!may_hold(m))
		return;
	*ret_since = now_of(m);
	hold(m);
}

/* The file as a whole is of no use. */
static int refuse(struct fl_manifest *m, struct fl_manifest_file *file,
		  const struct fl_reading *reading)
{
	bool had_objects = fl_definitions_any(&file->definer);
	char reason[600];
	const struct fl_problem problem = {
		/* an empty file that never was anything else may be one that is yet to be filled */
		.level = reading->empty && !had_objects ? FL_PROBLEM_WARNING : FL_PROBLEM_ERROR,
		.file = file->path,
		.line = reading->line,
		.object = "",
		.reason = reason,
	};

	file->refused = true;
	if (reading->empty && !file->good && !file->hollow.ns)
		fl_manifest_doubt(m, &file->hollow);
	if (reading->empty && !may_hold(m))
		fl_manifest_set_state(m, file, true, file->gone);
	snprintf(reason, sizeof(reason), "%s%s", reading->why.text,
		 had_objects ? "; the last good state of this file stays" : "");
	/* a file that is tried again and again is reported once */
	if (fl_problems_is(&file->problems, &problem))
		return 0;
	fl_problems_clear(&file->problems);
	fl_manifest_report(m, &problem);
	return fl_problems_add(&file->problems, &problem, false);
}

static bool held_something(const struct fl_manifest_file *file, uint64_t stranger)
{
	for (size_t i = 0; i < file->n_foreign; i++)
		if (file->foreign[i].id == stranger)
			return file->foreign[i].holds;
	return fl_definitions_any(&file->definer);
}

/* The object that a stranger may be is kept. */
static int keep_object(struct fl_reading *reading, enum fl_kind kind, const char *ns,
		       const char *name)
{
	struct fl_object_key key = {.kind = kind};

	if (FL_ARRAY_ROOM(reading->failed, reading->n_failed_room, reading->n_failed + 1))
		return -ENOMEM;
	key.ns = strdup(ns);
	key.name = strdup(name);
	reading->failed[reading->n_failed++] = key;
	return key.ns && key.name ? 0 : -ENOMEM;
}

/*
 * If a stranger comes where the file has an object of its name, and that one is missing now, it is
 * taken for the same object with its kind misspelt or lost, for as long as it is there.
 */
static int judge_stranger(const struct fl_manifest_file *file, struct fl_reading *reading,
			  const struct fl_stranger *stranger)
{
	static const enum fl_kind kinds[] = {FL_KIND_SERVICE, FL_KIND_SLICE, FL_KIND_NODE,
					     FL_KIND_POD};
	bool keeps = !stranger->name;
	int rc = 0;

	reading->unidentified |= keeps;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]) && stranger->name && !rc; i++) {
		const struct fl_object_key key = {
			kinds[i], kinds[i] == FL_KIND_NODE ? "" : stranger->ns, stranger->name};

		if (!fl_definitions_has(&file->definer, &key))
			continue;
		keeps = true;
		rc = keep_object(reading, key.kind, key.ns, key.name);
	}
	if (rc || !keeps)
		return rc;
	return fl_problems_add(&reading->problems,
			       &(struct fl_problem){.level = FL_PROBLEM_ERROR,
						    .line = stranger->line,
						    .object = stranger->object,
						    .reason = stranger->reason},
			       true);
}

static int compare_keys(const void *a, const void *b)
{
	return fl_object_key_cmp(a, b);
}

static int judge_strangers(struct fl_manifest_file *file, struct fl_reading *reading)
{
	struct fl_foreign *foreign =
		reading->n_strangers ? calloc(reading->n_strangers, sizeof(*foreign)) : NULL;
	int rc = !foreign && reading->n_strangers ? -ENOMEM : 0;

	for (size_t i = 0; i < reading->n_strangers && !rc; i++) {
		const struct fl_stranger *stranger = &reading->strangers[i];

		foreign[i].id = stranger->id;
		foreign[i].holds = held_something(file, stranger->id);
		if (foreign[i].holds && stranger->object)
			rc = judge_stranger(file, reading, stranger);
	}
	if (rc) {
		free(foreign);
		return rc;
	}
	if (reading->n_failed)
		qsort(reading->failed, reading->n_failed, sizeof(*reading->failed), compare_keys);
	free(file->foreign);
	file->foreign = foreign;
	file->n_foreign = (uint32_t)reading->n_strangers;
	return 0;
}

/* More than half of the Services, or of the EndpointSlices, within a grace time. */
static bool is_large(struct fl_manifest *m, const struct fl_definitions_loss *loss)
{
	const struct fl_mono now = now_of(m);

	if (!may_hold(m) || (!loss->services && !loss->slices))
		return false;
	if (!m->loss_since.ns || fl_mono_ms_between(m->loss_since, now) > m->options.grace_ms) {
		m->loss_since = now;
		m->lost = (struct fl_definitions_loss){0};
		m->before.services = fl_store_count(m->options.store, FL_KIND_SERVICE);
		m->before.slices = fl_store_count(m->options.store, FL_KIND_SLICE);
	}
	if ((m->lost.services + loss->services) * 2 > m->before.services ||
	    (m->lost.slices + loss->slices) * 2 > m->before.slices)
		return true;
	m->lost.services += loss->services;
	m->lost.slices += loss->slices;
	return false;
}

/* The text in force is now that of a reading. */
static void adopt(struct fl_manifest *m, struct fl_manifest_file *file, struct fl_reading *reading)
{
	bool had_objects = reading->keep_strangers;

	file->hash = reading->hash;
	fl_text_digest_fini(&file->lines);
	file->lines = reading->lines;
	reading->lines = (struct fl_text_digest){0};
	file->is_applied = true;
	fl_manifest_set_state(m, file, true, file->gone);
	file->refused = false;
	file->hollow = (struct fl_mono){0};
	fl_problems_clear(&file->problems);
	file->problems = reading->problems;
	file->problems.keeps = had_objects;
	fl_manifest_forget_unread(file);
	file->unread = TAKE_PTR(reading->unread);
	file->n_unread = (uint32_t)reading->n_unread;
	reading->n_unread = 0;
	reading->problems = (struct fl_problems){0};
	if (!m->options.report)
		return;
	fl_problems_each(&reading->notes, file->path, m->options.report, m->options.arg);
	fl_manifest_each_own_problem(m, file, m->options.report, m->options.arg);
}

static void reading_free(struct fl_manifest_file *file)
{
	fl_reading_fini(file->reading);
	free(file->reading);
	file->reading = NULL;
}

static int finish(struct fl_manifest *m, struct fl_manifest_file *file, int rc)
{
	if (!rc) {
		adopt(m, file, file->reading);
		if (fl_definitions_leaving(&file->definer).since.ns)
			fl_manifest_report_hold(m, file);
	}
	reading_free(file);
	if (rc)
		fl_manifest_touch(m, file); /* as a whole, at the next chance */
	return rc;
}

static int take_objects(struct fl_manifest *m, struct fl_manifest_file *file,
			struct fl_reading *reading)
{
	struct fl_definitions_change change = {
		.staged = reading->staged, .n_staged = reading->n_staged, .now = now_of(m)};
	struct fl_definitions_merge merge;
	struct fl_definitions_loss loss;
	int rc = judge_strangers(file, reading);

	if (rc)
		return finish(m, file, rc);
	change.keep = reading->failed;
	change.n_keep = reading->n_failed;
	change.keep_all = reading->unidentified;
	loss = fl_definitions_loss(m->definitions, &file->definer, &change);
	change.hold = !reading->forced && is_large(m, &loss);
	if (change.hold)
		hold(m);
	rc = fl_definitions_begin(m->definitions, &file->definer, &change, &merge);
	if (rc)
		return finish(m, file, rc);
	if (m->source.synced && !m->merging && reading->n_staged > FL_MANIFEST_STEP) {
		m->merge = merge;
		m->merging = file;
		return 0;
	}
	fl_definitions_step(&merge, SIZE_MAX);
	return finish(m, file, merge.rc);
}

int fl_manifest_take_more(struct fl_manifest *m)
{
	if (!m->merging || !fl_definitions_step(&m->merge, FL_MANIFEST_STEP))
		return 0;
	return finish(m, TAKE_PTR(m->merging), m->merge.rc);
}

/*
 * A text that was written over another, begins like that and ends early: its writer did not come to
 * an end, or somebody has deleted the end of it. Without a last line break the former is likely
 * even if the beginning has changed.
 */
static bool is_cut(const struct fl_manifest *m, const struct fl_manifest_file *file,
		   const struct fl_reading *reading)
{
	const struct fl_definitions_change change = {
		.staged = reading->staged,
		.n_staged = reading->n_staged,
		.keep = reading->failed,
		.n_keep = reading->n_failed,
	};
	struct fl_definitions_loss loss;

	if (!may_hold(m) || reading->forced || !reading->in_place || !reading->yaml ||
	    !file->is_applied)
		return false;
	if (fl_text_is_cut(&reading->lines, &file->lines))
		return true;
	if (!reading->lines.open_end || file->lines.open_end)
		return false;
	loss = fl_definitions_loss(m->definitions, &file->definer, &change);
	return loss.services || loss.slices || loss.nodes || loss.pods;
}

static int hold_cut(struct fl_manifest *m, struct fl_manifest_file *file,
		    const struct fl_reading *reading)
{
	fl_manifest_doubt(m, &file->cut);
	file->cut_line = (unsigned int)reading->lines.n;
	fl_manifest_report_hold(m, file);
	reading_free(file);
	return 0;
}

/* Whether a text may be one that a program has half written: no time of the file tells. */
static bool is_passing(const struct fl_manifest *m, struct fl_manifest_file *file,
		       const struct fl_reading *reading)
{
	const bool open = file->is_open && m->roots[file->definer.order].undated &&
			  m->options.follow && !reading->forced && !reading->same;
	const bool again = file->is_passing && file->passing_hash == reading->hash;

	file->is_passing = open && !again;
	file->passing_hash = reading->hash;
	return file->is_passing;
}

int fl_manifest_take(struct fl_manifest *m, struct fl_manifest_file *file,
		     struct fl_reading *reading)
{
	int rc = 0;

	file->unreadable = reading->rc && !reading->st.st_ino;
	m->any_odd |= file->unreadable;
	if (reading->rc == -ENOMEM || reading->rc == -ECANCELED)
		return finish(m, file, reading->rc);
	if (is_passing(m, file, reading) ||
	    (!reading->rc && reading->changed && m->options.follow && !reading->forced)) {
		/* it is being written after all */
		fl_manifest_touch(m, file);
		reading_free(file);
		return 0;
	}
	file->seen = fl_manifest_stat_of(&reading->st);
	if (!reading->rc && !reading->same && is_cut(m, file, reading))
		return hold_cut(m, file, reading);
	file->cut = (struct fl_mono){0};
	if (!reading->rc && !reading->same)
		return take_objects(m, file, reading);
	if (reading->rc)
		rc = refuse(m, file, reading);
	reading_free(file);
	return rc;
}

int fl_manifest_miss(struct fl_manifest *m, struct fl_manifest_file *file, bool now)
{
	struct fl_definitions_change change = {.now = now_of(m)};
	struct fl_definitions_loss loss =
		fl_definitions_loss(m->definitions, &file->definer, &change);
	int rc;

	/* what a ConfigMap has no more is no accident, unless it is nearly everything */
	change.hold = may_hold(m) && !now && (!file->through_data || is_large(m, &loss));
	rc = fl_definitions_apply(m->definitions, &file->definer, &change);
	if (rc)
		return rc;
	fl_manifest_set_state(m, file, file->good, true);
	file->is_applied = file->unreadable = false;
	file->seen = (struct fl_manifest_stat){0};
	file->cut = file->hollow = (struct fl_mono){0};
	fl_problems_clear(&file->problems);
	fl_manifest_forget_unread(file);
	if (fl_definitions_any(&file->definer)) {
		hold(m);
		fl_manifest_report_hold(m, file);
	}
	return 0;
}

/* True: it was held for long enough. Else the time when it will have been is kept for the timer. */
static bool is_over(struct fl_manifest *m, struct fl_mono since, bool now)
{
	struct fl_mono due = fl_mono_plus_ms(since, m->options.grace_ms);

	if (now || due.ns <= now_of(m).ns)
		return true;
	if (!m->next_hold.ns || due.ns < m->next_hold.ns)
		m->next_hold = due;
	return false;
}

static void let_file_go(struct fl_manifest *m, struct fl_manifest_file *file, bool now)
{
	struct fl_definitions_leaving leaving = fl_definitions_leaving(&file->definer);

	while (leaving.since.ns && is_over(m, leaving.since, now)) {
		fl_definitions_let_go(m->definitions, &file->definer, leaving.since);
		leaving = fl_definitions_leaving(&file->definer);
	}
	if (file->cut.ns && is_over(m, file->cut, now)) {
		file->forced = true;
		fl_manifest_touch(m, file);
	}
	if (file->hollow.ns && is_over(m, file->hollow, now)) {
		file->hollow = (struct fl_mono){0};
		fl_manifest_set_state(m, file, true, file->gone);
	}
}

void fl_manifest_let_go(struct fl_manifest *m, bool now)
{
	if (!now && (!m->next_hold.ns || m->next_hold.ns > now_of(m).ns))
		return;
	m->next_hold = (struct fl_mono){0};
	for (size_t i = 0; i < m->n_roots; i++) {
		struct fl_manifest_root *r = &m->roots[i];

		if (r->bare.ns && is_over(m, r->bare, now))
			r->bare = (struct fl_mono){0};
	}
	for (size_t i = 0; i < m->n_files; i++)
		if (m->files[i] != m->merging)
			let_file_go(m, m->files[i], now);
}
