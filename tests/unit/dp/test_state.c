// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What of the datapath's state can be judged without a kernel: names, rates, and directories that
 * are refused. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/dp/bpffs.h"
#include "lb/dp/dp.h"
#include "lb/dp/map_table.h"
#include "lb/dp/state.h"

static int make_dir(void **state)
{
	char *dir = strdup("/tmp/fairlead-test-XXXXXX");

	if (!dir || !mkdtemp(dir))
		return -1;
	*state = dir;
	return 0;
}

static int remove_dir(void **state)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/link", (char *)*state);
	unlink(path);
	snprintf(path, sizeof(path), "%s/foreign", (char *)*state);
	unlink(path);
	rmdir(*state);
	free(*state);
	return 0;
}

static void test_kernel_hz_is_one_that_kernels_have(void **state)
{
	uint32_t hz = fl_dp_kernel_hz();

	assert_true(hz == 100 || hz == 250 || hz == 300 || hz == 1000);
}

static void test_modes_are_named_both_ways(void **state)
{
	int mode;

	for (int i = 0; i < FL_DP_MODES; i++) {
		assert_true(
			fl_word_value(fl_dp_mode_words, fl_word_of(fl_dp_mode_words, i), &mode));
		assert_int_equal(mode, i);
	}
	assert_false(fl_word_value(fl_dp_mode_words, "native", &mode));
}

static void test_every_map_is_described(void **state)
{
	struct fl_maps maps = FL_MAPS_INIT;

	for (int i = 0; i < FL_MAPS; i++) {
		assert_non_null(fl_map_descs[i].name);
		assert_true(fl_map_descs[i].key_size && fl_map_descs[i].value_size &&
			    fl_map_descs[i].type && fl_map_descs[i].n);
		assert_int_equal(!fl_map_descs[i].mem_offset,
				 fl_map_descs[i].type != BPF_MAP_TYPE_ARRAY);
		assert_int_equal(*fl_map_fd(&maps, i), -1);
		for (int j = 0; j < i; j++)
			assert_ptr_not_equal(fl_map_fd(&maps, i), fl_map_fd(&maps, j));
	}
}

/*
 * FL_MAP_LIST is the only list: what the programs define is what userspace expects, and nothing
 * else but what each object keeps for itself.
 */
static void test_the_programs_have_the_maps_of_the_list(void **state)
{
	bool seen[FL_MAPS] = {false};

	for (int o = 0; o < FL_OBJECTS; o++) {
		struct fl_bpf_object object;
		struct bpf_map *map;

		assert_int_equal(fl_bpf_object_open(o, &object, NULL), 0);
		bpf_object__for_each_map(map, object.bpf)
		{
			const char *name = bpf_map__name(map);
			const struct fl_map_desc *d;
			int i = 0;

			while (i < FL_MAPS && strcmp(name, fl_map_descs[i].object))
				i++;
			if (i == FL_MAPS) {
				/* those of an object alone, which nobody shares or pins */
				assert_true(bpf_map__is_internal(map) ||
					    !strcmp(name, "fl_rates") || !strcmp(name, "fl_work") ||
					    bpf_map__type(map) == BPF_MAP_TYPE_PROG_ARRAY ||
					    !strcmp(name, "fl_scratch") ||
					    !strcmp(name, "fl_frags") ||
					    !strcmp(name, "fl_frag_held") ||
					    !strcmp(name, "fl_frag_turn") ||
					    !strcmp(name, "fl_tunnel_orders") ||
					    !strcmp(name, "fl_paths") || !strcmp(name, "fl_seen"));
				continue;
			}
			d = &fl_map_descs[i];
			seen[i] = true;
			assert_int_equal(bpf_map__type(map), d->type);
			assert_int_equal(bpf_map__map_flags(map), d->flags);
			assert_int_equal(bpf_map__key_size(map), d->key_size);
			assert_int_equal(bpf_map__value_size(map), d->value_size);
			assert_int_equal(bpf_map__max_entries(map), d->n);
		}
		fl_bpf_object_close(&object);
	}
	for (int i = 0; i < FL_MAPS; i++)
		assert_true(seen[i]);
}

/* A size that is asked for reaches its map; the overflow bits follow the buckets. */
static void test_sizes_that_are_asked_for(void **state)
{
	const struct fl_dp_sizes asked = {
		.frontends = 7, .lines = 9, .flows4 = 1000, .flows6 = 1, .sockets = 131000};
	uint32_t sizes[FL_MAPS];

	fl_dp_sizes_of(&asked, sizes);
	assert_int_equal(sizes[FL_MAP_frontends], 16); /* a line of two is free at least */
	assert_int_equal(sizes[FL_MAP_lines], 9);
	assert_int_equal(sizes[FL_MAP_backends], 0);
	assert_int_equal(sizes[FL_MAP_flows4], 1024);
	assert_int_equal(sizes[FL_MAP_overflow4], 1024 / FL_OVERFLOW_BUCKETS);
	assert_int_equal(sizes[FL_MAP_flows6], 1);
	assert_int_equal(sizes[FL_MAP_overflow6], 1);
	assert_int_equal(sizes[FL_MAP_sockets], 131072 / FL_SOCKET_WAYS);
	fl_dp_sizes_of(&(struct fl_dp_sizes){0}, sizes);
	for (int i = 0; i < FL_MAPS; i++)
		assert_int_equal(sizes[i], 0);
}

static void test_memory_without_a_map_is_the_callers(void **state)
{
	struct fl_meta meta = {0};
	struct fl_maps maps = FL_MAPS_INIT;

	maps.meta = &meta;
	fl_maps_close(&maps);
	assert_null(maps.meta);
}

static void test_names_of_clsact_records(void **state)
{
	unsigned int ifindex;
	bool ingress;

	assert_true(fl_clsact_parse("clsact-ingress-17", &ifindex, &ingress));
	assert_int_equal(ifindex, 17);
	assert_true(ingress);
	assert_true(fl_clsact_parse("clsact-egress-3", &ifindex, &ingress));
	assert_int_equal(ifindex, 3);
	assert_false(ingress);
	assert_false(fl_clsact_parse("tc-ingress-3", &ifindex, &ingress));
}

/* robustness A6: a directory that is not on a BPF file system is none of ours */
static void test_directories_that_are_no_state(void **state)
{
	struct fl_bpffs fs = FL_BPFFS_INIT;
	struct fl_err err = {""};
	char path[64];

	assert_int_equal(fl_bpffs_open(*state, 0, &fs, &err), -ENOENT);
	assert_non_null(strstr(err.text, "not on a BPF file system"));
	snprintf(path, sizeof(path), "%s/none", (char *)*state);
	assert_int_equal(fl_bpffs_open(path, 0, &fs, &err), -ENOENT);
}

/* robustness A6: a link may lead into a directory of another user */
static void test_links_are_not_followed(void **state)
{
	struct fl_bpffs fs = FL_BPFFS_INIT;
	struct fl_err err = {""};
	char link[64], slash[66];
	int r;

	snprintf(link, sizeof(link), "%s/link", (char *)*state);
	assert_int_equal(symlink("/tmp", link), 0);
	r = fl_bpffs_open(link, 0, &fs, &err);
	assert_true(r == -ELOOP || r == -ENOTDIR);
	assert_non_null(strstr(err.text, "a link is not followed"));
	snprintf(slash, sizeof(slash), "%s/", link);
	r = fl_bpffs_open(slash, 0, &fs, &err);
	assert_true(r == -ELOOP || r == -ENOTDIR);
}

static void touch(const char *dir, const char *name)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(name, f);
	fclose(f);
}

/* robustness A6: a wrong --bpffs is refused, and what it names is not closed to its users. */
static void test_other_directories_keep_their_mode(void **state)
{
	static const unsigned int flags[] = {0, FL_BPFFS_LOCK, FL_BPFFS_CREATE | FL_BPFFS_LOCK};
	struct fl_bpffs fs = FL_BPFFS_INIT;
	struct fl_err err = {""};
	struct stat st;

	touch(*state, "foreign");
	assert_int_equal(chmod(*state, 0755), 0);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		assert_int_not_equal(fl_bpffs_open(*state, flags[i], &fs, &err), 0);
		assert_non_null(strstr(err.text, "not on a BPF file system"));
		assert_int_equal(stat(*state, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0755);
	}
}

/* What is in the file, "" when there is none; removes it. */
static const char *take(const char *dir, const char *name, char buf[static 64])
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	buf[0] = '\0';
	if (f) {
		assert_non_null(fgets(buf, 64, f));
		fclose(f);
		unlink(path);
	}
	return buf;
}

/*
 * robustness A2: an agent killed between pinning and naming. The link holds the device; when it
 * stayed without its name the next agent found the device taken by "another XDP program".
 */
static void test_unfinished_names_are_finished(void **state)
{
	static const char *const dirs[] = {"maps", "links", "programs"};
	const char *dir = *state;
	struct fl_bpffs fs = {.path = *state, .dir_fd = open(dir, O_RDONLY | O_DIRECTORY)};
	char path[64], buf[64];

	assert_true(fs.dir_fd >= 0);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(mkdirat(fs.dir_fd, dirs[i], 0700), 0);
	touch(dir, "links/xdp-2~");
	touch(dir, "links/tc-ingress-2");
	touch(dir, "links/tc-ingress-2~");
	touch(dir, "programs/netns-1~");
	touch(dir, "maps/meta~");
	touch(dir, "maps/lines");
	fl_bpffs_finish_names(&fs);
	assert_string_equal(take(dir, "links/xdp-2", buf), "links/xdp-2~");
	assert_string_equal(take(dir, "links/tc-ingress-2", buf), "links/tc-ingress-2");
	assert_string_equal(take(dir, "programs/netns-1", buf), "programs/netns-1~");
	assert_string_equal(take(dir, "maps/lines", buf), "maps/lines");
	close(fs.dir_fd);
	/* and nothing else is left: an incomplete set of maps is never used */
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, dirs[i]);
		assert_int_equal(rmdir(path), 0);
	}
}

static void test_nothing_is_cleaned_up_where_no_datapath_can_be(void **state)
{
	struct fl_err err = {""};
	size_t removed = 1;
	char path[64];

	assert_int_equal(fl_dp_cleanup(*state, &removed, &err), -ENOENT);
	assert_int_equal(removed, 0);
	snprintf(path, sizeof(path), "%s/none", (char *)*state);
	assert_int_equal(fl_dp_cleanup(path, &removed, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_false(fl_dp_dir_is_possible(path));
	assert_false(fl_dp_dir_is_possible("/nonexistent/fairlead"));
}

static void test_readers_hear_that_there_is_no_datapath(void **state)
{
	struct fl_maps maps = FL_MAPS_INIT;
	struct fl_dp_status status;
	struct fl_err err = {""};

	assert_int_equal(fl_maps_open_pinned(*state, false, &maps, &err), -ENOENT);
	assert_int_equal(fl_dp_status(*state, &status, &err), -ENOENT);
	assert_non_null(strstr(err.text, *state));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kernel_hz_is_one_that_kernels_have),
		cmocka_unit_test(test_modes_are_named_both_ways),
		cmocka_unit_test(test_every_map_is_described),
		cmocka_unit_test(test_the_programs_have_the_maps_of_the_list),
		cmocka_unit_test(test_sizes_that_are_asked_for),
		cmocka_unit_test(test_memory_without_a_map_is_the_callers),
		cmocka_unit_test(test_names_of_clsact_records),
		cmocka_unit_test_setup_teardown(test_directories_that_are_no_state, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_links_are_not_followed, make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_other_directories_keep_their_mode, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_unfinished_names_are_finished, make_dir,
						remove_dir),
		cmocka_unit_test_setup_teardown(test_nothing_is_cleaned_up_where_no_datapath_can_be,
						make_dir, remove_dir),
		cmocka_unit_test_setup_teardown(test_readers_hear_that_there_is_no_datapath,
						make_dir, remove_dir),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
