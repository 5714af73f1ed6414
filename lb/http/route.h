/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an HTTP listener serves: a table of routes, what their handlers get, and what they answer
 * with. Sockets are not known here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/ip.h"

struct fl_http_request;
struct fl_http_response;
struct fl_json;

#define FL_HTTP_MAX_ARGS 32    /* in the query of a request */
#define FL_HTTP_MAX_SEGMENTS 4 /* behind a route's path */
#define FL_HTTP_ROUTE_ARGS 4   /* that a route can name */

struct fl_http_arg {
	const char *key, *value; /* decoded; value "" when there is none */
};

struct fl_http_request {
	const char *method;  /* "GET", "POST", ... */
	const char *path;    /* decoded, without the query */
	struct fl_ip local;  /* where a TCP client has connected to, and at which port */
	uint16_t local_port; /* 0: by a Unix socket */
	/* of the query, and behind them the segments that the route names */
	struct fl_http_arg args[FL_HTTP_MAX_ARGS + FL_HTTP_MAX_SEGMENTS];
	size_t n_args;
	bool too_many_args;
};

/* The first value of an argument, or NULL. */
const char *fl_http_request_arg(const struct fl_http_request *request, const char *key);

struct fl_http_route {
	const char *method; /* a route for GET answers HEAD as well; NULL: any */
	const char *path;   /* without a slash at its end; NULL: any */
	/*
	 * The segments that must follow the path, none of them empty; the handler finds each as an
	 * argument of this name.
	 */
	const char *segments[FL_HTTP_MAX_SEGMENTS];
	/* Answers by one of the fl_http_respond_*(); without an answer the client gets a 500. */
	void (*handle)(const struct fl_http_request *request, struct fl_http_response *response,
		       void *arg);
	bool any_args; /* the handler looks at the query itself; else others than these are a 400 */
	const char *args[FL_HTTP_ROUTE_ARGS];
};

struct fl_http_routes {
	const struct fl_http_route *routes; /* the first that matches answers */
	size_t n_routes;
	void *arg; /* for the handlers */
	/* Answer what no handler was asked about: 400, 404, 405, 413. NULL: in plain text. */
	void (*refuse)(struct fl_http_response *response, unsigned int code, const char *message);
};

/* Find the route and let it answer, or refuse. */
void fl_http_routes_answer(const struct fl_http_routes *routes, struct fl_http_request *request,
			   struct fl_http_response *response);
/* Answer with an error in the listener's own form. */
void fl_http_routes_refuse(const struct fl_http_routes *routes, struct fl_http_response *response,
			   unsigned int code, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#define FL_HTTP_MAX_HEADERS 2

struct fl_http_response {
	unsigned int code; /* 0: no answer yet */
	const char *type;  /* Content-Type */
	const char *allow; /* the method a 405 wants, or NULL */
	/* further ones, by fl_http_response_header() */
	struct fl_http_header {
		const char *name;
		char value[32];
	} headers[FL_HTTP_MAX_HEADERS];
	size_t n_headers;
	/* one of them, owned; neither: out of memory */
	struct fl_json *json;
	char *text;
};

/* Take the document. NULL, or a document that failed, becomes a 500. */
void fl_http_respond_json(struct fl_http_response *response, unsigned int code,
			  struct fl_json **json);
/* Take the text. NULL becomes a 500. */
void fl_http_respond_owned(struct fl_http_response *response, unsigned int code, const char *type,
			   char *text);
void fl_http_respond_text(struct fl_http_response *response, unsigned int code, const char *fmt,
			  ...) __attribute__((format(printf, 3, 4)));
/* Add a header to the answer that was given before. */
void fl_http_response_header(struct fl_http_response *response, const char *name, const char *fmt,
			     ...) __attribute__((format(printf, 3, 4)));
/* What is sent, borrowed from the response; NULL when there was no memory for it. */
const char *fl_http_response_body(const struct fl_http_response *response, size_t *ret_len);
void fl_http_response_fini(struct fl_http_response *response);
