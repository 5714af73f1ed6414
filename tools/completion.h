/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Completion scripts, one file per shell. */
#pragma once

#include <stdio.h>

struct fl_program;

void fl_completion_bash(const struct fl_program *program, FILE *out);
void fl_completion_zsh(const struct fl_program *program, FILE *out);
void fl_completion_fish(const struct fl_program *program, FILE *out);
