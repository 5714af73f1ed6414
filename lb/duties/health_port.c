/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A health-check node port tells a load balancer whether this node has endpoints of a Service with
 * externalTrafficPolicy Local (6.1). All of them are sockets of one listener: which Service is
 * meant, and which family, is told by the port and the address that the client has connected to.
 */
#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/duties/internal.h"

/* 6.1.5, byte for byte; names are quoted as JSON wants it. */
static void write_body(const struct fl_health_port *port, size_t n, bool healthy,
		       struct fl_http_response *response, unsigned int code)
{
	_cleanup_(fl_json_free) struct fl_json *ns = fl_json_new(false), *name = fl_json_new(false);
	const char *ns_text, *name_text;

	fl_json_string(ns, port->ns);
	fl_json_string(name, port->name);
	ns_text = fl_json_text(ns, NULL);
	name_text = fl_json_text(name, NULL);
	if (!ns_text || !name_text) {
		fl_http_respond_text(response, 503, "no memory\n");
		return;
	}
	fl_http_respond_text(response, code,
			     "{\n\t\"service\": {\n\t\t\"namespace\": %s,\n\t\t\"name\": %s\n\t},\n"
			     "\t\"localEndpoints\": %zu,\n\t\"serviceProxyHealthy\": %s\n}",
			     ns_text, name_text, n, healthy ? "true" : "false");
	response->type = "application/json";
}

/* 6.1.3, 6.2.10; 6.1.7: whether the node is about to go does not matter */
static void answer(const struct fl_http_request *request, struct fl_http_response *response,
		   void *arg)
{
	struct fl_duties *duties = arg;
	const bool healthy = fl_proxy_health_is_good(duties->options.proxy_health);
	const struct fl_health_port *port =
		fl_local_services_find(duties->options.services, request->local_port);
	size_t n;

	if (!port) {
		/* a connection that is older than the Service's end */
		fl_http_respond_text(response, 404, "no Service has health checks here\n");
		return;
	}
	n = port->local_ready[fl_ip_family(&request->local)];
	write_body(port, n, healthy, response,
		   fl_health_code(n && healthy, duties->counts.health_port));
	fl_http_response_header(response, "X-Content-Type-Options", "nosniff");
	fl_http_response_header(response, "X-Load-Balancing-Endpoint-Weight", "%zu", n);
}

const struct fl_http_route fl_health_port_routes[] = {{.any_args = true, .handle = answer}};
const size_t fl_health_port_n_routes =
	sizeof(fl_health_port_routes) / sizeof(fl_health_port_routes[0]);
