/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Log lines: one message is one line whatever is in it; levels; the rate limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lb/base/log.h"

#define N(a) (sizeof(a) / sizeof((a)[0]))

static const struct timespec when = {.tv_sec = 1700000000, .tv_nsec = 42999999};

__attribute__((format(printf, 2, 3))) static size_t line(char buf[static FL_LOG_LINE_MAX],
							 const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = fl_log_line_format(buf, FL_LOG_TIMED, &when, FL_LOG_WARN, fmt, ap);
	va_end(ap);
	return len;
}

static void test_log_line_is_one_line(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"plain", "plain"},
		{"ends with newline\n", "ends with newline"},
		{"two\nlines", "two\\nlines"},
		{"esc\x1b[2Jape\r\x7f\x01", "esc\\x1b[2Jape\\x0d\\x7f\\x01"},
		{"c1 \xc2\x9b end", "c1 \\xc2\\x9b end"},
		{"\xe2\x82\xac ok \xff bad", "\xe2\x82\xac ok \\xff bad"},
		{"", ""},
	};

	for (size_t i = 0; i < N(cases); i++) {
		char buf[FL_LOG_LINE_MAX], expected[FL_LOG_LINE_MAX];

		line(buf, "%s", cases[i].in);
		snprintf(expected, sizeof(expected), "2023-11-14T22:13:20.042Z warn  %s\n",
			 cases[i].out);
		assert_string_equal(buf, expected);
	}
}

__attribute__((format(printf, 3, 4))) static void
expect_journal(const char *expected, enum fl_log_level level, const char *fmt, ...)
{
	char buf[FL_LOG_LINE_MAX];
	va_list ap;

	va_start(ap, fmt);
	fl_log_line_format(buf, FL_LOG_JOURNAL, &when, level, fmt, ap);
	va_end(ap);
	assert_string_equal(buf, expected);
}

/* The journal has a time of its own and reads the priority; a message cannot forge another. */
static void test_lines_for_the_journal_have_a_priority_and_no_time(void **state)
{
	expect_journal("<3>no\n", FL_LOG_ERROR, "no");
	expect_journal("<4>hm\n", FL_LOG_WARN, "hm");
	expect_journal("<6>yes\n", FL_LOG_INFO, "yes");
	expect_journal("<7>a\\n<0>b\n", FL_LOG_DEBUG, "a\n<0>b");
}

static void test_the_journal_is_known_by_device_and_inode(void **state)
{
	char right[64], wrong[64], longer[80];
	struct stat st;
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(fstat(fds[1], &st), 0);
	snprintf(right, sizeof(right), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	snprintf(wrong, sizeof(wrong), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino + 1);
	snprintf(longer, sizeof(longer), "%s:7", right);
	assert_true(fl_log_is_journal(right, fds[1]));
	assert_false(fl_log_is_journal(wrong, fds[1]));
	assert_false(fl_log_is_journal(longer, fds[1]));
	assert_false(fl_log_is_journal("", fds[1]));
	assert_false(fl_log_is_journal(NULL, fds[1]));
	close(fds[0]);
	close(fds[1]);
	assert_false(fl_log_is_journal(right, fds[1]));
}

static size_t plain(char buf[static FL_LOG_LINE_MAX], const char *fmt, ...)
{
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = fl_log_plain_format(buf, fmt, ap);
	va_end(ap);
	return len;
}

/* robustness E9: what --check prints is text of a file too */
static void test_plain_lines_are_escaped_as_well(void **state)
{
	char buf[FL_LOG_LINE_MAX];

	assert_int_equal(plain(buf, "%s:%d: %s", "a.yaml", 3, "\033[31mx\nfake"),
			 strlen("a.yaml:3: \\x1b[31mx\\nfake\n"));
	assert_string_equal(buf, "a.yaml:3: \\x1b[31mx\\nfake\n");
}

static void test_log_line_is_cut(void **state)
{
	char buf[FL_LOG_LINE_MAX], message[3 * FL_LOG_LINE_MAX];
	static const char fill[] = {'a', '\x01', '\xff'};

	for (size_t i = 0; i < N(fill); i++) {
		size_t len;

		memset(message, fill[i], sizeof(message) - 1);
		message[sizeof(message) - 1] = '\0';
		len = line(buf, "%s", message);
		assert_in_range(len, FL_LOG_LINE_MAX - 10, FL_LOG_LINE_MAX - 1);
		assert_int_equal(buf[len - 1], '\n');
		assert_int_equal(strlen(buf), len);
	}
}

static void test_log_levels(void **state)
{
	static const char *const names[] = {"error", "warn", "info", "debug"};
	int level = FL_LOG_DEBUG;

	for (size_t i = 0; i < N(names); i++) {
		assert_true(fl_word_value(fl_log_level_words, names[i], &level));
		assert_int_equal(level, i);
	}
	assert_false(fl_word_value(fl_log_level_words, "loud", &level));
}

/*
 * A log reader that hangs: the agent goes on without its words. Blocks for ever when it does not.
 */
static void test_a_full_pipe_does_not_stop_us(void **state)
{
	int fds[2], saved = dup(STDERR_FILENO);

	assert_int_equal(pipe(fds), 0);
	assert_true(dup2(fds[1], STDERR_FILENO) >= 0);
	for (int i = 0; i < 2000; i++)
		fl_log_error("%0500d", i);
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	close(saved);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_line_is_one_line),
		cmocka_unit_test(test_plain_lines_are_escaped_as_well),
		cmocka_unit_test(test_log_line_is_cut),
		cmocka_unit_test(test_a_full_pipe_does_not_stop_us),
		cmocka_unit_test(test_lines_for_the_journal_have_a_priority_and_no_time),
		cmocka_unit_test(test_the_journal_is_known_by_device_and_inode),
		cmocka_unit_test(test_log_levels),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
