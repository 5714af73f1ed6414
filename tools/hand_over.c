/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * New connections are kube-proxy's as soon as there are no frontends; those that there are follow,
 * one by one (conntrack/hand_over.c). An agent that is started after all writes the frontends
 * again.
 */
#include "tools/hand_over.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conntrack/hand_over.h"
#include "conntrack/kernel_nat.h"
#include "lb/base/cleanup.h"
#include "lb/dp/dp.h"
#include "lb/dp/frontend_table.h"
#include "tools/kube_proxy.h"

#define REMOVE_TRIES 64

static int give(const struct fl_flow *flow, void *arg)
{
	return fl_kernel_nat_add(arg, flow);
}

static int remove_frontend(const void *key, const void *value, void *arg)
{
	fl_frontend_table_remove(arg, key);
	return 0;
}

static void remove_frontends(const struct fl_maps *maps)
{
	struct fl_frontend_table table = fl_frontend_table_of(maps);

	fl_frontend_table_tidy(&table);
	/* what goes may move another to a place that was passed already */
	for (int i = 0; i < REMOVE_TRIES && table.used; i++)
		fl_frontend_table_each(&table, remove_frontend, &table);
}

/* Whether the datapath may be changed. -EBUSY: not while an agent runs. */
static int look_at_datapath(const char *bpffs, struct fl_err *err)
{
	struct fl_dp_status status;
	int r = fl_dp_status(bpffs, &status, err);

	if (r)
		return r;
	if (status.locked)
		r = fl_err_set(err, -EBUSY, "an agent runs (process %d): stop it first",
			       status.agent_pid);
	fl_dp_status_fini(&status);
	return r;
}

enum fl_exit fl_hand_over(const char *bpffs)
{
	_cleanup_(fl_kernel_nat_close) struct fl_kernel_nat *nat = NULL;
	_cleanup_(fl_maps_close) struct fl_maps maps = FL_MAPS_INIT;
	struct fl_handed_over handed;
	struct fl_hand_over over = {.give = give, .wait = fl_dp_wait_for_programs};
	struct fl_flow_table table;
	struct fl_err err = {""};
	int r = look_at_datapath(bpffs, &err);

	if (!r && fl_kube_proxy_is_missing())
		r = fl_err_set(&err, -ENOENT,
			       "kube-proxy has no rules here that could go on with connections: "
			       "start it first");
	if (!r)
		r = fl_kernel_nat_open(&nat, &err);
	if (!r)
		r = fl_maps_open_pinned(bpffs, true, &maps, &err);
	if (r) {
		fl_say("%s", err.text);
		return FL_EXIT_FAILED;
	}
	/* an old clock only makes idle times inexact */
	(void)fl_dp_refresh_clock(bpffs, NULL);
	remove_frontends(&maps);
	table = fl_flow_table_of(&maps);
	over.arg = nat;
	fl_flow_hand_over(&table, &over, maps.meta->now_jiffies, &handed);
	printf("%zu connections handed over to the kernel's NAT\n", handed.flows);
	if (handed.failed)
		fl_say("%zu connections could not be handed over, and may break: %s", handed.failed,
		       strerror(-handed.error));
	return FL_EXIT_OK;
}
