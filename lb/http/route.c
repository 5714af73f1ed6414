/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From a request to the route that answers it, or to a refusal that says what was wrong. */
#include "lb/http/route.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

const char *fl_http_request_arg(const struct fl_http_request *request, const char *key)
{
	for (size_t i = 0; i < request->n_args; i++) {
		if (!strcmp(request->args[i].key, key))
			return request->args[i].value;
	}
	return NULL;
}

void fl_http_routes_refuse(const struct fl_http_routes *routes, struct fl_http_response *response,
			   unsigned int code, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (routes->refuse)
		routes->refuse(response, code, text);
	else
		fl_http_respond_text(response, code, "%s\n", text);
}

/*
 * Whether the route's path is the request's, with as many segments behind it as the route names.
 * `path` is the caller's copy of the request's: it is cut at the slashes, and the request borrows
 * from it.
 */
static bool path_matches(const struct fl_http_route *route, char *path,
			 struct fl_http_request *request)
{
	size_t len = route->path ? strlen(route->path) : 0, n = request->n_args;
	char *rest = path + len;

	if (!route->path)
		return true;
	if (strncmp(path, route->path, len))
		return false;
	for (size_t i = 0; i < FL_HTTP_MAX_SEGMENTS && route->segments[i]; i++) {
		size_t segment = *rest == '/' ? strcspn(rest + 1, "/") : 0;

		if (!segment)
			return false;
		request->args[n++] = (struct fl_http_arg){route->segments[i], rest + 1};
		rest += 1 + segment;
	}
	if (*rest)
		return false;
	for (char *p = path + len; n > request->n_args && *p; p++) {
		if (*p == '/')
			*p = '\0';
	}
	request->n_args = n;
	return true;
}

/* Whether the query has only arguments that the route knows; those of the path do not count. */
static bool args_known(const struct fl_http_route *route, const struct fl_http_request *request,
		       size_t n_query)
{
	for (size_t i = 0; !route->any_args && i < n_query; i++) {
		bool known = false;

		for (size_t j = 0; j < FL_HTTP_ROUTE_ARGS && route->args[j]; j++)
			known |= !strcmp(route->args[j], request->args[i].key);
		if (!known)
			return false;
	}
	return true;
}

static bool method_matches(const char *route, const char *request)
{
	return !route || !strcmp(route, request) ||
	       (!strcmp(route, "GET") && !strcmp(request, "HEAD"));
}

static void run(const struct fl_http_routes *routes, const struct fl_http_route *route,
		size_t n_query, struct fl_http_request *request, struct fl_http_response *response)
{
	if (!args_known(route, request, n_query))
		return fl_http_routes_refuse(routes, response, 400,
					     "an argument of %s is not known",
					     route->path ? route->path : request->path);
	route->handle(request, response, routes->arg);
	if (!response->code)
		fl_http_routes_refuse(routes, response, 500, "%s has no answer",
				      route->path ? route->path : request->path);
}

void fl_http_routes_answer(const struct fl_http_routes *routes, struct fl_http_request *request,
			   struct fl_http_response *response)
{
	_cleanup_free_ char *path = strdup(request->path);
	size_t n_query = request->n_args;
	const char *allowed = NULL;

	if (!path)
		return fl_http_routes_refuse(routes, response, 500, "no memory");
	if (request->too_many_args)
		return fl_http_routes_refuse(routes, response, 400, "more than %d arguments",
					     FL_HTTP_MAX_ARGS);
	for (size_t i = 0; i < routes->n_routes; i++) {
		const struct fl_http_route *route = &routes->routes[i];

		if (!path_matches(route, path, request))
			continue;
		if (method_matches(route->method, request->method))
			return run(routes, route, n_query, request, response);
		allowed = route->method;
		request->n_args = n_query;
		strcpy(path, request->path);
	}
	if (!allowed)
		return fl_http_routes_refuse(routes, response, 404, "there is no %s",
					     request->path);
	fl_http_routes_refuse(routes, response, 405, "%s wants %s", request->path, allowed);
	response->allow = allowed;
}
