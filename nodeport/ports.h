/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Source ports for masquerading: those that neither node ports nor this machine's own sockets use,
 * so that a reply is never taken for one to another socket.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"

struct fl_port_span {
	uint16_t first, last; /* both included, host byte order */
};

/* "30000-32767" or "8080"; blanks around the numbers may stand. 0 or -EINVAL. */
int fl_port_span_parse(const char *text, struct fl_port_span *ret_span);

/*
 * Parse "8080,9148-9150" as the kernel prints ip_local_reserved_ports; "" is empty. At most `max`
 * spans are written, *ret_n says how many. 0, -EINVAL, or -E2BIG when there are more.
 */
int fl_port_spans_parse(const char *text, struct fl_port_span *ret_spans, size_t max,
			size_t *ret_n);

/*
 * What is left of 1024..65535 without `exclude`: at most FL_PORT_RANGES ranges, biggest first;
 * unused ones have count 0. 0, or -ENOSPC when nothing is left.
 */
int fl_source_ports_make(const struct fl_port_span *exclude, size_t n_exclude,
			 struct fl_port_range ret_ranges[static FL_PORT_RANGES],
			 struct fl_err *err);

/*
 * The same for this machine's network namespace: without `node_ports`, ip_local_port_range and
 * ip_local_reserved_ports. Unreadable settings count as the kernel's defaults; *ret_known (may be
 * NULL) is then false.
 */
int fl_source_ports_read(const struct fl_port_span *node_ports,
			 struct fl_port_range ret_ranges[static FL_PORT_RANGES], bool *ret_known,
			 struct fl_err *err);
