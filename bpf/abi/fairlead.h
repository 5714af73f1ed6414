/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the datapath and userspace agree on, a header per noun: the layout of every map, the limits,
 * and the names of what can happen to a packet. These files are compiled by clang for BPF and by
 * gcc and clang for the agent; both assert the same sizes. Any change of a layout, or of the
 * meaning of a field, since the last release raises FL_ABI_VERSION.
 */
#pragma once

#include "bpf/abi/addr.h"
#include "bpf/abi/config.h"
#include "bpf/abi/filter.h"
#include "bpf/abi/flow.h"
#include "bpf/abi/frontend.h"
#include "bpf/abi/hash.h"
#include "bpf/abi/layout.h"
#include "bpf/abi/records.h"
#include "bpf/abi/maps.h"
#include "bpf/abi/node.h"
#include "bpf/abi/reasons.h"
#include "bpf/abi/service.h"
#include "bpf/abi/socket.h"

#ifdef FL_TEST_LAYOUT
#define FL_ABI_VERSION 1000000 /* a layout made up for tests: flow.h */
#else
#define FL_ABI_VERSION 9
#endif
