// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What is attached now, asked from the kernel by the pinned links alone, so that it is true with
 * and without an agent, and needs no right to walk over all objects of the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/dp/link.h"
#include "lb/dp/mountinfo.h"
#include "lb/dp/state.h"

struct collect {
	const struct fl_bpffs *fs;
	struct fl_dp_status *status;
	size_t room;
};

/* Path of a cgroup by its number, which is its file handle. NULL when we may not ask. */
static char *cgroup_path(uint64_t id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + 8];
	} u = {.handle = {.handle_bytes = 8, .handle_type = 0xfe /* FILEID_KERNFS */}};
	_cleanup_free_ char *root = NULL;
	_cleanup_close_ int mount_fd = -1, fd = -1;
	char link[64], path[4096];
	ssize_t n;

	if (fl_mount_find_cgroup2(&root, NULL))
		return NULL;
	mount_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	memcpy(u.handle.f_handle, &id, sizeof(id));
	fd = mount_fd < 0 ? -1 : open_by_handle_at(mount_fd, &u.handle, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	return n > 0 ? strndup(path, (size_t)n) : NULL;
}

/* Name of a program; stays empty for a reader who may not open programs by number. */
static void fill_program_name(struct fl_dp_attachment *a, int prog_fd)
{
	struct bpf_prog_info prog = {0};
	__u32 len = sizeof(prog);

	if (prog_fd >= 0 && !bpf_obj_get_info_by_fd(prog_fd, &prog, &len))
		snprintf(a->program, sizeof(a->program), "%s", prog.name);
}

static void fill_clsact(struct fl_dp_attachment *a, bool ingress)
{
	a->prog_id = fl_clsact_program(a->ifindex, ingress);
	a->via = a->prog_id ? "clsact" : "gone";
}

static void fill_link(struct fl_dp_attachment *a, const struct fl_link_info *info)
{
	_cleanup_close_ int prog_fd = bpf_prog_get_fd_by_id(info->prog_id);
	LIBBPF_OPTS(bpf_xdp_query_opts, opts);

	fill_program_name(a, prog_fd);
	a->prog_id = info->prog_id;
	a->link_id = info->id;
	if (info->type == FL_LINK_CGROUP) {
		a->via = "cgroup";
		a->cgroup = cgroup_path(info->cgroup_id);
		return;
	}
	a->ifindex = info->ifindex;
	if (!info->ifindex)
		a->via = "gone";
	else if (info->type == FL_LINK_TCX)
		a->via = "tcx";
	else if (!bpf_xdp_query((int)info->ifindex, 0, &opts) &&
		 opts.attach_mode == XDP_ATTACHED_SKB)
		a->via = "generic";
	else
		a->via = "native";
}

/* "tc-ingress-3" -> "tc-ingress"; "cgroup-connect4" -> "connect4" */
static void hook_name(const char *pin, char *ret_name, size_t size)
{
	const char *dash = strrchr(pin, '-');

	if (!strncmp(pin, FL_PIN_CGROUP "-", sizeof(FL_PIN_CGROUP)))
		snprintf(ret_name, size, "%s", pin + sizeof(FL_PIN_CGROUP));
	else
		snprintf(ret_name, size, "%.*s", dash ? (int)(dash - pin) : (int)strlen(pin), pin);
}

static int collect_one(const char *name, void *arg)
{
	struct collect *c = arg;
	_cleanup_close_ int fd = fl_bpffs_get(c->fs, "links", name, false);
	struct fl_dp_attachment a = {.via = "gone"};
	struct fl_link_info info;
	bool ingress;

	if (fd < 0)
		return 0;
	if (FL_ARRAY_ROOM(c->status->items, c->room, c->status->n + 1))
		return -ENOMEM;
	if (fl_clsact_parse(name, &a.ifindex, &ingress)) {
		snprintf(a.hook, sizeof(a.hook), "%s",
			 ingress ? FL_PIN_TC_INGRESS : FL_PIN_TC_EGRESS);
		fill_clsact(&a, ingress);
		fill_program_name(&a, fd);
	} else {
		hook_name(name, a.hook, sizeof(a.hook));
		if (fl_link_info_get(fd, &info))
			return 0;
		fill_link(&a, &info);
	}
	if (a.ifindex && !if_indextoname(a.ifindex, a.device))
		a.device[0] = '\0';
	c->status->items[c->status->n++] = a;
	return 0;
}

static int compare(const void *va, const void *vb)
{
	const struct fl_dp_attachment *a = va, *b = vb;
	bool ca = !strcmp(a->via, "cgroup"), cb = !strcmp(b->via, "cgroup");

	if (ca != cb)
		return ca - cb;
	if (a->ifindex != b->ifindex)
		return a->ifindex < b->ifindex ? -1 : 1;
	/* xdp, tc-ingress, tc-egress: the order in which a packet meets them */
	return ca ? strcmp(a->hook, b->hook) : strcmp(b->hook, a->hook);
}

int fl_dp_status(const char *dir, struct fl_dp_status *ret_status, struct fl_err *err)
{
	_cleanup_(fl_bpffs_close) struct fl_bpffs fs = FL_BPFFS_INIT;
	_cleanup_(fl_dp_status_fini) struct fl_dp_status status = {0};
	struct collect c = {.fs = &fs, .status = &status};
	int r = fl_bpffs_open(dir, 0, &fs, err);

	if (r)
		return r;
	r = fl_bpffs_each(&fs, "links", collect_one, &c);
	if (r)
		return fl_err_set(err, r, "cannot list %s/links: %s", dir, strerror(-r));
	if (status.n)
		qsort(status.items, status.n, sizeof(*status.items), compare);
	status.agent_pid = fl_bpffs_lock_holder(&fs);
	status.locked = flock(fs.dir_fd, LOCK_SH | LOCK_NB) && errno == EWOULDBLOCK;
	*ret_status = status;
	status = (struct fl_dp_status){0};
	return 0;
}

void fl_dp_status_fini(struct fl_dp_status *status)
{
	for (size_t i = 0; i < status->n; i++)
		free(status->items[i].cgroup);
	free(status->items);
	*status = (struct fl_dp_status){0};
}
