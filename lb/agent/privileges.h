/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Giving up rights that only the start needs. */
#pragma once

#include "lb/base/err.h"

/* 0 or -errno. */
int fl_privileges_drop(struct fl_err *err);
