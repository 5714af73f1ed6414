/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent: objects come in, are planned and synced; devices and addresses of the node come in,
 * and programs are attached. One thread, one loop.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"

struct fl_agent;
struct fl_reread;
struct fl_settings;

/*
 * Read everything, open the datapath, fill the maps, attach, give up rights. `settings` is
 * borrowed, and by `reread` (NULL: never) read again later. After a failure nothing is left to
 * free; the datapath stays as far as it was made.
 */
int fl_agent_start(struct fl_settings *settings, struct fl_reread *reread,
		   struct fl_agent **ret_agent, struct fl_err *err);
/* Serve until SIGTERM or SIGINT. */
int fl_agent_run(struct fl_agent *agent, struct fl_err *err);
/* Everything that was asked for is in force: nothing waits to be tried again. */
bool fl_agent_is_complete(const struct fl_agent *agent);
/* The datapath stays at work. */
void fl_agent_free(struct fl_agent **agent);
