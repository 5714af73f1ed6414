// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Where programs sit. A place that an earlier agent holds by a pinned link gets our program by an
 * update of the link, in one step; only a place without one is attached to. So traffic always meets
 * a program, the old one or the new one.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/link.h"
#include "lb/dp/state.h"

/* A link is of use when it holds our target, and for XDP in the mode we want. */
static bool link_fits(int fd, unsigned int ifindex, uint64_t cgroup_id, uint32_t xdp_flags)
{
	struct fl_link_info info;

	if (fl_link_info_get(fd, &info))
		return false;
	switch (info.type) {
	case FL_LINK_CGROUP:
		return info.cgroup_id == cgroup_id;
	case FL_LINK_XDP:
		return info.ifindex == ifindex &&
		       fl_xdp_attach_mode(ifindex) == (xdp_flags == XDP_FLAGS_SKB_MODE
							       ? XDP_ATTACHED_SKB
							       : XDP_ATTACHED_DRV);
	default:
		return info.ifindex == ifindex;
	}
}

int fl_dp_put(struct fl_dp *dp, const struct fl_place *place, int prog_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = place->flags);
	const struct fl_attachment *a = fl_attachment_find(dp, place->name);
	_cleanup_close_ int fd = -1;
	int r;

	if (a && a->prog_fd == prog_fd)
		return 0;
	fd = fl_bpffs_get(&dp->fs, "links", place->name, false);
	if (fd >= 0 && link_fits(fd, place->ifindex, place->cgroup_id, place->flags)) {
		if (!bpf_link_update(fd, prog_fd, NULL))
			return fl_attachment_add(dp, place->name, place->ifindex, prog_fd,
						 TAKE_FD(fd));
		return -errno;
	}
	if (fd >= 0) {
		close(TAKE_FD(fd));
		fl_attachment_drop(dp, place->name);
	}
	fd = bpf_link_create(prog_fd, place->target, place->type, &opts);
	if (fd < 0)
		return -errno;
	r = fl_bpffs_pin(&dp->fs, "links", place->name, fd, NULL);
	return r ? r : fl_attachment_add(dp, place->name, place->ifindex, prog_fd, TAKE_FD(fd));
}

static int put_on_device(struct fl_dp *dp, unsigned int ifindex, const char *pin, int type,
			 uint32_t flags, const char *program)
{
	struct fl_place place = {
		.ifindex = ifindex, .target = (int)ifindex, .type = type, .flags = flags};
	int prog_fd = fl_dp_program(dp, program);

	if (prog_fd < 0)
		return prog_fd;
	snprintf(place.name, sizeof(place.name), "%s-%u", pin, ifindex);
	return fl_dp_put(dp, &place, prog_fd);
}

/* Whether an earlier or this agent has something pinned there; if so, take it away. */
static void drop_if_pinned(struct fl_dp *dp, const char *pin, unsigned int ifindex)
{
	char name[40];
	int fd;

	snprintf(name, sizeof(name), "%s-%u", pin, ifindex);
	fd = fl_bpffs_get(&dp->fs, "links", name, false);
	if (fd < 0 && !fl_attachment_find(dp, name))
		return;
	if (fd >= 0)
		close(fd);
	fl_attachment_drop(dp, name);
}

/* Both tc programs: tcx where the kernel has it, else clsact. */
static int put_tc(struct fl_dp *dp, unsigned int ifindex, const char *ingress, const char *egress,
		  struct fl_dp_device *device, struct fl_err *err)
{
	int r = -EINVAL;

	if (!dp->no_tcx) {
		r = put_on_device(dp, ifindex, FL_PIN_TC_INGRESS, FL_TCX_INGRESS, 0, ingress);
		if (!r)
			r = put_on_device(dp, ifindex, FL_PIN_TC_EGRESS, FL_TCX_EGRESS, 0, egress);
		if (r == -EINVAL) /* kernels before 6.6 do not know the attach type */
			dp->no_tcx = true;
	}
	if (dp->no_tcx) {
		r = fl_clsact_attach(dp, ifindex, true, fl_dp_program(dp, ingress), err);
		if (!r)
			r = fl_clsact_attach(dp, ifindex, false, fl_dp_program(dp, egress), err);
		device->clsact = true;
		/* after the filters are there: links of an agent that used tcx would serve a packet
		 * twice */
		if (!r) {
			drop_if_pinned(dp, FL_PIN_TC_INGRESS, ifindex);
			drop_if_pinned(dp, FL_PIN_TC_EGRESS, ifindex);
		}
		return r;
	}
	if (r)
		return fl_err_set(err, r, "cannot attach tc programs: %s", strerror(-r));
	drop_if_pinned(dp, FL_PIN_CLSACT_INGRESS, ifindex);
	drop_if_pinned(dp, FL_PIN_CLSACT_EGRESS, ifindex);
	return 0;
}

static const char *xdp_words(int error)
{
	switch (-error) {
	case EOPNOTSUPP:
		return "its driver has no XDP";
	case EBUSY:
	case EEXIST:
		return "another XDP program is there";
	case ERANGE:
	case EINVAL:
		return "its driver refuses (MTU, queues or offloads)";
	default:
		return strerror(-error);
	}
}

static int attach_external(struct fl_dp *dp, unsigned int ifindex, enum fl_dp_mode mode,
			   struct fl_dp_device *device, struct fl_err *err)
{
	bool generic = mode == FL_DP_XDP_GENERIC;
	int r = 0;

	device->mode = FL_DP_TC;
	if (mode != FL_DP_TC) {
		/* XDP first: the complete tc program, if one is there, makes way only when XDP is
		 * in front of it */
		r = put_on_device(dp, ifindex, FL_PIN_XDP, BPF_XDP,
				  generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, "fl_xdp");
		if (!r)
			device->mode = generic ? FL_DP_XDP_GENERIC : FL_DP_XDP;
		else if (mode == FL_DP_AUTO)
			snprintf(device->note, sizeof(device->note), "no native XDP: %s",
				 xdp_words(r));
		else
			return fl_err_set(err, r, "cannot attach XDP (%s): %s",
					  generic ? "generic" : "native", xdp_words(r));
	}
	device->xdp_tx = device->mode != FL_DP_TC;
	r = put_tc(dp, ifindex, device->mode == FL_DP_TC ? "fl_tc_ingress" : "fl_tc_from_xdp",
		   "fl_tc_egress", device, err);
	if (!r && device->mode == FL_DP_TC)
		drop_if_pinned(dp, FL_PIN_XDP, ifindex);
	return r;
}

int fl_dp_attach_device(struct fl_dp *dp, unsigned int ifindex, enum fl_dp_role role,
			enum fl_dp_mode mode, struct fl_dp_device *ret_device, struct fl_err *err)
{
	struct fl_dp_device device = {.mode = FL_DP_TC};
	char name[IF_NAMESIZE];
	int r;

	if (role == FL_DP_EXTERNAL) {
		r = attach_external(dp, ifindex, mode, &device, err);
	} else {
		r = put_tc(dp, ifindex, "fl_pod_ingress", "fl_pod_egress", &device, err);
		if (!r)
			drop_if_pinned(dp, FL_PIN_XDP, ifindex);
	}
	if (r)
		return fl_err_wrap(err, r, "device %s",
				   if_indextoname(ifindex, name) ? name : "(gone)");
	*ret_device = device;
	return 0;
}

void fl_dp_detach_device(struct fl_dp *dp, unsigned int ifindex)
{
	static const char *const pins[] = {FL_PIN_XDP, FL_PIN_TC_INGRESS, FL_PIN_TC_EGRESS,
					   FL_PIN_CLSACT_INGRESS, FL_PIN_CLSACT_EGRESS};

	for (size_t i = 0; i < sizeof(pins) / sizeof(pins[0]); i++)
		drop_if_pinned(dp, pins[i], ifindex);
}
