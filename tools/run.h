/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Running another program, with text in and text out. */
#pragma once

#include "lb/base/err.h"

/*
 * Run argv[0], looked up in PATH, with `input` (NULL: none) as its standard input. 0 with its
 * standard output in *ret_output, which is the caller's; -ENOENT: there is no such program; -EIO:
 * it failed, `err` has what it said first.
 */
int fl_run(const char *const argv[], const char *input, char **ret_output, struct fl_err *err);
