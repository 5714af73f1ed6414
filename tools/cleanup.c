/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead cleanup: the only thing that takes the datapath away. */
#include <errno.h>
#include <stdio.h>

#include "lb/dp/dp.h"
#include "tools/cli.h"

static enum fl_exit run_cleanup(struct fl_cli *cli)
{
	struct fl_err err = {""};
	size_t removed = 0;
	int rc;

	rc = fl_dp_cleanup(cli->bpffs, &removed, &err);
	if (rc) {
		fl_say("%s", err.text);
		if (removed)
			fl_say("%zu programs, filters and maps are gone nevertheless", removed);
		return FL_EXIT_FAILED;
	}
	if (removed)
		printf("%zu programs, filters and maps removed from %s\n", removed, cli->bpffs);
	else
		printf("nothing to remove in %s\n", cli->bpffs);
	return FL_EXIT_OK;
}

static const struct fl_cli_option options[] = {
	FL_VALUE(cgroup, 0, "cgroup", "DIR",
		 "accepted for symmetry with fairleadd; the pins know where the socket hooks are"),
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.operands = "",
	 .help = "detach all programs, remove all pins and maps",
	 .options = options,
	 .run = run_cleanup},
};

const struct fl_noun fl_noun_cleanup = {"cleanup",
					"Takes the datapath away: traffic to Services is no longer "
					"balanced. Refused while an agent runs.",
					commands, 1};
