// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What this kernel can do and how fast it ticks. Jiffies are the datapath's clock because reading
 * them is free, but nothing tells userspace their rate reliably, so it is measured.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <math.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/bpffs.h"
#include "lb/dp/dp.h"

bool fl_dp_probe_helper(enum bpf_prog_type type, enum bpf_func_id helper)
{
	libbpf_print_fn_t old = libbpf_set_print(NULL);
	bool there = libbpf_probe_bpf_helper(type, helper, NULL) == 1;

	libbpf_set_print(old);
	return there;
}

uint32_t fl_dp_snap_hz(double measured)
{
	static const uint32_t rates[] = {100, 250, 300, 1000};

	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++)
		if (fabs(measured - rates[i]) < rates[i] * 0.08)
			return rates[i];
	return 0;
}

/* A program whose return value is the low half of jiffies. */
static int load_jiffies_program(void)
{
	static const struct bpf_insn insns[] = {
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_jiffies64},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "fl_jiffies", "GPL", insns, 2, NULL);

	return fd < 0 ? -errno : fd;
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

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

/* Wait for the next tick; when it came and its number. */
static int wait_tick(int prog_fd, double *ret_s, uint32_t *ret_jiffies)
{
	double deadline = now_s() + 0.5;
	uint32_t first, j;
	int r = read_jiffies(prog_fd, &first);

	for (j = first; !r && j == first; r = read_jiffies(prog_fd, &j))
		if (now_s() > deadline)
			return -ETIME;
	*ret_s = now_s();
	*ret_jiffies = j;
	return r;
}

int fl_dp_probe_hz(uint32_t *ret_hz, struct fl_err *err)
{
	const struct timespec pause = {.tv_nsec = 40 * 1000 * 1000};
	_cleanup_close_ int fd = load_jiffies_program();
	double measured = 0;

	if (fd < 0)
		return fl_err_set(err, fd, "cannot load a program that reads the clock: %s%s",
				  strerror(-fd),
				  fd == -EPERM ? " (CAP_BPF and CAP_NET_ADMIN are needed)" : "");
	/* a machine that was busy elsewhere between two readings spoils one measurement, seldom
	 * five */
	for (int attempt = 0; attempt < 5; attempt++) {
		uint32_t j0, j1, hz;
		double t0, t1;
		int r = wait_tick(fd, &t0, &j0);

		if (!r) {
			nanosleep(&pause, NULL);
			r = wait_tick(fd, &t1, &j1);
		}
		if (r)
			return fl_err_set(err, r, "cannot read the datapath's clock: %s",
					  strerror(-r));
		measured = (j1 - j0) / (t1 - t0);
		hz = fl_dp_snap_hz(measured);
		if (hz) {
			*ret_hz = hz;
			return 0;
		}
	}
	return fl_err_set(
		err, -ERANGE,
		"this kernel ticks %.1f times a second, which is none of 100, 250, 300, 1000",
		measured);
}

int fl_dp_refresh_clock(const char *dir, struct fl_err *err)
{
	_cleanup_(fl_bpffs_close) struct fl_bpffs fs = FL_BPFFS_INIT;
	_cleanup_close_ int fd = -1;
	uint32_t unused;
	int r = fl_bpffs_open(dir, 0, &fs, err);

	if (r)
		return r;
	fd = fl_bpffs_get(&fs, "programs", "clock", false);
	if (fd < 0)
		return fl_err_set(err, fd, "cannot open %s/programs/clock: %s", dir, strerror(-fd));
	r = read_jiffies(fd, &unused);
	return r ? fl_err_set(err, r, "cannot run the clock program: %s", strerror(-r)) : 0;
}
