/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the pins say about records that are no flows: of session affinity, and of UDP flows that the
 * node itself began; and about the frontends and backends that those name by number. It is map
 * maps/records, beside maps/layout (layout.h), and only userspace looks at it. An agent that does
 * not know it leaves it alone. Places are only ever added at the end of a list; whatever else
 * changes raises FL_RECORDS_VERSION, and then these records, but no flows, are left behind.
 */
#pragma once

#include "bpf/abi/layout.h"

#define FL_RECORDS_VERSION 1

enum fl_records_map {
	FL_RECORDS_AFFINITY,
	FL_RECORDS_OWN_FLOWS,
	FL_RECORDS_FRONTENDS, /* arrays from here on */
	FL_RECORDS_BACKENDS,
	FL_RECORDS_MAPS,
};
#define FL_RECORDS_HASHES FL_RECORDS_FRONTENDS

enum fl_records_affinity {
	FL_RECORD_CLIENT,
	FL_RECORD_CLIENT_SERVICE,
	FL_RECORD_STICKY_BACKEND,
	FL_RECORD_STICKY_GENERATION,
	FL_RECORD_STICKY_LAST, /* jiffies */
	FL_RECORD_AFFINITY_FIELDS,
};

/* The tuple of an answer. */
enum fl_records_own_flow {
	FL_RECORD_OWN_SADDR,
	FL_RECORD_OWN_DADDR,
	FL_RECORD_OWN_SPORT,
	FL_RECORD_OWN_DPORT,
	FL_RECORD_OWN_LAST, /* jiffies */
	FL_RECORD_OWN_FLOW_FIELDS,
};

enum fl_records_frontend {
	FL_RECORD_FRONTEND_WORD, /* a bit of `frontend_live` is set: the line is in use */
	FL_RECORD_FRONTEND_ADDR,
	FL_RECORD_FRONTEND_PORT,
	FL_RECORD_FRONTEND_PROTO,
	FL_RECORD_FRONTEND_SERVICE, /* 0 none */
	FL_RECORD_FRONTEND_FIELDS,
};

enum fl_records_backend {
	FL_RECORD_BACKEND_ADDR,
	FL_RECORD_BACKEND_PORT,
	FL_RECORD_BACKEND_PROTO,
	FL_RECORD_BACKEND_GENERATION,
	FL_RECORD_BACKEND_FIELDS,
};
#define FL_RECORD_FIELDS_MAX 16

/* Places are counted from the beginning of the key of a hash, whose value follows it; in an array,
 * from that of the value. */
struct fl_record_map {
	__u32 key_size, value_size;
	struct fl_layout_place field[FL_RECORD_FIELDS_MAX];
};

struct fl_records_layout {
	__u32 version; /* FL_RECORDS_VERSION */
	__u32 frontend_live;
	struct fl_record_map map[FL_RECORDS_MAPS];
};

_Static_assert(sizeof(struct fl_records_layout) == 296, "abi");
