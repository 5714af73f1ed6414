// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Looking into loaded programs. The layout of their constants may be another version's, so members
 * are found by the type information that was loaded with them. */
#include "lb/dp/program.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/map_info.h"

#define NAME_PREFIX "fl_" /* of programs and maps */
#define MAPS_MAX 64

/* How many; 0 also when it cannot be found out. */
static uint32_t map_ids(int prog_fd, uint32_t ret_ids[static MAPS_MAX])
{
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (uintptr_t)ret_ids};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len))
		return 0;
	return info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX;
}

static bool begins(const char *name, const char *begin)
{
	return !strncmp(name, begin, strlen(begin));
}

static bool ends(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len >= n && !strcmp(name + len - n, end);
}

/* As far as the kernel keeps a name. */
static bool equals(const char *name, const char *other)
{
	return !strncmp(name, other, BPF_OBJ_NAME_LEN - 1);
}

/* The first of its maps whose name is like that. */
static int find_map(int prog_fd, bool (*like)(const char *name, const char *what), const char *what)
{
	uint32_t ids[MAPS_MAX], n = map_ids(prog_fd, ids);
	int error = -ENOENT;

	for (uint32_t i = 0; i < n; i++) {
		_cleanup_close_ int fd = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info info;

		if (fd < 0)
			error = -errno;
		else if (!fl_map_info_get(fd, &info) && like(info.name, what))
			return TAKE_FD(fd);
	}
	return error;
}

int fl_program_map(int prog_fd, const char *name)
{
	return find_map(prog_fd, equals, name);
}

bool fl_program_is_fairlead(int prog_fd)
{
	_cleanup_close_ int map_fd = -1;
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(prog_fd, &info, &len) || !begins(info.name, NAME_PREFIX))
		return false;
	map_fd = find_map(prog_fd, begins, NAME_PREFIX);
	return map_fd >= 0;
}

static void btf_freep(struct btf **btf)
{
	btf__free(*btf);
}

/* Where a variable lies in a section of data, or -ENOENT; its type in *ret_type. */
static int variable_offset(const struct btf *btf, uint32_t section, const char *name,
			   const struct btf_type **ret_type)
{
	const struct btf_type *sec = btf__type_by_id(btf, section);
	const struct btf_var_secinfo *info;

	if (!sec || !btf_is_datasec(sec))
		return -ENOENT;
	info = btf_var_secinfos(sec);
	for (int i = 0; i < btf_vlen(sec); i++) {
		const struct btf_type *var = btf__type_by_id(btf, info[i].type), *t;

		if (!var || strcmp(btf__name_by_offset(btf, var->name_off), name))
			continue;
		for (t = btf__type_by_id(btf, var->type); t && btf_is_mod(t);)
			t = btf__type_by_id(btf, t->type);
		if (!t || !btf_is_struct(t))
			return -ENOENT;
		*ret_type = t;
		return (int)info[i].offset;
	}
	return -ENOENT;
}

static int member_offset(const struct btf *btf, const struct btf_type *type, const char *name)
{
	const struct btf_member *m = btf_members(type);

	for (int i = 0; i < btf_vlen(type); i++)
		if (!strcmp(btf__name_by_offset(btf, m[i].name_off), name))
			return (int)(btf_member_bit_offset(type, (uint32_t)i) / 8);
	return -ENOENT;
}

uint64_t fl_program_netns(int prog_fd)
{
	_cleanup_close_ int fd = find_map(prog_fd, ends, ".rodata");
	_cleanup_(btf_freep) struct btf *btf = NULL;
	_cleanup_free_ unsigned char *data = NULL;
	const struct btf_type *config;
	struct bpf_map_info info;
	int variable, member;
	uint64_t netns;
	__u32 zero = 0;

	if (fd < 0 || fl_map_info_get(fd, &info) || !info.btf_id)
		return 0;
	btf = btf__load_from_kernel_by_id(info.btf_id);
	data = calloc(1, info.value_size);
	if (!btf || !data || bpf_map_lookup_elem(fd, &zero, data))
		return 0;
	variable = variable_offset(btf, info.btf_value_type_id, "fl_config", &config);
	member = variable < 0 ? variable : member_offset(btf, config, "host_netns");
	if (member < 0 || (size_t)variable + (size_t)member + sizeof(netns) > info.value_size)
		return 0;
	memcpy(&netns, data + variable + member, sizeof(netns));
	return netns;
}
