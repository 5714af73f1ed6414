/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An annotation that is true or false, in quotes, since annotations are text. */
#include "lb/k8s/decode_reset.h"

#include <string.h>

static int read_value(struct fl_decoding *d, const struct fl_value *value, enum fl_reset *ret_reset)
{
	const char *text = fl_value_string(value);

	if (text && !strcmp(text, "true"))
		*ret_reset = FL_RESET_ON;
	else if (text && !strcmp(text, "false"))
		*ret_reset = FL_RESET_OFF;
	else if (text)
		return fl_field_warn(d, value, FL_RESET_ANNOTATION,
				     "\"%.40s\" is neither \"true\" nor \"false\", ignored", text);
	else
		return fl_field_warn(d, value, FL_RESET_ANNOTATION,
				     "annotations are text, write \"true\" or \"false\" in quotes; "
				     "ignored");
	return 0;
}

int fl_decode_reset(struct fl_decoding *d, const struct fl_value *root, enum fl_reset *ret_reset)
{
	size_t mark;
	const struct fl_value *annotations = fl_field_enter_annotations(d, root, &mark);
	const struct fl_value *value = fl_field_get(d, annotations, FL_RESET_ANNOTATION);
	const int rc = value ? read_value(d, value, ret_reset) : 0;

	fl_field_leave(d, mark);
	return rc;
}
