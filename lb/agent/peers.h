/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The other nodes, from which encapsulated packets are taken (DSR). */
#pragma once

#include "lb/host/host.h"
#include "lb/model/store.h"
#include "lb/settings/settings.h"

/* Tell the datapath those that the settings name, and the addresses of all Nodes that are known. 0
 * or an error. */
int fl_peers_set(struct fl_host *host, const struct fl_settings *settings, struct fl_store *store,
		 struct fl_err *err);
