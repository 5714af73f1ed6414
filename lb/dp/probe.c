// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What this kernel can do and how fast it ticks: jiffies are the datapath's clock because reading
 * them is free. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "lb/base/cleanup.h"
#include "lb/dp/bpffs.h"
#include "lb/dp/dp.h"
#include "lb/dp/state.h"

bool fl_dp_probe_helper(enum bpf_prog_type type, enum bpf_func_id helper)
{
	libbpf_print_fn_t old = libbpf_set_print(NULL);
	bool there = libbpf_probe_bpf_helper(type, helper, NULL) == 1;

	libbpf_set_print(old);
	return there;
}

static int read_jiffies(int prog_fd, uint32_t *ret_jiffies)
{
	unsigned char packet[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet, .data_size_in = sizeof(packet));

	if (bpf_prog_test_run_opts(prog_fd, &opts))
		return -errno;
	*ret_jiffies = opts.retval;
	return 0;
}

uint32_t fl_dp_kernel_hz(void)
{
	struct timespec tick;

	/* a coarse clock moves once a tick, and says so */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) || tick.tv_sec || tick.tv_nsec < 1000)
		return 100;
	return (uint32_t)((1000000000L + tick.tv_nsec / 2) / tick.tv_nsec);
}

int fl_dp_refresh_clock(const char *dir, struct fl_err *err)
{
	_cleanup_(fl_bpffs_close) struct fl_bpffs fs = FL_BPFFS_INIT;
	_cleanup_close_ int fd = -1;
	uint32_t unused;
	int r = fl_bpffs_open(dir, 0, &fs, err);

	if (r)
		return r;
	fd = fl_bpffs_get(&fs, "programs", FL_PIN_CLOCK, false);
	if (fd < 0)
		return fl_err_set(err, fd, "cannot open %s/programs/clock: %s", dir, strerror(-fd));
	r = read_jiffies(fd, &unused);
	return r ? fl_err_set(err, r, "cannot run the clock program: %s", strerror(-r)) : 0;
}
