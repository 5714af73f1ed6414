/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The routes of the API and their handlers. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lb/api/api.h"
#include "lb/api/drain.h"
#include "lb/api/flow_filter.h"
#include "lb/api/render.h"
#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/http/http.h"
#include "lb/http/route.h"
#include "lb/model/plan_json.h"
#include "lb/sync/sync.h"

/* One request being answered. */
struct call {
	const struct fl_api_source *source;
	struct fl_http_response *response;
	struct fl_view view;
	struct fl_json *json;
};

static void refuse(struct fl_http_response *response, unsigned int code, const char *message)
{
	struct fl_json *json = fl_json_new(false);

	fl_render_error(code, message, json);
	fl_http_respond_json(response, code, &json);
}

static void fail(struct call *call, unsigned int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct call *call, unsigned int code, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	refuse(call->response, code, text);
}

/* Answer with the document, unless there was no memory to render it. */
static void finish(struct call *call, int rc)
{
	if (rc)
		fail(call, 500, "no memory");
	else
		fl_http_respond_json(call->response, 200, &call->json);
}

static const struct fl_service_port_info *sync_name(const void *arg, uint32_t service_id)
{
	return fl_sync_service_port(arg, service_id);
}

static void sync_drained(const void *arg, uint32_t service_id,
			 void (*fn)(uint32_t backend_id, void *fn_arg), void *fn_arg)
{
	fl_sync_each_drained(arg, service_id, fn, fn_arg);
}

/* False: an error has been answered. */
static bool look(struct call *call)
{
	const struct fl_api_source *source = call->source;
	struct fl_names names = {source->sync ? sync_name : NULL,
				 source->sync ? sync_drained : NULL, source->sync};
	struct fl_err err = {""};

	if (source->refresh_clock)
		source->refresh_clock(source->arg);
	if (!fl_view_init(&call->view, source->maps, &names, source->hz, &err))
		return true;
	fail(call, 500, "%s", err.text);
	return false;
}

static void call_end(struct call *call)
{
	fl_view_fini(&call->view);
	fl_json_free(&call->json);
}

#define CALL(call, response, arg)                                                                  \
	_cleanup_(call_end) struct call call = {                                                   \
		.source = (arg), .response = (response), .json = fl_json_new(false)}

static void get_status(const struct fl_http_request *request, struct fl_http_response *response,
		       void *arg)
{
	struct fl_api_status status = {.agent = FL_AGENT_RUNNING, .drift = -1};
	CALL(call, response, arg);

	if (!look(&call))
		return;
	status.drains = call.source->drains;
	if (call.source->status)
		call.source->status(&status, call.source->arg);
	finish(&call, fl_render_status(&call.view, &status, call.source->sync, call.json));
}

static void get_version(const struct fl_http_request *request, struct fl_http_response *response,
			void *arg)
{
	CALL(call, response, arg);

	fl_render_version(call.json);
	finish(&call, 0);
}

static void
answer_services(const struct fl_http_request *request, struct fl_http_response *response, void *arg,
		int (*render)(const struct fl_view *view, const struct fl_service_filter *filter,
			      struct fl_json *json, size_t *ret_n))
{
	struct fl_service_filter filter = {.ns = fl_http_request_arg(request, "namespace"),
					   .name = fl_http_request_arg(request, "name"),
					   .port = fl_http_request_arg(request, "port")};
	char ref[FL_SERVICE_REF_MAX];
	size_t n = 0;
	int rc;
	CALL(call, response, arg);

	if (!look(&call))
		return;
	rc = render(&call.view, &filter, call.json, &n);
	/* of Services that were asked for by name, at least one must be there */
	if (rc || n || !filter.name)
		finish(&call, rc);
	else
		fail(&call, 404, "service %s is not programmed on this node",
		     fl_service_filter_format(&filter, ref));
}

static void get_services(const struct fl_http_request *request, struct fl_http_response *response,
			 void *arg)
{
	answer_services(request, response, arg, fl_render_services);
}

static void get_maglev(const struct fl_http_request *request, struct fl_http_response *response,
		       void *arg)
{
	answer_services(request, response, arg, fl_render_maglev);
}

static void get_backends(const struct fl_http_request *request, struct fl_http_response *response,
			 void *arg)
{
	CALL(call, response, arg);

	if (look(&call))
		finish(&call, fl_render_backends(&call.view, call.source->drains, call.json));
}

static void get_metrics(const struct fl_http_request *request, struct fl_http_response *response,
			void *arg)
{
	const struct fl_api_source *source = arg;

	if (source->metrics)
		fl_http_respond_owned(response, 200, "text/plain; version=0.0.4; charset=utf-8",
				      source->metrics(source->arg));
	else
		refuse(response, 503, "there are no metrics yet");
}

static void get_plan(const struct fl_http_request *request, struct fl_http_response *response,
		     void *arg)
{
	CALL(call, response, arg);

	if (!call.source->store || !call.source->plan_options)
		fail(&call, 503, "there is no plan yet");
	else
		finish(&call,
		       fl_plan_json(call.json, call.source->store, call.source->plan_options));
}

/*
 * Every argument must be understood: a filter that is silently ignored would list, or flush, too
 * much. False: an error has been answered.
 */
static bool read_filter(struct call *call, const struct fl_http_request *request,
			struct fl_flow_filter *filter, bool *ret_all)
{
	struct fl_err err = {""};

	*ret_all = false;
	for (size_t i = 0; i < request->n_args; i++) {
		const struct fl_http_arg *arg = &request->args[i];

		if (!strcmp(arg->key, "all")) {
			*ret_all = !strcmp(arg->value, "true");
			continue;
		}
		if (fl_flow_filter_set(filter, arg->key, arg->value, &err)) {
			fail(call, 400, "%s", err.text);
			return false;
		}
	}
	return true;
}

static void get_flows(const struct fl_http_request *request, struct fl_http_response *response,
		      void *arg)
{
	struct fl_flow_filter filter = {0};
	bool all;
	CALL(call, response, arg);

	if (!read_filter(&call, request, &filter, &all))
		return;
	if (all)
		fail(&call, 400, "all is for flushing");
	else if (look(&call))
		finish(&call, fl_render_flows(&call.view, &filter, call.json));
}

static void post_flush(const struct fl_http_request *request, struct fl_http_response *response,
		       void *arg)
{
	struct fl_flow_filter filter = {0};
	bool all;
	CALL(call, response, arg);

	if (!read_filter(&call, request, &filter, &all))
		return;
	if (filter.limit)
		return fail(&call, 400, "limit is for listing");
	if (fl_flow_filter_empty(&filter) && !all)
		return fail(&call, 400, "flushing every flow needs all=true");
	if (!look(&call))
		return;
	fl_render_flush(fl_flow_filter_flush(&filter, &call.view), call.json);
	finish(&call, 0);
}

static void post_reload(const struct fl_http_request *request, struct fl_http_response *response,
			void *arg)
{
	const char *now = fl_http_request_arg(request, "now");
	CALL(call, response, arg);

	if (!call.source->reload)
		return fail(&call, 503, "this agent cannot reload");
	if (now && strcmp(now, "true") && strcmp(now, "false"))
		return fail(&call, 400, "now is true or false");
	call.source->reload(now && !strcmp(now, "true"), call.source->arg);
	fl_render_begin(call.json, "ReloadResult");
	fl_json_object_end(call.json);
	finish(&call, 0);
}

static void drain_result_finip(struct fl_api_drain_result *result)
{
	fl_api_drain_result_fini(result);
}

/* Each argument is an "address". False: an error has been answered. */
static bool read_drains(struct call *call, const struct fl_http_request *request,
			struct fl_api_drain_request *drains)
{
	struct fl_err err = {""};

	for (size_t i = 0; i < request->n_args; i++) {
		const struct fl_http_arg *arg = &request->args[i];

		if (!strcmp(arg->key, "all") && drains->undrain) {
			drains->all = !strcmp(arg->value, "true");
		} else if (strcmp(arg->key, "address")) {
			return fail(call, 400, "argument %s is not known", arg->key), false;
		} else if (drains->n == FL_API_DRAINS) {
			return fail(call, 400, "more than %d addresses", FL_API_DRAINS), false;
		} else if (fl_drain_parse(arg->value, &drains->drains[drains->n], &err)) {
			return fail(call, 400, "%s", err.text), false;
		} else {
			drains->n++;
		}
	}
	if (drains->all == (drains->n == 0))
		return true;
	fail(call, 400, drains->n ? "either all or addresses" : "which address is missing");
	return false;
}

static void drain_or_not(bool undrain, const struct fl_http_request *request,
			 struct fl_http_response *response, void *arg)
{
	_cleanup_(drain_result_finip) struct fl_api_drain_result result = {0};
	struct fl_api_drain_request drains = {.undrain = undrain};
	struct fl_err err = {""};
	int rc;
	CALL(call, response, arg);

	if (!call.source->drain)
		return fail(&call, 503, "this agent cannot drain backends");
	if (!read_drains(&call, request, &drains))
		return;
	rc = call.source->drain(&drains, &result, &err, call.source->arg);
	if (rc)
		return fail(&call, rc == -EEXIST || rc == -ENOSPC ? 409 : 500, "%s", err.text);
	fl_render_drain_result(&drains, &result, call.json);
	finish(&call, 0);
}

static void post_drain(const struct fl_http_request *request, struct fl_http_response *response,
		       void *arg)
{
	drain_or_not(false, request, response, arg);
}

static void post_undrain(const struct fl_http_request *request, struct fl_http_response *response,
			 void *arg)
{
	drain_or_not(true, request, response, arg);
}

static void get_routes(const struct fl_http_request *request, struct fl_http_response *response,
		       void *arg);

static const struct fl_http_route routes[] = {
	{.method = "GET", .path = "/v1", .handle = get_routes},
	{.method = "GET", .path = "/v1/status", .handle = get_status},
	{.method = "GET", .path = "/v1/version", .handle = get_version},
	{.method = "GET", .path = "/v1/plan", .handle = get_plan},
	{.method = "GET", .path = "/v1/metrics", .handle = get_metrics},
	{.method = "GET",
	 .path = "/v1/services",
	 .args = {"namespace", "name", "port"},
	 .handle = get_services},
	{.method = "GET",
	 .path = "/v1/services",
	 .segments = {"namespace", "name"},
	 .handle = get_services},
	{.method = "GET",
	 .path = "/v1/services",
	 .segments = {"namespace", "name", "port"},
	 .handle = get_services},
	{.method = "GET", .path = "/v1/backends", .handle = get_backends},
	{.method = "POST", .path = "/v1/backends/drain", .any_args = true, .handle = post_drain},
	{.method = "POST",
	 .path = "/v1/backends/undrain",
	 .any_args = true,
	 .handle = post_undrain},
	{.method = "GET", .path = "/v1/flows", .any_args = true, .handle = get_flows},
	{.method = "POST", .path = "/v1/reload", .args = {"now"}, .handle = post_reload},
	{.method = "POST", .path = "/v1/flows/flush", .any_args = true, .handle = post_flush},
	{.method = "GET",
	 .path = "/v1/maglev",
	 .args = {"namespace", "name", "port"},
	 .handle = get_maglev},
	{.method = "GET",
	 .path = "/v1/maglev",
	 .segments = {"namespace", "name"},
	 .handle = get_maglev},
	{.method = "GET",
	 .path = "/v1/maglev",
	 .segments = {"namespace", "name", "port"},
	 .handle = get_maglev},
};

/* "/v1/services/{namespace}/{name}" */
static void write_path(const struct fl_http_route *route, struct fl_json *json)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "%s", route->path);

	for (size_t i = 0; i < FL_HTTP_MAX_SEGMENTS && route->segments[i]; i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "/{%s}",
				route->segments[i]);
	fl_json_member_string(json, "path", text);
}

static void get_routes(const struct fl_http_request *request, struct fl_http_response *response,
		       void *arg)
{
	CALL(call, response, arg);

	fl_render_begin(call.json, "RouteList");
	fl_json_key(call.json, "items");
	fl_json_array_begin(call.json);
	for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
		fl_json_object_begin(call.json);
		fl_json_member_string(call.json, "method", routes[i].method);
		write_path(&routes[i], call.json);
		fl_json_object_end(call.json);
	}
	fl_json_array_end(call.json);
	fl_json_object_end(call.json);
	finish(&call, 0);
}

int fl_api_listen(struct fl_http *http, const char *path, const struct fl_api_source *source,
		  struct fl_err *err)
{
	const struct fl_http_routes to = {.routes = routes,
					  .n_routes = sizeof(routes) / sizeof(routes[0]),
					  .arg = (void *)source,
					  .refuse = refuse};
	int rc = fl_http_listen_unix(http, path, 0600, &to, err);

	return rc ? fl_err_wrap(err, rc, "API socket") : 0;
}
