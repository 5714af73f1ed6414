/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* /healthz, for load balancers, and /livez, for liveness probes (6.2). */
#include "lb/base/json_write.h"
#include "lb/duties/internal.h"

unsigned int fl_health_code(bool good, uint64_t counts[static FL_HEALTH_CODES])
{
	counts[good ? FL_HEALTH_CODE_200 : FL_HEALTH_CODE_503]++;
	return good ? 200 : 503;
}

static void answer(const struct fl_duties *duties, const bool *eligible, unsigned int code,
		   struct fl_http_response *response)
{
	struct fl_json *json = fl_json_new(false);

	fl_proxy_health_json(duties->options.proxy_health, eligible, json);
	fl_http_respond_json(response, code, &json);
	fl_http_response_header(response, "X-Content-Type-Options", "nosniff");
}

/* 6.2.6: good, and the node may get traffic. */
static void healthz(const struct fl_http_request *request, struct fl_http_response *response,
		    void *arg)
{
	struct fl_duties *duties = arg;
	const bool eligible = duties->options.eligible(duties->options.arg);
	const bool good = fl_proxy_health_is_good(duties->options.proxy_health) && eligible;

	answer(duties, &eligible, fl_health_code(good, duties->counts.healthz), response);
}

/* 6.2.7: a node that is being deleted needs no restart of its proxy. */
static void livez(const struct fl_http_request *request, struct fl_http_response *response,
		  void *arg)
{
	struct fl_duties *duties = arg;
	const bool good = fl_proxy_health_is_good(duties->options.proxy_health);

	answer(duties, NULL, fl_health_code(good, duties->counts.livez), response);
}

/* 6.2.1: any method */
const struct fl_http_route fl_healthz_routes[] = {
	{.path = "/healthz", .any_args = true, .handle = healthz},
	{.path = "/livez", .any_args = true, .handle = livez},
};
const size_t fl_healthz_n_routes = sizeof(fl_healthz_routes) / sizeof(fl_healthz_routes[0]);
