/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Giving up rights. Loading programs needs CAP_PERFMON, mounting needs CAP_SYS_ADMIN; once the
 * programs are in the kernel, changing maps and links needs CAP_BPF and CAP_NET_ADMIN only, and
 * nothing we run may regain the rest.
 */
#include "lb/agent/privileges.h"

#include <errno.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>

#include "lb/base/cleanup.h"

#ifndef CAP_BPF
#define CAP_BPF 39
#endif

static void cap_freep(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}

/* Nothing that this process could start would have more, were there something to start. That takes
 * CAP_SETPCAP; without it, the program that started us has set the bounds. */
static void drop_bounds(void)
{
	cap_flag_value_t on = CAP_CLEAR;
	_cleanup_(cap_freep) cap_t now = cap_get_proc();

	if (!now || cap_get_flag(now, CAP_SETPCAP, CAP_EFFECTIVE, &on) || on != CAP_SET)
		return;
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++)
		cap_drop_bound(cap);
}

int fl_privileges_drop(struct fl_err *err)
{
	static const cap_value_t kept[] = {CAP_NET_ADMIN, CAP_BPF};
	_cleanup_(cap_freep) cap_t now = cap_get_proc();
	_cleanup_(cap_freep) cap_t next = cap_init();

	if (!now || !next)
		return fl_err_set(err, -errno, "cannot look at our capabilities: %s",
				  strerror(errno));
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
		cap_flag_value_t on = CAP_CLEAR;

		/* on kernels before 5.8 there is no CAP_BPF: what we do not have we cannot keep */
		if (cap_get_flag(now, kept[i], CAP_PERMITTED, &on) || on != CAP_SET)
			continue;
		cap_set_flag(next, CAP_PERMITTED, 1, &kept[i], CAP_SET);
		cap_set_flag(next, CAP_EFFECTIVE, 1, &kept[i], CAP_SET);
	}
	drop_bounds();
	if (cap_set_proc(next))
		return fl_err_set(err, -errno, "cannot give up capabilities: %s", strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fl_err_set(err, -errno, "cannot set no_new_privs: %s", strerror(errno));
	return 0;
}
