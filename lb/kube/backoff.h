/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * How long to wait before trying again: longer each time up to a limit, with as much again by
 * chance, so that the nodes of a cluster do not come back all at once (10.10).
 */
#pragma once

#include "lb/base/clock.h"

#define FL_BACKOFF_FIRST_MS 800
#define FL_BACKOFF_MAX_MS 30000
#define FL_BACKOFF_FORGET_MS 120000 /* without trouble for so long, it begins anew */

/* Zero-initialise. */
struct fl_backoff {
	uint64_t next_ms;
	struct fl_mono last;
};

/* The delay after a failure at `now`; `random` is any number. */
uint64_t fl_backoff_delay(struct fl_backoff *backoff, struct fl_mono now, uint32_t random);
