/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Growing arrays: a pointer, how many elements are in use, and how many there is room for. The
 * caller keeps all three; an array of zeroes is empty, and free() ends one.
 */
#pragma once

#include <errno.h>
#include <stddef.h>

/*
 * Make room for at least `n` elements in all. `room` doubles, so that appending one by one costs
 * the same per element however many there are. 0 or -ENOMEM (also when the sum does not fit into
 * a size_t, or into `room`), after which array and room are as before.
 *
 *	if (FL_ARRAY_ROOM(list->v, list->room, list->n + 1))
 *		return -ENOMEM;
 *	list->v[list->n++] = element;
 *
 * `array` and `room` are lvalues and evaluated more than once; `room` is of any unsigned type.
 */
#define FL_ARRAY_ROOM(array, room, n)                                                              \
	({                                                                                         \
		const size_t _most = (__typeof__(room))-1, _n = (n);                               \
		size_t _room = (room);                                                             \
		void *_array =                                                                     \
			_n > _most ? NULL : fl_array_grow((array), &_room, _n, sizeof(*(array)));  \
		if (_array) {                                                                      \
			(array) = _array;                                                          \
			(room) = (__typeof__(room))(_room > _most ? _most : _room);                \
		}                                                                                  \
		_array ? 0 : -ENOMEM;                                                              \
	})

/* The work behind it: the array, moved or not; NULL: no memory. `n` is at least 1. */
void *fl_array_grow(void *array, size_t *room, size_t n, size_t size);
