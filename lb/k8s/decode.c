/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The kind, namespace and name of an object, and lists of objects. */
#include "lb/k8s/decode.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/suggest.h"
#include "lb/k8s/field.h"

static const struct decoder {
	const char *name, *list_name, *group, *version;
	enum fl_kind kind;
	bool namespaced;
} kinds[] = {
	{"Service", "ServiceList", "", "v1", FL_KIND_SERVICE, true},
	{"EndpointSlice", "EndpointSliceList", "discovery.k8s.io", "v1", FL_KIND_SLICE, true},
	{"Node", "NodeList", "", "v1", FL_KIND_NODE, false},
	{"Pod", "PodList", "", "v1", FL_KIND_POD, true},
};
#define N_KINDS (sizeof(kinds) / sizeof(kinds[0]))

static const char *const level_names[] = {
	[FL_PROBLEM_ERROR] = "error",
	[FL_PROBLEM_WARNING] = "warning",
	[FL_PROBLEM_NOTE] = "note",
};

const char *fl_problem_level_name(enum fl_problem_level level)
{
	return level_names[level];
}

const char *fl_kind_name(enum fl_kind kind)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return "";
}

static bool is_asked_for(const struct fl_decoding *d, const struct decoder *kind)
{
	return kind->kind != FL_KIND_POD || d->sink->pods;
}

/* Whether "group/version" (or "version" alone) is of this group. */
static bool same_group(const char *api_version, const char *group)
{
	const char *slash = strchr(api_version, '/');
	size_t len = slash ? (size_t)(slash - api_version) : 0;

	return strlen(group) == len && !strncmp(api_version, group, len);
}

static const char *version_of(const char *api_version)
{
	const char *slash = strchr(api_version, '/');

	return slash ? slash + 1 : api_version;
}

static const struct fl_field_key metadata_keys[] = {
	{"annotations", false},
	{"clusterName", false},
	{"creationTimestamp", false},
	{"deletionGracePeriodSeconds", false},
	{"deletionTimestamp", false},
	{"finalizers", false},
	{"generateName", false},
	{"generation", false},
	{"labels", true},
	{"managedFields", false},
	{"name", true},
	{"namespace", true},
	{"ownerReferences", false},
	{"resourceVersion", false},
	{"selfLink", false},
	{"uid", false},
	{NULL, false},
};

/* Name and namespace, as early as possible: every message about the object cites them. */
static int read_identity(struct fl_decoding *d, const struct fl_value *root, bool namespaced)
{
	const struct fl_value *meta;
	const char *name, *ns = "";
	int rc = fl_field_map(d, root, "metadata", &meta);
	size_t mark;

	if (rc)
		return rc;
	mark = fl_field_enter(d, "metadata");
	rc = fl_field_name(d, meta, "name", &name);
	if (!rc && !*name)
		rc = fl_field_error(d, meta, "name", "missing");
	if (!rc && namespaced)
		rc = fl_field_name(d, meta, "namespace", &ns);
	if (rc)
		return rc;
	d->ns = namespaced && !*ns ? "default" : ns;
	d->name = name;
	rc = fl_field_check_keys(d, meta, metadata_keys);
	fl_field_leave(d, mark);
	return rc;
}

/* The same as far as it goes, for an object that is refused by its kind or version already. */
static void guess_identity(struct fl_decoding *d, const struct fl_value *root, bool namespaced)
{
	const struct fl_value *meta = fl_value_get(root, "metadata");
	const char *ns = fl_value_string(fl_value_get(meta, "namespace"));

	d->name = fl_value_string(fl_value_get(meta, "name"));
	d->ns = !namespaced ? "" : ns && *ns ? ns : "default";
}

void fl_unread_fini(struct fl_unread *unread)
{
	free(unread->ns);
	free(unread->name);
	free(unread->service);
	fl_service_free(&unread->sketch);
}

/* Hand on what is known of an object that is at fault. Returns -EINVAL as its error did, or what
 * the sink says. */
static int give_unread(struct fl_decoding *d, const struct fl_value *root)
{
	const struct fl_value *labels = fl_value_get(fl_value_get(root, "metadata"), "labels");
	const char *service = fl_value_string(fl_value_get(labels, FL_SERVICE_NAME_LABEL));
	struct fl_unread unread = {.kind = d->kind};
	int rc;

	if (!d->sink->unread || !d->name || d->kind == FL_KIND_NODE || d->kind == FL_KIND_POD)
		return -EINVAL;
	unread.ns = strdup(d->ns);
	unread.name = strdup(d->name);
	unread.service = strdup(d->kind == FL_KIND_SLICE && service ? service : "");
	if (d->kind == FL_KIND_SERVICE)
		unread.sketch = fl_decode_sketch(root, d->ns, d->name);
	if (!unread.ns || !unread.name || !unread.service ||
	    (d->kind == FL_KIND_SERVICE && !unread.sketch)) {
		fl_unread_fini(&unread);
		return -ENOMEM;
	}
	rc = d->sink->unread(&unread, d->sink->arg);
	return rc ? rc : -EINVAL;
}

static int decode_object(struct fl_decoding *d, const struct decoder *kind,
			 const struct fl_value *root)
{
	struct fl_object object = {.kind = kind->kind};
	int rc = read_identity(d, root, kind->namespaced);

	if (rc)
		return rc;
	switch (kind->kind) {
	case FL_KIND_SERVICE:
		rc = fl_decode_service(d, root, &object.service);
		break;
	case FL_KIND_SLICE:
		rc = fl_decode_slice(d, root, &object.slice);
		break;
	case FL_KIND_NODE:
		rc = fl_decode_node(d, root, &object.node);
		break;
	case FL_KIND_POD:
		rc = fl_decode_pod(d, root, &object.pod);
		break;
	}
	if (!rc)
		rc = fl_field_flush(d);
	if (rc) {
		fl_object_free(&object);
		return rc == -EINVAL ? give_unread(d, root) : rc;
	}
	return object.service ? d->sink->object(&object, d->line, d->sink->arg) : 0;
}

static int decode_value(const struct fl_decoding *parent, const struct fl_value *root,
			const struct decoder *item_kind);

static int decode_items(struct fl_decoding *d, const struct fl_value *root,
			const struct decoder *item_kind)
{
	const struct fl_value *items;
	int rc = fl_field_list(d, root, "items", FL_DOC_MAX_VALUES, &items);

	if (rc)
		return rc;
	FL_VALUE_EACH(item, items)
	{
		rc = decode_value(d, item, item_kind); /* as deep as the document at most */
		if (rc)
			return rc;
	}
	return 0;
}

/* Whether a group is one of Kubernetes' own: other groups may call their kinds what they like. */
static bool is_builtin_group(const char *api_version)
{
	static const char ending[] = ".k8s.io";
	size_t len = strcspn(api_version, "/");

	if (!api_version[len] || !memchr(api_version, '.', len))
		return true; /* the core group, or "apps" */
	return len > sizeof(ending) - 1 &&
	       !strncmp(api_version + len - (sizeof(ending) - 1), ending, sizeof(ending) - 1);
}

/*
 * An object of a kind that is not ours, such as the Deployment beside a Service, is ignored. One
 * that looks like a mistyped kind of ours is worth a warning.
 */
static int skip_foreign(struct fl_decoding *d, const struct fl_value *root, const char *kind,
			const char *api_version)
{
	struct fl_suggestion suggestion = {.typed = kind};
	char hint[FL_SUGGESTION_STRLEN];

	d->foreign = true;
	guess_identity(d, root, true);
	for (size_t i = 0; i < N_KINDS && is_builtin_group(api_version); i++) {
		if (!is_asked_for(d, &kinds[i]))
			continue;
		fl_suggestion_offer(&suggestion, kinds[i].name);
		fl_suggestion_offer(&suggestion, kinds[i].list_name);
		if (!strcmp(kind, kinds[i].name) || !strcmp(kind, kinds[i].list_name))
			return fl_field_warn(
				d, fl_value_get(root, "apiVersion"), "apiVersion",
				"\"%.60s\" has no kind \"%.60s\" (did you mean %s%s%s?), "
				"skipped",
				api_version, kind, kinds[i].group, *kinds[i].group ? "/" : "",
				kinds[i].version);
	}
	if (suggestion.best)
		return fl_field_warn(d, fl_value_get(root, "kind"), "kind",
				     "unknown kind \"%.60s\" (%.60s)%s, skipped", kind, api_version,
				     fl_suggestion_format(&suggestion, "", hint));
	return fl_field_note(d, fl_value_get(root, "kind"), "kind \"%.60s\" (%.60s) skipped", kind,
			     api_version);
}

/* Such as kustomization.yaml or values.yaml, or a list of patches. */
static int skip_other(struct fl_decoding *d, const struct fl_value *root)
{
	d->foreign = true;
	return fl_field_note(d, root, "not a Kubernetes object, skipped");
}

/* No tool writes such a manifest: it is what a server answered, or a command said, that failed. */
static int skip_text(struct fl_decoding *d, const struct fl_value *root)
{
	d->foreign = true;
	return fl_field_warn(d, root, NULL, "plain text instead of a Kubernetes object, skipped");
}

static bool is_known(const struct fl_decoding *d, const char *kind)
{
	for (size_t i = 0; i < N_KINDS; i++)
		if (is_asked_for(d, &kinds[i]) &&
		    (!strcmp(kind, kinds[i].name) || !strcmp(kind, kinds[i].list_name)))
			return true;
	return !strcmp(kind, "List");
}

static int decode_known(struct fl_decoding *d, const struct fl_value *root,
			const struct decoder *kind, const char *api_version, bool list)
{
	d->kind = kind->kind;
	if (strcmp(version_of(api_version), kind->version)) {
		int rc;

		guess_identity(d, root, kind->namespaced);
		rc = fl_field_error(d, fl_value_get(root, "apiVersion"), "apiVersion",
				    "\"%.60s\" is not supported, use %s%s%s", api_version,
				    kind->group, *kind->group ? "/" : "", kind->version);
		return rc == -EINVAL && !list ? give_unread(d, root) : rc;
	}
	return list ? decode_items(d, root, kind) : decode_object(d, kind, root);
}

static int decode_kind(struct fl_decoding *d, const struct fl_value *root,
		       const struct decoder *item_kind)
{
	const char *kind, *api_version;
	int rc = fl_field_string(d, root, "kind", &kind);

	if (!rc)
		rc = fl_field_string(d, root, "apiVersion", &api_version);
	if (rc)
		return rc;
	/* the API server leaves kind and apiVersion out of the items of a typed list */
	if (!*kind && item_kind) {
		d->kind = item_kind->kind;
		d->kind_name = item_kind->name;
		return decode_object(d, item_kind, root);
	}
	if (!*kind && !fl_value_get(root, "metadata"))
		return skip_other(d, root);
	if (!*kind)
		return fl_field_error(d, root, "kind", "missing");
	d->kind_name = kind;
	if (!*api_version && is_known(d, kind))
		return fl_field_error(d, root, "apiVersion", "missing");
	if (!strcmp(kind, "List") && !strcmp(api_version, "v1"))
		return decode_items(d, root, NULL);
	for (size_t i = 0; i < N_KINDS; i++) {
		bool list = !strcmp(kind, kinds[i].list_name);

		if (is_asked_for(d, &kinds[i]) && (list || !strcmp(kind, kinds[i].name)) &&
		    same_group(api_version, kinds[i].group))
			return decode_known(d, root, &kinds[i], api_version, list);
	}
	return skip_foreign(d, root, kind, api_version);
}

/* Returns 0 for a faulty object as well: it has been reported and the next one is due. */
static int decode_value(const struct fl_decoding *parent, const struct fl_value *root,
			const struct decoder *item_kind)
{
	struct fl_decoding d = {
		.file = parent->file,
		.sink = parent->sink,
		.line = fl_value_line(root),
	};
	int rc;

	if (fl_value_type(root) == FL_VALUE_MAP)
		rc = decode_kind(&d, root, item_kind);
	else if (fl_value_type(root) == FL_VALUE_LIST)
		rc = skip_other(&d, root);
	else
		rc = skip_text(&d, root);
	return rc == -EINVAL ? 0 : rc;
}

int fl_decode(const struct fl_doc *doc, const char *file, const struct fl_decode_sink *sink)
{
	struct fl_decoding d = {.file = file, .sink = sink};

	if (fl_value_type(fl_doc_root(doc)) == FL_VALUE_NULL)
		return 0;
	return decode_value(&d, fl_doc_root(doc), NULL);
}

int fl_decode_item(const struct fl_value *object, enum fl_kind kind, const char *file,
		   const struct fl_decode_sink *sink)
{
	const struct fl_decoding d = {.file = file, .sink = sink};
	const struct decoder *decoder = kinds;

	while (decoder->kind != kind)
		decoder++;
	return decode_value(&d, object, decoder);
}
