/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. */
#pragma once

#include <stddef.h>

/* Length (1 to 4) of the well-formed sequence that `text` begins with, 0 when there is none. */
size_t fl_utf8_length(const char *text, size_t len);
/* Write a code point that is no surrogate and at most U+10FFFF; returns the length. */
size_t fl_utf8_put(unsigned int code, char buf[static 4]);
