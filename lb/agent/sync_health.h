/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Conditions of what the maps do not hold as wanted. */
#pragma once

#include "lb/base/health.h"
#include "lb/sync/sync.h"

/* Conflicts between service ports, and service ports that did not fit. */
void fl_sync_health_update(struct fl_sync *sync, struct fl_health *health);
/*
 * `drift`: differences that remain, negative unknown; `why`: they could not be corrected, ""
 * unknown
 */
void fl_sync_health_drift(long drift, const char *why, struct fl_health *health);
