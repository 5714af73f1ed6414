/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the kernel tells about a BPF link: which program it keeps attached, and to what. */
#pragma once

#include <stdint.h>

/* enum bpf_link_type and enum bpf_attach_type of newer kernels, which older headers lack */
#define FL_LINK_CGROUP 3
#define FL_LINK_XDP 6
#define FL_LINK_TCX 11
#define FL_TCX_INGRESS 46
#define FL_TCX_EGRESS 47

/* The fields of struct bpf_link_info that we use. */
struct fl_link_info {
	uint32_t type; /* enum bpf_link_type */
	uint32_t id, prog_id;
	unsigned int ifindex; /* XDP, tcx: 0 when the device is gone */
	uint64_t cgroup_id;   /* cgroup: 0 when it was detached */
};
int fl_link_info_get(int link_fd, struct fl_link_info *ret_info); /* 0 or -errno */

/* The mode of the XDP program on a device: XDP_ATTACHED_*, XDP_ATTACHED_NONE also when it cannot be
 * asked. */
int fl_xdp_attach_mode(unsigned int ifindex);
