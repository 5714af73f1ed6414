/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Where drained backends are kept: file `drains` of the state directory, in the form of
 * lb/source/kept.h. */
#pragma once

#include "lb/model/drains.h"

/* 0; -ENOENT: there is none; -ENOMEM; else it cannot be used, with words. */
int fl_drains_read(const char *dir, const char *node, struct fl_drains *ret_drains,
		   struct fl_err *err);
/* In one step, and to the disk; the directory is made if need be. -errno with words. */
int fl_drains_write(const char *dir, const char *node, const struct fl_drains *drains,
		    int64_t unix_s, struct fl_err *err);
