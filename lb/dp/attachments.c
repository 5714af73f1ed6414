// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The list of what this agent has attached, by the names of the pins, and what becomes of the pins
 * that are not in it: those of earlier agents are removed, those whose program others detached are
 * forgotten, to be attached again.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/dp/link.h"
#include "lb/dp/state.h"

struct fl_attachment *fl_attachment_find(const struct fl_dp *dp, const char *name)
{
	for (struct fl_attachment *a = dp->attachments; a; a = a->next)
		if (!strcmp(a->name, name))
			return a;
	return NULL;
}

int fl_attachment_add(struct fl_dp *dp, const char *name, unsigned int ifindex, int prog_fd,
		      int link_fd)
{
	struct fl_attachment *a = fl_attachment_find(dp, name);

	if (!a) {
		a = calloc(1, sizeof(*a));
		if (!a) {
			if (link_fd >= 0)
				close(link_fd);
			return -ENOMEM;
		}
		snprintf(a->name, sizeof(a->name), "%s", name);
		a->next = dp->attachments;
		dp->attachments = a;
	} else if (a->link_fd >= 0) {
		close(a->link_fd);
	}
	a->ifindex = ifindex;
	a->prog_fd = prog_fd;
	a->link_fd = link_fd;
	dp->pins = (struct fl_pins_seen){0}; /* another one to look for */
	return 0;
}

void fl_attachment_drop(struct fl_dp *dp, const char *name)
{
	struct fl_attachment **at = &dp->attachments, *a;
	int fd;

	while ((a = *at) && strcmp(a->name, name))
		at = &a->next;
	if (fl_clsact_parse(name, &(unsigned int){0}, &(bool){false})) {
		fl_clsact_detach(&dp->fs, name);
	} else {
		fd = fl_bpffs_get(&dp->fs, "links", name, false);
		if (fd >= 0) {
			bpf_link_detach(fd); /* fails when the device is gone, which is as good */
			close(fd);
		}
		fl_bpffs_unpin(&dp->fs, "links", name);
	}
	if (a) {
		*at = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
	}
}

struct prune {
	struct fl_dp *dp;
	int n;
};

static int prune_one(const char *name, void *arg)
{
	struct prune *p = arg;

	if (fl_attachment_find(p->dp, name))
		return 0;
	fl_attachment_drop(p->dp, name);
	p->n++;
	return 0;
}

int fl_dp_prune(struct fl_dp *dp)
{
	struct prune p = {.dp = dp};

	fl_bpffs_each(&dp->fs, "links", prune_one, &p);
	fl_dp_slow_prune(dp);
	return p.n;
}

/* A detached link stays open, but has lost its target; of a tc filter only its absence shows. */
static bool is_lost(const struct fl_attachment *a)
{
	struct fl_link_info info;
	unsigned int ifindex;
	bool ingress;

	if (a->link_fd < 0)
		return fl_clsact_parse(a->name, &ifindex, &ingress) &&
		       !fl_clsact_program(ifindex, ingress);
	if (fl_link_info_get(a->link_fd, &info))
		return false;
	return info.type == FL_LINK_CGROUP ? !info.cgroup_id : info.ifindex != a->ifindex;
}

int fl_dp_forget_lost(struct fl_dp *dp)
{
	struct fl_attachment **at = &dp->attachments, *a;
	int n = 0;

	while ((a = *at)) {
		if (!is_lost(a)) {
			at = &a->next;
			continue;
		}
		*at = a->next;
		if (a->link_fd >= 0)
			close(a->link_fd);
		free(a);
		n++;
	}
	return n;
}
