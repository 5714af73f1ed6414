/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* When a file is read: not while it is being written, and without events in a second or two. */
#include "tests/unit/source/manifest_fixture.h"

#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/vfs.h>

/* A program that has a file open for writing. */
static FILE *open_for_writing(const struct fixture *f, const char *name, const char *mode)
{
	char path[160];
	FILE *file;

	path_of(f, name, path);
	file = fopen(path, mode);
	assert_non_null(file);
	return file;
}

static void write_on(FILE *file, const char *text)
{
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fflush(file), 0);
}

static void refresh(struct fixture *f)
{
	f->reported[0] = '\0';
	assert_int_equal(fl_source_refresh(f->source, NULL), 0);
}

static void make_link(const struct fixture *f, const char *target, const char *name)
{
	char path[160];

	path_of(f, name, path);
	assert_int_equal(symlink(target, path), 0);
}

static void make_dir(const struct fixture *f, const char *name)
{
	char path[160];

	path_of(f, name, path);
	assert_int_equal(mkdir(path, 0755), 0);
}

/* cp, or a redirection: neither an event nor a look at everything catches it half-way. */
static void test_a_file_is_not_read_while_it_is_written(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	put2(f, "a.yaml", service("a", "10.96.0.1"), service("b", "10.96.0.2"));
	load(f);
	file = open_for_writing(f, "a.yaml", "we");
	for (int i = 0; i < 3; i++) {
		assert_true(handle(f));
		refresh(f);
		pass(f, 9000);
		assert_ip(f, "a", "10.96.0.1");
		assert_ip(f, "b", "10.96.0.2");
		assert_no_problems(f);
		write_on(file, service(i ? "b" : "a", "10.96.0.9"));
	}
	fclose(file);
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.9");
	assert_ip(f, "b", "10.96.0.9");
}

/* The same for a file that is new. */
static void test_a_new_file_is_not_read_while_it_is_written(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	file = open_for_writing(f, "b.yaml", "we");
	write_on(file, service("b", "10.96.0.2"));
	assert_true(handle(f));
	refresh(f);
	pass(f, 5000);
	assert_ip(f, "b", "-");
	assert_no_problems(f);
	fclose(file);
	assert_true(handle(f));
	assert_ip(f, "b", "10.96.0.2");
}

/* A writer that never closes its file is believed when it has been quiet for long. */
static void test_a_writer_that_never_ends(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	file = open_for_writing(f, "b.yaml", "we");
	write_on(file, service("b", "10.96.0.2"));
	assert_true(handle(f));
	pass(f, 9999);
	assert_ip(f, "b", "-");
	pass(f, 1);
	assert_ip(f, "b", "10.96.0.2");
	fclose(file);
}

/* A mapping for writing, which keeps the file open. */
static char *map_file(const struct fixture *f, const char *name)
{
	char path[160], *text;
	int fd;

	path_of(f, name, path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	text = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(text, MAP_FAILED);
	close(fd);
	return text;
}

/* On tmpfs, which keeps the times of a file that is written through a mapping. */
static int setup_undated(void **state)
{
	char dir[] = "/dev/shm/fl-manifest-XXXXXX";
	const int rc = setup_held(state);
	struct fixture *f = *state;
	struct statfs fs;

	f->undated = !statfs("/dev/shm", &fs) && fs.f_type == TMPFS_MAGIC && mkdtemp(dir);
	if (!f->undated)
		return rc;
	rmdir(f->dir);
	strcpy(f->dir, dir);
	return rc;
}

/* Where no time tells, a text that was read twice is whole; one that changes is not. */
static void test_a_writer_through_an_undated_mapping(void **state)
{
	struct fixture *f = *state;
	char *text, *at;

	if (!f->undated)
		skip(); /* needs a tmpfs on /dev/shm */
	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	text = map_file(f, "a.yaml");
	at = strstr(text, "10.96.0.1");
	pass(f, 3000);
	for (int i = 2; i < 10; i++) {
		at[8] = (char)('0' + i);
		pass(f, 1000);
		assert_ip(f, "a", "10.96.0.1");
	}
	at[8] = '7';
	for (int i = 0; i < 4; i++)
		pass(f, 1000);
	assert_ip(f, "a", "10.96.0.7");
	assert_no_problems(f);
	munmap(text, 4096);
}

/* A program that has the file mapped causes no event, and need not close it. */
static void test_a_writer_through_a_mapping(void **state)
{
	struct fixture *f = *state;
	char *text;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	text = map_file(f, "a.yaml");
	handle(f);
	memcpy(strstr(text, "10.96.0.1"), "10.96.0.7", 9);
	assert_int_equal(msync(text, 4096, MS_SYNC), 0);
	pass(f, 1000);
	assert_ip(f, "a", "10.96.0.1"); /* seen, but it could go on */
	pass(f, 1000);
	assert_ip(f, "a", "10.96.0.7");
	/* while it is mapped it may change without a trace: each look at everything reads it */
	refresh(f);
	pass(f, 1000);
	assert_ip(f, "a", "10.96.0.7");
	munmap(text, 4096);
}

static void test_a_start_while_a_file_is_written(void **state)
{
	struct fixture *f = *state;
	FILE *file;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	file = open_for_writing(f, "b.yaml", "we");
	write_on(file, service("b", "10.96.0.2"));
	load(f);
	assert_ip(f, "a", "10.96.0.1");
	assert_ip(f, "b", "-");
	assert_false(fl_source_complete(f->source));
	write_on(file, service("c", "10.96.0.3"));
	fclose(file);
	assert_true(handle(f));
	assert_ip(f, "b", "10.96.0.2");
	assert_ip(f, "c", "10.96.0.3");
	assert_true(fl_source_complete(f->source));
}

/* A file that appears whole, without a name before (O_TMPFILE and linkat). */
static void test_a_file_that_is_linked_into_place(void **state)
{
	struct fixture *f = *state;
	const char *text = service("a", "10.96.0.1");
	char path[160], proc[64];
	int fd;

	load(f);
	fd = open(f->dir, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	if (fd < 0)
		skip(); /* the file system of /tmp has no O_TMPFILE */
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	path_of(f, "a.yaml", path);
	assert_int_equal(linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW), 0);
	close(fd);
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.1");
}

/* Releases in directories of their own, and a link to the current one. */
static void test_a_link_to_a_directory_is_switched(void **state)
{
	struct fixture *f = *state;
	static const char *const roots[] = {"current", "current/sub", "twice/sub"};

	make_dir(f, "r1");
	make_dir(f, "r1/sub");
	make_dir(f, "r2");
	make_dir(f, "r2/sub");
	for (size_t i = 0; i < 3; i++) {
		char path[160];
		const char *paths[] = {path};
		const char *below = i ? "sub/" : "", *one, *two;
		char first[32], second[32];

		snprintf(first, sizeof(first), "r1/%sa.yaml", below);
		snprintf(second, sizeof(second), "r2/%sa.yaml", below);
		one = service("a", "10.96.0.1");
		two = service("a", "10.96.0.2");
		put(f, first, one);
		put(f, second, two);
		make_link(f, "r1", "current");
		if (i == 2)
			make_link(f, "current", "twice");
		path_of(f, roots[i], path);
		assert_int_equal(open_paths(f, paths, 1, NULL), 0);
		assert_int_equal(fl_source_load(f->source, NULL), 0);
		assert_ip(f, "a", "10.96.0.1");
		make_link(f, "r2", "next");
		move(f, "next", "current");
		assert_true(handle(f));
		assert_ip(f, "a", "10.96.0.2");
		/* and back again: the new one is watched now */
		make_link(f, "r1", "next");
		move(f, "next", "current");
		assert_true(handle(f));
		assert_ip(f, "a", "10.96.0.1");
		put(f, first, two);
		assert_true(handle(f));
		assert_ip(f, "a", "10.96.0.2");
		fl_source_free(&f->source);
		fl_store_del(f->store, FL_KIND_SERVICE, "default", "a");
		del(f, "current");
	}
}

/* A link to a file elsewhere, where nothing is watched. */
static void test_a_link_to_a_file_elsewhere(void **state)
{
	struct fixture *f = *state;
	char path[160];
	const char *paths[] = {path};

	make_dir(f, "m");
	make_dir(f, "elsewhere");
	put(f, "elsewhere/x", service("a", "10.96.0.1"));
	make_link(f, "../elsewhere/x", "m/a.yaml");
	path_of(f, "m", path);
	assert_int_equal(open_paths(f, paths, 1, NULL), 0);
	assert_int_equal(fl_source_load(f->source, NULL), 0);
	assert_ip(f, "a", "10.96.0.1");
	put(f, "elsewhere/y", service("a", "10.96.0.2"));
	move(f, "elsewhere/y", "elsewhere/x");
	assert_false(handle(f));
	pass(f, 1000);
	assert_ip(f, "a", "10.96.0.2");
}

/* A path that is not there yet, and a parent that is replaced as a whole. */
static void test_a_parent_is_replaced(void **state)
{
	struct fixture *f = *state;
	char path[160];
	const char *paths[] = {path};

	make_dir(f, "p");
	make_dir(f, "p/m");
	put(f, "p/m/a.yaml", service("a", "10.96.0.1"));
	path_of(f, "p/m", path);
	assert_int_equal(open_paths(f, paths, 1, NULL), 0);
	assert_int_equal(fl_source_load(f->source, NULL), 0);
	move(f, "p", "old");
	pass(f, 1000); /* nothing of it was watched, but it is looked at */
	list_problems(f);
	assert_reported(f, "error m:0 : No such file or directory\n");
	make_dir(f, "p");
	assert_true(handle(f));
	make_dir(f, "p/m");
	put(f, "p/m/a.yaml", service("a", "10.96.0.2"));
	assert_true(handle(f));
	assert_ip(f, "a", "10.96.0.2");
	assert_no_problems(f);
}

/* Events are lost: somebody else reads them. */
static void lose_events(void)
{
	char path[64], target[64], events[4096];

	for (int fd = 3; fd < 64; fd++) {
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		target[len > 0 ? len : 0] = '\0';
		if (strcmp(target, "anon_inode:inotify"))
			continue;
		while (read(fd, events, sizeof(events)) > 0)
			;
	}
}

static void look(struct fixture *f)
{
	assert_int_equal(fl_source_look(f->source, NULL), 0);
}

/* All that can happen to a file, with no event to tell: the slow look finds it. */
static void test_lost_events(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	put(f, "b.yaml", service("b", "10.96.0.2"));
	load(f);
	look(f);
	pass(f, 1000);
	put(f, "a.yaml", service("a", "10.96.0.7"));
	put(f, "c.yaml", service("c", "10.96.0.3"));
	del(f, "b.yaml");
	lose_events();
	assert_false(handle(f));
	look(f);
	for (int i = 0; i < 8; i++)
		pass(f, 250);
	assert_ip(f, "a", "10.96.0.7");
	assert_ip(f, "c", "10.96.0.3");
	assert_ip(f, "b", "10.96.0.2"); /* what vanishes is held */
	for (int i = 0; i < 31; i++)
		pass(f, 1000);
	assert_ip(f, "b", "-");
	/* and with more names than one look reads */
	for (int i = 0; i < 1500; i++) {
		char file[16];

		snprintf(file, sizeof(file), "n%d.yaml", i);
		put(f, file, service(file, "10.96.1.1"));
	}
	put(f, "z.yaml", service("z", "10.96.0.9"));
	lose_events();
	look(f);
	for (int i = 0; i < 12; i++)
		pass(f, 250);
	assert_ip(f, "z", "10.96.0.9");
	assert_int_equal(fl_store_count(f->store, FL_KIND_SERVICE), 1503);
	assert_no_problems(f);
}

/* Wait for the worker: its descriptor tells. */
static void wait_for_ip(struct fixture *f, const char *name, const char *ip)
{
	struct pollfd poll_fd = {.fd = fl_source_fd(f->source), .events = POLLIN};

	while (strcmp(ip_of(f, name), ip)) {
		if (poll(&poll_fd, 1, 60000) != 1)
			fail_msg("%s never became %s", name, ip);
		assert_int_equal(fl_source_handle(f->source, NULL), 0);
	}
}

static void put_large(struct fixture *f, const char *name, const char *ip)
{
	FILE *file = open_for_writing(f, name, "we");

	for (int i = 0; i < 5000; i++) {
		char which[16];

		snprintf(which, sizeof(which), "s%d", i);
		assert_true(fputs(service(which, ip), file) >= 0);
	}
	assert_int_equal(fclose(file), 0);
}

/* What takes long to read is read beside the loop, which goes on meanwhile. */
static void test_a_large_file_is_read_beside_the_loop(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	put(f, "large.yaml", service("s0", "10.97.0.1"));
	load(f);
	put_large(f, "large.yaml", "10.97.0.2");
	assert_true(handle(f));
	/* being read; small files are not held up by it */
	put(f, "a.yaml", service("a", "10.96.0.2"));
	assert_int_equal(fl_source_handle(f->source, NULL), 0);
	assert_ip(f, "a", "10.96.0.2");
	wait_for_ip(f, "s4999", "10.97.0.2");
	assert_ip(f, "s0", "10.97.0.2");
	assert_int_equal(fl_store_count(f->store, FL_KIND_SERVICE), 5001);
	assert_no_problems(f);
	/* and again while it is being read */
	put_large(f, "large.yaml", "10.97.0.3");
	handle(f);
	put_large(f, "large.yaml", "10.97.0.4");
	handle(f);
	wait_for_ip(f, "s4999", "10.97.0.4");
	/* the end of the source does not wait for a reading to end */
	put_large(f, "large.yaml", "10.97.0.5");
	handle(f);
}

/* A large file that is taken in bit by bit, and shrinks. */
static void test_a_large_file_goes(void **state)
{
	struct fixture *f = *state;

	put(f, "a.yaml", service("a", "10.96.0.1"));
	load(f);
	put_large(f, "large.yaml", "10.97.0.2");
	handle(f);
	wait_for_ip(f, "s4999", "10.97.0.2");
	del(f, "large.yaml");
	assert_true(handle(f));
	assert_ip(f, "s4999", "10.97.0.2");
	pass(f, 30000);
	assert_int_equal(fl_store_count(f->store, FL_KIND_SERVICE), 1);
	assert_no_problems(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_HELD(test_a_file_is_not_read_while_it_is_written),
		TEST_HELD(test_a_new_file_is_not_read_while_it_is_written),
		TEST_HELD(test_a_writer_that_never_ends),
		TEST_HELD(test_a_writer_through_a_mapping),
		cmocka_unit_test_setup_teardown(test_a_writer_through_an_undated_mapping,
						setup_undated, teardown),
		TEST_HELD(test_a_start_while_a_file_is_written),
		TEST_HELD(test_a_file_that_is_linked_into_place),
		TEST_HELD(test_a_link_to_a_directory_is_switched),
		TEST_HELD(test_a_link_to_a_file_elsewhere),
		TEST_HELD(test_a_parent_is_replaced),
		TEST_HELD(test_lost_events),
		TEST_HELD(test_a_large_file_is_read_beside_the_loop),
		TEST_HELD(test_a_large_file_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
