/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is counted per Service, for a limited number of them: who comes first has a series of its
 * own, and what is counted of the others is summed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/metrics/facts.h"

struct fl_service_series;

/* Room for `max` Services, at most FL_METRICS_SERVICES_MAX. NULL: no memory. */
struct fl_service_series *fl_service_series_new(uint32_t max);
void fl_service_series_free(struct fl_service_series **series);

/*
 * What stands for a Service's series: to be kept as long as one likes. Of one that has been
 * forgotten since it stands for the rest, as it does where there was no room.
 */
uint32_t fl_service_series_get(struct fl_service_series *series, const char *ns, const char *name);
/* Its counters; borrowed until the next call. */
struct fl_metrics_service *fl_service_series_at(struct fl_service_series *series, uint32_t which);

/* Forget Services that are no more. */
void fl_service_series_forget(struct fl_service_series *series,
			      bool (*exists)(const char *ns, const char *name, void *arg),
			      void *arg);
/* Whether some found no room since somebody was forgotten. */
bool fl_service_series_is_short(const struct fl_service_series *series);

/* All of them, the rest first, under the name FL_METRICS_OTHER; borrowed until the next call. */
const struct fl_metrics_service *fl_service_series_all(struct fl_service_series *series,
						       size_t *ret_n);
