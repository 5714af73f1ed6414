/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of service ports in a view. */
#include "lb/api/view.h"

#include <stdio.h>

#include "lb/sync/sync.h"

void fl_view_name(const struct fl_view *view, uint32_t service_id, struct fl_view_name *ret_name)
{
	const struct fl_service_port_info *port = NULL;

	if (view->names.port)
		port = view->names.port(view->names.arg, service_id);
	if (port) {
		ret_name->ns = port->ns;
		ret_name->name = port->name;
		ret_name->port = port->port_name ? port->port_name : "";
		return;
	}
	snprintf(ret_name->name_buf, sizeof(ret_name->name_buf), "#%u", service_id);
	ret_name->ns = ret_name->port = "";
	ret_name->name = ret_name->name_buf;
}

static const char *put_ref(const char *ns, const char *name, const char *port,
			   char buf[static FL_SERVICE_REF_MAX])
{
	snprintf(buf, FL_SERVICE_REF_MAX, "%s%s%s%s%s", ns, *ns ? "/" : "", name, *port ? ":" : "",
		 port);
	return buf;
}

const char *fl_view_ref(const struct fl_view *view, uint32_t service_id,
			char buf[static FL_SERVICE_REF_MAX])
{
	struct fl_view_name name;

	fl_view_name(view, service_id, &name);
	return put_ref(name.ns, name.name, name.port, buf);
}

const char *fl_service_filter_format(const struct fl_service_filter *filter,
				     char buf[static FL_SERVICE_REF_MAX])
{
	return put_ref(filter->ns ? filter->ns : "", filter->name ? filter->name : "",
		       filter->port ? filter->port : "", buf);
}
