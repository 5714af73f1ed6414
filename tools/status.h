/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The parts of `fairlead status`. */
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "lb/base/err.h"

struct fl_cli;
struct fl_items;
struct fl_json;
struct fl_output_options;
struct fl_value;
struct fl_view;

/* A Status document for people. */
void fl_status_put(const struct fl_value *root, const struct fl_items *items, bool wide,
		   const struct fl_output_options *options, FILE *out);
bool fl_status_flag(const struct fl_value *root, const char *key);
/* The document as far as it is known without an agent: from maps and from what the pins attach. */
int fl_status_from_pins(const struct fl_view *view, const struct fl_cli *cli, const void *arg,
			struct fl_json *json, struct fl_err *err);
