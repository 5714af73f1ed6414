/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flows of a datapath with other maps come over to ours: a step of the start. */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"
#include "lb/dp/dp.h"

/*
 * Once with the services in the maps, before our programs go live; and once when they are (`live`),
 * for what has come or changed while they took their places one by one. Nothing to do where the
 * maps are those that there were.
 */
int fl_agent_bring_flows(struct fl_dp *dp, bool live, struct fl_err *err);
