/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of what can be asked, and the functions that answer. */
#include "lb/api/routes.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lb/api/api.h"
#include "lb/api/flow_filter.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/model/plan_json.h"
#include "lb/sync/sync.h"

#define MAX_SEGMENTS 3

struct call {
	const struct fl_api_source *source;
	const struct fl_api_request *request;
	struct fl_view *view; /* NULL for routes that do not need the maps */
	struct fl_json *json;
	/* what follows the route's path, cut at slashes */
	const char *segment[MAX_SEGMENTS];
	size_t n_segments;
};

static unsigned int fail(struct fl_json *json, unsigned int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static unsigned int fail(struct fl_json *json, unsigned int code, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fl_json_clear(json);
	fl_render_error(code, text, json);
	return code;
}

static const struct fl_sync_port *sync_name(const void *arg, uint32_t service_id)
{
	return fl_sync_port(arg, service_id);
}

static const char *arg_value(const struct fl_api_request *request, const char *key)
{
	for (size_t i = 0; i < request->n_args; i++) {
		if (!strcmp(request->args[i].key, key))
			return request->args[i].value;
	}
	return NULL;
}

static unsigned int get_status(struct call *call)
{
	struct fl_api_status status = {.drift = -1};

	if (call->source->status)
		call->source->status(&status, call->source->arg);
	if (fl_render_status(call->view, &status, call->source->sync, call->json))
		return fail(call->json, 500, "no memory");
	return 200;
}

static unsigned int get_version(struct call *call)
{
	fl_render_version(call->json);
	return 200;
}

static unsigned int get_services(struct call *call)
{
	struct fl_service_filter filter = {
		.ns = call->n_segments ? call->segment[0] : arg_value(call->request, "namespace"),
		.name = call->n_segments ? call->segment[1] : arg_value(call->request, "name"),
	};
	size_t n;

	if (fl_render_services(call->view, &filter, call->json, &n))
		return fail(call->json, 500, "no memory");
	if (!n && filter.name)
		return fail(call->json, 404, "service %s%s%s is not programmed on this node",
			    filter.ns ? filter.ns : "", filter.ns ? "/" : "", filter.name);
	return 200;
}

static unsigned int get_backends(struct call *call)
{
	if (fl_render_backends(call->view, call->json))
		return fail(call->json, 500, "no memory");
	return 200;
}

static unsigned int get_maglev(struct call *call)
{
	struct fl_service_filter filter = {call->segment[0], call->segment[1],
					   call->n_segments > 2 ? call->segment[2] : NULL};
	size_t n;

	if (fl_render_maglev(call->view, &filter, call->json, &n))
		return fail(call->json, 500, "no memory");
	if (!n)
		return fail(call->json, 404, "service %s/%s%s%s is not programmed on this node",
			    filter.ns, filter.name, filter.port ? ":" : "",
			    filter.port ? filter.port : "");
	return 200;
}

static unsigned int get_plan(struct call *call)
{
	const struct fl_api_source *source = call->source;

	if (!source->store || !source->plan_options)
		return fail(call->json, 503, "there is no plan yet");
	if (fl_plan_json(call->json, source->store, source->plan_options))
		return fail(call->json, 500, "no memory");
	return 200;
}

/* Every argument must be understood: a filter that is silently ignored would list, or flush, too
 * much. */
static unsigned int flow_filter(struct call *call, struct fl_flow_filter *filter, bool *ret_all)
{
	const struct fl_api_request *request = call->request;
	struct fl_err err = {""};

	*ret_all = false;
	for (size_t i = 0; i < request->n_args; i++) {
		if (!strcmp(request->args[i].key, "all")) {
			*ret_all = !strcmp(request->args[i].value, "true");
			continue;
		}
		if (fl_flow_filter_set(filter, request->args[i].key, request->args[i].value, &err))
			return fail(call->json, 400, "%s", err.text);
	}
	return 0;
}

static unsigned int get_flows(struct call *call)
{
	struct fl_flow_filter filter = {0};
	bool all;
	unsigned int code = flow_filter(call, &filter, &all);

	if (code)
		return code;
	if (all)
		return fail(call->json, 400, "all is for flushing");
	if (fl_render_flows(call->view, &filter, call->json))
		return fail(call->json, 500, "no memory");
	return 200;
}

static unsigned int post_flush(struct call *call)
{
	struct fl_flow_filter filter = {0};
	bool all;
	unsigned int code = flow_filter(call, &filter, &all);

	if (code)
		return code;
	if (fl_flow_filter_empty(&filter) && !all)
		return fail(call->json, 400, "flushing every flow needs all=true");
	fl_render_flush(fl_flow_filter_flush(&filter, call->view), call->json);
	return 200;
}

static const struct route {
	const char *method, *path;
	size_t min_segments, max_segments; /* that may follow; 0 is always allowed if min is 0 */
	bool needs_view;
	bool any_args; /* the handler checks the arguments itself */
	unsigned int (*handle)(struct call *call);
	const char *args[3];
} routes[] = {
	{"GET", "/v1/status", 0, 0, true, false, get_status, {NULL}},
	{"GET", "/v1/version", 0, 0, false, false, get_version, {NULL}},
	{"GET", "/v1/plan", 0, 0, false, false, get_plan, {NULL}},
	{"GET", "/v1/services", 0, 0, true, false, get_services, {"namespace", "name"}},
	{"GET", "/v1/services", 2, 2, true, false, get_services, {NULL}},
	{"GET", "/v1/backends", 0, 0, true, false, get_backends, {NULL}},
	{"GET", "/v1/flows", 0, 0, true, true, get_flows, {NULL}},
	{"POST", "/v1/flows/flush", 0, 0, true, true, post_flush, {NULL}},
	{"GET", "/v1/maglev", 2, 3, true, false, get_maglev, {NULL}},
};

/* Cut what follows the route's path in place. False: it is another route's. */
static bool route_matches(const struct route *route, char *path, struct call *call)
{
	size_t len = strlen(route->path);
	char *rest = path + len;

	call->n_segments = 0;
	if (strncmp(path, route->path, len) || (*rest && *rest != '/'))
		return false;
	for (char *p = rest; *p; p++) {
		if (*p != '/')
			continue;
		if (call->n_segments == MAX_SEGMENTS || !p[1] || p[1] == '/')
			return false;
		call->segment[call->n_segments++] = p + 1;
	}
	if (call->n_segments < route->min_segments || call->n_segments > route->max_segments)
		return false;
	for (char *p = rest; *p; p++) {
		if (*p == '/')
			*p = '\0';
	}
	return true;
}

static bool args_known(const struct route *route, const struct fl_api_request *request)
{
	for (size_t i = 0; !route->any_args && i < request->n_args; i++) {
		bool known = false;

		for (size_t j = 0; j < 3 && route->args[j]; j++)
			known |= !strcmp(route->args[j], request->args[i].key);
		if (!known)
			return false;
	}
	return true;
}

static void fl_view_finip(struct fl_view *view)
{
	fl_view_fini(view);
}

static unsigned int run(const struct route *route, struct call *call)
{
	const struct fl_api_source *source = call->source;
	struct fl_names names = {source->sync ? sync_name : NULL, source->sync};
	_cleanup_(fl_view_finip) struct fl_view view = {0};
	struct fl_err err = {""};

	if (!args_known(route, call->request))
		return fail(call->json, 400, "an argument of %s is not known", route->path);
	if (route->needs_view) {
		if (source->refresh_clock)
			source->refresh_clock(source->arg);
		if (fl_view_init(&view, source->maps, &names, source->hz, &err))
			return fail(call->json, 500, "%s", err.text);
		call->view = &view;
	}
	return route->handle(call);
}

unsigned int fl_api_answer(const struct fl_api_source *source, const struct fl_api_request *request,
			   struct fl_json *json)
{
	struct call call = {.source = source, .request = request, .json = json};
	_cleanup_free_ char *path = strdup(request->path);
	const char *allowed = NULL;

	if (!path)
		return fail(json, 500, "no memory");
	if (request->n_args > FL_API_MAX_ARGS)
		return fail(json, 400, "more than %d arguments", FL_API_MAX_ARGS);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		if (strcmp(request->method, routes[i].method)) {
			_cleanup_free_ char *copy = strdup(request->path);

			if (copy && route_matches(&routes[i], copy, &call))
				allowed = routes[i].method;
			continue;
		}
		if (route_matches(&routes[i], path, &call))
			return run(&routes[i], &call);
	}
	if (allowed)
		return fail(json, 405, "%s wants %s", request->path, allowed);
	return fail(json, 404, "there is no %s", request->path);
}
