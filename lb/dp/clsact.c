// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tc programs on kernels without tcx: a filter on the clsact qdisc. A filter has no link that could
 * be pinned, so the program itself is pinned under a name that tells where it is; a filter with our
 * handle and priority on a device that such a name mentions is ours. The same name below programs/
 * means that we also made the qdisc.
 */
#include <errno.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/state.h"

bool fl_clsact_parse(const char *pin, unsigned int *ret_ifindex, bool *ret_ingress)
{
	if (sscanf(pin, FL_PIN_CLSACT_INGRESS "-%u", ret_ifindex) == 1) {
		*ret_ingress = true;
		return true;
	}
	*ret_ingress = false;
	return sscanf(pin, FL_PIN_CLSACT_EGRESS "-%u", ret_ifindex) == 1;
}

static struct bpf_tc_hook hook(unsigned int ifindex, enum bpf_tc_attach_point point)
{
	return (struct bpf_tc_hook){
		.sz = sizeof(struct bpf_tc_hook), .ifindex = (int)ifindex, .attach_point = point};
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return 0;
}

/* Make the qdisc. 1 when it is new, 0 when it was there, or -errno. */
static int make_qdisc(unsigned int ifindex)
{
	struct bpf_tc_hook h = hook(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);
	int r = bpf_tc_hook_create(&h);

	return r == -EEXIST ? 0 : r ? r : 1;
}

int fl_clsact_attach(struct fl_dp *dp, unsigned int ifindex, bool ingress, int prog_fd,
		     struct fl_err *err)
{
	struct bpf_tc_hook h = hook(ifindex, ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = FL_CLSACT_HANDLE,
		    .priority = FL_CLSACT_PRIORITY, .flags = BPF_TC_F_REPLACE);
	const struct fl_attachment *a;
	libbpf_print_fn_t old;
	char name[40];
	int r;

	if (prog_fd < 0)
		return prog_fd;
	snprintf(name, sizeof(name), "%s-%u",
		 ingress ? FL_PIN_CLSACT_INGRESS : FL_PIN_CLSACT_EGRESS, ifindex);
	a = fl_attachment_find(dp, name);
	if (a && a->prog_fd == prog_fd)
		return 0;
	old = libbpf_set_print(quiet);
	r = make_qdisc(ifindex);
	if (r > 0)
		r = fl_bpffs_pin(&dp->fs, "programs", name, prog_fd,
				 err); /* the mark that the qdisc is ours */
	/* the name before the filter: what a crash leaves in between is a name without a filter,
	 * not the reverse */
	if (!r)
		r = fl_bpffs_pin(&dp->fs, "links", name, prog_fd, err);
	if (!r) {
		r = bpf_tc_attach(&h, &opts);
		if (r)
			fl_err_set(err, r, "cannot attach a tc filter: %s", strerror(-r));
	} else if (r < 0 && err && !err->text[0]) {
		fl_err_set(err, r, "cannot make the clsact qdisc: %s", strerror(-r));
	}
	libbpf_set_print(old);
	if (!r && fl_attachment_add(dp, name, ifindex, prog_fd, -1))
		return fl_err_set(err, -ENOMEM, "out of memory");
	return r;
}

uint32_t fl_clsact_program(unsigned int ifindex, bool ingress)
{
	struct bpf_tc_hook h = hook(ifindex, ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FL_CLSACT_HANDLE, .priority = FL_CLSACT_PRIORITY);
	libbpf_print_fn_t old = libbpf_set_print(quiet);
	int r = bpf_tc_query(&h, &opts);

	libbpf_set_print(old);
	return r ? 0 : opts.prog_id;
}

static int on_filter(struct nl_msg *msg, void *arg)
{
	*(bool *)arg = true;
	return NL_OK;
}

/* Whether the clsact qdisc has any filter there; true also when that cannot be found out. */
static bool has_any_filter(unsigned int ifindex, bool ingress)
{
	struct tcmsg request = {
		.tcm_ifindex = (int)ifindex,
		.tcm_parent = TC_H_MAKE(TC_H_CLSACT, ingress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS),
	};
	struct nl_sock *sock = nl_socket_alloc();
	bool any = false;
	int r = -NLE_NOMEM;

	if (sock)
		r = nl_connect(sock, NETLINK_ROUTE);
	if (r >= 0)
		r = nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, on_filter, &any);
	if (r >= 0)
		r = nl_send_simple(sock, RTM_GETTFILTER, NLM_F_DUMP, &request, sizeof(request));
	if (r >= 0)
		r = nl_recvmsgs_default(sock);
	nl_socket_free(sock);
	return any || r < 0;
}

/* Unless somebody uses it. */
static void destroy_qdisc(unsigned int ifindex)
{
	struct bpf_tc_hook h = hook(ifindex, BPF_TC_INGRESS | BPF_TC_EGRESS);

	if (!has_any_filter(ifindex, true) && !has_any_filter(ifindex, false))
		bpf_tc_hook_destroy(&h);
}

/* If we made the qdisc and both of our filters are gone, it goes too, unless others use it. */
static void remove_qdisc(const struct fl_bpffs *fs, unsigned int ifindex)
{
	static const char *const pins[] = {FL_PIN_CLSACT_INGRESS, FL_PIN_CLSACT_EGRESS};
	bool ours = false;

	if (fl_clsact_program(ifindex, true) || fl_clsact_program(ifindex, false))
		return;
	for (size_t i = 0; i < 2; i++) {
		char name[40];

		snprintf(name, sizeof(name), "%s-%u", pins[i], ifindex);
		ours |= !fl_bpffs_unpin(fs, "programs", name);
	}
	if (ours)
		destroy_qdisc(ifindex);
}

int fl_clsact_remove(unsigned int ifindex, bool ingress)
{
	struct bpf_tc_hook h = hook(ifindex, ingress ? BPF_TC_INGRESS : BPF_TC_EGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = FL_CLSACT_HANDLE, .priority = FL_CLSACT_PRIORITY);
	libbpf_print_fn_t old = libbpf_set_print(quiet);
	int r = bpf_tc_detach(&h, &opts);

	libbpf_set_print(old);
	return r;
}

int fl_clsact_remove_lost(unsigned int ifindex, bool ingress)
{
	int r = fl_clsact_remove(ifindex, ingress);
	libbpf_print_fn_t old;

	if (r)
		return r;
	old = libbpf_set_print(quiet);
	destroy_qdisc(ifindex);
	libbpf_set_print(old);
	return 0;
}

int fl_clsact_detach(const struct fl_bpffs *fs, const char *pin)
{
	libbpf_print_fn_t old = libbpf_set_print(quiet);
	unsigned int ifindex;
	bool ingress;
	int r = 0;

	if (fl_clsact_parse(pin, &ifindex, &ingress)) {
		if (fl_clsact_program(ifindex, ingress))
			r = fl_clsact_remove(ifindex, ingress);
		remove_qdisc(fs, ifindex);
	}
	libbpf_set_print(old);
	if (!r)
		fl_bpffs_unpin(fs, "links", pin);
	return r;
}
