/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line: options of the settings table, --help made from it. */
#pragma once

#include <stdio.h>

#include "lb/base/options.h"
#include "lb/settings/config.h"
#include "lb/settings/settings.h"

/*
 * Read the command line and the configuration file it names; what the command line says beats the
 * file. `settings` is initialised by the caller. -EINVAL for a command line that makes no sense,
 * -EBADMSG for a file or settings that make none, -ENOMEM. With --help or --version nothing else is
 * looked at. Does not print.
 */
int fl_settings_read_args(int argc, char **argv, struct fl_settings *settings,
			  fl_config_note_fn note, void *arg, struct fl_err *err);

/* All options of the agent. */
void fl_settings_options(struct fl_options *ret_options);
void fl_settings_help(FILE *out);
