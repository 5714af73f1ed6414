/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What `fairlead backend drain` and `undrain` ask for, and what they are answered. */
#pragma once

#include "lb/base/strings.h"
#include "lb/model/drains.h"

#define FL_API_DRAINS 16 /* in a request */

struct fl_api_drain_request {
	bool undrain;
	bool all; /* undrain whatever is drained; then `drains` is empty */
	struct fl_drain drains[FL_API_DRAINS];
	size_t n;
};

/* What became of one. */
struct fl_api_drained {
	struct fl_drain drain;
	bool changed;	     /* false: it was so already */
	size_t n_endpoints;  /* that it covers, of all EndpointSlices */
	size_t n_weightless; /* those of them to which their slices give weight 0 */
};

struct fl_api_drain_result {
	struct fl_api_drained *items; /* owned */
	size_t n;
	struct fl_strings emptied; /* service ports whose endpoints are all drained now */
	bool kept;		   /* over restarts */
	struct fl_err why;	   /* it is not */
};
void fl_api_drain_result_fini(struct fl_api_drain_result *result);
