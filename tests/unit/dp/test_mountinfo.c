// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Lines of /proc/self/mountinfo as proc(5) describes them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "lb/dp/mountinfo.h"

static void check(const char *line, const char *root, const char *point, const char *type,
		  const char *source)
{
	struct fl_mount m = {0};

	assert_int_equal(fl_mount_parse(line, &m), 0);
	assert_string_equal(m.root, root);
	assert_string_equal(m.point, point);
	assert_string_equal(m.type, type);
	assert_string_equal(m.source, source);
	fl_mount_fini(&m);
}

static void test_lines_are_split(void **state)
{
	check("41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n", "/",
	      "/sys/fs/cgroup/unified", "cgroup2", "cgroup2");
	check("36 35 98:0 /a/b /mnt rw shared:1 master:2 propagate_from:3 unbindable - ext3 "
	      "/dev/root rw",
	      "/a/b", "/mnt", "ext3", "/dev/root");
}

static void test_escapes_are_undone(void **state)
{
	check("1 2 0:1 / /a\\040b\\134c\\011d rw - bpf fairlead rw", "/", "/a b\\c\td", "bpf",
	      "fairlead");
	check("1 2 0:1 / /a\\04 rw - bpf x\\ rw", "/", "/a\\04", "bpf", "x\\");
}

static void test_a_source_may_be_empty(void **state)
{
	check("1 2 0:1 / /x rw - tmpfs", "/", "/x", "tmpfs", "");
}

static void test_short_lines_are_refused(void **state)
{
	static const char *const lines[] = {"",
					    "\n",
					    "1 2 0:1 / /x rw",
					    "1 2 0:1 / /x rw shared:1",
					    "1 2 0:1 / /x rw -",
					    "- - - - - -"};
	struct fl_mount m;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_int_equal(fl_mount_parse(lines[i], &m), -EINVAL);
}

static void test_only_the_root_cgroup_has_no_type(void **state)
{
	char dir[] = "/tmp/fairlead-cgroup-XXXXXX", file[64];
	int fd;

	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/cgroup.type", dir);
	assert_true(fl_mount_is_cgroup_root(dir));
	fd = creat(file, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_false(fl_mount_is_cgroup_root(dir));
	assert_false(fl_mount_is_cgroup_root(file));
	unlink(file);
	rmdir(dir);
	assert_false(fl_mount_is_cgroup_root(dir));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_are_split),
		cmocka_unit_test(test_escapes_are_undone),
		cmocka_unit_test(test_a_source_may_be_empty),
		cmocka_unit_test(test_short_lines_are_refused),
		cmocka_unit_test(test_only_the_root_cgroup_has_no_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
