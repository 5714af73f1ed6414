/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside of manifest.h: the files, what each contributes, and the places they are in. */
#pragma once

#include <sys/stat.h>

#include "lb/source/definitions.h"
#include "lb/source/manifest.h"
#include "lb/source/problems.h"

#define FL_MANIFEST_MAX_FILES 65536 /* of one directory */

/* An object of a kind that is not ours. */
struct fl_foreign {
	uint64_t id;
	bool holds; /* came when the file had objects: it may be one of them, misspelt */
};

struct fl_manifest_file {
	struct fl_definer definer; /* path and order: those of the file and its root */
	char *path;
	const char *name; /* the last part of path */
	struct stat seen; /* when it was read last; zero: never */
	struct fl_problems problems;
	struct fl_foreign *foreign; /* of the last reading */
	size_t n_foreign;
	bool touched;	 /* to be read */
	bool good;	 /* was read once without a fault that may hide an object */
	bool unreadable; /* at the last attempt: a change of mode may help */
	bool gone;
};

struct fl_manifest_root {
	char *path;
	char *dir;	  /* what is watched: path, or the directory it is in */
	const char *name; /* of a single file, NULL for a directory */
	bool is_input;	  /* standard input: nothing to watch or look for */
	int watch;	  /* -1: none */
	int parent_watch; /* where `dir` will come back, while it is gone; -1: none */
	struct fl_problems problems;
	bool rescan;
};

struct fl_manifest {
	struct fl_source source;
	struct fl_store *store;
	struct fl_definitions *definitions;
	fl_problem_fn report;
	void *report_arg;
	int inotify;
	struct fl_manifest_root *roots;
	size_t n_roots;
	struct fl_manifest_file **files; /* sorted by root, then name */
	size_t n_files, n_files_room;
};

/* Whether a directory entry is ours to read, by its name. */
bool fl_manifest_wants(const char *name);
/* Find a file, or put in a new one; marks it touched. 0 or -ENOMEM. */
int fl_manifest_touch(struct fl_manifest *m, size_t root, const char *name);
struct fl_manifest_file *fl_manifest_find(const struct fl_manifest *m, size_t root,
					  const char *name);
/* Look at what is in a root now and touch what is new, changed or gone. -errno when it cannot be
 * read. */
int fl_manifest_scan(struct fl_manifest *m, size_t root, struct fl_err *err);
/* Read every touched file and take out those that are gone. 0 or -ENOMEM. */
int fl_manifest_settle(struct fl_manifest *m, struct fl_err *err);
void fl_manifest_file_free(struct fl_manifest_file **file);

/* Read and decode one file, and let its objects take effect. */
int fl_manifest_read(struct fl_manifest *m, struct fl_manifest_file *file, struct fl_err *err);
/* Keep a problem of a file or root, and report it. */
int fl_manifest_problem(struct fl_manifest *m, struct fl_problems *problems,
			const struct fl_problem *problem);
/* The problems that come from another file with the same object. */
void fl_manifest_each_conflict(const struct fl_manifest *m, const struct fl_manifest_file *file,
			       fl_problem_fn fn, void *arg);

/* Watch a root, or while it is not there, what it will come back in. 0 or -errno. */
int fl_manifest_watch(struct fl_manifest *m, size_t root, struct fl_err *err);
/* Drain the events and touch what they name. 0 or -ENOMEM. */
int fl_manifest_drain(struct fl_manifest *m, struct fl_err *err);
