/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counts per backend, and the fullest of them. */
#include "lb/agent/port_use.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/model/names.h"

#define SHOWN_PERCENT 10 /* of the ports; what uses less is of no interest by name */

static void met(const struct fl_met *met, void *arg)
{
	struct fl_port_use *use = arg;
	struct fl_port_counts *counts = &use->counts[met->family];
	const uint32_t id = fl_flow_backend(met->head);

	if ((met->head->flags & (FL_FLOW_SNAT | FL_FLOW_IS_REPLY)) != FL_FLOW_SNAT ||
	    id >= use->maps->n_backends)
		return;
	counts->counting[id]++;
	if (id >= counts->end_counting)
		counts->end_counting = id + 1;
}

/* Put it where it belongs among the fullest, which are sorted. */
static void insert(const struct fl_backend *backend, uint32_t used, struct fl_metrics_ports *ports)
{
	char text[FL_IP_PORT_STRLEN];
	struct fl_ip ip;
	size_t at = ports->n;

	while (at && ports->top[at - 1].used < used)
		at--;
	if (at == FL_METRICS_BACKENDS)
		return;
	ports->n += ports->n < FL_METRICS_BACKENDS;
	memmove(&ports->top[at + 1], &ports->top[at], (ports->n - at - 1) * sizeof(ports->top[0]));
	memcpy(&ip, &backend->addr, sizeof(ip));
	snprintf(ports->top[at].backend, sizeof(ports->top[at].backend), "%s/%s",
		 fl_ip_port_format(&ip, ntohs(backend->port), text), fl_proto_name(backend->proto));
	ports->top[at].used = used;
}

static void report(const struct fl_port_use *use, struct fl_port_counts *counts)
{
	struct fl_metrics_ports *made = &counts->report;

	*made = (struct fl_metrics_ports){0};
	for (uint32_t id = 1; id < counts->end; id++) {
		const uint32_t used = counts->counted[id];

		if (used > made->most)
			made->most = used;
		if (used && (uint64_t)used * 100 >= (uint64_t)use->ports * SHOWN_PERCENT)
			insert(&use->maps->backends[id], used, made);
	}
}

static void passed(enum fl_family family, void *arg)
{
	const struct fl_port_use *use = arg;
	struct fl_port_counts *counts = &((struct fl_port_use *)arg)->counts[family];
	uint32_t *old = counts->counted;
	const uint32_t old_end = counts->end;

	counts->counted = counts->counting;
	counts->end = counts->end_counting;
	counts->counting = old;
	counts->end_counting = 0;
	memset(old, 0, old_end * sizeof(*old));
	report(use, counts);
}

int fl_port_use_init(struct fl_port_use *use, const struct fl_maps *maps, uint32_t ports,
		     struct fl_sweep *sweep)
{
	*use = (struct fl_port_use){.maps = maps, .ports = ports};
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		struct fl_port_counts *counts = &use->counts[family];

		counts->counting = calloc(maps->n_backends + 1, sizeof(uint32_t));
		counts->counted = calloc(maps->n_backends + 1, sizeof(uint32_t));
		if (!counts->counting || !counts->counted) {
			fl_port_use_fini(use);
			return -ENOMEM;
		}
	}
	fl_sweep_watch(sweep, &(struct fl_sweep_watcher){met, passed, use});
	return 0;
}

void fl_port_use_fini(struct fl_port_use *use)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		free(use->counts[family].counting);
		free(use->counts[family].counted);
		use->counts[family] = (struct fl_port_counts){0};
	}
}
