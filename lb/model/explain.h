/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Why a service port is planned as it is, in a line for the log. */
#pragma once

#include "lb/model/plan.h"

/* Owned by the caller; NULL without memory. */
char *fl_plan_explain(const struct fl_plan_port *port);
