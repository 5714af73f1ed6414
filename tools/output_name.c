/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Format name: a name per line, for scripts; a name that several neighbours share is written once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "tools/items.h"
#include "tools/output.h"

static int name_write(const struct fl_listing *listing, const struct fl_value *root,
		      const struct fl_items *items, const struct fl_output_options *options,
		      FILE *out, struct fl_err *err)
{
	_cleanup_free_ char *last = NULL;

	if (!fl_value_get(root, "items") && !listing->n_columns) {
		listing->name(root, out);
		putc('\n', out);
		return 0;
	}
	for (size_t i = 0; i < items->n; i++) {
		char *name = fl_cell_text(listing->name, items->item[i]);

		if (!name)
			return fl_err_set(err, -ENOMEM, "no memory");
		if (!last || strcmp(name, last))
			fprintf(out, "%s\n", name);
		free(last);
		last = name;
	}
	return 0;
}

const struct fl_output fl_output_name = {.write = name_write};
