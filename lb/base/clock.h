/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Time as the controller keeps it: moments of the monotonic clock, in a type of their own, so that
 * they cannot be mixed with jiffies, milliseconds or the time of day. Code that waits or measures
 * takes a struct fl_clock, so that a test can move the hands.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FL_NSEC_PER_MSEC 1000000ULL
#define FL_NSEC_PER_SEC 1000000000ULL

/* A moment on CLOCK_MONOTONIC. Zero: never. */
struct fl_mono {
	uint64_t ns;
};

/* Where time comes from; both functions get `arg`. */
struct fl_clock {
	struct fl_mono (*mono)(void *arg);
	int64_t (*unix_s)(void *arg); /* time of day, to show to people, never to measure */
	void *arg;
	int64_t (*unix_ns)(void *arg); /* the same, as exact as it is */
};

/* The kernel's. */
extern const struct fl_clock fl_clock_system;

static inline struct fl_mono fl_clock_now(const struct fl_clock *clock)
{
	return clock->mono(clock->arg);
}

/* The same without a struct fl_clock, for what no test needs to fake. */
struct fl_mono fl_mono_now(void);

/* 0 when `to` is before `from`. */
static inline uint64_t fl_mono_ns_between(struct fl_mono from, struct fl_mono to)
{
	return to.ns > from.ns ? to.ns - from.ns : 0;
}

static inline uint64_t fl_mono_ms_between(struct fl_mono from, struct fl_mono to)
{
	return fl_mono_ns_between(from, to) / FL_NSEC_PER_MSEC;
}

static inline double fl_mono_s_between(struct fl_mono from, struct fl_mono to)
{
	return (double)fl_mono_ns_between(from, to) / (double)FL_NSEC_PER_SEC;
}

static inline struct fl_mono fl_mono_plus_ms(struct fl_mono t, uint64_t ms)
{
	return (struct fl_mono){t.ns + ms * FL_NSEC_PER_MSEC};
}
