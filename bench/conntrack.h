/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kernel's connection table, of which iptables and nftables remember flows. */
#pragma once

#include "lb/base/err.h"

/* Forget all flows of the network namespace of the caller. */
int bench_conntrack_flush(struct fl_err *err);
