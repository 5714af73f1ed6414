// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Settings that change under running programs. Each object has a pair of them: the one that is not
 * in force is written, and then the other number. What had begun with it before it was put out of
 * force is over a second later, so a change follows another no sooner.
 */
#include <errno.h>
#include <string.h>

#include "lb/dp/state.h"

static int write_pair(int fd, const struct fl_live_pair *pair)
{
	const uint32_t key = 0;

	return bpf_map_update_elem(fd, &key, pair, BPF_ANY) ? -errno : 0;
}

static int write_all(struct fl_dp *dp, const struct fl_live_pair *pair)
{
	int r = 0;

	for (int i = 0; i < FL_OBJECTS && !r; i++)
		r = write_pair(dp->programs.live_fds[i], pair);
	return r;
}

int fl_dp_set_live(struct fl_dp *dp, const struct fl_live *live, struct fl_err *err)
{
	const struct fl_mono now = fl_mono_now();
	struct fl_live_pair pair = {.current = dp->live_current};
	int r;

	if (dp->live_since.ns && fl_mono_ms_between(dp->live_since, now) < FL_DP_LIVE_MS)
		return -EAGAIN;
	pair.of[pair.current] = dp->config.live;
	pair.of[!pair.current] = *live;
	fl_live_count_ports(&pair.of[!pair.current]);
	r = write_all(dp, &pair);
	if (!r) {
		/* from here on it may be in force somewhere, whatever fails */
		dp->live_since = now;
		pair.current = !pair.current;
		r = write_all(dp, &pair);
	}
	if (r)
		return fl_err_set(err, r, "cannot change the settings of the programs: %s",
				  strerror(-r));
	dp->live_current = pair.current;
	dp->config.live = pair.of[pair.current];
	return 0;
}
