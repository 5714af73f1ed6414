// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Opening flow tables of any layout that describes itself. Nothing of what the pins say is believed
 * before it was held against the maps themselves.
 */
#include "lb/dp/old_flows.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/cleanup.h"
#include "lb/dp/layout.h"
#include "lb/dp/map_info.h"

int fl_layout_map_create(void)
{
	return fl_map_make_value("fl_layout", &fl_layout_ours, sizeof(fl_layout_ours));
}

/* The version is the first member of every fl_meta there was. */
static int abi_version(const struct fl_bpffs *fs, const char *sub, uint32_t *ret_version)
{
	_cleanup_close_ int fd = fl_bpffs_get(fs, sub, "meta", true);
	_cleanup_free_ unsigned char *meta = NULL;
	struct bpf_map_info info;
	__u32 zero = 0;
	int r = fl_map_info_get(fd, &info);

	if (r)
		return r;
	if (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != sizeof(zero) ||
	    info.value_size < sizeof(*ret_version))
		return -EPROTO;
	meta = malloc(info.value_size);
	if (!meta)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &zero, meta))
		return -errno;
	memcpy(ret_version, meta, sizeof(*ret_version));
	return 0;
}

static int read_layout(const struct fl_bpffs *fs, const char *sub, struct fl_layout *ret_layout,
		       struct fl_err *err)
{
	_cleanup_close_ int fd = fl_bpffs_get(fs, sub, FL_PIN_LAYOUT, true);
	struct bpf_map_info info;
	uint32_t version = 0;
	__u32 zero = 0;
	int r = abi_version(fs, sub, &version);

	if (r)
		return fl_err_set(err, r, "cannot read %s/%s/meta: %s", fs->path, sub,
				  strerror(-r));
	if (fd == -ENOENT && version == FL_ABI_VERSION) {
		*ret_layout = fl_layout_ours;
		return 0;
	}
	if (fd == -ENOENT)
		return fl_err_set(err, -EPROTO,
				  "it has ABI version %u, this program has %u, and its pins do not "
				  "describe its layout",
				  version, FL_ABI_VERSION);
	r = fl_map_info_get(fd, &info);
	if (!r && (info.type != BPF_MAP_TYPE_ARRAY || info.key_size != sizeof(zero) ||
		   info.value_size != sizeof(*ret_layout)))
		return fl_err_set(err, -EPROTO,
				  "it has ABI version %u, this program has %u, and cannot read the "
				  "description of its layout",
				  version, FL_ABI_VERSION);
	if (!r && bpf_map_lookup_elem(fd, &zero, ret_layout))
		r = -errno;
	return r ? fl_err_set(err, r, "cannot read %s/%s/" FL_PIN_LAYOUT ": %s", fs->path, sub,
			      strerror(-r))
		 : 0;
}

static int map_table(int fd, struct fl_old_flows *old, int table, uint32_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = fl_old_flows_stride(fl_old_table(old, table)) * n;
	void *p;

	size = (size + page - 1) & ~(page - 1);
	p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	old->mem[table] = p;
	old->n[table] = n;
	old->mapped[table] = size;
	return 0;
}

int fl_old_flows_open(const struct fl_bpffs *fs, const char *sub, struct fl_old_flows *ret_old,
		      struct fl_err *err)
{
	static const char *const names[FL_OLD_TABLES] = {"flows4", "flows6", "sockets"};
	_cleanup_(fl_old_flows_close) struct fl_old_flows old = {0};
	_cleanup_close_ int fd4 = fl_bpffs_get(fs, sub, names[0], false);
	_cleanup_close_ int fd6 = fl_bpffs_get(fs, sub, names[1], false);
	_cleanup_close_ int sockets = fl_bpffs_get(fs, sub, names[2], false);
	const int fds[FL_OLD_TABLES] = {fd4, fd6, sockets};
	struct bpf_map_info info[FL_OLD_TABLES];
	uint32_t bucket_size[FL_OLD_TABLES];
	int r = 0;

	snprintf(old.sub, sizeof(old.sub), "%s", sub);
	for (int i = 0; i < FL_OLD_TABLES; i++) {
		r = fl_map_info_get(fds[i], &info[i]);
		if (r)
			return fl_err_set(err, r, "cannot open %s/%s/%s: %s", fs->path, sub,
					  names[i], strerror(-r));
		if (info[i].type != BPF_MAP_TYPE_ARRAY || !(info[i].map_flags & BPF_F_MMAPABLE))
			return fl_err_set(err, -EPROTO, "map %s is none that can be read",
					  names[i]);
		bucket_size[i] = info[i].value_size;
	}
	r = read_layout(fs, sub, &old.layout, err);
	if (!r)
		r = fl_layout_check(&old.layout, bucket_size, err);
	for (int i = 0; i < FL_OLD_TABLES && !r; i++) {
		r = map_table(fds[i], &old, i, info[i].max_entries);
		if (r)
			fl_err_set(err, r, "cannot map the memory of %s: %s", names[i],
				   strerror(-r));
	}
	if (r)
		return r;
	fl_old_records_open(fs, sub, old.layout.abi_version == FL_ABI_VERSION, &old.records);
	*ret_old = old;
	old = (struct fl_old_flows){0};
	return 0;
}

void fl_old_flows_close(struct fl_old_flows *old)
{
	for (int i = 0; i < FL_OLD_TABLES; i++)
		if (old->mem[i])
			munmap((void *)old->mem[i], old->mapped[i]);
	fl_old_records_close(&old->records);
	*old = (struct fl_old_flows){0};
}

void fl_old_flows_name(size_t number, char ret_sub[static 16])
{
	snprintf(ret_sub, 16, "old-%zu", number + 1);
}

struct unpin {
	const struct fl_bpffs *fs;
	const char *sub;
};

static int unpin_one(const char *name, void *arg)
{
	const struct unpin *u = arg;

	fl_bpffs_unpin(u->fs, u->sub, name);
	return 0;
}

int fl_old_flows_unpin(const struct fl_bpffs *fs, const char *sub)
{
	struct unpin u = {fs, sub};
	int r = fl_bpffs_each(fs, sub, unpin_one, &u);

	if (!r && unlinkat(fs->dir_fd, sub, AT_REMOVEDIR) && errno != ENOENT)
		r = -errno;
	return r;
}
