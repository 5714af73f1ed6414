/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a Status means to somebody who lists and watches. */
#include "lb/kube/status.h"

#include <stdio.h>
#include <string.h>

#include "lb/base/cleanup.h"

static bool has_cause(const struct fl_value *root, const char *reason)
{
	const struct fl_value *details = fl_value_get(root, "details");

	FL_VALUE_EACH(cause, fl_value_get(details, "causes"))
	{
		const char *its = fl_value_string(fl_value_get(cause, "reason"));

		if (its && !strcmp(its, reason))
			return true;
	}
	return false;
}

struct fl_kube_status fl_kube_status_of(const struct fl_value *root)
{
	const char *message = fl_value_string(fl_value_get(root, "message"));
	const char *reason = fl_value_string(fl_value_get(root, "reason"));
	struct fl_kube_status status = {0};
	int64_t code;

	if (fl_value_int(fl_value_get(root, "code"), &code))
		status.code = (long)code;
	snprintf(status.message, sizeof(status.message), "%s", message ? message : "");
	for (char *c = status.message; *c; c++)
		if ((unsigned char)*c < 0x20)
			*c = ' ';
	status.expired = status.code == 410 ||
			 (reason && (!strcmp(reason, "Expired") || !strcmp(reason, "Gone")));
	status.too_large = has_cause(root, "ResourceVersionTooLarge");
	return status;
}

struct fl_kube_status fl_kube_status_parse(const char *text, size_t len, long code)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	struct fl_kube_status status = {0};

	if (len && !fl_doc_parse(text, len, FL_DOC_JSON, &doc, NULL))
		status = fl_kube_status_of(fl_doc_root(doc));
	status.code = code;
	status.expired |= code == 410;
	return status;
}
