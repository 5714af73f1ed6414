/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a descriptor shows of a loaded program: whether it is one of Fairlead's, which
 * maps it uses, and which network namespace it was loaded for. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* By its name and its maps, so that versions other than ours are recognised too. */
bool fl_program_is_fairlead(int prog_fd);

/* A map that it uses, by its name in the objects: a new descriptor, or -errno (-ENOENT: it does not
 * use such a map). Needs the right to open maps by number (CAP_SYS_ADMIN). */
int fl_program_map(int prog_fd, const char *name);

/* fl_config.host_netns as it was loaded with; 0: unknown. Needs the same right. */
uint64_t fl_program_netns(int prog_fd);
