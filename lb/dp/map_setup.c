// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The maps on their way into the objects and onto their pins. A pinned fl_meta is what makes a
 * datapath: it is pinned last, so that a crash before leaves nothing that would be adopted.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/exists.h"
#include "lb/dp/frontend_table.h"
#include "lb/dp/state.h"

static uint32_t round_up_power_of_two(uint32_t n)
{
	uint32_t p = 1;

	while (p < n && p < 1U << 31)
		p <<= 1;
	return n ? p : 0;
}

static uint32_t overflow_words(uint32_t buckets)
{
	return (buckets + FL_OVERFLOW_BUCKETS - 1) / FL_OVERFLOW_BUCKETS;
}

void fl_dp_sizes_of(const struct fl_dp_sizes *s, uint32_t ret_sizes[FL_MAPS])
{
	const uint32_t sizes[FL_MAPS] = {
#define X(map, kind, key, value, n) [FL_MAP_##map] = s->map,
		FL_MAP_LIST(X)
#undef X
	};

	memcpy(ret_sizes, sizes, sizeof(sizes));
	ret_sizes[FL_MAP_frontends] = fl_frontend_lines_for(s->frontends);
	ret_sizes[FL_MAP_backend_nodes] = s->backends;
	ret_sizes[FL_MAP_flows4] = round_up_power_of_two(s->flows4);
	ret_sizes[FL_MAP_flows6] = round_up_power_of_two(s->flows6);
	ret_sizes[FL_MAP_overflow4] = overflow_words(ret_sizes[FL_MAP_flows4]);
	ret_sizes[FL_MAP_overflow6] = overflow_words(ret_sizes[FL_MAP_flows6]);
	/* asked for in records, which are more than one to a bucket */
	ret_sizes[FL_MAP_sockets] =
		round_up_power_of_two((s->sockets + FL_SOCKET_WAYS - 1ULL) / FL_SOCKET_WAYS);
}

/* What is left of an incomplete set. Names that are no maps of ours are left alone. */
static int unpin_maps(struct fl_dp *dp, struct fl_err *err)
{
	fl_bpffs_unpin(&dp->fs, "maps", FL_PIN_LAYOUT);
	fl_bpffs_unpin(&dp->fs, "maps", FL_PIN_RECORDS);
	for (int i = 0; i < FL_MAPS; i++) {
		int r = fl_bpffs_unpin(&dp->fs, "maps", fl_map_descs[i].name);

		if (r && r != -ENOENT)
			return fl_err_set(err, r, "cannot remove %s/maps/%s: %s", dp->fs.path,
					  fl_map_descs[i].name, strerror(-r));
	}
	return 0;
}

/* Those of replacements that were not finished. What cannot be read has nothing for us. */
static void find_old(struct fl_dp *dp)
{
	for (size_t i = 0; i < FL_OLD_FLOWS_MAX; i++) {
		char sub[16];

		fl_old_flows_name(i, sub);
		if (!fl_exists(dp->fs.dir_fd, sub))
			continue;
		if (!fl_old_flows_open(&dp->fs, sub, &dp->old[dp->n_old], NULL))
			dp->n_old++;
		else
			fl_old_flows_unpin(&dp->fs, sub);
	}
}

/* The datapath is replaced by one with other maps; its flows are to be had from these. */
static int replace(struct fl_dp *dp, uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	struct fl_old_flows *old = &dp->old[dp->n_old];
	int r = fl_old_flows_open(&dp->fs, "maps", old, err);

	if (r)
		return fl_err_wrap(
			err, r,
			"cannot take over the running datapath (`fairlead cleanup` removes it)");
	dp->n_old++;
	dp->replaces = true;
	/* as many entries as there were, unless another number is asked for */
	for (int i = 0; i < 2; i++) {
		uint32_t *n = &sizes[i ? FL_MAP_flows6 : FL_MAP_flows4];
		uint64_t entries = (uint64_t)old->n[i] * old->layout.family[i].ways;

		if (!*n)
			*n = round_up_power_of_two(
				(uint32_t)((entries + FL_FLOW_WAYS - 1) / FL_FLOW_WAYS));
	}
	sizes[FL_MAP_overflow4] = overflow_words(sizes[FL_MAP_flows4]);
	sizes[FL_MAP_overflow6] = overflow_words(sizes[FL_MAP_flows6]);
	if (err)
		err->text[0] = '\0';
	return 0;
}

/* Nothing in the other maps names an element of these, so they can be replaced alone. */
static bool is_flow_table(int id)
{
	return id == FL_MAP_flows4 || id == FL_MAP_flows6 || id == FL_MAP_overflow4 ||
	       id == FL_MAP_overflow6;
}

/* Keep of the maps what has the size that is asked for. Services and what belongs to them name
 * each other by numbers: if one of those is to be another, all are. */
static int resize(struct fl_dp *dp, uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	bool flows = false, others = false;
	int r;

	for (int i = 0; i < FL_MAPS; i++) {
		uint32_t n;

		r = fl_map_check(i, *fl_map_fd(&dp->maps, i), &n, err);
		if (r)
			return r;
		if (!sizes[i])
			sizes[i] = n;
		flows |= sizes[i] != n && is_flow_table(i);
		others |= sizes[i] != n && !is_flow_table(i);
	}
	if (flows || others) {
		r = replace(dp, sizes, err);
		if (r)
			return r;
	}
	for (int i = 0; i < FL_MAPS; i++)
		if (others || (flows && is_flow_table(i)))
			fl_map_close(&dp->maps, i);
	dp->adopted = !others;
	return 0;
}

int fl_dp_maps_adopt(struct fl_dp *dp, uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	int r;

	find_old(dp);
	r = fl_bpffs_get(&dp->fs, "maps", "meta", false);
	if (r == -ENOENT)
		return unpin_maps(dp, err);
	if (r < 0)
		return fl_err_set(err, r, "cannot open %s/maps/meta: %s", dp->fs.path,
				  strerror(-r));
	close(r);
	r = fl_maps_open_pinned(dp->fs.path, true, &dp->maps, err);
	/* one of them was removed: the rest is no datapath either */
	if (r == -ENOENT) {
		if (err)
			err->text[0] = '\0';
		dp->remains = true;
		return unpin_maps(dp, err);
	}
	if (r == -EPROTO)
		return replace(dp, sizes, err);
	return r ? r : resize(dp, sizes, err);
}

int fl_dp_maps_prepare(struct fl_dp *dp, const struct fl_bpf_object *o,
		       const uint32_t sizes[FL_MAPS], struct fl_err *err)
{
	for (int i = 0; i < FL_MAPS; i++) {
		const char *name = fl_map_descs[i].object;
		struct bpf_map *map = bpf_object__find_map_by_name(o->bpf, name);
		int fd = *fl_map_fd(&dp->maps, i), r = 0;

		if (!map)
			continue;
		if (fd >= 0)
			r = bpf_map__reuse_fd(map, fd);
		else if (sizes[i])
			r = bpf_map__set_max_entries(map, sizes[i]);
		if (r)
			return fl_err_set(err, r, "cannot prepare map %s: %s", name, strerror(-r));
	}
	return 0;
}

uint32_t fl_dp_map_size(struct fl_dp *dp, enum fl_map_id id, const uint32_t sizes[FL_MAPS])
{
	const int fd = *fl_map_fd(&dp->maps, id);
	uint32_t n;

	if (fd >= 0)
		return fl_map_check(id, fd, &n, NULL) ? 0 : n;
	return sizes[id] ? sizes[id] : fl_map_descs[id].n;
}

int fl_dp_maps_collect(struct fl_dp *dp, const struct fl_bpf_object *o, struct fl_err *err)
{
	for (int i = 0; i < FL_MAPS; i++) {
		const char *name = fl_map_descs[i].object;
		struct bpf_map *map = bpf_object__find_map_by_name(o->bpf, name);
		int *fd = fl_map_fd(&dp->maps, i), r;

		if (!map || *fd >= 0)
			continue;
		*fd = dup(bpf_map__fd(map));
		if (*fd < 0)
			return fl_err_set(err, -errno, "cannot keep map %s: %s", name,
					  strerror(errno));
		r = fl_map_check(i, *fd, NULL, err);
		if (r)
			return r;
	}
	return 0;
}

/* Make room for our maps in DIR/maps. From here on it is known by the directory that the flows have
 * not all come over yet. */
static int move_old(struct fl_dp *dp, struct fl_err *err)
{
	char sub[16];
	size_t i = 0;
	int r;

	do
		fl_old_flows_name(i, sub);
	while (fl_exists(dp->fs.dir_fd, sub) && ++i < FL_OLD_FLOWS_MAX);
	if (i == FL_OLD_FLOWS_MAX) {
		/* this agent has it open, and gets the flows all the same */
		fl_old_flows_name(0, sub);
		r = fl_old_flows_unpin(&dp->fs, sub);
		if (r)
			return fl_err_set(err, r, "cannot remove %s/%s: %s", dp->fs.path, sub,
					  strerror(-r));
	}
	if (renameat(dp->fs.dir_fd, "maps", dp->fs.dir_fd, sub))
		return fl_err_set(err, -errno, "cannot rename %s/maps to %s: %s", dp->fs.path, sub,
				  strerror(errno));
	return fl_bpffs_restore(&dp->fs, err);
}

static int pin_description(struct fl_dp *dp, const char *name, int (*create)(void), int *fd,
			   struct fl_err *err)
{
	*fd = fl_bpffs_get(&dp->fs, "maps", name, false);
	if (*fd >= 0)
		return 0;
	*fd = create();
	if (*fd < 0)
		return fl_err_set(err, *fd, "cannot make map %s: %s", name, strerror(-*fd));
	return fl_bpffs_pin(&dp->fs, "maps", name, *fd, err);
}

/* Pin what was created; fl_meta is the last of the list. */
int fl_dp_maps_pin(struct fl_dp *dp, struct fl_err *err)
{
	struct fl_meta *meta = dp->maps.meta;
	int r = 0;

	if (!dp->adopted) {
		meta->abi_version = FL_ABI_VERSION;
		meta->flow_seed[0] = dp->config.flow_seed[0];
		meta->flow_seed[1] = dp->config.flow_seed[1];
	}
	meta->maglev_seed = dp->config.maglev_seed;
	/* what has changed in the network while no agent ran is unknown */
	__atomic_store_n(&meta->next_hops,
			 fl_hops_word(fl_hops_next(fl_hops_generation(meta->next_hops)),
				      (uint32_t)(meta->next_hops >> 32)),
			 __ATOMIC_SEQ_CST);
	if (dp->replaces)
		r = move_old(dp, err);
	if (!r)
		r = pin_description(dp, FL_PIN_LAYOUT, fl_layout_map_create, &dp->layout_fd, err);
	if (!r)
		r = pin_description(dp, FL_PIN_RECORDS, fl_records_map_create, &dp->records_fd,
				    err);
	if (r)
		return r;
	for (int i = 0; i < FL_MAPS && (!dp->adopted || dp->replaces); i++) {
		r = fl_bpffs_pin(&dp->fs, "maps", fl_map_descs[i].name, *fl_map_fd(&dp->maps, i),
				 err);

		if (r)
			return r;
	}
	return 0;
}
