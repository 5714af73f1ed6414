/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Engine: growing arrays of elements whose size only a descriptor knows; see lb/base/array.h. */
#pragma once

#include <stdint.h>

#include "lb/base/array.h"

/* Room for at least `n` elements of `size` bytes. 0 or -ENOMEM, which leaves all as it was. */
static inline int fl_stride_room(unsigned char **array, uint32_t *cap, uint64_t n, size_t size)
{
	size_t room = *cap;
	void *mem = n > UINT32_MAX ? NULL : fl_array_grow(*array, &room, n, size);

	if (!mem)
		return -ENOMEM;
	*array = mem;
	*cap = (uint32_t)(room > UINT32_MAX ? UINT32_MAX : room);
	return 0;
}
