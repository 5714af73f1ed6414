/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Host ports of this node's pods as Services: each pod with host ports becomes one for each address
 * that its ports are bound to, with itself as the only endpoint, so that they are planned, written
 * and shown as Services are. The name is one that no Service can have: "pod@web-1", or
 * "pod@web-1@192.0.2.1" of ports at that address.
 *
 * As the CNI plugin portmap does it: a pod is served from when it has an address until it has
 * ended, whether it is ready or not; clients outside are not masqueraded.
 */
#pragma once

#include "lb/model/object.h"

#define FL_HOST_PORTS_PREFIX "pod@"

/* Whether a pod has anything to serve at host ports: it has an address of its own, and has not
 * ended. */
bool fl_pod_has_host_ports(const struct fl_pod *pod);

/* Services and slices; *ret_objects is the caller's, as is what is in it. 0 or -ENOMEM. */
int fl_host_ports_make(const struct fl_pod *pod, struct fl_object **ret_objects, size_t *ret_n);

/* "pod@web-1@192.0.2.1" is of pod web-1, whose name begins at the result; NULL: it is a Service's.
 * *ret_len: of the name. */
const char *fl_host_ports_pod(const char *service, size_t *ret_len);
