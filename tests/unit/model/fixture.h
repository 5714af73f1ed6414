/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Objects for the tests of lb/model, written the way the rules write them. Everything is owned and
 * freed by the product's own free functions, so that leak checks cover those too. Building must not
 * fail: it asserts.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/model/plan.h"

#define FIXTURE static __attribute__((unused))

FIXTURE struct fl_ip ip(const char *text)
{
	struct fl_ip value;

	if (fl_ip_parse(text, &value))
		fail_msg("bad address in a test: %s", text);
	return value;
}

FIXTURE struct fl_prefix prefix(const char *text)
{
	struct fl_prefix value;

	if (fl_prefix_parse(text, &value))
		fail_msg("bad prefix in a test: %s", text);
	return value;
}

/* Make room for one more element at the end of an owned array. */
FIXTURE void *grow(void *array, size_t n, size_t size)
{
	char *larger = realloc(array, (n + 1) * size);

	assert_non_null(larger);
	memset(larger + n * size, 0, size);
	return larger;
}

#define GROW(array, n) ((array) = grow((array), (n), sizeof(*(array))), &(array)[(n)++])

/* Services */

/* A ClusterIP Service default/web without ports; cluster_ip may be NULL. */
FIXTURE struct fl_service *service_named(const char *ns, const char *name, const char *cluster_ip)
{
	struct fl_service *service = calloc(1, sizeof(*service));

	assert_non_null(service);
	service->ns = strdup(ns);
	service->name = strdup(name);
	if (cluster_ip) {
		struct fl_ip value = ip(cluster_ip);

		service->has_cluster_ip[fl_ip_family(&value)] = true;
		service->cluster_ip[fl_ip_family(&value)] = value;
	}
	return service;
}

FIXTURE void add_port(struct fl_service *service, const char *name, uint8_t proto, uint16_t port,
		      uint16_t node_port)
{
	struct fl_service_port *added = GROW(service->ports, service->n_ports);

	*added = (struct fl_service_port){strdup(name), proto, port, node_port};
}

/* default/web at 10.96.0.10 with TCP port 80 named "http". */
FIXTURE struct fl_service *service_web(uint16_t node_port)
{
	struct fl_service *service = service_named("default", "web", "10.96.0.10");

	add_port(service, "http", IPPROTO_TCP, 80, node_port);
	if (node_port)
		service->type = FL_SERVICE_NODE_PORT;
	return service;
}

FIXTURE void add_second_family(struct fl_service *service, const char *cluster_ip)
{
	struct fl_ip value = ip(cluster_ip);

	service->has_cluster_ip[fl_ip_family(&value)] = true;
	service->cluster_ip[fl_ip_family(&value)] = value;
}

FIXTURE void add_external_ip(struct fl_service *service, const char *text)
{
	struct fl_ip value = ip(text);

	*GROW(service->external_ips, service->n_external_ips) = value;
}

/* text NULL: an entry with a hostname only. */
FIXTURE void add_ingress(struct fl_service *service, const char *text, bool proxy)
{
	struct fl_lb_ingress *added = GROW(service->ingress, service->n_ingress);

	added->has_ip = text;
	added->proxy = proxy;
	if (text)
		added->ip = ip(text);
}

FIXTURE void add_range(struct fl_service *service, const char *text)
{
	struct fl_prefix value = prefix(text);

	*GROW(service->source_ranges, service->n_source_ranges) = value;
}

/* Slices */

FIXTURE struct fl_slice *slice_named(const char *name, const char *service, enum fl_family family)
{
	struct fl_slice *slice = calloc(1, sizeof(*slice));

	assert_non_null(slice);
	slice->ns = strdup("default");
	slice->name = strdup(name);
	slice->service = strdup(service);
	slice->family = family;
	return slice;
}

FIXTURE void add_slice_port(struct fl_slice *slice, const char *name, uint8_t proto, uint16_t port)
{
	struct fl_slice_port *added = GROW(slice->ports, slice->n_ports);

	*added = (struct fl_slice_port){strdup(name), proto, port};
}

/* "a+b" with prefix "zone-" adds "zone-a" and "zone-b". */
struct hints_of {
	char texts[FL_HINTS_MAX][64];
	const char *list[FL_HINTS_MAX];
	size_t n;
};

FIXTURE void add_hints(struct hints_of *hints, const char *kind, const char *words)
{
	_cleanup_free_ char *copy = strdup(words);
	char *rest = copy, *word;

	while ((word = strsep(&rest, "+"))) {
		char *text = hints->texts[hints->n];

		snprintf(text, sizeof(hints->texts[0]), "%s%s", kind, word);
		hints->list[hints->n++] = text;
	}
}

/*
 * One endpoint in the notation of rule 3.6: "10.1.2.3 rs- local Z=a+b N=1 W=3"; local ones are on
 * `node`, others on node "elsewhere", "nowhere" instead of local gives no node name.
 */
FIXTURE void add_endpoint(struct fl_slice *slice, const char *spec, const char *node)
{
	struct fl_endpoint *endpoint = GROW(slice->endpoints, slice->n_endpoints);
	_cleanup_free_ char *copy = strdup(spec);
	struct hints_of zones = {.n = 0}, nodes = {.n = 0};
	const char *on = "elsewhere";
	char *rest = copy, *word;
	int n = 0;

	endpoint->weight = FL_WEIGHT_DEFAULT;
	while ((word = strsep(&rest, " "))) {
		if (!*word)
			continue;
		if (n == 0) {
			endpoint->ip = ip(word);
		} else if (n == 1) {
			assert_int_equal(strlen(word), 3);
			endpoint->ready = word[0] == 'r';
			endpoint->serving = word[1] == 's';
			endpoint->terminating = word[2] == 't';
		} else if (!strcmp(word, "local")) {
			on = node;
		} else if (!strcmp(word, "nowhere")) {
			on = "";
		} else if (!strncmp(word, "Z=", 2)) {
			add_hints(&zones, "zone-", word + 2);
		} else if (!strncmp(word, "W=", 2)) {
			endpoint->weight = (uint16_t)atoi(word + 2);
		} else if (!strncmp(word, "N=", 2)) {
			add_hints(&nodes, "node-", word + 2);
		} else {
			fail_msg("bad endpoint in a test: %s", spec);
		}
		n++;
	}
	assert_int_equal(fl_endpoint_name(endpoint, on, zones.list, zones.n, nodes.list, nodes.n),
			 0);
}

/* Several, separated by ";". */
FIXTURE void add_endpoints(struct fl_slice *slice, const char *specs, const char *node)
{
	_cleanup_free_ char *copy = strdup(specs);
	char *rest = copy, *spec;

	while ((spec = strsep(&rest, ";"))) {
		if (strspn(spec, " ") < strlen(spec))
			add_endpoint(slice, spec, node);
	}
}

/* A slice of default/web with port http/TCP. */
FIXTURE struct fl_slice *slice_web(const char *name, uint16_t port, const char *specs)
{
	struct fl_slice *slice = slice_named(name, "web", FL_IPV4);

	add_slice_port(slice, "http", IPPROTO_TCP, port);
	add_endpoints(slice, specs, "node-1");
	return slice;
}

/* Planning */

#define OPTIONS_NODE_1                                                                             \
	{                                                                                          \
		.node_name = "node-1", .zone = "zone-a", .node_hints = true                        \
	}

FIXTURE struct fl_plan plan_slices(const struct fl_service *service,
				   const struct fl_slice *const *slices, size_t n)
{
	struct fl_plan_options options = OPTIONS_NODE_1;
	struct fl_plan plan;

	assert_int_equal(fl_plan_service(service, slices, n, &options, &plan), 0);
	return plan;
}

FIXTURE struct fl_plan plan_one(const struct fl_service *service, const struct fl_slice *slice)
{
	return plan_slices(service, &slice, slice ? 1 : 0);
}

/* The members of a list as "ip:port ip:port"; `flags` any of which counts. */
FIXTURE const char *list_text(const struct fl_plan_port *port, uint8_t flags, char *buf,
			      size_t size)
{
	char text[FL_IP_PORT_STRLEN];
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < port->n_endpoints; i++) {
		if (port->endpoints[i].flags & flags)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? " " : "",
						fl_ip_port_format(&port->endpoints[i].ip,
								  port->endpoints[i].port, text));
	}
	return buf;
}

/* The frontends as "ClusterIP/10.96.0.10:80 ..." in the order of the plan. */
FIXTURE const char *frontends_text(const struct fl_plan_port *port, char *buf, size_t size)
{
	static const char *const types[] = {"?", "C", "E", "L", "N"};
	char text[FL_IP_PORT_STRLEN];
	size_t len = 0;

	buf[0] = '\0';
	for (size_t i = 0; i < port->n_frontends; i++)
		len += (size_t)snprintf(
			buf + len, size - len, "%s%s/%s", len ? " " : "",
			types[port->frontends[i].type],
			fl_ip_port_format(&port->frontends[i].ip, port->frontends[i].port, text));
	return buf;
}

FIXTURE void expect_text(const char *name, const char *what, const char *got, const char *expected)
{
	if (strcmp(got, expected))
		fail_msg("%s: %s is \"%s\", expected \"%s\"", name, what, got, expected);
}

FIXTURE void expect_list(const char *name, const struct fl_plan_port *port, uint8_t flags,
			 const char *expected)
{
	char text[4096];

	expect_text(name,
		    flags == FL_PLAN_IN_CLUSTER ? "cluster list"
		    : flags == FL_PLAN_IN_LOCAL ? "local list"
						: "reachable list",
		    list_text(port, flags, text, sizeof(text)), expected);
}

FIXTURE void expect_frontends(const char *name, const struct fl_plan_port *port,
			      const char *expected)
{
	char text[4096];

	expect_text(name, "frontends", frontends_text(port, text, sizeof(text)), expected);
}
