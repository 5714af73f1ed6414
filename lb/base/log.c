/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages of programs: one write() per line, so that lines of several writers do not mix. */
#include "lb/base/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "lb/base/utf8.h"

static enum fl_log_level log_level = FL_LOG_INFO;
static enum fl_log_form log_form = FL_LOG_TIMED;

const struct fl_word fl_log_level_words[] = {
	{"error", FL_LOG_ERROR},
	{"warn", FL_LOG_WARN},
	{"info", FL_LOG_INFO},
	{"debug", FL_LOG_DEBUG},
	{NULL, 0},
};
static_assert(FL_LOG_LINE_MAX <= PIPE_BUF, "a writable pipe takes a line without blocking");
static_assert(sizeof(fl_log_level_words) / sizeof(struct fl_word) == FL_LOG_LEVELS + 1,
	      "a name for each level");

void fl_log_level_set(enum fl_log_level level)
{
	log_level = level;
}

void fl_log_form_set(enum fl_log_form form)
{
	log_form = form;
}

bool fl_log_is_journal(const char *journal_stream, int fd)
{
	unsigned long long device, inode;
	struct stat st;
	int end = 0;

	return journal_stream &&
	       sscanf(journal_stream, "%llu:%llu%n", &device, &inode, &end) == 2 &&
	       !journal_stream[end] && !fstat(fd, &st) && st.st_dev == device && st.st_ino == inode;
}

/* C1 controls (U+0080 to U+009F) drive terminals just as the C0 ones do. */
static bool printable(const char *text, size_t n)
{
	unsigned char c = (unsigned char)text[0];

	if (n == 1)
		return c >= 0x20 && c != 0x7f;
	return n > 1 && !(c == 0xc2 && (unsigned char)text[1] < 0xa0);
}

/* Append a message of one line; returns the new length. */
static size_t put_escaped(char buf[static FL_LOG_LINE_MAX], size_t out, const char *message)
{
	size_t len = strlen(message);

	while (len && message[len - 1] == '\n')
		len--;
	for (size_t i = 0; i < len && out + 6 < FL_LOG_LINE_MAX;) {
		size_t n = fl_utf8_length(message + i, len - i);

		if (n && printable(message + i, n)) {
			memcpy(buf + out, message + i, n);
			out += n;
			i += n;
			continue;
		}
		out += (size_t)snprintf(buf + out, FL_LOG_LINE_MAX - out,
					message[i] == '\n' ? "\\n" : "\\x%02x",
					(unsigned char)message[i]);
		i++;
	}
	buf[out++] = '\n';
	buf[out] = '\0';
	return out;
}

static size_t put_time(char buf[static FL_LOG_LINE_MAX], const struct timespec *when,
		       enum fl_log_level level)
{
	struct tm tm;
	size_t out;

	gmtime_r(&when->tv_sec, &tm);
	out = strftime(buf, FL_LOG_LINE_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
	return out + (size_t)snprintf(buf + out, FL_LOG_LINE_MAX - out, ".%03ldZ %-5s ",
				      when->tv_nsec / 1000000,
				      fl_word_of(fl_log_level_words, (int)level));
}

static size_t put_priority(char buf[static FL_LOG_LINE_MAX], enum fl_log_level level)
{
	static const int priorities[] = {
		[FL_LOG_ERROR] = LOG_ERR,
		[FL_LOG_WARN] = LOG_WARNING,
		[FL_LOG_INFO] = LOG_INFO,
		[FL_LOG_DEBUG] = LOG_DEBUG,
	};

	return (size_t)snprintf(buf, FL_LOG_LINE_MAX, "<%d>", priorities[level]);
}

size_t fl_log_line_format(char buf[static FL_LOG_LINE_MAX], enum fl_log_form form,
			  const struct timespec *when, enum fl_log_level level, const char *fmt,
			  va_list ap)
{
	char message[FL_LOG_LINE_MAX];
	size_t out = form == FL_LOG_JOURNAL ? put_priority(buf, level) : put_time(buf, when, level);

	if (vsnprintf(message, sizeof(message), fmt, ap) < 0)
		message[0] = '\0';
	return put_escaped(buf, out, message);
}

size_t fl_log_plain_format(char buf[static FL_LOG_LINE_MAX], const char *fmt, va_list ap)
{
	char message[FL_LOG_LINE_MAX];

	if (vsnprintf(message, sizeof(message), fmt, ap) < 0)
		message[0] = '\0';
	return put_escaped(buf, 0, message);
}

void fl_log_plain(const char *fmt, ...)
{
	char line[FL_LOG_LINE_MAX];
	va_list ap;
	size_t len;

	va_start(ap, fmt);
	len = fl_log_plain_format(line, fmt, ap);
	va_end(ap);
	if (write(STDERR_FILENO, line, len) < 0)
		errno = 0; /* there is nowhere to report it */
}

/*
 * A reader that has stopped must not stop the program too: when the pipe is full the line is lost.
 * A pipe counts as writable when it has room for PIPE_BUF bytes, which is room for a line.
 */
static bool is_writable(void)
{
	struct pollfd p = {.fd = STDERR_FILENO, .events = POLLOUT};

	return poll(&p, 1, 0) != 0;
}

void fl_log(enum fl_log_level level, const char *fmt, ...)
{
	char line[FL_LOG_LINE_MAX];
	struct timespec now;
	int saved = errno;
	va_list ap;
	size_t len;

	if (level > log_level)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	va_start(ap, fmt);
	len = fl_log_line_format(line, log_form, &now, level, fmt, ap);
	va_end(ap);
	/* when standard error is gone there is nowhere to report it */
	if (is_writable() && write(STDERR_FILENO, line, len) < 0)
		errno = 0;
	errno = saved;
}
