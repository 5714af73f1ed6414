/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead backend drain, undrain. */
#pragma once

#include "tools/cli.h"

enum fl_exit fl_run_drain(struct fl_cli *cli);
enum fl_exit fl_run_undrain(struct fl_cli *cli);
extern const struct fl_cli_option fl_undrain_options[];
