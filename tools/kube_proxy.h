/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead cleanup: what kube-proxy left on a node goes; or whether it is there to take over. */
#pragma once

#include <stdbool.h>

#include "tools/cli.h"

/* With `dry_run` it is only printed what would be done. */
enum fl_exit fl_kube_proxy_cleanup(bool dry_run);
/* No mode of it has rules here. False where that cannot be known. */
bool fl_kube_proxy_is_missing(void);
