/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A source that reads Kubernetes objects from files: *.yaml, *.yml and *.json of directories (names
 * that begin with a dot and subdirectories apart), and single files.
 *
 * Files are followed, and none is believed too early or when it looks like an accident:
 * - A file is read when its writer has closed it, or it was moved or linked there; failing that,
 *   when it has been left alone for a while.
 * - One that cannot be read or parsed, or is empty, keeps its last good state as a whole; a faulty
 *   object in a good file keeps its own.
 * - What a file that vanished has defined, and what goes when more than half of all Services would
 *   go at once or a file ends earlier than before, stays for a grace time; see fl_source_apply().
 */
#pragma once

#include "lb/base/clock.h"
#include "lb/source/definitions.h"
#include "lb/source/source.h"

struct fl_manifest_options {
	/* of an object that is in several files, the one of the earlier path counts, within a
	 * directory that of the file whose name sorts first; "-" is standard input, read once */
	const char *const *paths;
	size_t n_paths;
	struct fl_store *store; /* must outlive the source */
	/* over the same store; borrowed. NULL: of its own, since no other source fills the store */
	struct fl_definitions *definitions;
	bool host_ports;	      /* read Pods too; else they are of a foreign kind */
	bool follow;		      /* false: read everything once, as it is */
	uint64_t grace_ms;	      /* 0: nothing is kept that is no longer there */
	const struct fl_clock *clock; /* NULL: the kernel's */
	fl_problem_fn report;	      /* for each problem when it is found; may be NULL */
	void *arg;
};

/* Nothing is read before fl_source_load(). -EINVAL without a path, -ENOMEM, or what the kernel
 * says. */
int fl_manifest_new(const struct fl_manifest_options *options, struct fl_source **ret_source,
		    struct fl_err *err);
