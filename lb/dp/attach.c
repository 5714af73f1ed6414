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
#include "lb/dp/state.h"

#define TCX_INGRESS 46 /* enum bpf_attach_type BPF_TCX_INGRESS, which older headers lack */
#define TCX_EGRESS 47

static const struct {
	const char *pin; /* what follows "cgroup-" */
	const char *program;
	enum bpf_attach_type type;
} cgroup_hooks[] = {
	{"connect4", "fl_connect4", BPF_CGROUP_INET4_CONNECT},
	{"connect6", "fl_connect6", BPF_CGROUP_INET6_CONNECT},
	{"sendmsg4", "fl_sendmsg4", BPF_CGROUP_UDP4_SENDMSG},
	{"sendmsg6", "fl_sendmsg6", BPF_CGROUP_UDP6_SENDMSG},
	{"recvmsg4", "fl_recvmsg4", BPF_CGROUP_UDP4_RECVMSG},
	{"recvmsg6", "fl_recvmsg6", BPF_CGROUP_UDP6_RECVMSG},
	{"getpeername4", "fl_getpeername4", BPF_CGROUP_INET4_GETPEERNAME},
	{"getpeername6", "fl_getpeername6", BPF_CGROUP_INET6_GETPEERNAME},
	{"post_bind4", "fl_post_bind4", BPF_CGROUP_INET4_POST_BIND},
	{"post_bind6", "fl_post_bind6", BPF_CGROUP_INET6_POST_BIND},
};

static struct fl_attachment *find(const struct fl_dp *dp, const char *name)
{
	for (struct fl_attachment *a = dp->attachments; a; a = a->next)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}

/* Remember what is attached; takes link_fd in any case. */
static int remember(struct fl_dp *dp, const char *name, unsigned int ifindex, int prog_fd,
		    int link_fd)
{
	struct fl_attachment *a = find(dp, name);

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a) {
			if (link_fd >= 0)
				close(link_fd);
			return -ENOMEM;
		}
		snprintf(a->name, sizeof(a->name), "%s", name);
		a->next = dp->attachments;
		dp->attachments = a;
	} else if (a->link_fd >= 0) {
		close(a->link_fd);
	}
	a->ifindex = ifindex;
	a->prog_fd = prog_fd;
	a->link_fd = link_fd;
	return 0;
}

/* Detach and forget one place, by the name of its pin. */
static void drop(struct fl_dp *dp, const char *name)
{
	struct fl_attachment **at = &dp->attachments, *a;
	int fd;

	while ((a = *at) && strcmp(a->name, name))
		at = &a->next;
	if (fl_clsact_parse(name, &(unsigned int){0}, &(bool){false})) {
		fl_clsact_detach(&dp->fs, name);
	} else {
		fd = fl_bpffs_get(&dp->fs, "links", name, false);
		if (fd >= 0) {
			bpf_link_detach(fd); /* fails when the device is gone, which is as good */
			close(fd);
		}
		fl_bpffs_unpin(&dp->fs, "links", name);
	}
	dp->attach_calls++;
	if (a) {
		*at = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
	}
}

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

/* The kernel's mode of the XDP program on a device: XDP_ATTACHED_*. */
static int xdp_mode(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	return bpf_xdp_query((int)ifindex, 0, &opts) ? XDP_ATTACHED_NONE : opts.attach_mode;
}

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
		       xdp_mode(ifindex) == (xdp_flags == XDP_FLAGS_SKB_MODE ? XDP_ATTACHED_SKB
									     : XDP_ATTACHED_DRV);
	default:
		return info.ifindex == ifindex;
	}
}

struct place {
	char name[40];
	unsigned int ifindex;
	int target; /* ifindex or descriptor of the cgroup */
	uint64_t cgroup_id;
	enum bpf_attach_type type;
	uint32_t flags;
};

/* Put a program at a place by a link. 0 or -errno without words: callers know what they tried. */
static int put(struct fl_dp *dp, const struct place *place, int prog_fd)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts, .flags = place->flags);
	const struct fl_attachment *a = find(dp, place->name);
	_cleanup_close_ int fd = -1;
	int r;

	if (a && a->prog_fd == prog_fd)
		return 0;
	fd = fl_bpffs_get(&dp->fs, "links", place->name, false);
	if (fd >= 0 && link_fits(fd, place->ifindex, place->cgroup_id, place->flags)) {
		dp->attach_calls++;
		if (!bpf_link_update(fd, prog_fd, NULL))
			return remember(dp, place->name, place->ifindex, prog_fd, TAKE_FD(fd));
		return -errno;
	}
	if (fd >= 0) {
		close(TAKE_FD(fd));
		drop(dp, place->name);
	}
	dp->attach_calls++;
	fd = bpf_link_create(prog_fd, place->target, place->type, &opts);
	if (fd < 0)
		return -errno;
	r = fl_bpffs_pin(&dp->fs, "links", place->name, fd, NULL);
	return r ? r : remember(dp, place->name, place->ifindex, prog_fd, TAKE_FD(fd));
}

static int put_on_device(struct fl_dp *dp, unsigned int ifindex, const char *pin, int type,
			 uint32_t flags, const char *program)
{
	struct place place = {
		.ifindex = ifindex, .target = (int)ifindex, .type = type, .flags = flags};
	int prog_fd = fl_dp_program(dp, program);

	if (prog_fd < 0)
		return prog_fd;
	snprintf(place.name, sizeof(place.name), "%s-%u", pin, ifindex);
	return put(dp, &place, prog_fd);
}

/* Whether an earlier or this agent has something pinned there; if so, take it away. */
static void drop_if_pinned(struct fl_dp *dp, const char *pin, unsigned int ifindex)
{
	char name[40];
	int fd;

	snprintf(name, sizeof(name), "%s-%u", pin, ifindex);
	fd = fl_bpffs_get(&dp->fs, "links", name, false);
	if (fd < 0 && !find(dp, name))
		return;
	if (fd >= 0)
		close(fd);
	drop(dp, name);
}

/* Both tc programs: tcx where the kernel has it, else clsact. */
static int put_tc(struct fl_dp *dp, unsigned int ifindex, const char *ingress, const char *egress,
		  struct fl_dp_device *device, struct fl_err *err)
{
	int r = -EINVAL;

	if (!dp->no_tcx) {
		r = put_on_device(dp, ifindex, FL_PIN_TC_INGRESS, TCX_INGRESS, 0, ingress);
		if (!r)
			r = put_on_device(dp, ifindex, FL_PIN_TC_EGRESS, TCX_EGRESS, 0, egress);
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

static int attach_external(struct fl_dp *dp, unsigned int ifindex, struct fl_dp_device *device,
			   struct fl_err *err)
{
	bool generic = dp->mode == FL_DP_XDP_GENERIC;
	int r = 0;

	device->mode = FL_DP_TC;
	if (dp->mode != FL_DP_TC) {
		/* XDP first: the complete tc program, if one is there, makes way only when XDP is
		 * in front of it */
		r = put_on_device(dp, ifindex, FL_PIN_XDP, BPF_XDP,
				  generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE, "fl_xdp");
		if (!r)
			device->mode = generic ? FL_DP_XDP_GENERIC : FL_DP_XDP;
		else if (dp->mode == FL_DP_AUTO)
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
			struct fl_dp_device *ret_device, struct fl_err *err)
{
	struct fl_dp_device device = {.mode = FL_DP_TC};
	char name[IF_NAMESIZE];
	int r;

	if (role == FL_DP_EXTERNAL) {
		r = attach_external(dp, ifindex, &device, err);
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

/* The number by which the kernel knows a cgroup: 64 bits of its file handle. */
static uint64_t cgroup_id(int fd)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + 8];
	} u = {.handle.handle_bytes = 8};
	uint64_t id = 0;
	int mount_id;

	if (!name_to_handle_at(fd, "", &u.handle, &mount_id, AT_EMPTY_PATH))
		memcpy(&id, u.handle.f_handle, sizeof(id));
	return id;
}

int fl_dp_attach_cgroup(struct fl_dp *dp, struct fl_err *err)
{
	_cleanup_close_ int fd = -1;

	if (!*dp->cgroup)
		return 0;
	fd = open(dp->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fl_err_set(err, -errno, "cannot open cgroup %s: %s", dp->cgroup,
				  strerror(errno));
	for (size_t i = 0; i < sizeof(cgroup_hooks) / sizeof(cgroup_hooks[0]); i++) {
		struct place place = {
			.target = fd, .cgroup_id = cgroup_id(fd), .type = cgroup_hooks[i].type};
		int prog_fd = fl_dp_program(dp, cgroup_hooks[i].program), r;

		snprintf(place.name, sizeof(place.name), "%s-%s", FL_PIN_CGROUP,
			 cgroup_hooks[i].pin);
		r = prog_fd < 0 ? prog_fd : put(dp, &place, prog_fd);
		if (r == -EBADF || r == -EINVAL)
			return fl_err_set(err, r, "cannot attach %s to %s: %s (is it cgroup v2?)",
					  cgroup_hooks[i].program, dp->cgroup, strerror(-r));
		if (r)
			return fl_err_set(err, r, "cannot attach %s to %s: %s",
					  cgroup_hooks[i].program, dp->cgroup, strerror(-r));
	}
	return 0;
}

struct prune {
	struct fl_dp *dp;
	int n;
};

static int prune_one(const char *name, void *arg)
{
	struct prune *p = arg;

	if (find(p->dp, name))
		return 0;
	drop(p->dp, name);
	p->n++;
	return 0;
}

int fl_dp_prune(struct fl_dp *dp)
{
	struct prune p = {.dp = dp};

	fl_bpffs_each(&dp->fs, "links", prune_one, &p);
	return p.n;
}

/* A detached link stays open, but has lost its target; of a tc filter only its absence shows. */
static bool is_lost(const struct fl_attachment *a)
{
	struct fl_link_info info;
	unsigned int ifindex;
	bool ingress;

	if (a->link_fd < 0)
		return fl_clsact_parse(a->name, &ifindex, &ingress) &&
		       !fl_clsact_present(ifindex, ingress);
	if (fl_link_info_get(a->link_fd, &info))
		return false;
	return info.type == FL_LINK_CGROUP ? !info.cgroup_id : info.ifindex != a->ifindex;
}

int fl_dp_forget_lost(struct fl_dp *dp)
{
	struct fl_attachment **at = &dp->attachments, *a;
	int n = 0;

	while ((a = *at)) {
		if (!is_lost(a)) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
		n++;
	}
	return n;
}

size_t fl_dp_attach_calls(const struct fl_dp *dp)
{
	return dp->attach_calls;
}
