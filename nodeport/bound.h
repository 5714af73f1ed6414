/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Ports that sockets of this node are bound to: the kernel's list of sockets, for those that were
 * there before the bind hooks (map fl_bound_ports).
 */
#pragma once

#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"

/*
 * Set the bit of every port that a TCP or UDP socket of this network namespace has, whatever its
 * state. words: the map's memory, which others write too. 0 or -errno; then bits may be missing.
 */
int fl_bound_ports_scan(__u64 words[static FL_BOUND_WORDS], struct fl_err *err);
