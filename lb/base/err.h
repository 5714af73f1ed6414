/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Words for a failure: what was tried, on what, and why it did not work. Functions return -errno
 * and fill a caller's struct fl_err; the caller that handles the error prints it once.
 */
#pragma once

struct fl_err {
	char text[512];
};

/* Set the text. `err` may be NULL. Returns `rc`, so that "return fl_err_set(err, -EINVAL, ...)"
 * reads well. */
int fl_err_set(struct fl_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "prefix: " before what is there already. Returns `rc`. */
int fl_err_wrap(struct fl_err *err, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
