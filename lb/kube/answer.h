/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What stands in objects and lists as an API server writes them, apart from what they are about. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lb/base/doc.h"
#include "lb/base/err.h"

/* The resourceVersion of an object or list; "" none. Borrowed. */
const char *fl_kube_version(const struct fl_value *object);
/* 10.7: whether this is the bookmark behind the objects that a stream begins with. */
bool fl_kube_ends_initial_events(const struct fl_value *object);
/*
 * Read a list, of which `text` may be without its items: where it goes on, "" nowhere, and its
 * version; both are the caller's. 0, -EINVAL with words (anything else than a list could be an
 * empty answer of something between us and the server), or -ENOMEM.
 */
int fl_kube_list_read(const char *text, size_t len, char **ret_page, char **ret_version,
		      struct fl_err *err);
