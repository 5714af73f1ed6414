// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The maps as a process holds them: opened from their pins or created by the loader, checked
 * against the ABI before anything is believed, and the flat arrays mapped into memory.
 */
#include "lb/dp/maps.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/bpffs.h"
#include "lb/dp/map_info.h"
#include "lb/dp/map_table.h"

/* Where a map's memory is kept, if it is of a kind that has some. */
#define MEMORY_HASH(map)
#define MEMORY_LRU(map)
#define MEMORY_LPM(map)
#define MEMORY_PERCPU(map)
#define MEMORY_ARRAY(map)                                                                          \
	.mem_offset = offsetof(struct fl_maps, map), .n_offset = offsetof(struct fl_maps, n_##map)

#define MEMORY_BLOCK(map) MEMORY_ARRAY(map)

/* Its name in the objects, and of how many elements one value consists. */
#define OBJECT_HASH(map) "fl_" #map
#define OBJECT_LRU OBJECT_HASH
#define OBJECT_LPM OBJECT_HASH
#define OBJECT_PERCPU OBJECT_HASH
#define OBJECT_ARRAY OBJECT_HASH
#define OBJECT_BLOCK(map) ".data.fl_" #map
#define IN_VALUE_HASH(n) 1
#define IN_VALUE_LRU IN_VALUE_HASH
#define IN_VALUE_LPM IN_VALUE_HASH
#define IN_VALUE_PERCPU IN_VALUE_HASH
#define IN_VALUE_ARRAY IN_VALUE_HASH
#define IN_VALUE_BLOCK(n) n

const struct fl_map_desc fl_map_descs[FL_MAPS] = {
#define X(map, kind, key, value, elements)                                                         \
	[FL_MAP_##map] = {.name = #map,                                                            \
			  .object = OBJECT_##kind(map),                                            \
			  .type = FL_MAP_TYPE_##kind,                                              \
			  .flags = FL_MAP_FLAGS_##kind,                                            \
			  .key_size = sizeof(key),                                                 \
			  .value_size = sizeof(value) * IN_VALUE_##kind(elements),                 \
			  .in_value = IN_VALUE_##kind(elements),                                   \
			  .n = elements / IN_VALUE_##kind(elements),                               \
			  .fd_offset = offsetof(struct fl_maps, map##_fd),                         \
			  MEMORY_##kind(map)},
	FL_MAP_LIST(X)
#undef X
};

static void *field(struct fl_maps *maps, size_t offset)
{
	return (char *)maps + offset;
}

int *fl_map_fd(struct fl_maps *maps, enum fl_map_id id)
{
	return field(maps, fl_map_descs[id].fd_offset);
}

int fl_map_check(enum fl_map_id id, int fd, uint32_t *ret_max_entries, struct fl_err *err)
{
	const struct fl_map_desc *d = &fl_map_descs[id];
	struct bpf_map_info info;
	int r = fl_map_info_get(fd, &info);

	if (r)
		return fl_err_set(err, r, "cannot look at map %s: %s", d->name, strerror(-r));
	if (info.type != d->type)
		return fl_err_set(err, -EPROTO, "map %s has type %u, which is not ours", d->name,
				  info.type);
	if (info.key_size != d->key_size || info.value_size != d->value_size)
		return fl_err_set(err, -EPROTO,
				  "map %s has elements of %u+%u bytes, this version needs %u+%u",
				  d->name, info.key_size, info.value_size, d->key_size,
				  d->value_size);
	if (d->mem_offset && !(info.map_flags & BPF_F_MMAPABLE))
		return fl_err_set(err, -EPROTO, "map %s cannot be mapped into memory", d->name);
	if (ret_max_entries)
		*ret_max_entries = info.max_entries;
	return 0;
}

/* The kernel rounds the size of one element up to 8 bytes and the whole up to pages. */
static size_t mapped_size(const struct fl_map_desc *d, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	size_t size = ((d->value_size + 7) & ~(size_t)7) * n;

	return (size + page - 1) & ~(page - 1);
}

int fl_maps_mmap(struct fl_maps *maps, bool writable, struct fl_err *err)
{
	for (int i = 0; i < FL_MAPS; i++) {
		const struct fl_map_desc *d = &fl_map_descs[i];
		void **mem = field(maps, d->mem_offset);
		uint32_t n;
		void *p;
		int r;

		if (!d->mem_offset || *mem)
			continue;
		r = fl_map_check(i, *fl_map_fd(maps, i), &n, err);
		if (r)
			return r;
		p = mmap(NULL, mapped_size(d, n), PROT_READ | (writable ? PROT_WRITE : 0),
			 MAP_SHARED, *fl_map_fd(maps, i), 0);
		if (p == MAP_FAILED)
			return fl_err_set(err, -errno, "cannot map the memory of %s: %s", d->name,
					  strerror(errno));
		*mem = p;
		*(size_t *)field(maps, d->n_offset) = (size_t)n * d->in_value;
	}
	return 0;
}

static bool is_power_of_two(size_t n)
{
	return n && !(n & (n - 1));
}

/* Before any other map is looked at: another layout may well have others. */
static int check_layout(const char *dir, const struct fl_bpffs *fs, struct fl_err *err)
{
	_cleanup_close_ int fd = fl_bpffs_get(fs, "maps", "meta", true);
	struct fl_meta meta;
	__u32 zero = 0;
	int r;

	if (fd == -ENOENT)
		return fl_err_set(err, fd, "no datapath in %s", dir);
	if (fd < 0)
		return fl_err_set(err, fd, "cannot open %s/maps/meta: %s", dir, strerror(-fd));
	r = fl_map_check(FL_MAP_meta, fd, NULL, err);
	if (r)
		return fl_err_wrap(err, r, "%s", dir);
	if (bpf_map_lookup_elem(fd, &zero, &meta))
		return fl_err_set(err, -errno, "cannot read %s/maps/meta: %s", dir,
				  strerror(errno));
	if (meta.abi_version != FL_ABI_VERSION)
		return fl_err_set(err, -EPROTO,
				  "the datapath in %s has ABI version %u, this program needs %u",
				  dir, meta.abi_version, FL_ABI_VERSION);
	return 0;
}

int fl_maps_open_pinned(const char *dir, bool writable, struct fl_maps *ret_maps,
			struct fl_err *err)
{
	_cleanup_(fl_maps_close) struct fl_maps maps = FL_MAPS_INIT;
	_cleanup_(fl_bpffs_close) struct fl_bpffs fs = FL_BPFFS_INIT;
	int r;

	r = fl_bpffs_open(dir, 0, &fs, err);
	if (!r)
		r = check_layout(dir, &fs, err);
	if (r)
		return r;
	for (int i = 0; i < FL_MAPS; i++) {
		/* the kernel maps no memory of a read-only descriptor, not even for reading */
		bool read_only = !writable && !fl_map_descs[i].mem_offset;
		int fd = fl_bpffs_get(&fs, "maps", fl_map_descs[i].name, read_only);

		if (fd == -ENOENT)
			return fl_err_set(err, fd, "no datapath in %s", dir);
		if (fd < 0)
			return fl_err_set(err, fd, "cannot open %s/maps/%s: %s", dir,
					  fl_map_descs[i].name, strerror(-fd));
		*fl_map_fd(&maps, i) = fd;
		r = fl_map_check(i, fd, NULL, err);
		if (r)
			return fl_err_wrap(err, r, "%s", dir);
	}
	r = fl_maps_mmap(&maps, writable, err);
	if (r)
		return r;
	if (!is_power_of_two(maps.n_flows4) || !is_power_of_two(maps.n_flows6) ||
	    !is_power_of_two(maps.n_sockets) || !is_power_of_two(maps.n_frontends))
		return fl_err_set(err, -EPROTO, "the tables in %s have no power of two of buckets",
				  dir);
	if (maps.n_overflow4 * FL_OVERFLOW_BUCKETS < maps.n_flows4 ||
	    maps.n_overflow6 * FL_OVERFLOW_BUCKETS < maps.n_flows6)
		return fl_err_set(err, -EPROTO,
				  "the overflow bits in %s are fewer than the buckets need", dir);
	if (maps.n_bound_ports < FL_BOUND_WORDS)
		return fl_err_set(err, -EPROTO, "the bits of bound ports in %s are too few", dir);
	*ret_maps = maps;
	maps = (struct fl_maps)FL_MAPS_INIT;
	return 0;
}

uint32_t fl_maps_local(const struct fl_maps *maps, const struct fl_addr *addr)
{
	uint32_t flags;

	return bpf_map_lookup_elem(maps->local_fd, addr, &flags) ? 0 : flags;
}

bool fl_maps_has_node_ports(const struct fl_maps *maps, const struct fl_addr *addr)
{
	uint32_t peer;

	return fl_maps_local(maps, addr) & FL_LOCAL_NODE_PORTS ||
	       !bpf_map_lookup_elem(maps->peers_fd, addr, &peer);
}

void fl_map_close(struct fl_maps *maps, enum fl_map_id id)
{
	const struct fl_map_desc *d = &fl_map_descs[id];
	void **mem = field(maps, d->mem_offset);
	int *fd = fl_map_fd(maps, id);

	/* memory that a test allocated itself has no descriptor and is the test's */
	if (*fd < 0)
		return;
	if (d->mem_offset && *mem) {
		munmap(*mem, mapped_size(d, *(size_t *)field(maps, d->n_offset) / d->in_value));
		*mem = NULL;
	}
	close(TAKE_FD(*fd));
}

void fl_maps_close(struct fl_maps *maps)
{
	for (int i = 0; i < FL_MAPS; i++)
		fl_map_close(maps, i);
	*maps = (struct fl_maps)FL_MAPS_INIT;
}
