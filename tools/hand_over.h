/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead cleanup --hand-over: kube-proxy goes on with the connections that there are. */
#pragma once

#include "tools/cli.h"

/*
 * Give the connections of the datapath in `bpffs` to the kernel's NAT. Refused where kube-proxy has
 * no rules, and while an agent runs; then nothing has changed. Connections that cannot be given are
 * reported, and are no failure.
 */
enum fl_exit fl_hand_over(const char *bpffs);
