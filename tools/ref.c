/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of service ports: reading them, asking for them, finding them in a document. */
#include "tools/ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"

bool fl_ref_parse(char *text, struct fl_service_filter *ret_ref)
{
	char *slash = strchr(text, '/'), *colon = strchr(text, ':');
	struct fl_service_filter ref = {.ns = "", .name = text, .port = ""};

	if (colon && (!colon[1] || (slash && colon < slash)))
		return false;
	if (*text != '#' && (!slash || slash == text || !slash[1] || slash + 1 == colon))
		return false;
	if (slash) {
		*slash = '\0';
		ref.ns = text;
		ref.name = slash + 1;
	}
	if (colon) {
		*colon = '\0';
		ref.port = colon + 1;
	}
	*ret_ref = ref;
	return true;
}

enum fl_exit fl_ref_check(const struct fl_cli *cli)
{
	for (int i = 0; i < cli->n_operands; i++) {
		_cleanup_free_ char *text = strdup(cli->operand[i]);
		struct fl_service_filter ref;

		if (text && !fl_ref_parse(text, &ref))
			return fl_usage("\"%s\" is not %s", cli->operand[i], FL_REF_FORM);
	}
	return FL_EXIT_OK;
}

void fl_ref_url(const struct fl_service_filter *ref, const char *path, struct fl_url *url)
{
	fl_url_path(url, path);
	if (ref->ns && *ref->ns)
		fl_url_arg(url, "namespace", ref->ns);
	if (ref->name && *ref->name)
		fl_url_arg(url, "name", ref->name);
	if (ref->port && *ref->port)
		fl_url_arg(url, "port", ref->port);
}

static bool is(const struct fl_value *item, const char *member, const char *want)
{
	const char *text = fl_value_string(fl_value_get(item, member));

	return !strcmp(text ? text : "", want);
}

/* By its number: that of any frontend but a node port. */
static bool has_port(const struct fl_value *item, const char *port)
{
	FL_VALUE_EACH(frontend, fl_value_get(item, "frontends"))
	{
		const char *number = fl_value_text(fl_value_get(frontend, "port"));

		if (number && !strcmp(number, port) && !is(frontend, "type", "NodePort"))
			return true;
	}
	return false;
}

bool fl_ref_means(const struct fl_service_filter *ref, const struct fl_value *item)
{
	const char *id = fl_value_text(fl_value_get(item, "id"));

	if (*ref->name == '#' ? !id || strcmp(ref->name + 1, id)
			      : !is(item, "namespace", ref->ns) || !is(item, "name", ref->name))
		return false;
	return !*ref->port || is(item, "port", ref->port) || has_port(item, ref->port);
}

int fl_ref_render(const struct fl_view *view, const struct fl_service_filter *ref,
		  int (*render)(const struct fl_view *view, const struct fl_service_filter *filter,
				struct fl_json *json, size_t *ret_n),
		  struct fl_json *json, struct fl_err *err)
{
	char text[FL_SERVICE_REF_MAX];
	size_t n = 0;
	int rc = render(view, ref, json, &n);

	if (rc)
		return fl_err_set(err, rc, "no memory");
	if (ref->name && *ref->name && !n)
		return fl_err_set(err, -ENOENT, "service %s is not in the pinned maps%s",
				  fl_service_filter_format(ref, text),
				  *ref->name == '#'
					  ? ""
					  : "; without an agent services are known by #ID only");
	return 0;
}
