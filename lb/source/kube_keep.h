/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an API server has said last, kept on disk as it changes: a little at each turn, so that
 * nothing waits for it. An object that changes while a file is being written is in it as it was or
 * as it is; another file follows.
 */
#pragma once

#include "lb/base/clock.h"
#include "lb/source/definitions.h"
#include "lb/source/kept.h"

/* All borrowed. */
struct fl_kube_keep_options {
	const char *path;
	struct fl_kept_owner owner;
	const struct fl_store *store;
	const struct fl_definer *definers[FL_KINDS]; /* by kind; NULL: it is not followed */
	uint64_t after_ms, every_ms; /* how long after a change, and how often at most; 0: usual */
};

struct fl_kube_keep;

/* 0 or -ENOMEM. */
int fl_kube_keep_new(const struct fl_kube_keep_options *options, struct fl_kube_keep **ret_keep);
void fl_kube_keep_free(struct fl_kube_keep **keep);
/* Do what is due; to be called only once everything is known. Returns when there is more to do; ns
 * 0: not before something changes. */
struct fl_mono fl_kube_keep_turn(struct fl_kube_keep *keep, struct fl_mono now);
/* Why it could not be written; NULL: nothing is wrong. */
const char *fl_kube_keep_trouble(const struct fl_kube_keep *keep);
