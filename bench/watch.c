// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * When changes of Services show in the maps of an agent that somebody else runs: a line for each
 * Service whose number of backends is another one than at the look before. Looks when a revision
 * is complete, so that what it says is what packets are served by.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench.h"
#include "lb/base/array.h"
#include "lb/base/cleanup.h"

#define LOOK_NS 20000

struct watched {
	struct fl_frontend_key key;
	uint32_t number; /* of the Service, as its reader counts */
	uint32_t line;	 /* where the key was last */
	uint32_t count;
};

struct watch {
	const struct fl_meta *meta;
	const struct fl_frontend_line *lines;
	uint32_t mask;
	struct watched *v;
	size_t n, room;
};

static int map_whole(const char *dir, const char *name, const void **ret_memory,
		     uint32_t *ret_entries, struct fl_err *err)
{
	_cleanup_close_ int fd = -1;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	char path[300];
	size_t size;
	void *memory;

	snprintf(path, sizeof(path), "%s/maps/%s", dir, name);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return fl_err_set(err, -errno, "%s: %s", path, strerror(errno));
	size = (size_t)info.value_size * info.max_entries;
	memory = mmap(NULL, (size + 4095) & ~4095UL, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return fl_err_set(err, -errno, "cannot map %s: %s", path, strerror(errno));
	*ret_memory = memory;
	*ret_entries = info.max_entries;
	return 0;
}

static int open_maps(struct watch *w, const char *dir, struct fl_err *err)
{
	const void *memory;
	uint32_t n = 0;
	int rc = map_whole(dir, "meta", &memory, &n, err);

	if (rc)
		return rc;
	w->meta = memory;
	rc = map_whole(dir, "frontends", &memory, &n, err);
	w->lines = memory;
	w->mask = n - 1;
	return rc;
}

/* Lines of "NUMBER ADDRESS" on stdin, up to an empty one: port 80, TCP. */
static int read_watched(struct watch *w, struct fl_err *err)
{
	char line[100], text[64];
	unsigned int number;

	while (fgets(line, sizeof(line), stdin) && *line != '\n') {
		struct watched *at;
		struct in_addr ip;

		if (sscanf(line, "%u %63s", &number, text) != 2 ||
		    inet_pton(AF_INET, text, &ip) != 1)
			return fl_err_set(err, -EINVAL, "not a number and an address: %s", line);
		if (FL_ARRAY_ROOM(w->v, w->room, w->n + 1))
			return fl_err_set(err, -ENOMEM, "out of memory");
		at = &w->v[w->n++];
		*at = (struct watched){.number = number};
		at->key = (struct fl_frontend_key){
			.addr.w = {0, 0, htonl(0xffff), ip.s_addr},
			.port = htons(80),
			.proto = IPPROTO_TCP,
		};
	}
	return 0;
}

static bool is_at(const struct watch *w, const struct watched *at, uint32_t line)
{
	const struct fl_frontend_line *l = &w->lines[line];

	return l->word & FL_FRONTEND_LIVE && !memcmp(&l->key, &at->key, sizeof(l->key));
}

static bool find(const struct watch *w, struct watched *at)
{
	const uint64_t hash = fl_frontend_hash(0, &at->key.addr, at->key.port, at->key.proto,
					       w->meta->flow_seed[1]);
	const uint32_t home = fl_frontend_home(hash, w->mask);

	if (is_at(w, at, at->line))
		return true;
	for (uint32_t place = 0; place < FL_FRONTEND_PLACES; place++) {
		at->line = fl_frontend_place(home, place, w->mask);
		if (is_at(w, at, at->line))
			return true;
	}
	return false;
}

static uint32_t count_of(const struct watch *w, struct watched *at)
{
	uint64_t side;

	if (!find(w, at))
		return 0;
	side = __atomic_load_n(&w->lines[at->line].frontend.side[FL_SIDE_INTERNAL],
			       __ATOMIC_ACQUIRE);
	return fl_packed_list(side, 0).count;
}

/* False: the reader is gone. */
static bool look(struct watch *w)
{
	const uint64_t ns = bench_now_ns();

	for (size_t i = 0; i < w->n; i++) {
		struct watched *at = &w->v[i];
		const uint32_t count = count_of(w, at);

		if (count != at->count && printf("{\"ns\":%llu,\"service\":%u,\"endpoints\":%u}\n",
						 (unsigned long long)ns, at->number, count) < 0)
			return false;
		at->count = count;
	}
	return true;
}

int bench_watch(int argc, char **argv, struct fl_err *err)
{
	struct watch w = {0};
	uint64_t old, now;
	int rc = open_maps(&w, bench_option_text(argc, argv, "--dir", FL_DP_DEFAULT_DIR), err);

	if (!rc)
		rc = read_watched(&w, err);
	if (rc)
		return rc;
	prctl(PR_SET_TIMERSLACK, 1000);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	for (size_t i = 0; i < w.n; i++)
		w.v[i].count = count_of(&w, &w.v[i]);
	printf("{\"watched\":%zu}\n", w.n);
	for (old = w.meta->revision;;) {
		now = __atomic_load_n(&w.meta->revision, __ATOMIC_ACQUIRE);
		if (now != old && !look(&w))
			return 0;
		old = now;
		nanosleep(&(struct timespec){.tv_nsec = LOOK_NS}, NULL);
	}
}
