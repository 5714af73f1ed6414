/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Inside of manifest.h: the files, what each contributes, and the places they are in.
 *
 *	manifest_files.c   the list of files, and what is in the places now
 *	manifest_watch.c   what inotify reports
 *	manifest_look.c    what no event tells of
 *	manifest_turn.c    which files are read when
 *	manifest_take.c    what becomes of a file that was read, or is gone
 *	manifest_report.c  what is wrong with files, in words
 *	manifest.c         the source as a whole
 */
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include "lb/base/strings.h"
#include "lb/source/definitions.h"
#include "lb/source/text_digest.h"
#include "lb/source/manifest.h"
#include "lb/source/problems.h"
#include "lb/source/readings.h"
#include "lb/source/worker.h"

#define FL_MANIFEST_MAX_FILES 65536	      /* of one directory */
#define FL_MANIFEST_LARGE_BYTES (256u * 1024) /* from here on a thread reads it */
#define FL_MANIFEST_STEP 2048		      /* objects of a large file that one turn takes in */
#define FL_MANIFEST_LOOK_MS 500		      /* between looks at what no event tells */
#define FL_MANIFEST_LOOK_FILES 200	      /* in a second */
#define FL_MANIFEST_LOOK_ELSEWHERE 1000	      /* the same of those that events do not tell of */
#define FL_MANIFEST_LOOK_NAMES 1000	      /* the same of the names in a directory */
#define FL_MANIFEST_QUIET_MS 1000	      /* left alone for so long, a file is read */
#define FL_MANIFEST_OPEN_QUIET_MS 10000	      /* the same for one that is being written */

/* An object that is not ours, or not known to be. */
struct fl_foreign {
	uint64_t id;
	bool holds; /* came when the file had objects: it may be one of them, misspelt */
};

/* What of a file changes with it; zero: of none. */
struct fl_manifest_stat {
	dev_t dev;
	ino_t ino;
	uint64_t digest; /* of its size and times */
};

struct fl_manifest_file {
	struct fl_definer definer; /* path and order: those of the file and its root */
	const char *name;	   /* the last part of path */
	/* as it was when it was read last; zero: never */
	struct fl_manifest_stat seen;
	uint64_t hash;
	struct fl_text_digest lines;
	struct fl_problems problems;
	struct fl_foreign *foreign;
	struct fl_unread *unread; /* at fault in the text that is in force */
	uint32_t n_foreign, n_unread;
	/* what is to be done: in the list of pending files */
	struct fl_manifest_file *prev, *next;
	struct fl_manifest_stat last;
	struct fl_mono quiet;	    /* since when `last` is so */
	struct fl_mono due;	    /* look again then; 0: at the next turn */
	struct fl_reading *reading; /* by the worker, or being taken in */
	/* of an undated file that is open, or mapped: the text that was read last and is not in
	 * force; once more the same, it is taken for whole */
	uint64_t passing_hash;
	struct fl_mono cut;    /* since when it ends early and is not believed; ns 0: it does not */
	struct fl_mono hollow; /* since when it has been empty, from the first reading on */
	unsigned int cut_line; /* the last whole one */
	bool is_passing;
	bool is_applied; /* `hash` and `lines` are of the text that is in force */
	bool refused;	 /* the text that was read last is not, and `problems` are of that */
	bool pending;
	bool closed;   /* since it was changed: it is whole */
	bool written;  /* in place, and not by a rename */
	bool modified; /* by a writer who has not closed it yet */
	bool forced;   /* read it as it is, and believe it */
	/* what it is; `good` and `gone` are changed by fl_manifest_set_state() alone */
	bool good;	 /* was read once without a fault that may hide an object */
	bool unreadable; /* at the last attempt: a change of mode may help */
	bool deleted;	 /* reported, though the place it was in may be gone as well */
	bool gone;
	bool elsewhere;	   /* no event tells of it: it has other names, or another machine writes */
	bool through_data; /* a link through the ..data of a mounted ConfigMap */
	bool is_open;	   /* it was read while a program had it open for writing */
	char path[];
};

struct fl_manifest_root {
	char *path;
	char *dir;	  /* what is watched: path, or the directory it is in */
	const char *name; /* of a single file, NULL for a directory */
	bool is_input;	  /* standard input: nothing to watch or look for */
	int watch;	  /* -1: none */
	struct stat seen; /* `dir` when it was read last */
	bool remote;	  /* on a file system that others change without our kernel's knowledge */
	bool undated;	  /* on one where writing through a mapping changes no times */
	/* directories in which a name could lead `path` elsewhere, and these names */
	struct fl_manifest_link {
		int watch;
		char *name;
	} * links;
	size_t n_links, n_links_room;
	struct fl_problems problems;
	bool rescan;
	bool lost; /* it cannot be read, or is an empty file system now */
	size_t n_files;
	DIR *names; /* being read again, a part at each look; NULL: they are not */
	struct stat names_seen;
	bool is_fresh; /* `dir` had changed so shortly before `seen` that its times may stay */
	struct fl_mono bare; /* since when it has had no file from the first reading on */
};

/* Files that are read at once; readings.n of them. */
struct fl_manifest_batch {
	struct fl_manifest_file *files[FL_READINGS_MAX];
	struct fl_readings readings;
};

struct fl_manifest {
	struct fl_source source;
	struct fl_manifest_options options;
	struct fl_clock clock;
	struct fl_definitions *definitions;
	int epoll, inotify, timer;
	struct fl_worker *worker; /* NULL: nothing is followed, or there is no thread */
	/* of the first turn: one that is gathered, and one that is read meanwhile */
	struct fl_manifest_batch batches[2];
	size_t gathering;		  /* which of them is which */
	struct fl_manifest_file *working; /* the file that the worker reads */
	struct fl_manifest_file *merging; /* a large file that is being taken in */
	struct fl_definitions_merge merge;
	struct fl_manifest_root *roots;
	size_t n_roots;
	struct fl_manifest_file **files; /* sorted by root, then name */
	size_t n_files, n_files_room;
	/* so that a turn with nothing to do walks over no file */
	size_t n_unread;     /* files that are neither good nor gone */
	bool any_gone;	     /* else there is none to take out */
	bool any_stale;	     /* a file's definer was stale at the last look */
	uint64_t marks_seen; /* fl_definitions_marks() then */
	struct fl_manifest_file *pending;
	struct fl_mono next_look, next_roots, next_hold; /* ns 0: nothing is held */
	size_t look_at, look_elsewhere; /* the file that the next look begins with */
	bool any_elsewhere;		/* there is, or was, such a file, or one that is open */
	bool any_odd;			/* a file is open or unreadable, or was */
	/* what went lately, and how much there was before */
	struct fl_mono loss_since;
	struct fl_definitions_loss lost, before;
};

/* In manifest_files.c. */

/* Whether a directory entry is ours to read, by its name. */
bool fl_manifest_wants(const char *name);
/* Find a file, or NULL. */
struct fl_manifest_file *fl_manifest_find(const struct fl_manifest *m, size_t root,
					  const char *name);
/* Find a file, or put in a new one. NULL: no memory. */
struct fl_manifest_file *fl_manifest_get(struct fl_manifest *m, size_t root, const char *name);
/* Something may have happened to a file: the next turn looks at it. */
void fl_manifest_touch(struct fl_manifest *m, struct fl_manifest_file *file);
/* Nothing more to be done for now. */
void fl_manifest_settled(struct fl_manifest *m, struct fl_manifest_file *file);
/* Look at what is in a root now and touch what is new, changed or gone. -errno when it cannot be
 * read. */
int fl_manifest_scan(struct fl_manifest *m, size_t root, struct fl_err *err);
/* Whether it is on a root's own file system, which others do not change. */
bool fl_manifest_is_local(const struct fl_manifest_root *r, const struct stat *st);
/* Whether a file is not as it was. */
bool fl_manifest_differs(const struct stat *st, const struct fl_manifest_stat *before);
struct fl_manifest_stat fl_manifest_stat_of(const struct stat *st);
/* What is known of a file: whether it was good once, and whether it is gone. */
void fl_manifest_set_state(struct fl_manifest *m, struct fl_manifest_file *file, bool good,
			   bool gone);
/* Take files out that are gone and hold nothing. */
void fl_manifest_purge(struct fl_manifest *m);
void fl_manifest_file_free(struct fl_manifest_file **file);
void fl_manifest_forget_unread(struct fl_manifest_file *file);

/* In manifest_watch.c. */

/* Watch a root, and what leads to it. 0 or -errno; what leads to it is watched in any case. */
int fl_manifest_watch(struct fl_manifest *m, size_t root, struct fl_err *err);
/* Drain the events and touch what they name. 0 or -ENOMEM. */
int fl_manifest_drain(struct fl_manifest *m, struct fl_err *err);

/* In manifest_look.c. */

/* Look at some of what no event tells of, if it is time. */
void fl_manifest_look(struct fl_manifest *m);
/* Begin with names as well, and read what may have changed without a trace: for a slow timer. */
void fl_manifest_look_again(struct fl_manifest *m);
/* All names in a root's directory were read, which was like that when it began. */
void fl_manifest_root_read(struct fl_manifest_root *r, const struct stat *st);

/* In manifest_turn.c. */

/* Take in what has changed: what events report, or with `everything` what a look at all finds. */
int fl_manifest_turn(struct fl_manifest *m, bool everything, struct fl_err *err);
/* Read what is pending now, in this thread, except for files that are being written. */
int fl_manifest_first_turn(struct fl_manifest *m, struct fl_err *err);

/* In manifest_take.c. */

/* Let a reading that is done take effect; keeps what it needs of it. 0 or -ENOMEM. */
int fl_manifest_take(struct fl_manifest *m, struct fl_manifest_file *file,
		     struct fl_reading *reading);
/* Go on with a large one. 0 or -ENOMEM. */
int fl_manifest_take_more(struct fl_manifest *m);
/* A file is not there any more; with `now` it holds nothing. 0 or -ENOMEM. */
int fl_manifest_miss(struct fl_manifest *m, struct fl_manifest_file *file, bool now);
/* Something may be an accident: *ret_since is now, and cleared when the grace time is over. Without
 * a grace time nothing is. */
void fl_manifest_doubt(struct fl_manifest *m, struct fl_mono *ret_since);
/* What was held for the grace time goes; with `now`, all that is held. */
void fl_manifest_let_go(struct fl_manifest *m, bool now);

/* In manifest_report.c. */

/* To whom the source's maker wants it told, if to anybody. */
void fl_manifest_report(const struct fl_manifest *m, const struct fl_problem *problem);
/* That something of a file is held, if so. */
void fl_manifest_report_hold(const struct fl_manifest *m, const struct fl_manifest_file *file);
/* The one problem of a root; `reason` NULL: there is none. 0 or -ENOMEM. */
int fl_manifest_root_problem(struct fl_manifest *m, struct fl_manifest_root *root,
			     enum fl_problem_level level, const char *reason);
/* Another file has taken over objects of this one. */
void fl_manifest_report_conflicts(const struct fl_manifest *m, struct fl_manifest_file *file);
/* The problems of a file: its own, those that come from another file with the same object, and what
 * is held. */
void fl_manifest_each_problem(const struct fl_manifest *m, const struct fl_manifest_file *file,
			      fl_problem_fn fn, void *arg);
/* The same without what is held. */
void fl_manifest_each_own_problem(const struct fl_manifest *m, const struct fl_manifest_file *file,
				  fl_problem_fn fn, void *arg);
