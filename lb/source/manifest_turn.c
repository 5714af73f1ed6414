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
#include "lb/source/writers.h"

static void first_failure(int *rc, int failed)
{
	*rc = *rc ? *rc : failed;
}

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

/* What a path leads to, with one call where that is a file. */
struct path_look {
	int error;	  /* errno of lstat() */
	struct stat link; /* of the path itself */
	bool there;
	struct stat st; /* of what it leads to, if it is there */
};

static void look_at(const char *path, struct path_look *ret_look)
{
	ret_look->error = lstat(path, &ret_look->link) ? errno : 0;
	ret_look->st = ret_look->link;
	ret_look->there = !ret_look->error &&
			  (!S_ISLNK(ret_look->link.st_mode) || !stat(path, &ret_look->st));
}

/* Whether a file may change without an event of the directory that its name is in. */
static bool is_elsewhere(const struct fl_manifest *m, const struct fl_manifest_file *file,
			 const struct path_look *look)
{
	return m->roots[file->definer.order].remote || look->error ||
	       !S_ISREG(look->link.st_mode) || look->link.st_nlink > 1;
}

static struct fl_manifest_batch *gathering(struct fl_manifest *m)
{
	return &m->batches[m->gathering];
}

/*
 * Have what was gathered read, while what was gathered before it takes effect; that has been read
 * by now. So files take effect in the order in which they were gathered.
 */
static int read_gathered(struct fl_manifest *m)
{
	struct fl_manifest_batch *begun = gathering(m), *done = &m->batches[!m->gathering];
	const size_t n = done->readings.n;
	int rc = 0;

	m->gathering = !m->gathering;
	fl_readings_end(&done->readings);
	fl_readings_begin(&begun->readings);
	for (size_t i = 0; i < n; i++)
		first_failure(&rc, fl_manifest_take(m, done->files[i], done->readings.list[i]));
	return rc;
}

/* And wait for it. */
static int read_all_gathered(struct fl_manifest *m)
{
	int rc = read_gathered(m);

	first_failure(&rc, read_gathered(m));
	return rc;
}

static int gather(struct fl_manifest *m, struct fl_manifest_file *file)
{
	struct fl_manifest_batch *batch = gathering(m);

	batch->files[batch->readings.n] = file;
	batch->readings.list[batch->readings.n++] = file->reading;
	return batch->readings.n == FL_READINGS_MAX ? read_gathered(m) : 0;
}

static int read_file(struct fl_manifest *m, struct fl_manifest_file *file,
		     const struct path_look *look, bool inside)
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
	file->elsewhere = is_elsewhere(m, file, look);
	m->any_elsewhere |= file->elsewhere || file->is_open;
	file->through_data = file->elsewhere && leads_through_data(file->path);
	file->reading = reading;
	fl_manifest_settled(m, file);
	if (inside)
		return gather(m, file);
	if (m->worker && look->there && look->st.st_size >= (off_t)FL_MANIFEST_LARGE_BYTES)
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
	writers =
		fl_writers_of(file->path, fl_manifest_is_local(&m->roots[file->definer.order], st));
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
static bool is_missing(const struct fl_manifest *m, const struct fl_manifest_file *file,
		       const struct path_look *look)
{
	return look->error == ENOENT && (file->deleted || !m->roots[file->definer.order].lost);
}

static int look_at_file(struct fl_manifest *m, struct fl_manifest_file *file, bool inside,
			const struct path_look *look)
{
	const struct fl_manifest_root *root = &m->roots[file->definer.order];

	if (is_missing(m, file, look)) {
		bool forced = file->forced;

		fl_manifest_settled(m, file);
		return fl_manifest_miss(m, file, forced);
	}
	if (root->lost && !look->there) {
		/* out of sight; when its directory is back it is looked at again */
		fl_manifest_settled(m, file);
		return 0;
	}
	/* what cannot be looked at is read as well, since that tells why */
	if (look->there && !is_whole(m, file, &look->st))
		return 0;
	if (!inside && m->worker && m->working && look->there &&
	    look->st.st_size >= (off_t)FL_MANIFEST_LARGE_BYTES)
		return 0; /* one at a time */
	file->deleted = false;
	fl_manifest_set_state(m, file, file->good, false);
	return read_file(m, file, look, inside);
}

/* Files that are gone go first: what they held may have moved into another file. Before the first
 * turn none holds anything. */
static int look_at_pending(struct fl_manifest *m, bool inside)
{
	int rc = 0;

	for (int missing = !inside; missing >= 0; missing--) {
		struct fl_manifest_file *file, *next;

		DL_FOREACH_SAFE(m->pending, file, next)
		{
			struct path_look look = {0};
			int failed;

			if (file->reading || !is_due(file->due, now_of(m)))
				continue;
			if (!m->roots[file->definer.order].is_input)
				look_at(file->path, &look);
			if (missing && !is_missing(m, file, &look))
				continue;
			failed = look_at_file(m, file, inside, &look);
			if (failed == -ENOMEM && !file->pending)
				fl_manifest_touch(m, file); /* again at the next chance */
			first_failure(&rc, failed);
		}
	}
	if (inside)
		first_failure(&rc, read_all_gathered(m));
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
	int rc = 0;

	for (size_t i = 0; i < m->n_roots; i++) {
		if (m->roots[i].is_input || (!everything && !m->roots[i].rescan))
			continue;
		first_failure(&rc, rescan(m, i));
	}
	/* a program that has a file mapped may change it without a trace for half a minute */
	for (size_t i = 0; everything && i < m->n_files; i++)
		if (m->files[i]->is_open)
			fl_manifest_touch(m, m->files[i]);
	return rc;
}

static int name_bare_roots(struct fl_manifest *m)
{
	int rc = 0;

	for (size_t i = 0; i < m->n_roots; i++) {
		struct fl_manifest_root *r = &m->roots[i];

		if (r->is_input || r->lost || r->name)
			continue;
		first_failure(&rc, fl_manifest_root_problem(
					   m, r, FL_PROBLEM_WARNING,
					   r->n_files ? NULL : "there is no manifest in it"));
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
