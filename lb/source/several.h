/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Several sources as one: complete when each of them is. */
#pragma once

#include "lb/source/source.h"

#define FL_SEVERAL_MAX 4

/* Takes all of `sources`, in any case. 0, -ENOMEM, or what the kernel says. */
int fl_several_new(struct fl_source **sources, size_t n, struct fl_source **ret_source,
		   struct fl_err *err);
