/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Metadata of objects and lists. */
#include "lb/kube/answer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

const char *fl_kube_version(const struct fl_value *object)
{
	const struct fl_value *metadata = fl_value_get(object, "metadata");
	const char *version = fl_value_string(fl_value_get(metadata, "resourceVersion"));

	return version ? version : "";
}

bool fl_kube_ends_initial_events(const struct fl_value *object)
{
	const struct fl_value *metadata = fl_value_get(object, "metadata");
	const struct fl_value *notes = fl_value_get(metadata, "annotations");
	const char *end = fl_value_string(fl_value_get(notes, "k8s.io/initial-events-end"));

	return end && !strcmp(end, "true");
}

static bool is_list(const struct fl_value *root)
{
	const char *kind = fl_value_string(fl_value_get(root, "kind"));
	const size_t len = kind ? strlen(kind) : 0;
	bool items = false;

	FL_VALUE_EACH(member, root)
	items |= !strcmp(fl_value_key(member), "items");
	return len >= 4 && !strcmp(kind + len - 4, "List") && items && *fl_kube_version(root);
}

int fl_kube_list_read(const char *text, size_t len, char **ret_page, char **ret_version,
		      struct fl_err *err)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	_cleanup_free_ char *next = NULL, *version = NULL;
	const struct fl_value *root;
	struct fl_err why = {""};
	const char *page;

	if (fl_doc_parse(text, len, FL_DOC_JSON, &doc, &why))
		return fl_err_set(err, -EINVAL, "a list that makes no sense: %s", why.text);
	root = fl_doc_root(doc);
	if (!is_list(root))
		return fl_err_set(err, -EINVAL, "the answer is no list");
	page = fl_value_string(fl_value_get(fl_value_get(root, "metadata"), "continue"));
	next = strdup(page ? page : "");
	version = strdup(fl_kube_version(root));
	if (!next || !version)
		return fl_err_set(err, -ENOMEM, "out of memory");
	*ret_page = TAKE_PTR(next);
	*ret_version = TAKE_PTR(version);
	return 0;
}
