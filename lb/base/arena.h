/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Memory that is given out piece by piece and taken back all at once. */
#pragma once

#include <stddef.h>

struct fl_arena {
	struct fl_arena_block *blocks; /* newest first */
	size_t used, size;	       /* of the newest block */
};

#define FL_ARENA_INIT                                                                              \
	{                                                                                          \
		0                                                                                  \
	}

/* Zeroed memory aligned for pointers and integers, valid until reset or fini; NULL when there is
 * none. */
void *fl_arena_alloc(struct fl_arena *arena, size_t size);
/* The same without alignment or zeroing, for text. */
char *fl_arena_text(struct fl_arena *arena, size_t size);
/* Take everything back but keep one block for the next round. */
void fl_arena_reset(struct fl_arena *arena);
void fl_arena_fini(struct fl_arena *arena);
