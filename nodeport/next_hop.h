/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Userspace's half of the next-hop cache; the other one is bpf/lib/fib.bpf.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"

/*
 * Begin another generation: the datapath asks the kernel again for every next hop. After routes,
 * rules, links or neighbours have changed.
 */
void fl_next_hops_forget(struct fl_meta *meta);

/*
 * The generation that is in force is good until then (jiffies), unless it is forgotten earlier. By
 * an agent that hears of every change; afterwards the datapath begins another one by itself.
 */
void fl_next_hops_keep(struct fl_meta *meta, uint32_t until);
