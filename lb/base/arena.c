/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A bump allocator over a chain of blocks that grow with use, so that small documents stay small.
 */
#include "lb/base/arena.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_MIN 4096
#define BLOCK_MAX (1024 * 1024)

struct fl_arena_block {
	struct fl_arena_block *next;
	alignas(void *) char bytes[];
};

static int grow(struct fl_arena *arena, size_t need)
{
	size_t size = arena->size ? arena->size * 2 : BLOCK_MIN;
	struct fl_arena_block *block;

	if (size > BLOCK_MAX)
		size = BLOCK_MAX;
	if (size < need)
		size = need;
	block = malloc(sizeof(*block) + size);
	if (!block)
		return -1;
	block->next = arena->blocks;
	arena->blocks = block;
	arena->used = 0;
	arena->size = size;
	return 0;
}

static void *take(struct fl_arena *arena, size_t size, size_t align)
{
	size_t from = (arena->used + align - 1) & ~(align - 1);
	void *p;

	if (!arena->blocks || from > arena->size || size > arena->size - from) {
		if (grow(arena, size))
			return NULL;
		from = 0;
	}
	p = arena->blocks->bytes + from;
	arena->used = from + size;
	return p;
}

void *fl_arena_alloc(struct fl_arena *arena, size_t size)
{
	void *p = take(arena, size, alignof(void *));

	return p ? memset(p, 0, size) : NULL;
}

char *fl_arena_text(struct fl_arena *arena, size_t size)
{
	return take(arena, size, 1);
}

static void free_chain(struct fl_arena_block *block)
{
	while (block) {
		struct fl_arena_block *next = block->next;

		free(block);
		block = next;
	}
}

void fl_arena_reset(struct fl_arena *arena)
{
	if (!arena->blocks)
		return;
	free_chain(arena->blocks->next);
	arena->blocks->next = NULL;
	arena->used = 0;
}

void fl_arena_fini(struct fl_arena *arena)
{
	free_chain(arena->blocks);
	*arena = (struct fl_arena)FL_ARENA_INIT;
}
