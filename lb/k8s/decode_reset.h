/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside of decode.h: what becomes of connections whose backend is gone, by annotation of a
 * Service. */
#pragma once

#include "lb/k8s/field.h"

/* "true" or "false"; without it the node's setting counts. */
#define FL_RESET_ANNOTATION "fairlead.dev/reset-on-backend-removal"

/* A value that cannot be used is a warning. 0 or an error. */
int fl_decode_reset(struct fl_decoding *d, const struct fl_value *root, enum fl_reset *ret_reset);
