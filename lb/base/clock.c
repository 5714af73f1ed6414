/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's clocks. */
#include "lb/base/clock.h"

#include <time.h>

struct fl_mono fl_mono_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct fl_mono){(uint64_t)ts.tv_sec * FL_NSEC_PER_SEC + (uint64_t)ts.tv_nsec};
}

static struct fl_mono system_mono(void *arg)
{
	return fl_mono_now();
}

static int64_t system_unix_s(void *arg)
{
	return time(NULL);
}

static int64_t system_unix_ns(void *arg)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * (int64_t)FL_NSEC_PER_SEC + ts.tv_nsec;
}

const struct fl_clock fl_clock_system = {
	.mono = system_mono, .unix_s = system_unix_s, .unix_ns = system_unix_ns};
