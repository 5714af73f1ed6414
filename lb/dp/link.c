// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Asking the kernel about links, in layouts that kernels newer than our headers fill. */
#include "lb/dp/link.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>

int fl_link_info_get(int link_fd, struct fl_link_info *ret_info)
{
	/* struct bpf_link_info with room for what newer kernels add */
	union {
		struct bpf_link_info info;
		struct {
			__u32 type, id, prog_id, pad;
			union {
				__u32 ifindex; /* xdp, tcx */
				__u64 cgroup_id;
			};
		} known;
		char room[256];
	} u;
	__u32 len = sizeof(u.room);

	memset(&u, 0, sizeof(u));
	if (bpf_obj_get_info_by_fd(link_fd, &u, &len))
		return -errno;
	*ret_info = (struct fl_link_info){
		.type = u.known.type, .id = u.known.id, .prog_id = u.known.prog_id};
	if (u.known.type == FL_LINK_CGROUP)
		ret_info->cgroup_id = u.known.cgroup_id;
	else
		ret_info->ifindex = u.known.ifindex;
	return 0;
}

int fl_xdp_attach_mode(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	return bpf_xdp_query((int)ifindex, 0, &opts) ? XDP_ATTACHED_NONE : opts.attach_mode;
}
