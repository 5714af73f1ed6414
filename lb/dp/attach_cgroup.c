// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The socket hooks and the cgroup that they are attached to. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/state.h"

const struct fl_cgroup_hook fl_cgroup_hooks[] = {
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
	{"sock_release", "fl_sock_release", BPF_CGROUP_INET_SOCK_RELEASE},
	{"egress", "fl_sock_egress", BPF_CGROUP_INET_EGRESS},
};

const size_t fl_cgroup_hooks_n = sizeof(fl_cgroup_hooks) / sizeof(fl_cgroup_hooks[0]);

/* A cgroup's id is its directory's inode number since Linux 5.5, on machines of 64 bits. */
uint64_t fl_cgroup_id(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_ino;
}

struct name {
	char text[sizeof(((struct fl_place *)0)->name)];
};

static struct name pin_name(const struct fl_cgroup_hook *hook)
{
	struct name name;

	snprintf(name.text, sizeof(name.text), "%s-%s", FL_PIN_CGROUP, hook->pin);
	return name;
}

static int attach_hook(struct fl_dp *dp, const struct fl_cgroup_hook *hook, int fd,
		       struct fl_err *err)
{
	struct fl_place place = {.target = fd, .cgroup_id = fl_cgroup_id(fd), .type = hook->type};
	int prog_fd = fl_dp_program(dp, hook->program), r;

	snprintf(place.name, sizeof(place.name), "%s", pin_name(hook).text);
	r = prog_fd < 0 ? prog_fd : fl_dp_put(dp, &place, prog_fd);
	if (r == -EBADF || r == -EINVAL)
		return fl_err_set(err, r, "cannot attach %s to %s: %s (is it cgroup v2?)",
				  hook->program, dp->cgroup, strerror(-r));
	if (r)
		return fl_err_set(err, r, "cannot attach %s to %s: %s", hook->program, dp->cgroup,
				  strerror(-r));
	return 0;
}

/* What looks at each packet is attached on demand. */
static bool is_on_demand(const struct fl_cgroup_hook *hook)
{
	return hook->type == BPF_CGROUP_INET_EGRESS;
}

/* Whether an earlier agent has left it. */
static bool is_pinned(const struct fl_dp *dp, const struct fl_cgroup_hook *hook)
{
	_cleanup_close_ int fd = fl_bpffs_get(&dp->fs, "links", pin_name(hook).text, false);

	return fd >= 0;
}

int fl_dp_attach_cgroup(struct fl_dp *dp, struct fl_err *err)
{
	_cleanup_close_ int fd = -1;
	int r = 0;

	if (!*dp->cgroup)
		return 0;
	fd = open(dp->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return fl_err_set(err, -errno, "cannot open cgroup %s: %s", dp->cgroup,
				  strerror(errno));
	for (size_t i = 0; i < fl_cgroup_hooks_n && !r; i++) {
		const struct fl_cgroup_hook *hook = &fl_cgroup_hooks[i];

		if (!is_on_demand(hook) || dp->sees_datagrams || is_pinned(dp, hook))
			r = attach_hook(dp, hook, fd, err);
	}
	return r;
}

int fl_dp_see_datagrams(struct fl_dp *dp, bool on, struct fl_err *err)
{
	dp->sees_datagrams = on;
	if (on)
		return fl_dp_attach_cgroup(dp, err);
	for (size_t i = 0; i < fl_cgroup_hooks_n; i++) {
		if (is_on_demand(&fl_cgroup_hooks[i]))
			fl_attachment_drop(dp, pin_name(&fl_cgroup_hooks[i]).text);
	}
	return 0;
}

bool fl_dp_sees_datagrams(const struct fl_dp *dp)
{
	for (size_t i = 0; i < fl_cgroup_hooks_n; i++)
		if (is_on_demand(&fl_cgroup_hooks[i]) &&
		    fl_attachment_find(dp, pin_name(&fl_cgroup_hooks[i]).text))
			return true;
	return false;
}
