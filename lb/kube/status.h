/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An error as the API server writes it: an object of kind Status. */
#pragma once

#include <stdbool.h>

#include "lb/base/doc.h"

struct fl_kube_status {
	long code; /* 0: not known */
	char message[300];
	bool expired;	/* the place asked for is no longer known: 410, Expired, Gone */
	bool too_large; /* or not known yet: of a server that is behind */
};

struct fl_kube_status fl_kube_status_of(const struct fl_value *root);
/* From the answer to a request; one that is no Status gives its code alone. */
struct fl_kube_status fl_kube_status_parse(const char *text, size_t len, long code);
