/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Scope-bound ownership: one function can be seen not to leak without reading its callees. */
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(fn) __attribute__((cleanup(fn)))

static inline void fl_freep(void *p)
{
	free(*(void **)p);
}

static inline void fl_closep(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void fl_fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_free_ _cleanup_(fl_freep)
#define _cleanup_close_ _cleanup_(fl_closep)
#define _cleanup_fclose_ _cleanup_(fl_fclosep)

/* Take what a pointer owns, leaving NULL behind. */
#define TAKE_PTR(ptr)                                                                              \
	({                                                                                         \
		__typeof__(ptr) *_pp = &(ptr);                                                     \
		__typeof__(ptr) _p = *_pp;                                                         \
		*_pp = NULL;                                                                       \
		_p;                                                                                \
	})

/* Take a file descriptor, leaving -1 behind. */
#define TAKE_FD(fd)                                                                                \
	({                                                                                         \
		int *_fdp = &(fd);                                                                 \
		int _fd = *_fdp;                                                                   \
		*_fdp = -1;                                                                        \
		_fd;                                                                               \
	})
