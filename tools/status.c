/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead status: whether this node is well, and the numbers that say why. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lb/base/cleanup.h"
#include "lb/base/clock.h"
#include "lb/base/doc.h"
#include "tools/ask.h"
#include "tools/output.h"
#include "tools/status.h"

#define WAIT_S 60L
#define WAIT_MAX_S 86400L
#define POLL_MS 200

static void put_name(const struct fl_value *root, FILE *out)
{
	fl_cell_put(fl_value_get(root, "node"), out);
}

static const struct fl_listing listing = {.text = fl_status_put, .name = put_name};

static enum fl_exit verdict(const struct fl_value *root, const struct fl_items *items)
{
	if (fl_value_number(root, "drift") > 0)
		return FL_EXIT_DRIFT;
	return fl_status_flag(root, "healthy") ? FL_EXIT_OK : FL_EXIT_FAILED;
}

/* Whether the agent answers that it is healthy; prints nothing. */
static bool is_healthy(struct fl_cli *cli)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	size_t len;
	long code;

	return !fl_client_request(cli->socket, "GET", "/v1/status", false, &text, &len, &code,
				  NULL) &&
	       code == 200 && !fl_doc_parse(text, len, FL_DOC_JSON, &doc, NULL) &&
	       fl_status_flag(fl_doc_root(doc), "healthy");
}

static void wait_for_health(struct fl_cli *cli, long seconds)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
	struct fl_mono begin = fl_mono_now();

	while (!is_healthy(cli) &&
	       fl_mono_ms_between(begin, fl_mono_now()) + POLL_MS < (uint64_t)seconds * 1000)
		nanosleep(&pause, NULL);
}

static bool read_seconds(const char *text, long *ret_seconds)
{
	char *end;

	*ret_seconds = WAIT_S;
	if (!*text)
		return true;
	errno = 0;
	*ret_seconds = strtol(text, &end, 10);
	return !errno && !*end && *text != '+' && *ret_seconds >= 0 && *ret_seconds <= WAIT_MAX_S;
}

static enum fl_exit run_status(struct fl_cli *cli)
{
	static const struct fl_question question = {
		.method = "GET", .url = FL_URL("/v1/status"), .render = fl_status_from_pins};
	const struct fl_show show = {
		.questions = &question, .n_questions = 1, .listing = &listing, .verdict = verdict};
	long seconds;

	if (cli->wait) {
		if (!read_seconds(cli->wait, &seconds))
			return fl_usage("option --wait: \"%s\" is not a number of seconds up to "
					"%ld",
					cli->wait, WAIT_MAX_S);
		if (cli->watch)
			return fl_usage("status takes --wait or --watch, not both");
		wait_for_health(cli, seconds);
	}
	return fl_show(cli, &show);
}

static const struct fl_cli_option options[] = {
	{{"wait", "SECONDS", "wait until the node is healthy (default 60 s), then show it", NULL, 0,
	  false, true},
	 FL_CLI_STRING,
	 offsetof(struct fl_cli, wait)},
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.operands = "",
	 .help = "whether this node is well",
	 .options = options,
	 .run = run_status},
};

const struct fl_noun fl_noun_status = {
	.name = "status",
	.help = "Whether this node is well: exits with 1 when it is not, 5 when the maps are not "
		"as they should be.",
	.commands = commands,
	.n_commands = 1,
};
