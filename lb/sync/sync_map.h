/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The service maps, which lb/sync alone writes. */
#pragma once

/* In the order in which they are written: what a frontend needs, then the frontend. */
enum fl_sync_map {
	FL_SYNC_MEMBERS,
	FL_SYNC_RANGES,
	FL_SYNC_FRONTENDS,
	FL_SYNC_HASHES, /* those above are written by system calls, those below are mapped */
	FL_SYNC_BACKENDS = FL_SYNC_HASHES,
	FL_SYNC_LINES,
	FL_SYNC_MAPS,
};
