/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Inside of decode.h: the weights that annotations of an EndpointSlice give its endpoints. */
#pragma once

#include "lb/k8s/field.h"

/* "0" to "1000": the weight of each endpoint of the slice. */
#define FL_WEIGHT_ANNOTATION "fairlead.dev/weight"
/* "ADDRESS=WEIGHT,...": of single endpoints. */
#define FL_WEIGHTS_ANNOTATION "fairlead.dev/endpoint-weights"

/* Give the endpoints of `slice`, which are read already, their weights. A value that cannot be used
 * is a warning that names what is used instead. 0, the sink's non-zero, or -ENOMEM. */
int fl_decode_weights(struct fl_decoding *d, const struct fl_value *root, struct fl_slice *slice);
