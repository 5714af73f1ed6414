/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The shared maps and no program: made first where there are none yet, so that the objects with
 * programs need not wait for one another to be verified.
 */
#include "bpf/lib/map_define.bpf.h"

FL_MAP_LIST(FL_MAP_DEFINE)

char _license[] SEC("license") = "Dual BSD/GPL";
