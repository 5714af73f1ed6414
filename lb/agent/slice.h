/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* How soon the calling thread gets a processor when it wakes up. */
#pragma once

/* 0 or -errno; without it the thread only waits longer. */
int fl_slice_shorten(void);
