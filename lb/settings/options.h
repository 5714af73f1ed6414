/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The command line: options of the settings table, --help made from it. */
#pragma once

#include <stdio.h>

#include "lb/settings/config.h"
#include "lb/settings/settings.h"

/*
 * Read the command line and the configuration file it names; what the command line says beats the
 * file. `settings` is initialised by the caller. -EINVAL for wrong usage or a bad file, -ENOMEM.
 * With --help or --version nothing else is looked at. Does not print.
 */
int fl_options_parse(int argc, char *const *argv, struct fl_settings *settings,
		     fl_config_note_fn note, void *arg, struct fl_err *err);

void fl_options_help(FILE *out);
