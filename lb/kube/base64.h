/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Base64, as the -data fields of a kubeconfig have it. */
#pragma once

#include <stddef.h>

/* Decode; blanks and line breaks are skipped. The result is the caller's and has a NUL behind it.
 * 0, -EINVAL or -ENOMEM. */
int fl_base64_decode(const char *text, char **ret_data, size_t *ret_len);
