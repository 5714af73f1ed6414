/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Format name: a name per line, for scripts; a name that several neighbours share is written once.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "tools/output.h"

static char *item_name(const struct fl_listing *listing, const struct fl_value *item)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return NULL;
	listing->name(item, out);
	if (fclose(out)) {
		free(text);
		return NULL;
	}
	return text;
}

static int name_write(const struct fl_listing *listing, const struct fl_value *root,
		      const struct fl_output_options *options, FILE *out, struct fl_err *err)
{
	const struct fl_value *items = fl_value_get(root, "items");
	_cleanup_free_ char *last = NULL;

	if (!items && !listing->n_columns) {
		listing->name(root, out);
		putc('\n', out);
		return 0;
	}
	FL_VALUE_EACH(item, items)
	{
		char *name = item_name(listing, item);

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
