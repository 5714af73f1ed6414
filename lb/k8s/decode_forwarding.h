/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside of decode.h: how flows get to backends of other nodes, by annotation of a Service. */
#pragma once

#include "lb/k8s/field.h"

/* "snat", "dsr" or "hybrid"; without it the node's setting counts. */
#define FL_FORWARDING_ANNOTATION "fairlead.dev/forwarding-mode"

/* A value that cannot be used is a warning. 0 or an error. */
int fl_decode_forwarding(struct fl_decoding *d, const struct fl_value *root,
			 enum fl_forwarding *ret_mode);
