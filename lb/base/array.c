/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Growing arrays. */
#include "lb/base/array.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#define FIRST_BYTES 24 /* as much as malloc() has in its smallest block */

void *fl_array_grow(void *array, size_t *room, size_t n, size_t size)
{
	size_t wanted = *room ? *room : FIRST_BYTES / size, bytes;
	void *grown;

	assert(n);
	if (n <= *room)
		return array;
	wanted = wanted ? wanted : 1;
	while (wanted < n && wanted <= SIZE_MAX / 2)
		wanted *= 2;
	if (wanted < n)
		wanted = n;
	if (__builtin_mul_overflow(wanted, size, &bytes))
		return NULL;
	grown = realloc(array, bytes);
	if (grown)
		*room = wanted;
	return grown;
}
