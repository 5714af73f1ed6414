/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A source that reads Kubernetes objects from files: *.yaml, *.yml and *.json of directories (names
 * that begin with a dot and subdirectories apart), and single files. They are watched; a file that
 * cannot be read or parsed keeps its last good state as a whole, a faulty object in a good file
 * keeps its own.
 */
#pragma once

#include "lb/source/source.h"

/*
 * Nothing is read before fl_source_load(). When an object is in several files, the one in the
 * earlier path of `paths` counts, within a directory the one in the file whose name sorts first.
 * `report` (may be NULL) is called for each problem when a file is read. `store` must outlive the
 * source. The path "-" is standard input, read once. -EINVAL without a path, -ENOMEM, or what
 * inotify says.
 */
int fl_manifest_new(const char *const *paths, size_t n_paths, struct fl_store *store,
		    fl_problem_fn report, void *arg, struct fl_source **ret_source,
		    struct fl_err *err);
