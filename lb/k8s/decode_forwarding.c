/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An annotation that is one of three words. */
#include "lb/k8s/decode_forwarding.h"

#include <string.h>

#include "lb/model/names.h"

static int read_value(struct fl_decoding *d, const struct fl_value *value,
		      enum fl_forwarding *ret_mode)
{
	const char *text = fl_value_string(value);
	int mode;

	if (!text || !fl_word_value(fl_forwarding_words, text, &mode))
		return fl_field_warn(d, value, FL_FORWARDING_ANNOTATION,
				     "\"%.40s\" is none of snat, dsr, hybrid; ignored",
				     text ? text : "");
	*ret_mode = mode;
	return 0;
}

int fl_decode_forwarding(struct fl_decoding *d, const struct fl_value *root,
			 enum fl_forwarding *ret_mode)
{
	size_t mark;
	const struct fl_value *annotations = fl_field_enter_annotations(d, root, &mark);
	const struct fl_value *value = fl_field_get(d, annotations, FL_FORWARDING_ANNOTATION);
	const int rc = value ? read_value(d, value, ret_mode) : 0;

	fl_field_leave(d, mark);
	return rc;
}
