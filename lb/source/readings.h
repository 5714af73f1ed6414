/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Many files at once, as at a start: read and decoded by all processors. */
#pragma once

#include "lb/source/reading.h"

/* fl_reading_run() for each. Returns when all are done. */
void fl_readings_run(struct fl_reading *const *list, size_t n);
