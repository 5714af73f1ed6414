/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The server that monitoring and tools ask: metrics, mode, configuration (6.3). */
#include "lb/base/json_write.h"
#include "lb/duties/internal.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

static void get_healthz(const struct fl_http_request *request, struct fl_http_response *response,
			void *arg)
{
	fl_http_respond_text(response, 200, "ok");
}

static void get_metrics(const struct fl_http_request *request, struct fl_http_response *response,
			void *arg)
{
	const struct fl_duties_options *options = &((struct fl_duties *)arg)->options;

	fl_http_respond_owned(response, 200, METRICS_TYPE, options->metrics(options->arg));
}

/* 6.3.2: tools read it to tell the mode */
static void get_proxy_mode(const struct fl_http_request *request, struct fl_http_response *response,
			   void *arg)
{
	fl_http_respond_text(response, 200, "%s", ((struct fl_duties *)arg)->options.proxy_mode);
}

static void get_configz(const struct fl_http_request *request, struct fl_http_response *response,
			void *arg)
{
	const struct fl_duties_options *options = &((struct fl_duties *)arg)->options;
	struct fl_json *json = fl_json_new(false);

	fl_json_object_begin(json);
	options->configz(json, options->arg);
	fl_json_object_end(json);
	fl_http_respond_json(response, 200, &json);
}

const struct fl_http_route fl_monitor_routes[] = {
	{.method = "GET", .path = "/metrics", .any_args = true, .handle = get_metrics},
	{.method = "GET", .path = "/healthz", .any_args = true, .handle = get_healthz},
	{.method = "GET", .path = "/proxyMode", .any_args = true, .handle = get_proxy_mode},
	{.method = "GET", .path = "/configz", .any_args = true, .handle = get_configz},
};
const size_t fl_monitor_n_routes = sizeof(fl_monitor_routes) / sizeof(fl_monitor_routes[0]);
