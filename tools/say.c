/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Words on standard error, and reading the names people give. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/cli.h"
#include "tools/output.h"

static void say(const char *fmt, va_list ap) __attribute__((format(printf, 1, 0)));

static void say(const char *fmt, va_list ap)
{
	char text[2048];

	vsnprintf(text, sizeof(text), fmt, ap);
	fflush(stdout);
	fputs("fairlead: ", stderr);
	fl_text_put(text, stderr);
	putc('\n', stderr);
}

void fl_say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

enum fl_exit fl_written(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return FL_EXIT_OK;
	if (errno != EPIPE) /* "| head" has had enough: nothing to complain about */
		fl_say("cannot write: %s", strerror(errno));
	return FL_EXIT_FAILED;
}

enum fl_exit fl_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	fputs("Try \"fairlead help\".\n", stderr);
	return FL_EXIT_USAGE;
}

enum fl_exit fl_ref_parse(char *text, bool with_port, struct fl_ref *ret_ref)
{
	struct fl_ref ref = {.ns = "", .name = text};
	char *slash = strchr(text, '/'), *colon = strchr(text, ':');

	if (colon && (!with_port || !colon[1]))
		return fl_usage("\"%s\" is not %s", text,
				with_port ? "NAMESPACE/NAME[:PORT]" : "NAMESPACE/NAME");
	if (*text != '#' && (!slash || slash == text || !slash[1] || slash + 1 == colon))
		return fl_usage("\"%s\" is not %s", text,
				with_port ? "NAMESPACE/NAME[:PORT]" : "NAMESPACE/NAME");
	if (slash) {
		*slash = '\0';
		ref.ns = text;
		ref.name = slash + 1;
	}
	if (colon) {
		*colon = '\0';
		ref.port = colon + 1;
	}
	*ret_ref = ref;
	return FL_EXIT_OK;
}
