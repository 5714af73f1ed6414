// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* When pins are looked for one by one. Plain files stand for them, in directories of no BPF file
 * system, so that a missing one cannot be made again and is an error. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/base/cleanup.h"
#include "lb/dp/state.h"

struct fixture {
	char path[64];
	struct fl_dp dp;
};

static int dir_of(const struct fixture *f, const char *sub)
{
	const int fd = openat(f->dp.fs.dir_fd, sub, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void pin(const struct fixture *f, const char *sub, const char *name)
{
	_cleanup_close_ int dir = dir_of(f, sub);
	_cleanup_close_ int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
}

static void unpin(const struct fixture *f, const char *sub, const char *name)
{
	_cleanup_close_ int dir = dir_of(f, sub);

	assert_int_equal(unlinkat(dir, name, 0), 0);
}

static int pin_program(const char *name, int fd, void *arg)
{
	pin(arg, "programs", name);
	return 0;
}

/* The directories were changed last that many seconds ago. */
static void date(const struct fixture *f, time_t ago_s)
{
	const struct timespec t = {.tv_sec = time(NULL) - ago_s};

	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++)
		assert_int_equal(utimensat(f->dp.fs.dir_fd, fl_bpffs_subdirs[i],
					   (const struct timespec[]){t, t}, 0),
				 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	strcpy(f->path, "/tmp/fairlead-test-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->dp.maps = (struct fl_maps)FL_MAPS_INIT;
	f->dp.programs = (struct fl_programs)FL_PROGRAMS_INIT;
	f->dp.layout_fd = f->dp.records_fd = f->dp.clock_fd = -1;
	f->dp.fs.path = f->path;
	f->dp.fs.dir_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++)
		assert_int_equal(mkdirat(f->dp.fs.dir_fd, fl_bpffs_subdirs[i], 0700), 0);
	for (int i = 0; i < FL_MAPS; i++)
		pin(f, "maps", fl_map_descs[i].name);
	pin(f, "programs", FL_PIN_CLOCK);
	fl_programs_each_pin(&f->dp.programs, pin_program, f);
	*state = f;
	return 0;
}

static int remove_pin(const char *name, void *arg)
{
	return unlinkat(*(int *)arg, name, 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < FL_BPFFS_SUBDIRS; i++) {
		_cleanup_close_ int dir = dir_of(f, fl_bpffs_subdirs[i]);

		fl_bpffs_each(&f->dp.fs, fl_bpffs_subdirs[i], remove_pin, &dir);
		unlinkat(f->dp.fs.dir_fd, fl_bpffs_subdirs[i], AT_REMOVEDIR);
	}
	close(f->dp.fs.dir_fd);
	rmdir(f->path);
	free(f);
	return 0;
}

/* Whether all pins are there, as far as is looked. */
static bool all_well(struct fixture *f)
{
	int n = 0, r = fl_dp_repair_pins(&f->dp, &n, NULL);

	assert_int_equal(n, 0);
	return !r;
}

static void test_a_pin_that_goes_is_missed(void **state)
{
	struct fixture *f = *state;

	date(f, 60);
	assert_true(all_well(f));
	assert_true(all_well(f));
	unpin(f, "maps", "meta");
	assert_false(all_well(f));
	assert_false(all_well(f)); /* as long as it is gone */
	date(f, 50);
	assert_false(all_well(f));
	pin(f, "maps", "meta");
	assert_true(all_well(f));
}

static void test_a_directory_that_goes_is_missed(void **state)
{
	struct fixture *f = *state;

	date(f, 60);
	assert_true(all_well(f));
	assert_int_equal(renameat(f->dp.fs.dir_fd, "programs", f->dp.fs.dir_fd, "elsewhere"), 0);
	assert_false(all_well(f));
	assert_int_equal(renameat(f->dp.fs.dir_fd, "elsewhere", f->dp.fs.dir_fd, "programs"), 0);
	assert_true(all_well(f));
}

/* A second change at the same time leaves the date as it is. */
static void test_a_date_of_just_now_says_nothing(void **state)
{
	struct fixture *f = *state;

	date(f, 0);
	assert_true(all_well(f));
	unpin(f, "maps", "meta");
	date(f, 0);
	assert_false(all_well(f));
}

/* Each second, with more than a hundred pins: nothing is looked for while its directory is as it
 * was, which a date that is put back shows. */
static void test_pins_are_not_looked_for_while_nothing_changes(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	date(f, 60);
	assert_true(all_well(f));
	assert_int_equal(fstatat(f->dp.fs.dir_fd, "maps", &st, 0), 0);
	unpin(f, "maps", "meta");
	assert_int_equal(utimensat(f->dp.fs.dir_fd, "maps",
				   (const struct timespec[]){st.st_mtim, st.st_mtim}, 0),
			 0);
	assert_true(all_well(f));
}

/* Its pin may have failed. */
static void test_what_is_attached_later_is_looked_for(void **state)
{
	struct fixture *f = *state;

	date(f, 60);
	assert_true(all_well(f));
	assert_int_equal(fl_attachment_add(&f->dp, "xdp-7", 7, -1, -1), 0);
	assert_false(all_well(f));
	pin(f, "links", "xdp-7");
	assert_true(all_well(f));
	free(f->dp.attachments);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_pin_that_goes_is_missed),
		TEST(test_a_directory_that_goes_is_missed),
		TEST(test_a_date_of_just_now_says_nothing),
		TEST(test_pins_are_not_looked_for_while_nothing_changes),
		TEST(test_what_is_attached_later_is_looked_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
