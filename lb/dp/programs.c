// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A record is pinned with the programs: digest of the objects, settings, and the numbers, tags and
 * load times of all that was loaded. The kernel gives a number to one program only and neither
 * lets a program nor a frozen map be changed. So the next agent makes the record that it would
 * write for what it finds, and keeps it if the two are equal: a pin that is missing, or leads to
 * something else, an array that has lost a program, another build or another setting show alike.
 */
#include "lb/dp/programs.h"

#include <assert.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/map_info.h"
#include "lb/dp/map_table.h"

#define SUB "programs"
#define PIN_PROGRAM "loaded-"
#define PIN_LIVE "live-"
#define PIN_SLOW "slow-"
#define PIN_RECORD "record"
#define PIN_LEN (FL_PROGRAM_NAME_LEN + 16)

struct program_record {
	char name[FL_PROGRAM_NAME_LEN];
	uint8_t tag[BPF_TAG_SIZE];
	uint64_t load_time;
	uint32_t id, pad;
};

struct slow_record {
	uint32_t id, n;
	uint32_t programs[FL_SLOW_MAX];
};

struct load_record {
	char build[FL_OBJECTS_DIGEST_LEN];
	struct fl_config config; /* without .live, which may change */
	uint32_t maps[FL_MAPS];
	uint32_t live[FL_OBJECTS];
	uint32_t n_slow, n;
	struct slow_record slow[FL_OBJECTS];
	struct program_record programs[FL_PROGRAMS_MAX];
};

static_assert(FL_OBJECTS == 3, "FL_PROGRAMS_INIT has as many live_fds");

static const char *const live_pins[FL_OBJECTS] = {
	[FL_OBJECT_XDP] = PIN_LIVE "xdp",
	[FL_OBJECT_TC] = PIN_LIVE "tc",
	[FL_OBJECT_SOCK] = PIN_LIVE "sock",
};

/* Numbers */

static int map_id(int fd, uint32_t *ret_id)
{
	struct bpf_map_info info;
	int r = fl_map_info_get(fd, &info);

	if (!r)
		*ret_id = info.id;
	return r;
}

static int describe_program(const struct fl_loaded_program *program,
			    struct program_record *ret_record)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(program->fd, &info, &len))
		return -errno;
	snprintf(ret_record->name, sizeof(ret_record->name), "%s", program->name);
	memcpy(ret_record->tag, info.tag, sizeof(info.tag));
	ret_record->load_time = info.load_time;
	ret_record->id = info.id;
	return 0;
}

static int describe_slow(const struct fl_slow_array *array, struct slow_record *ret_record)
{
	struct bpf_map_info info;
	int r = fl_map_info_get(array->fd, &info);

	if (r)
		return r;
	if (info.type != BPF_MAP_TYPE_PROG_ARRAY || info.max_entries > FL_SLOW_MAX)
		return -EPROTO;
	ret_record->id = info.id;
	ret_record->n = info.max_entries;
	/* the kernel tells the numbers of the programs; a place without one is an error */
	for (uint32_t i = 0; i < info.max_entries; i++)
		if (bpf_map_lookup_elem(array->fd, &i, &ret_record->programs[i]))
			ret_record->programs[i] = 0;
	return 0;
}

/* What there is now, as a record. 0 or -errno. */
static int describe(const struct fl_programs *programs, const struct fl_config *config,
		    struct fl_maps *maps, struct load_record *ret_record)
{
	struct load_record *record = ret_record;
	int r = 0;

	memset(record, 0, sizeof(*record));
	snprintf(record->build, sizeof(record->build), "%s", fl_bpf_objects_digest());
	record->config = *config;
	record->config.live = (struct fl_live){0};
	for (int i = 0; i < FL_MAPS && !r; i++)
		r = map_id(*fl_map_fd(maps, i), &record->maps[i]);
	for (int i = 0; i < FL_OBJECTS && !r; i++)
		r = map_id(programs->live_fds[i], &record->live[i]);
	record->n_slow = (uint32_t)programs->n_slow;
	for (size_t i = 0; i < programs->n_slow && !r; i++)
		r = describe_slow(&programs->slow[i], &record->slow[i]);
	record->n = (uint32_t)programs->n;
	for (size_t i = 0; i < programs->n && !r; i++)
		r = describe_program(&programs->items[i], &record->programs[i]);
	return r;
}

/* Loaded */

static int add_program(struct fl_programs *programs, const struct bpf_program *program,
		       struct fl_err *err)
{
	struct fl_loaded_program *item = &programs->items[programs->n];
	const char *name = bpf_program__name(program);

	assert(programs->n < FL_PROGRAMS_MAX && strlen(name) < sizeof(item->name));
	snprintf(item->name, sizeof(item->name), "%s", name);
	item->fd = fcntl(bpf_program__fd(program), F_DUPFD_CLOEXEC, 0);
	if (item->fd < 0)
		return fl_err_set(err, -errno, "cannot keep program %s: %s", name, strerror(errno));
	programs->n++;
	return 0;
}

static int add_slow(struct fl_programs *programs, const struct bpf_map *map, struct fl_err *err)
{
	struct fl_slow_array *array = &programs->slow[programs->n_slow];
	uint32_t id;
	int r = map_id(bpf_map__fd(map), &id);

	if (r)
		return fl_err_set(err, r, "cannot find out the number of %s: %s",
				  bpf_map__name(map), strerror(-r));
	array->fd = fcntl(bpf_map__fd(map), F_DUPFD_CLOEXEC, 0);
	if (array->fd < 0)
		return fl_err_set(err, -errno, "cannot keep %s: %s", bpf_map__name(map),
				  strerror(errno));
	snprintf(array->pin, sizeof(array->pin), PIN_SLOW "%u", id);
	programs->n_slow++;
	return 0;
}

int fl_programs_add(struct fl_programs *programs, enum fl_bpf_object_id id,
		    const struct fl_bpf_object *object, struct fl_err *err)
{
	const int live_fd = fl_bpf_object_live_fd(object);
	struct bpf_program *program;
	struct bpf_map *map;
	int r = 0;

	bpf_object__for_each_program(program, object->bpf)
	{
		if (!r)
			r = add_program(programs, program, err);
	}
	bpf_object__for_each_map(map, object->bpf)
	{
		if (!r && bpf_map__type(map) == BPF_MAP_TYPE_PROG_ARRAY)
			r = add_slow(programs, map, err);
	}
	if (r)
		return r;
	programs->live_fds[id] = live_fd < 0 ? -1 : fcntl(live_fd, F_DUPFD_CLOEXEC, 0);
	if (programs->live_fds[id] < 0)
		return fl_err_set(err, -ENOENT, "the %s programs have no live settings",
				  object->name);
	return 0;
}

/* Kept */

/* Names make paths, so they are looked at before they are used. */
static bool is_name(const char name[FL_PROGRAM_NAME_LEN])
{
	const size_t len = strnlen(name, FL_PROGRAM_NAME_LEN);

	return len && len < FL_PROGRAM_NAME_LEN && !memchr(name, '/', len);
}

static bool read_record(struct fl_programs *programs, const struct fl_bpffs *fs,
			struct load_record *ret_record)
{
	struct bpf_map_info info;
	__u32 zero = 0;

	programs->record_fd = fl_bpffs_get(fs, SUB, PIN_RECORD, false);
	if (fl_map_info_get(programs->record_fd, &info) || info.type != BPF_MAP_TYPE_ARRAY ||
	    info.value_size != sizeof(*ret_record) ||
	    bpf_map_lookup_elem(programs->record_fd, &zero, ret_record))
		return false;
	return ret_record->n <= FL_PROGRAMS_MAX && ret_record->n_slow <= FL_OBJECTS;
}

static bool open_pins(struct fl_programs *programs, const struct fl_bpffs *fs,
		      const struct load_record *record)
{
	char pin[PIN_LEN];

	for (uint32_t i = 0; i < record->n; i++) {
		struct fl_loaded_program *item = &programs->items[i];
		const char *name = record->programs[i].name;

		if (!is_name(name))
			return false;
		snprintf(item->name, sizeof(item->name), "%s", name);
		snprintf(pin, sizeof(pin), PIN_PROGRAM "%s", name);
		item->fd = fl_bpffs_get(fs, SUB, pin, false);
		programs->n++;
		if (item->fd < 0)
			return false;
	}
	for (uint32_t i = 0; i < record->n_slow; i++) {
		struct fl_slow_array *array = &programs->slow[i];

		snprintf(array->pin, sizeof(array->pin), PIN_SLOW "%u", record->slow[i].id);
		array->fd = fl_bpffs_get(fs, SUB, array->pin, false);
		programs->n_slow++;
		if (array->fd < 0)
			return false;
	}
	for (int i = 0; i < FL_OBJECTS; i++) {
		programs->live_fds[i] = fl_bpffs_get(fs, SUB, live_pins[i], false);
		if (programs->live_fds[i] < 0)
			return false;
	}
	return true;
}

/* Whether these live settings are in force for all programs. Others could be written, but only a
 * second after the last change, of which nobody knows any more when it was. */
static bool is_live(const struct fl_programs *programs, const struct fl_live *live,
		    uint32_t *ret_current)
{
	for (int i = 0; i < FL_OBJECTS; i++) {
		struct fl_live_pair pair;
		struct bpf_map_info info;
		__u32 zero = 0;

		if (fl_map_info_get(programs->live_fds[i], &info) ||
		    info.value_size != sizeof(pair) ||
		    bpf_map_lookup_elem(programs->live_fds[i], &zero, &pair) || pair.current > 1 ||
		    memcmp(&pair.of[pair.current], live, sizeof(*live)) ||
		    (i && pair.current != *ret_current))
			return false;
		*ret_current = pair.current;
	}
	return true;
}

bool fl_programs_keep(struct fl_programs *programs, const struct fl_bpffs *fs,
		      const struct fl_config *config, struct fl_maps *maps, uint32_t *ret_current)
{
	_cleanup_(fl_programs_close) struct fl_programs found = FL_PROGRAMS_INIT;
	_cleanup_free_ struct load_record *records = calloc(2, sizeof(*records));

	if (!records || !read_record(&found, fs, &records[0]) ||
	    !open_pins(&found, fs, &records[0]) || describe(&found, config, maps, &records[1]) ||
	    memcmp(&records[0], &records[1], sizeof(*records)) ||
	    !is_live(&found, &config->live, ret_current))
		return false;
	found.kept = true;
	*programs = found;
	found = (struct fl_programs)FL_PROGRAMS_INIT;
	return true;
}

/* Pins */

int fl_programs_each_pin(const struct fl_programs *programs,
			 int (*fn)(const char *name, int fd, void *arg), void *arg)
{
	char pin[PIN_LEN];
	int r = 0;

	for (size_t i = 0; i < programs->n_slow && !r; i++)
		r = fn(programs->slow[i].pin, programs->slow[i].fd, arg);
	for (size_t i = 0; i < programs->n && !r; i++) {
		snprintf(pin, sizeof(pin), PIN_PROGRAM "%s", programs->items[i].name);
		r = fn(pin, programs->items[i].fd, arg);
	}
	for (int i = 0; i < FL_OBJECTS && !r; i++)
		r = fn(live_pins[i], programs->live_fds[i], arg);
	return r || programs->record_fd < 0 ? r : fn(PIN_RECORD, programs->record_fd, arg);
}

static int make_record(const struct load_record *record)
{
	_cleanup_close_ int fd = fl_map_make_value("fl_record", record, sizeof(*record));

	if (fd >= 0 && bpf_map_freeze(fd))
		return -errno;
	return TAKE_FD(fd);
}

struct pinning {
	const struct fl_bpffs *fs;
	const struct fl_programs *programs;
	struct fl_err *err;
};

static int pin_one(const char *name, int fd, void *arg)
{
	const struct pinning *p = arg;

	return fl_bpffs_pin(p->fs, SUB, name, fd, p->err);
}

/* Programs of another build that ours has none of. */
static int prune_one(const char *name, void *arg)
{
	const struct pinning *p = arg;
	const size_t len = strlen(PIN_PROGRAM);

	if (!strncmp(name, PIN_PROGRAM, len) && fl_programs_find(p->programs, name + len) < 0)
		fl_bpffs_unpin(p->fs, SUB, name);
	return 0;
}

int fl_programs_pin(struct fl_programs *programs, const struct fl_bpffs *fs,
		    const struct fl_config *config, struct fl_maps *maps, struct fl_err *err)
{
	struct pinning p = {fs, programs, err};
	_cleanup_free_ struct load_record *record = NULL;
	int r;

	if (programs->kept)
		return 0;
	record = malloc(sizeof(*record));
	r = record ? describe(programs, config, maps, record) : -ENOMEM;
	if (!r)
		r = make_record(record);
	if (r < 0)
		return fl_err_set(err, r, "cannot record what is loaded: %s", strerror(-r));
	programs->record_fd = r;
	/* last of all the record: if this ends in the middle, the one that is there does not fit */
	r = fl_programs_each_pin(programs, pin_one, &p);
	if (!r)
		fl_bpffs_each(fs, SUB, prune_one, &p);
	return r;
}

int fl_programs_find(const struct fl_programs *programs, const char *name)
{
	for (size_t i = 0; i < programs->n; i++)
		if (!strcmp(programs->items[i].name, name))
			return programs->items[i].fd;
	return -ENOENT;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void fl_programs_close(struct fl_programs *programs)
{
	for (size_t i = 0; i < programs->n; i++)
		close_fd(&programs->items[i].fd);
	for (size_t i = 0; i < programs->n_slow; i++)
		close_fd(&programs->slow[i].fd);
	for (int i = 0; i < FL_OBJECTS; i++)
		close_fd(&programs->live_fds[i]);
	close_fd(&programs->record_fd);
	programs->n = programs->n_slow = 0;
}
