// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One netlink dump tells the XDP programs of all devices, another one which of them have a clsact
 * qdisc; tcx and the cgroup's hooks are asked one by one, a short system call each.
 */
#include "lb/dp/places.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/dp/link.h"
#include "lb/dp/state.h"

#define PROGRAMS_MAX 64 /* at one hook; the kernel allows as many */

struct device {
	unsigned int ifindex;
	uint32_t xdp_ids[2]; /* native or offloaded, generic; 0 none */
	bool clsact;
};

struct places {
	struct device *devices;
	size_t n, room;
	int error;
	int (*fn)(const struct fl_placed *placed, void *arg);
	void *arg;
};

static uint32_t attr_u32(struct nlattr *attr)
{
	return attr ? nla_get_u32(attr) : 0;
}

static int on_link(struct nl_msg *msg, void *arg)
{
	struct places *s = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct ifinfomsg *ifi = nlmsg_data(h);
	struct nlattr *tb[IFLA_MAX + 1], *xdp[IFLA_XDP_MAX + 1];
	struct device dev = {.ifindex = (unsigned int)ifi->ifi_index};

	if (h->nlmsg_type != RTM_NEWLINK || nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) < 0)
		return NL_OK;
	if (tb[IFLA_XDP] && !nla_parse_nested(xdp, IFLA_XDP_MAX, tb[IFLA_XDP], NULL)) {
		dev.xdp_ids[0] = attr_u32(xdp[IFLA_XDP_DRV_PROG_ID]);
		if (!dev.xdp_ids[0])
			dev.xdp_ids[0] = attr_u32(xdp[IFLA_XDP_HW_PROG_ID]);
		dev.xdp_ids[1] = attr_u32(xdp[IFLA_XDP_SKB_PROG_ID]);
	}
	if (FL_ARRAY_ROOM(s->devices, s->room, s->n + 1))
		s->error = -ENOMEM;
	else
		s->devices[s->n++] = dev;
	return NL_OK;
}

static int on_qdisc(struct nl_msg *msg, void *arg)
{
	struct places *s = arg;
	struct nlmsghdr *h = nlmsg_hdr(msg);
	const struct tcmsg *tc = nlmsg_data(h);
	struct nlattr *tb[TCA_MAX + 1];

	if (h->nlmsg_type != RTM_NEWQDISC || nlmsg_parse(h, sizeof(*tc), tb, TCA_MAX, NULL) < 0 ||
	    !tb[TCA_KIND] || strcmp(nla_get_string(tb[TCA_KIND]), "clsact"))
		return NL_OK;
	for (size_t i = 0; i < s->n; i++)
		if (s->devices[i].ifindex == (unsigned int)tc->tcm_ifindex)
			s->devices[i].clsact = true;
	return NL_OK;
}

static int dump(struct nl_sock *sock, int type, int (*fn)(struct nl_msg *msg, void *arg),
		struct places *survey)
{
	/* longer than a request for links needs, as long as one for qdiscs must be */
	struct tcmsg request = {.tcm_family = AF_UNSPEC};
	int r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, fn, survey);

	if (r >= 0)
		r = nl_send_simple(sock, type, NLM_F_DUMP, &request,
				   type == RTM_GETLINK ? sizeof(struct ifinfomsg)
						       : sizeof(struct tcmsg));
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	return r;
}

static int survey_devices(struct places *s)
{
	struct nl_sock *sock = nl_socket_alloc();
	int r = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	/* an interrupted dump has all devices that were there all the time */
	if (r >= 0)
		r = dump(sock, RTM_GETLINK, on_link, s);
	if (r >= 0 || r == -NLE_DUMP_INTR)
		r = dump(sock, RTM_GETQDISC, on_qdisc, s);
	nl_socket_free(sock);
	return r >= 0 || r == -NLE_DUMP_INTR ? s->error : -EIO;
}

/* The beginning of union bpf_attr as BPF_PROG_QUERY reads it. */
struct query {
	__u32 target, attach_type, query_flags, attach_flags;
	__u64 prog_ids __attribute__((aligned(8)));
	__u32 count, pad;
};

/* Programs at one hook of one device or cgroup. A kernel that does not know the hook has none. */
static int each_at(const struct places *s, struct fl_placed *placed, int target, uint32_t type)
{
	uint32_t ids[PROGRAMS_MAX] = {0};
	struct query q = {.target = (__u32)target,
			  .attach_type = type,
			  .prog_ids = (uintptr_t)ids,
			  .count = PROGRAMS_MAX};
	int r = 0;

	if (syscall(SYS_bpf, BPF_PROG_QUERY, &q, sizeof(q)))
		return 0;
	for (uint32_t i = 0; i < q.count && i < PROGRAMS_MAX && !r; i++) {
		placed->prog_id = ids[i];
		r = s->fn(placed, s->arg);
	}
	return r;
}

static void name_pin(struct fl_placed *placed, const char *hook)
{
	snprintf(placed->pin, sizeof(placed->pin), "%s-%u", hook, placed->ifindex);
}

static int each_filter(const struct places *s, unsigned int ifindex)
{
	int r = 0;

	for (int ingress = 0; ingress < 2 && !r; ingress++) {
		struct fl_placed placed = {.ifindex = ifindex, .filter = true};

		placed.prog_id = fl_clsact_program(ifindex, ingress);
		name_pin(&placed, ingress ? FL_PIN_CLSACT_INGRESS : FL_PIN_CLSACT_EGRESS);
		if (placed.prog_id)
			r = s->fn(&placed, s->arg);
	}
	return r;
}

static int each_on_device(const struct places *s, const struct device *dev)
{
	struct fl_placed placed = {.ifindex = dev->ifindex};
	int r = 0;

	name_pin(&placed, FL_PIN_XDP);
	for (int i = 0; i < 2 && !r; i++) {
		placed.prog_id = dev->xdp_ids[i];
		if (placed.prog_id)
			r = s->fn(&placed, s->arg);
	}
	name_pin(&placed, FL_PIN_TC_INGRESS);
	if (!r)
		r = each_at(s, &placed, (int)dev->ifindex, FL_TCX_INGRESS);
	name_pin(&placed, FL_PIN_TC_EGRESS);
	if (!r)
		r = each_at(s, &placed, (int)dev->ifindex, FL_TCX_EGRESS);
	if (!r && dev->clsact)
		r = each_filter(s, dev->ifindex);
	return r;
}

int fl_placed_each(int cgroup_fd, int (*fn)(const struct fl_placed *placed, void *arg), void *arg)
{
	struct places s = {.fn = fn, .arg = arg};
	int r = survey_devices(&s);

	for (size_t i = 0; i < s.n && !r; i++)
		r = each_on_device(&s, &s.devices[i]);
	free(s.devices);
	for (size_t i = 0; i < fl_cgroup_hooks_n && cgroup_fd >= 0 && !r; i++) {
		struct fl_placed placed = {.cgroup_id = fl_cgroup_id(cgroup_fd)};

		snprintf(placed.pin, sizeof(placed.pin), "%s-%s", FL_PIN_CGROUP,
			 fl_cgroup_hooks[i].pin);
		r = each_at(&s, &placed, cgroup_fd, fl_cgroup_hooks[i].type);
	}
	return r;
}
