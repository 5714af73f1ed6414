/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A thread that reads and decodes large files, one at a time, so that the loop goes on meanwhile.
 * It touches nothing but the reading it was given, and is started when there is one. Its descriptor
 * is there from the beginning: a serving agent may start threads, and may not make an eventfd.
 */
#pragma once

#include "lb/base/err.h"
#include "lb/source/reading.h"

struct fl_worker;

/* 0 or -errno. */
int fl_worker_new(struct fl_worker **ret_worker, struct fl_err *err);
/* Gives up what is under way. */
void fl_worker_free(struct fl_worker **worker);
/* Readable when a reading is done. Borrowed. */
int fl_worker_fd(const struct fl_worker *worker);
/* The worker must not be busy. The reading is borrowed until it is taken back. 0, or -errno when
 * there is no thread to be had. */
int fl_worker_start(struct fl_worker *worker, struct fl_reading *reading);
/* The reading that is done, or NULL. */
struct fl_reading *fl_worker_take(struct fl_worker *worker);
