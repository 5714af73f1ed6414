/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Messages of programs, one line each on standard error. Only fairleadd and the tools call this;
 * libraries return a struct fl_err. Level and form are the process's only globals.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "lb/base/words.h"

enum fl_log_level {
	FL_LOG_ERROR,
	FL_LOG_WARN,
	FL_LOG_INFO,
	FL_LOG_DEBUG,
	FL_LOG_LEVELS,
};

#define FL_LOG_LINE_MAX 2048 /* longer messages are cut */

extern const struct fl_word fl_log_level_words[]; /* enum fl_log_level */
/* Messages up to and including this level are written. FL_LOG_INFO until it is set. */
void fl_log_level_set(enum fl_log_level level);

/* Write one line with the time (UTC) and the level. errno is left as it was. */
void fl_log(enum fl_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define fl_log_error(...) fl_log(FL_LOG_ERROR, __VA_ARGS__)
#define fl_log_warn(...) fl_log(FL_LOG_WARN, __VA_ARGS__)
#define fl_log_info(...) fl_log(FL_LOG_INFO, __VA_ARGS__)
#define fl_log_debug(...) fl_log(FL_LOG_DEBUG, __VA_ARGS__)

/* How lines begin: with time and level, or as journald reads them from a stream, with a priority
 * alone, since it notes the time itself. */
enum fl_log_form {
	FL_LOG_TIMED,
	FL_LOG_JOURNAL,
};
/* FL_LOG_TIMED until it is set. */
void fl_log_form_set(enum fl_log_form form);
/* Whether the descriptor is the stream to the journal that $JOURNAL_STREAM names as DEVICE:INODE;
 * NULL: it is not set. */
bool fl_log_is_journal(const char *journal_stream, int fd);

/*
 * The line fl_log() would write at `when`, with its newline and no other: control characters and
 * bytes that are not UTF-8 are escaped, so that text from a file or a peer cannot forge a line or
 * drive a terminal. Returns its length.
 */
size_t fl_log_line_format(char buf[static FL_LOG_LINE_MAX], enum fl_log_form form,
			  const struct timespec *when, enum fl_log_level level, const char *fmt,
			  va_list ap) __attribute__((format(printf, 5, 0)));

/* A line for a person at a terminal: without time and level, but escaped as well. */
void fl_log_plain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
size_t fl_log_plain_format(char buf[static FL_LOG_LINE_MAX], const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));
