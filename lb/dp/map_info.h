/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One map, by its descriptor. */
#pragma once

#include <linux/bpf.h>
#include <stddef.h>

/* What the kernel says of it. `fd` may be a negative error, which is returned. 0 or -errno. */
int fl_map_info_get(int fd, struct bpf_map_info *ret_info);
/* A new array of this one value. Returns its descriptor, which is the caller's, or -errno. */
int fl_map_make_value(const char *name, const void *value, size_t size);
