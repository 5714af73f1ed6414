/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Settings that are read again while the agent serves. Some take effect then; the others are what
 * programs, maps and sockets were made with, and wait for a restart.
 */
#pragma once

#include "lb/settings/settings.h"

/* What a configuration file was when it was read last. */
struct fl_config_stamp {
	uint64_t dev, ino, size;
	int64_t mtime_ns;
};

struct fl_reread {
	/* of main(), borrowed */
	int argc;
	char **argv;
	struct fl_config_stamp *stamps; /* one per file of settings->config */
	size_t n_stamps;
};

/* Note the files that `settings` were read from. 0 or -ENOMEM. */
int fl_reread_init(struct fl_reread *reread, int argc, char **argv,
		   const struct fl_settings *settings);
void fl_reread_fini(struct fl_reread *reread);
/* Whether a file has changed since this was asked, or since the start. */
bool fl_reread_is_due(struct fl_reread *reread, const struct fl_settings *settings);

/*
 * Read command line and files again, and take over what may change: nodePortRange, clusterCIDR and
 * logLevel. *ret_changed: that was something. *ret_waiting: the keys of the other settings that
 * differ, "key, key"; "" none; to be freed. 0, or what fl_settings_read_args() returns; then
 * nothing changes.
 */
int fl_reread_settings(const struct fl_reread *reread, struct fl_settings *settings,
		       bool *ret_changed, char **ret_waiting, struct fl_err *err);
