/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead metrics: what /metrics says, asked over the agent's socket. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "tools/ask.h"
#include "tools/output.h"

#define WATCH_SECONDS 2

static enum fl_exit show_once(struct fl_cli *cli)
{
	_cleanup_free_ char *text = NULL;
	struct fl_err err = {""};
	size_t len;
	long code;
	int r = fl_client_request(cli->socket, "GET", "/v1/metrics", true, &text, &len, &code,
				  &err);

	if (r == -ECONNREFUSED || r == -ETIMEDOUT) {
		fl_say("agent not reachable at %s (%s)", cli->socket, err.text);
		return FL_EXIT_UNREACHABLE;
	}
	if (r) {
		fl_say("%s", err.text[0] ? err.text : strerror(-r));
		return FL_EXIT_FAILED;
	}
	if (code != 200) {
		fl_say("the agent refused with HTTP status %ld", code);
		return FL_EXIT_FAILED;
	}
	fwrite(text, 1, len, stdout);
	return fl_written();
}

static enum fl_exit run_metrics(struct fl_cli *cli)
{
	if (!cli->output->is_table)
		return fl_usage("metrics are text: -o %s is not for them", cli->output_name);
	for (;;) {
		enum fl_exit rc = show_once(cli);

		if (rc || !cli->watch)
			return rc;
		sleep(WATCH_SECONDS);
	}
}

static const struct fl_command commands[] = {
	{.operands = "",
	 .help = "the metrics of the agent, as Prometheus reads them",
	 .run = run_metrics},
};

const struct fl_noun fl_noun_metrics = {
	.name = "metrics",
	.help = "What /metrics says, from a running agent: docs/metrics.md explains each.",
	.commands = commands,
	.n_commands = 1,
};
