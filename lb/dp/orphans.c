// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * From numbers of programs to descriptors of what holds them. The kernel opens objects by number
 * for CAP_SYS_ADMIN only, which an agent may have when it starts. Without it the BPF file systems
 * are searched for pins of the links: that finds an agent's other directory, but not lost ones.
 */
#include "lb/dp/orphans.h"

#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/dp/link.h"
#include "lb/dp/map_table.h"
#include "lb/dp/mountinfo.h"
#include "lb/dp/netns.h"
#include "lb/dp/program.h"
#include "lb/dp/state.h"

#define SEARCH_DEPTH 4 /* of directories below the root of a BPF file system */

/* A program that is at one of the places and is not ours, until it is known whose it is. */
struct suspect {
	struct fl_orphan orphan;
	bool fairlead;
	uint64_t netns; /* that it was loaded for; 0 unknown */
};

struct search {
	const struct fl_bpffs *own;
	uint32_t *own_ids; /* programs of our pinned links */
	size_t n_own, own_room;
	struct suspect *suspects;
	size_t n, room;
	bool by_number; /* allowed to open objects by number */
};

static void orphan_fini(struct fl_orphan *o)
{
	if (o->link_fd >= 0)
		close(o->link_fd);
	if (o->prog_fd >= 0)
		close(o->prog_fd);
	free(o->dir);
}

void fl_orphans_fini(struct fl_orphans *orphans)
{
	for (size_t i = 0; i < orphans->n; i++)
		orphan_fini(&orphans->items[i]);
	free(orphans->items);
	*orphans = (struct fl_orphans){0};
}

static void search_fini(struct search *s)
{
	for (size_t i = 0; i < s->n; i++)
		orphan_fini(&s->suspects[i].orphan);
	free(s->suspects);
	free(s->own_ids);
}

/* What is ours, and what else there is */

static int note_own(const char *name, void *arg)
{
	struct search *s = arg;
	_cleanup_close_ int fd = fl_bpffs_get(s->own, "links", name, false);
	struct fl_link_info info;

	if (FL_ARRAY_ROOM(s->own_ids, s->own_room, s->n_own + 1))
		return -ENOMEM;
	if (fd >= 0 && !fl_link_info_get(fd, &info))
		s->own_ids[s->n_own++] = info.prog_id;
	return 0;
}

static bool is_own(const struct search *s, const struct fl_placed *placed)
{
	_cleanup_close_ int fd = -1;

	for (size_t i = 0; i < s->n_own; i++)
		if (s->own_ids[i] == placed->prog_id)
			return true;
	/* a filter has no link; the record that has its place for a name makes it ours */
	if (placed->filter && s->own->dir_fd >= 0)
		fd = fl_bpffs_get(s->own, "links", placed->pin, false);
	return fd >= 0;
}

static int note_suspect(const struct fl_placed *placed, void *arg)
{
	struct search *s = arg;

	if (is_own(s, placed))
		return 0;
	if (FL_ARRAY_ROOM(s->suspects, s->room, s->n + 1))
		return -ENOMEM;
	s->suspects[s->n++] =
		(struct suspect){.orphan = {.placed = *placed, .link_fd = -1, .prog_fd = -1},
				 /* handle and priority tell a filter */
				 .fairlead = placed->filter};
	return 0;
}

/* By number */

static void name_by_number(struct search *s)
{
	uint32_t any;

	s->by_number = !bpf_link_get_next_id(0, &any) || errno == ENOENT;
	for (size_t i = 0; i < s->n && s->by_number; i++) {
		struct fl_orphan *o = &s->suspects[i].orphan;

		o->prog_fd = bpf_prog_get_fd_by_id(o->placed.prog_id);
		if (o->prog_fd < 0 || !fl_program_is_fairlead(o->prog_fd))
			continue;
		s->suspects[i].fairlead = true;
		s->suspects[i].netns = fl_program_netns(o->prog_fd);
	}
}

/* The suspect that a link holds; NULL: none, or it is known already. */
static struct suspect *held_by(const struct search *s, const struct fl_link_info *info)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct fl_placed *p = &s->suspects[i].orphan.placed;

		if (!p->filter && s->suspects[i].orphan.link_fd < 0 &&
		    p->prog_id == info->prog_id && p->ifindex == info->ifindex &&
		    p->cgroup_id == info->cgroup_id)
			return &s->suspects[i];
	}
	return NULL;
}

static void find_links_by_number(struct search *s)
{
	uint32_t id = 0;

	while (s->by_number && !bpf_link_get_next_id(id, &id)) {
		_cleanup_close_ int fd = bpf_link_get_fd_by_id(id);
		struct fl_link_info info;
		struct suspect *suspect;

		if (fd < 0 || fl_link_info_get(fd, &info))
			continue;
		suspect = held_by(s, &info);
		if (suspect)
			suspect->orphan.link_fd = TAKE_FD(fd);
	}
}

/* By pins */

static int look_at_pin(const struct search *s, const struct fl_bpffs *fs, const char *name)
{
	_cleanup_close_ int fd = fl_bpffs_get(fs, "links", name, false);
	struct fl_link_info info;
	struct suspect *suspect = NULL;

	if (fd < 0)
		return 0;
	for (size_t i = 0; i < s->n && !suspect; i++)
		if (s->suspects[i].orphan.placed.filter && !s->suspects[i].orphan.dir &&
		    !strcmp(s->suspects[i].orphan.placed.pin, name) &&
		    fl_bpffs_netns(fs) == fl_netns_cookie())
			suspect = &s->suspects[i];
	if (!suspect && !fl_link_info_get(fd, &info))
		for (size_t i = 0; i < s->n && !suspect; i++) {
			const struct fl_placed *p = &s->suspects[i].orphan.placed;

			/* the name too: anybody may pin a link, but ours are called like their
			 * place */
			if (p->prog_id == info.prog_id && p->ifindex == info.ifindex &&
			    p->cgroup_id == info.cgroup_id && !strcmp(p->pin, name))
				suspect = &s->suspects[i];
		}
	if (!suspect)
		return 0;
	if (!suspect->orphan.dir) {
		suspect->orphan.dir = strdup(fs->path);
		if (!suspect->orphan.dir)
			return -ENOMEM;
	}
	if (suspect->orphan.link_fd < 0 && !suspect->orphan.placed.filter)
		suspect->orphan.link_fd = TAKE_FD(fd);
	suspect->fairlead = true;
	if (!suspect->netns)
		suspect->netns = fl_bpffs_netns(fs);
	return 0;
}

struct pin_search {
	const struct search *search;
	const struct fl_bpffs *fs;
};

static int on_pin(const char *name, void *arg)
{
	const struct pin_search *at = arg;

	return look_at_pin(at->search, at->fs, name);
}

static bool same_directory(int a, int b)
{
	struct stat sa, sb;

	return b >= 0 && !fstat(a, &sa) && !fstat(b, &sb) && sa.st_dev == sb.st_dev &&
	       sa.st_ino == sb.st_ino;
}

/* Look into a directory as if it were an agent's, and into those below it. */
static int search_directory(const struct search *s, const char *path, int depth)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct fl_bpffs fs = {.path = (char *)path, .dir_fd = fd};
	const struct dirent *e;
	DIR *d;
	int r;

	if (fs.dir_fd < 0 || same_directory(fs.dir_fd, s->own->dir_fd))
		return 0;
	r = fl_bpffs_each(&fs, "links", on_pin, &(struct pin_search){s, &fs});
	if (r == -ENOTDIR || r == -EACCES)
		r = 0;
	d = depth && !r ? opendir(path) : NULL;
	while (d && !r && (e = readdir(d))) {
		_cleanup_free_ char *below = NULL;

		if (e->d_type != DT_DIR || e->d_name[0] == '.')
			continue;
		if (asprintf(&below, "%s/%s", path, e->d_name) < 0)
			r = -ENOMEM;
		else
			r = search_directory(s, below, depth - 1);
	}
	if (d)
		closedir(d);
	return r;
}

static int search_mount(const struct fl_mount *mount, void *arg)
{
	return strcmp(mount->type, "bpf") ? 0 : search_directory(arg, mount->point, SEARCH_DEPTH);
}

/* All together */

/* Devices are this namespace's, so what is there is ours to judge; a cgroup has sockets of many. */
static bool is_of_this_namespace(const struct suspect *suspect)
{
	return suspect->orphan.placed.ifindex || suspect->netns == fl_netns_cookie();
}

static void judge(struct search *s, struct fl_orphans *orphans)
{
	for (size_t i = 0; i < s->n; i++) {
		struct suspect *suspect = &s->suspects[i];
		struct fl_orphan *o = &suspect->orphan;

		if (!suspect->fairlead) {
			orphans->unknown += !s->by_number;
			continue;
		}
		if (!is_of_this_namespace(suspect)) {
			orphans->shared_cgroup = true;
			continue;
		}
		/* gone since, or attached without a link, which no version of ours does */
		if (o->link_fd < 0 && !o->placed.filter)
			continue;
		orphans->items[orphans->n++] = *o;
		*o = (struct fl_orphan){.link_fd = -1, .prog_fd = -1};
	}
}

int fl_orphans_find(const struct fl_bpffs *own, int cgroup_fd, struct fl_orphans *ret_orphans,
		    struct fl_err *err)
{
	_cleanup_(search_fini) struct search s = {.own = own};
	struct fl_orphans orphans = {0};
	int r = own->dir_fd >= 0 ? fl_bpffs_each(own, "links", note_own, &s) : 0;

	if (!r)
		r = fl_placed_each(cgroup_fd, note_suspect, &s);
	if (!r && s.n) {
		name_by_number(&s);
		find_links_by_number(&s);
		r = fl_mount_each(search_mount, &s);
	}
	if (!r) {
		orphans.items = calloc(s.n + 1, sizeof(*orphans.items));
		r = orphans.items ? 0 : -ENOMEM;
	}
	if (r)
		return fl_err_set(err, r, "cannot look for programs of an earlier agent: %s",
				  strerror(-r));
	judge(&s, &orphans);
	*ret_orphans = orphans;
	return 0;
}

int fl_orphans_map(const struct fl_orphans *orphans, enum fl_map_id id)
{
	for (size_t i = 0; i < orphans->n; i++) {
		const struct fl_orphan *o = &orphans->items[i];
		struct fl_bpffs fs = {.path = o->dir, .dir_fd = -1};
		int fd = -ENOENT;

		if (o->prog_fd >= 0)
			fd = fl_program_map(o->prog_fd, fl_map_descs[id].object);
		if (fd < 0 && o->dir)
			fd = fl_bpffs_get(&fs, "maps", fl_map_descs[id].name, false);
		if (fd >= 0)
			return fd;
	}
	return -ENOENT;
}

/* An agent writes the clock ten times a second. Its value is not compared with ours, which may be
 * of another time namespace. */
static bool clock_turns(const struct fl_orphans *orphans)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000 * 1000};
	_cleanup_close_ int fd = fl_orphans_map(orphans, FL_MAP_meta);
	struct fl_meta first, now;
	__u32 zero = 0;

	if (fd < 0 || fl_map_check(FL_MAP_meta, fd, NULL, NULL) ||
	    bpf_map_lookup_elem(fd, &zero, &first))
		return false;
	for (int i = 0; i < 5; i++) {
		nanosleep(&pause, NULL);
		if (!bpf_map_lookup_elem(fd, &zero, &now) && now.now_ns != first.now_ns)
			return true;
	}
	return false;
}

bool fl_orphans_have_agent(const struct fl_orphans *orphans, int netns_lock)
{
	if (netns_lock >= 0)
		return false;
	return orphans->unknown || (orphans->n && clock_turns(orphans));
}
