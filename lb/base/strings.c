/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Strings one behind the other. */
#include "lb/base/strings.h"

#include <errno.h>
#include <stdlib.h>

#include "lb/base/array.h"

int fl_strings_add(struct fl_strings *strings, char *text)
{
	if (!text || FL_ARRAY_ROOM(strings->items, strings->room, strings->n + 1)) {
		free(text);
		return -ENOMEM;
	}
	strings->items[strings->n++] = text;
	return 0;
}

void fl_strings_clear(struct fl_strings *strings)
{
	for (size_t i = 0; i < strings->n; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct fl_strings){0};
}
