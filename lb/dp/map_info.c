/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps that are looked at, or made, for their own sake. */
#include "lb/dp/map_info.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"

int fl_map_info_get(int fd, struct bpf_map_info *ret_info)
{
	__u32 len = sizeof(*ret_info);

	memset(ret_info, 0, sizeof(*ret_info));
	if (fd < 0)
		return fd;
	return bpf_obj_get_info_by_fd(fd, ret_info, &len) ? -errno : 0;
}

int fl_map_make_value(const char *name, const void *value, size_t size)
{
	_cleanup_close_ int fd =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), (__u32)size, 1, NULL);
	__u32 zero = 0;

	if (fd < 0 || bpf_map_update_elem(fd, &zero, value, BPF_ANY))
		return -errno;
	return TAKE_FD(fd);
}
