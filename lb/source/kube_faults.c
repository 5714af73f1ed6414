/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is wrong with objects of the API server, kept until they change or go. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/source/kube_kind.h"

static void fault_fini(struct fl_kube_fault *fault)
{
	free(fault->ns);
	free(fault->name);
	free(fault->object);
	free(fault->reason);
	fl_unread_fini(&fault->unread);
}

int fl_kube_faults_add(struct fl_kube_faults *faults, const struct fl_problem *problem)
{
	_cleanup_(fault_fini) struct fl_kube_fault fault = {.level = problem->level};

	if (faults->n == FL_KUBE_FAULTS_MAX)
		return 0;
	fault.ns = strdup(problem->name ? problem->ns : "");
	fault.name = strdup(problem->name ? problem->name : "");
	fault.object = strdup(problem->object);
	fault.reason = strdup(problem->reason);
	if (!fault.ns || !fault.name || !fault.object || !fault.reason ||
	    FL_ARRAY_ROOM(faults->v, faults->room, faults->n + 1))
		return -ENOMEM;
	faults->v[faults->n++] = fault;
	fault = (struct fl_kube_fault){0};
	return 0;
}

void fl_kube_faults_add_unread(struct fl_kube_faults *faults, struct fl_unread *unread)
{
	for (size_t i = faults->n; i--;) {
		struct fl_kube_fault *fault = &faults->v[i];

		if (strcmp(fault->ns, unread->ns) || strcmp(fault->name, unread->name))
			continue;
		fl_unread_fini(&fault->unread);
		fault->unread = *unread;
		return;
	}
	fl_unread_fini(unread);
}

void fl_kube_faults_forget(struct fl_kube_faults *faults, const char *ns, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < faults->n; i++) {
		if (!strcmp(faults->v[i].ns, ns) && !strcmp(faults->v[i].name, name))
			fault_fini(&faults->v[i]);
		else
			faults->v[n++] = faults->v[i];
	}
	faults->n = n;
}

void fl_kube_faults_clear(struct fl_kube_faults *faults)
{
	for (size_t i = 0; i < faults->n; i++)
		fault_fini(&faults->v[i]);
	free(faults->v);
	*faults = (struct fl_kube_faults){0};
}

void fl_kube_faults_each(const struct fl_kube_faults *faults, enum fl_kind kind, fl_problem_fn fn,
			 void *arg)
{
	for (size_t i = 0; i < faults->n; i++) {
		const struct fl_kube_fault *fault = &faults->v[i];

		fn(&(struct fl_problem){.level = fault->level,
					.file = "",
					.object = fault->object,
					.reason = fault->reason,
					.kind = kind,
					.ns = fault->ns,
					.name = fault->name},
		   arg);
	}
}
