/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Exponential back-off with jitter. */
#include "lb/kube/backoff.h"

uint64_t fl_backoff_delay(struct fl_backoff *backoff, struct fl_mono now, uint32_t random)
{
	uint64_t base_ms;

	if (!backoff->next_ms || fl_mono_ms_between(backoff->last, now) > FL_BACKOFF_FORGET_MS)
		backoff->next_ms = FL_BACKOFF_FIRST_MS;
	base_ms = backoff->next_ms;
	backoff->next_ms = base_ms * 2 < FL_BACKOFF_MAX_MS ? base_ms * 2 : FL_BACKOFF_MAX_MS;
	backoff->last = now;
	return base_ms + base_ms * random / UINT32_MAX;
}
