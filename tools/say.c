/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Messages on standard error. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lb/base/log.h"
#include "tools/cli.h"

#define TEXT_MAX 2000

/* Messages and data may go to the same terminal: keep their order. */
static const char *format(char text[static TEXT_MAX], const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static const char *format(char text[static TEXT_MAX], const char *fmt, va_list ap)
{
	vsnprintf(text, TEXT_MAX, fmt, ap);
	fflush(stdout);
	return text;
}

void fl_say(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	fl_log_plain("fairlead: %s", format(text, fmt, ap));
	va_end(ap);
}

enum fl_exit fl_usage(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;
	int code;

	va_start(ap, fmt);
	code = fl_usage_say("fairlead", "%s", format(text, fmt, ap));
	va_end(ap);
	return (enum fl_exit)code;
}

enum fl_exit fl_say_no_memory(void)
{
	fl_say("no memory");
	return FL_EXIT_FAILED;
}

enum fl_exit fl_written(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return FL_EXIT_OK;
	if (errno != EPIPE) /* "| head" has had enough: nothing to complain about */
		fl_say("cannot write: %s", strerror(errno));
	return FL_EXIT_FAILED;
}
