/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The settings in force as a document, for /configz (6.3.1). */
#pragma once

struct fl_json;
struct fl_settings;

/*
 * Write member "fairlead.dev": a FairleadConfiguration that would set the same again. The caller's
 * object is open.
 */
void fl_settings_json(const struct fl_settings *settings, struct fl_json *json);
