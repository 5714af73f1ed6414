// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Our records as data, and opening those of any layout that describes itself. What the pins say is
 * held against the maps themselves before it is believed. */
#include "lb/dp/old_records.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/cleanup.h"
#include "lb/dp/map_info.h"

#define SIZE_OF(type, member) sizeof(((type *)0)->member)
#define PLACE(type, member)                                                                        \
	{                                                                                          \
		offsetof(type, member), SIZE_OF(type, member)                                      \
	}
/* of the value of a hash, which follows its key */
#define BEHIND(key, type, member)                                                                  \
	{                                                                                          \
		sizeof(key) + offsetof(type, member), SIZE_OF(type, member)                        \
	}

#define STICKY(member) BEHIND(struct fl_affinity_key, struct fl_affinity, member)

const struct fl_records_layout fl_records_ours = {
	.version = FL_RECORDS_VERSION,
	.frontend_live = FL_FRONTEND_LIVE,
	.map =
		{
			[FL_RECORDS_AFFINITY] =
				{
					sizeof(struct fl_affinity_key),
					sizeof(struct fl_affinity),
					{
						[FL_RECORD_CLIENT] =
							PLACE(struct fl_affinity_key, client),
						[FL_RECORD_CLIENT_SERVICE] =
							PLACE(struct fl_affinity_key, service_id),
						[FL_RECORD_STICKY_BACKEND] = STICKY(backend),
						[FL_RECORD_STICKY_GENERATION] = STICKY(generation),
						[FL_RECORD_STICKY_LAST] = STICKY(last),
					},
				},
			[FL_RECORDS_OWN_FLOWS] =
				{
					sizeof(struct fl_own_key),
					sizeof(__u32),
					{
						[FL_RECORD_OWN_SADDR] =
							PLACE(struct fl_own_key, tuple.saddr),
						[FL_RECORD_OWN_DADDR] =
							PLACE(struct fl_own_key, tuple.daddr),
						[FL_RECORD_OWN_SPORT] =
							PLACE(struct fl_own_key, tuple.sport),
						[FL_RECORD_OWN_DPORT] =
							PLACE(struct fl_own_key, tuple.dport),
						[FL_RECORD_OWN_LAST] = {sizeof(struct fl_own_key),
									sizeof(__u32)},
					},
				},
			[FL_RECORDS_FRONTENDS] =
				{
					sizeof(__u32),
					sizeof(struct fl_frontend_line),
					{
						[FL_RECORD_FRONTEND_WORD] =
							PLACE(struct fl_frontend_line, word),
						[FL_RECORD_FRONTEND_ADDR] =
							PLACE(struct fl_frontend_line, key.addr),
						[FL_RECORD_FRONTEND_PORT] =
							PLACE(struct fl_frontend_line, key.port),
						[FL_RECORD_FRONTEND_PROTO] =
							PLACE(struct fl_frontend_line, key.proto),
						[FL_RECORD_FRONTEND_SERVICE] =
							PLACE(struct fl_frontend_line,
							      frontend.service_id),
					},
				},
			[FL_RECORDS_BACKENDS] =
				{
					sizeof(__u32),
					sizeof(struct fl_backend),
					{
						[FL_RECORD_BACKEND_ADDR] =
							PLACE(struct fl_backend, addr),
						[FL_RECORD_BACKEND_PORT] =
							PLACE(struct fl_backend, port),
						[FL_RECORD_BACKEND_PROTO] =
							PLACE(struct fl_backend, proto),
						[FL_RECORD_BACKEND_GENERATION] =
							PLACE(struct fl_backend, generation),
					},
				},
		},
};

/* Sizes of the fields, which are the same in every layout; 0 ends a list. */
static const uint8_t field_sizes[FL_RECORDS_MAPS][FL_RECORD_FIELDS_MAX] = {
	[FL_RECORDS_AFFINITY] = {16, 4, 4, 2, 4},
	[FL_RECORDS_OWN_FLOWS] = {16, 16, 2, 2, 4},
	[FL_RECORDS_FRONTENDS] = {4, 16, 2, 1, 4},
	[FL_RECORDS_BACKENDS] = {16, 2, 1, 2},
};

bool fl_records_check(const struct fl_records_layout *layout,
		      const uint32_t sizes[FL_RECORDS_MAPS][2])
{
	if (layout->version != FL_RECORDS_VERSION)
		return false;
	for (int i = 0; i < FL_RECORDS_MAPS; i++) {
		const struct fl_record_map *map = &layout->map[i];
		const uint32_t end = map->value_size + (i < FL_RECORDS_HASHES ? map->key_size : 0);

		if (map->key_size != sizes[i][0] || map->value_size != sizes[i][1] ||
		    map->key_size > FL_RECORD_SIZE_MAX || map->value_size > FL_RECORD_SIZE_MAX)
			return false;
		for (int field = 0; field_sizes[i][field]; field++) {
			const struct fl_layout_place *p = &map->field[field];

			if (p->size != field_sizes[i][field] || p->offset + p->size > end)
				return false;
		}
	}
	/* read as one atomic word, as its neighbours are not */
	return layout->map[FL_RECORDS_FRONTENDS].field[FL_RECORD_FRONTEND_WORD].offset % 4 == 0;
}

static bool read_layout(const struct fl_bpffs *fs, const char *sub, bool ours,
			struct fl_records_layout *ret_layout)
{
	_cleanup_close_ int fd = fl_bpffs_get(fs, sub, FL_PIN_RECORDS, true);
	struct bpf_map_info info;
	__u32 zero = 0;

	*ret_layout = fl_records_ours;
	if (fd == -ENOENT)
		return ours;
	return !fl_map_info_get(fd, &info) && info.type == BPF_MAP_TYPE_ARRAY &&
	       info.key_size == sizeof(zero) && info.value_size == sizeof(*ret_layout) &&
	       !bpf_map_lookup_elem(fd, &zero, ret_layout);
}

static size_t mapped_size(const struct fl_old_records *old, int map)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	const size_t stride = (old->layout.map[map].value_size + 7) & ~(size_t)7;

	return (stride * old->n[map] + page - 1) & ~(page - 1);
}

static bool take(struct fl_old_records *old, int map, int *fd, const struct bpf_map_info *info)
{
	void *p;

	old->n[map] = info->max_entries;
	if (map < FL_RECORDS_HASHES) {
		old->map_id[map] = info->id;
		old->fd[map] = TAKE_FD(*fd);
		return info->type == BPF_MAP_TYPE_LRU_HASH || info->type == BPF_MAP_TYPE_HASH;
	}
	if (info->type != BPF_MAP_TYPE_ARRAY || !(info->map_flags & BPF_F_MMAPABLE))
		return false;
	p = mmap(NULL, mapped_size(old, map), PROT_READ, MAP_SHARED, *fd, 0);
	if (p == MAP_FAILED)
		return false;
	old->mem[map] = p;
	return true;
}

bool fl_old_records_open(const struct fl_bpffs *fs, const char *sub, bool ours,
			 struct fl_old_records *ret_old)
{
	static const char *const names[FL_RECORDS_MAPS] = {"affinity", "own_flows", "frontends",
							   "backends"};
	_cleanup_(fl_old_records_close) struct fl_old_records old = {.there = true};
	struct bpf_map_info info[FL_RECORDS_MAPS];
	uint32_t sizes[FL_RECORDS_MAPS][2];
	bool good = read_layout(fs, sub, ours, &old.layout);

	for (int i = 0; i < FL_RECORDS_HASHES; i++)
		old.fd[i] = -1;
	for (int i = 0; i < FL_RECORDS_MAPS && good; i++) {
		_cleanup_close_ int fd = fl_bpffs_get(fs, sub, names[i], false);

		good = !fl_map_info_get(fd, &info[i]);
		if (!good)
			break;
		sizes[i][0] = info[i].key_size;
		sizes[i][1] = info[i].value_size;
		/* its size is needed to map it, and is held against the map's below */
		good = old.layout.map[i].value_size == info[i].value_size &&
		       take(&old, i, &fd, &info[i]);
	}
	if (!good || !fl_records_check(&old.layout, sizes))
		return false;
	*ret_old = old;
	old = (struct fl_old_records){0};
	return true;
}

void fl_old_records_close(struct fl_old_records *old)
{
	for (int i = 0; old->there && i < FL_RECORDS_HASHES; i++)
		if (old->fd[i] >= 0)
			close(old->fd[i]);
	for (int i = FL_RECORDS_HASHES; i < FL_RECORDS_MAPS; i++)
		if (old->mem[i])
			munmap((void *)old->mem[i], mapped_size(old, i));
	*old = (struct fl_old_records){0};
}

int fl_records_map_create(void)
{
	return fl_map_make_value("fl_records", &fl_records_ours, sizeof(fl_records_ours));
}
