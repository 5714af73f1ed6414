/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Format json: the document, indented. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/json_write.h"
#include "tools/items.h"
#include "tools/output.h"

static void write_number(struct fl_json *json, const struct fl_value *value)
{
	int64_t number;

	if (fl_value_int(value, &number))
		fl_json_int(json, number);
	else
		fl_json_double(json, strtod(fl_value_text(value), NULL));
}

static void write_value(struct fl_json *json, const struct fl_value *value)
{
	bool flag = false;

	switch (fl_value_type(value)) {
	case FL_VALUE_BOOL:
		fl_value_bool(value, &flag);
		fl_json_bool(json, flag);
		break;
	case FL_VALUE_INT:
	case FL_VALUE_FLOAT:
		write_number(json, value);
		break;
	case FL_VALUE_STRING:
		fl_json_string(json, fl_value_string(value));
		break;
	case FL_VALUE_LIST:
		fl_json_array_begin(json);
		FL_VALUE_EACH(member, value)
		write_value(json, member);
		fl_json_array_end(json);
		break;
	case FL_VALUE_MAP:
		fl_json_object_begin(json);
		FL_VALUE_EACH(member, value)
		{
			fl_json_key(json, fl_value_key(member));
			write_value(json, member);
		}
		fl_json_object_end(json);
		break;
	default:
		fl_json_null(json);
	}
}

/* The document, with the items that are shown in the place of all. */
static void write_root(struct fl_json *json, const struct fl_value *root,
		       const struct fl_items *items)
{
	fl_json_object_begin(json);
	FL_VALUE_EACH(member, root)
	{
		fl_json_key(json, fl_value_key(member));
		if (strcmp(fl_value_key(member), "items")) {
			write_value(json, member);
			continue;
		}
		fl_json_array_begin(json);
		for (size_t i = 0; i < items->n; i++)
			write_value(json, items->item[i]);
		fl_json_array_end(json);
	}
	fl_json_object_end(json);
}

static int json_write(const struct fl_listing *listing, const struct fl_value *root,
		      const struct fl_items *items, const struct fl_output_options *options,
		      FILE *out, struct fl_err *err)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(true);
	const char *text;
	size_t len;

	write_root(json, root, items);
	text = fl_json_text(json, &len);
	if (!text)
		return fl_err_set(err, -ENOMEM, "no memory");
	fwrite(text, 1, len, out);
	putc('\n', out);
	return 0;
}

const struct fl_output fl_output_json = {.write = json_write};
