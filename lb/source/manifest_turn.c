/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which files are read when. A file that its writer has closed, or that was moved or linked to its
 * place, is whole. Of any other change the events do not tell whether it is finished: writers that
 * keep the file open or mapped, file systems that others write to, events that were lost. Then the
 * file has to be left alone for a while.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "lb/base/cleanup.h"
#include "lb/source/manifest_files.h"
#include "lb/source/readings.h"
#include "lb/source/writers.h"

static struct fl_mono now_of(const struct fl_manifest *m)
{
	return fl_clock_now(&m->clock);
}

static bool is_due(struct fl_mono due, struct fl_mono now)
{
	return now.ns >= due.ns;
}

static void give_to_worker(struct fl_manifest *m, struct fl_manifest_file *file)
{
	if (fl_worker_start(m->worker, file->reading))
		fl_worker_free(&m->worker); /* from now on the loop reads them itself */
	else
		m->working = file;
}

/* The links of a mounted ConfigMap lead through ..data. */
static bool leads_through_data(const char *path)
{
	static const char data[] = "..data/";
	char target[sizeof(data)];
	ssize_t len = readlink(path, target, sizeof(target));

	return len >= (ssize_t)sizeof(data) - 1 && !strncmp(target, data, sizeof(data) - 1);
}

/* Whether a file may change without an event of the directory that its name is in. */
static bool is_elsewhere(const struct fl_manifest *m, const struct fl_manifest_file *file)
{
	struct stat st;

	return m->roots[file->definer.order].remote || lstat(file->path, &st) ||
	       !S_ISREG(st.st_mode) || st.st_nlink > 1;
}

/* They take effect in the order in which they were gathered. */
static int read_gathered(struct fl_manifest *m)
{
	struct fl_reading *readings[FL_MANIFEST_GATHER] = {NULL};
	const size_t n = m->n_gathered;
	int rc = 0;

	for (size_t i = 0; i < n; i++)
		readings[i] = m->gathered[i]->reading;
	fl_readings_run(readings, n);
	m->n_gathered = 0;
	for (size_t i = 0; i < n; i++) {
		int failed = fl_manifest_take(m, m->gathered[i], readings[i]);

		rc = rc ? rc : failed;
	}
	return rc;
}

static int read_file(struct fl_manifest *m, struct fl_manifest_file *file, off_t size, bool inside)
{
	struct fl_reading *reading = calloc(1, sizeof(*reading));

	if (!reading)
		return -ENOMEM;
	reading->path = file->path;
	reading->is_input = m->roots[file->definer.order].is_input;
	reading->pods = m->options.host_ports;
	reading->keep_strangers = fl_definitions_any(&file->definer);
	reading->knows_hash = file->is_applied && !file->refused && !file->definer.stale;
	reading->known_hash = file->hash;
	reading->forced = file->forced;
	reading->in_place = file->written;
	file->definer.stale = false;
	file->elsewhere = is_elsewhere(m, file);
	m->any_elsewhere |= file->elsewhere || file->is_open;
	file->through_data = file->elsewhere && leads_through_data(file->path);
	file->reading = reading;
	fl_manifest_settled(m, file);
	if (inside) {
		m->gathered[m->n_gathered++] = file;
		return m->n_gathered == FL_MANIFEST_GATHER ? read_gathered(m) : 0;
	}
	if (m->worker && size >= (off_t)FL_MANIFEST_LARGE_BYTES)
		give_to_worker(m, file);
	if (m->working == file)
		return 0;
	fl_reading_run(reading);
	return fl_manifest_take(m, file, reading);
}

static uint64_t age_ms(const struct stat *st)
{
	struct timespec now;
	int64_t ms;

	clock_gettime(CLOCK_REALTIME, &now);
	ms = (now.tv_sec - st->st_mtim.tv_sec) * 1000 +
	     (now.tv_nsec - st->st_mtim.tv_nsec) / 1000000;
	return ms > 0 ? (uint64_t)ms : 0;
}

/* Whether a file is whole; if not, file->due says when to look again. */
static bool is_whole(struct fl_manifest *m, struct fl_manifest_file *file, const struct stat *st)
{
	enum fl_writers writers;
	struct fl_mono now = now_of(m);
	uint64_t wait_ms;

	/* what is no file is refused, and never waited for */
	if (!m->options.follow || file->forced || file->closed || !S_ISREG(st->st_mode))
		return true;
	writers = fl_writers_of(file->path);
	file->written = st->st_dev == file->seen.dev && st->st_ino == file->seen.ino;
	file->is_open = writers == FL_WRITERS_SOME;
	m->any_odd |= file->is_open;
	if (writers == FL_WRITERS_NONE)
		return true;
	wait_ms = file->modified ? FL_MANIFEST_OPEN_QUIET_MS : FL_MANIFEST_QUIET_MS;
	if (writers == FL_WRITERS_UNKNOWN && age_ms(st) >= wait_ms)
		return true;
	if (fl_manifest_differs(st, &file->last)) {
		file->last = fl_manifest_stat_of(st);
		file->quiet = now;
	}
	file->due = fl_mono_plus_ms(file->quiet, wait_ms);
	return is_due(file->due, now);
}

/* A file that is not there although its directory is. */
static bool is_missing(const struct fl_manifest *m, const struct fl_manifest_file *file)
{
	struct stat st;

	if (m->roots[file->definer.order].is_input)
		return false;
	return lstat(file->path, &st) && errno == ENOENT &&
	       (file->deleted || !m->roots[file->definer.order].lost);
}

static int look_at_file(struct fl_manifest *m, struct fl_manifest_file *file, bool inside)
{
	const struct fl_manifest_root *root = &m->roots[file->definer.order];
	struct stat st = {0};

	if (is_missing(m, file)) {
		bool forced = file->forced;

		fl_manifest_settled(m, file);
		return fl_manifest_miss(m, file, forced);
	}
	if (root->lost && stat(file->path, &st)) {
		/* out of sight; when its directory is back it is looked at again */
		fl_manifest_settled(m, file);
		return 0;
	}
	/* what cannot be looked at is read as well, since that tells why */
	if (!root->is_input && !stat(file->path, &st) && !is_whole(m, file, &st))
		return 0;
	if (!inside && m->worker && m->working && st.st_size >= (off_t)FL_MANIFEST_LARGE_BYTES)
		return 0; /* one at a time */
	file->deleted = false;
	fl_manifest_set_state(m, file, file->good, false);
	return read_file(m, file, st.st_size, inside);
}

/* Files that are gone go first: what they held may have moved into another file. */
static int look_at_pending(struct fl_manifest *m, bool inside)
{
	int rc = 0;

	for (int missing = 1; missing >= 0; missing--) {
		struct fl_manifest_file *file, *next;

		DL_FOREACH_SAFE(m->pending, file, next)
		{
			int failed;

			if (file->reading || !is_due(file->due, now_of(m)) ||
			    (missing && !is_missing(m, file)))
				continue;
			failed = look_at_file(m, file, inside);
			if (failed == -ENOMEM && !file->pending)
				fl_manifest_touch(m, file); /* again at the next chance */
			rc = rc ? rc : failed;
		}
	}
	if (inside) {
		int failed = read_gathered(m);

		rc = rc ? rc : failed;
	}
	return rc;
}

/*
 * Look into a root again, watching it again when the watch is lost. A root that is not there is a
 * problem while that lasts: its files keep their last good state, since an unmounted directory is
 * no order to remove everything.
 */
static int rescan(struct fl_manifest *m, size_t root)
{
	struct fl_manifest_root *r = &m->roots[root];
	struct fl_err why = {""};
	bool was_lost = r->lost;
	int rc = fl_manifest_watch(m, root, &why), failed = fl_manifest_scan(m, root, &why);

	r->rescan = false;
	rc = failed ? failed : rc;
	if (rc == -ENOMEM)
		return rc;
	r->lost = rc;
	if (!rc && !was_lost)
		return 0;
	return fl_manifest_root_problem(m, r, FL_PROBLEM_ERROR, rc ? why.text : NULL);
}

static int rescan_roots(struct fl_manifest *m, bool everything)
{
	int rc = 0, failed;

	for (size_t i = 0; i < m->n_roots; i++) {
		if (m->roots[i].is_input || (!everything && !m->roots[i].rescan))
			continue;
		failed = rescan(m, i);
		rc = rc ? rc : failed;
	}
	/* a program that has a file mapped may change it without a trace for half a minute */
	for (size_t i = 0; everything && i < m->n_files; i++)
		if (m->files[i]->is_open)
			fl_manifest_touch(m, m->files[i]);
	return rc;
}

static int name_bare_roots(struct fl_manifest *m)
{
	int rc = 0, failed;

	for (size_t i = 0; i < m->n_roots; i++) {
		struct fl_manifest_root *r = &m->roots[i];

		if (r->is_input || r->lost || r->name)
			continue;
		failed = fl_manifest_root_problem(m, r, FL_PROBLEM_WARNING,
						  r->n_files ? NULL : "there is no manifest in it");
		rc = rc ? rc : failed;
	}
	return rc;
}

static struct fl_mono earlier(struct fl_mono a, struct fl_mono b)
{
	return b.ns && b.ns < a.ns ? b : a;
}

static void set_timer(struct fl_manifest *m)
{
	struct fl_mono due = earlier(m->next_look, m->next_hold), now = now_of(m);
	struct itimerspec spec = {.it_value.tv_nsec = 1};
	const struct fl_manifest_file *file;
	uint64_t ns;

	DL_FOREACH (m->pending, file)
		due = earlier(due, file->due);
	ns = m->merging ? 0 : fl_mono_ns_between(now, due);
	if (ns) {
		spec.it_value.tv_sec = (time_t)(ns / FL_NSEC_PER_SEC);
		spec.it_value.tv_nsec = (long)(ns % FL_NSEC_PER_SEC);
	}
	timerfd_settime(m->timer, 0, &spec, NULL);
}

static int take_from_worker(struct fl_manifest *m)
{
	/* large files are taken in one after the other as well */
	struct fl_reading *reading = m->worker && !m->merging ? fl_worker_take(m->worker) : NULL;

	return reading ? fl_manifest_take(m, TAKE_PTR(m->working), reading) : 0;
}

static void first_failure(int *rc, int failed)
{
	*rc = *rc ? *rc : failed;
}

/* What became of other files while some were taken in. A walk over all files only if one was
 * marked, or is stale still. */
static void look_at_marks(struct fl_manifest *m)
{
	const uint64_t marks = fl_definitions_marks(m->definitions);

	if (marks == m->marks_seen && !m->any_stale)
		return;
	m->marks_seen = marks;
	m->any_stale = false;
	for (size_t i = 0; i < m->n_files; i++) {
		if (m->files[i]->definer.stale) {
			m->any_stale = true;
			fl_manifest_touch(m, m->files[i]);
		}
		if (m->files[i]->definer.displaced)
			fl_manifest_report_conflicts(m, m->files[i]);
	}
}

int fl_manifest_turn(struct fl_manifest *m, bool everything, struct fl_err *err)
{
	uint64_t expirations;
	int rc = fl_manifest_drain(m, err);

	/* -EAGAIN: it has not expired */
	if (read(m->timer, &expirations, sizeof(expirations)) < 0)
		errno = 0;
	fl_manifest_look(m);
	first_failure(&rc, rescan_roots(m, everything));
	first_failure(&rc, take_from_worker(m));
	first_failure(&rc, fl_manifest_take_more(m));
	fl_manifest_let_go(m, false);
	first_failure(&rc, look_at_pending(m, false));
	look_at_marks(m);
	fl_manifest_purge(m);
	first_failure(&rc, name_bare_roots(m));
	set_timer(m);
	return rc ? fl_err_set(err, rc, "out of memory") : 0;
}

int fl_manifest_first_turn(struct fl_manifest *m, struct fl_err *err)
{
	int rc = look_at_pending(m, true);

	/* what was written while it was read */
	first_failure(&rc, look_at_pending(m, true));
	m->next_look = fl_mono_plus_ms(now_of(m), FL_MANIFEST_LOOK_MS);
	for (size_t i = 0; i < m->n_roots; i++)
		if (!m->roots[i].n_files)
			fl_manifest_doubt(m, &m->roots[i].bare);
	first_failure(&rc, name_bare_roots(m));
	if (m->options.follow)
		set_timer(m);
	return rc ? fl_err_set(err, rc, "out of memory") : 0;
}
