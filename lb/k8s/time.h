/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Times as Kubernetes writes them. */
#pragma once

#include <stdint.h>

/* RFC 3339, with or without a fraction, to nanoseconds since 1970. 0 or -EINVAL. */
int fl_time_parse(const char *text, int64_t *ret_unix_ns);
