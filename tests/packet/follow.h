/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's part in 7.1 to 7.7: UDP clients leave what their frontend does not serve now. */
#pragma once

#include "tests/packet/plane.h"

/* Judge all flows and sockets by the frontends that are in the maps; returns how many choose again
 * with their next packet. */
size_t clients_follow(const struct plane *p);
