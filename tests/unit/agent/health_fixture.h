/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A health whose clock a test moves. To include after cmocka.h. */
#pragma once

#include <stdint.h>

#include "lb/base/health.h"

static inline struct fl_mono hands_mono(void *arg)
{
	return *(struct fl_mono *)arg;
}

static inline int64_t hands_unix_s(void *arg)
{
	return 1700000000 + (int64_t)(((struct fl_mono *)arg)->ns / FL_NSEC_PER_SEC);
}

/* `hands` is borrowed. */
static inline struct fl_health *health_with(struct fl_mono *hands)
{
	struct fl_health *health = NULL;
	const struct fl_clock clock = {.mono = hands_mono, .unix_s = hands_unix_s, .arg = hands};

	assert_int_equal(fl_health_new(&clock, NULL, NULL, &health), 0);
	return health;
}

/* NULL: not set. */
static inline const char *condition_text(const struct fl_health *health,
					 enum fl_condition_kind kind, const char *subject)
{
	const struct fl_condition *condition = fl_health_find(health, kind, subject);

	return condition ? condition->text : NULL;
}
