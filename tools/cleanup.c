/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairlead cleanup: the only thing that takes the datapath away. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lb/dp/dp.h"
#include "tools/cli.h"
#include "tools/hand_over.h"
#include "tools/kube_proxy.h"

/* A cleanup leaves no directory; one that cannot have been there is a misspelt name. */
static bool may_be_gone(const char *dir)
{
	return !strcmp(dir, FL_DP_DEFAULT_DIR) || fl_dp_dir_is_possible(dir);
}

static enum fl_exit run_cleanup(struct fl_cli *cli)
{
	struct fl_err err = {""};
	size_t removed = 0, orphans = 0;
	int rc;

	if (cli->kube_proxy && cli->hand_over)
		return fl_usage("--hand-over is for kube-proxy that goes on, --kube-proxy for one "
				"that is gone");
	if (cli->kube_proxy)
		return fl_kube_proxy_cleanup(cli->dry_run);
	if (cli->dry_run)
		return fl_usage("--dry-run is for cleanup --kube-proxy");
	if (cli->hand_over && fl_hand_over(cli->bpffs))
		return FL_EXIT_FAILED;
	rc = fl_dp_cleanup(cli->bpffs, &removed, &err);
	if (!rc || (rc == -ENOENT && may_be_gone(cli->bpffs)))
		rc = fl_dp_cleanup_orphans(cli->cgroup, &orphans, &err);
	if (rc) {
		fl_say("%s", err.text);
		if (removed + orphans)
			fl_say("%zu programs, filters and maps are gone nevertheless",
			       removed + orphans);
		return FL_EXIT_FAILED;
	}
	if (removed)
		printf("%zu programs, filters and maps removed from %s\n", removed, cli->bpffs);
	if (orphans)
		printf("%zu programs, filters and maps removed that were not in %s\n", orphans,
		       cli->bpffs);
	if (!removed && !orphans)
		printf("nothing to remove in %s\n", cli->bpffs);
	return FL_EXIT_OK;
}

static const struct fl_cli_option options[] = {
	FL_VALUE(cgroup, 0, "cgroup", "DIR",
		 "where to look for socket hooks without pins (default: the root of cgroup v2)"),
	FL_FLAG(kube_proxy, 0, "kube-proxy",
		"remove the rules that kube-proxy left instead: chains of iptables, tables of "
		"nftables, servers and sets of IPVS"),
	FL_FLAG(hand_over, 0, "hand-over",
		"first give the connections that live to the kernel's NAT, so that kube-proxy, "
		"which has to run, goes on with them"),
	FL_FLAG(dry_run, 0, "dry-run",
		"with --kube-proxy: print what would be removed, and change nothing"),
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.operands = "",
	 .help = "detach all programs, remove all pins and maps",
	 .options = options,
	 .run = run_cleanup},
};

const struct fl_noun fl_noun_cleanup = {
	.name = "cleanup",
	.help = "Takes the datapath away: traffic to Services is no longer balanced. Refused while "
		"an agent runs.",
	.commands = commands,
	.n_commands = 1,
};
