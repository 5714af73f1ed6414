/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Objects as documents again: what fl_decode() makes of one is the object it was written from, but
 * for what nobody compares (version and trigger time). For what we keep ourselves; it has only the
 * fields that we read.
 */
#pragma once

#include "lb/base/json_write.h"
#include "lb/model/object.h"

void fl_encode_service(const struct fl_service *service, struct fl_json *json);
void fl_encode_slice(const struct fl_slice *slice, struct fl_json *json);
void fl_encode_node(const struct fl_node *node, struct fl_json *json);
void fl_encode_pod(const struct fl_pod *pod, struct fl_json *json);
