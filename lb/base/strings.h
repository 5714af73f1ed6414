/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A list of strings that grows. Initialise with zeroes. */
#pragma once

#include <stddef.h>

struct fl_strings {
	char **items; /* owned */
	size_t n, room;
};

/* Takes `text`, in any case; NULL, from whatever made it, is no memory. 0 or -ENOMEM. */
int fl_strings_add(struct fl_strings *strings, char *text);
void fl_strings_clear(struct fl_strings *strings);
