/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the API answers to a request, apart from HTTP: path and arguments in, status code and
 * document out. */
#pragma once

#include <stddef.h>

struct fl_api_source;
struct fl_json;

#define FL_API_MAX_ARGS 16

struct fl_api_arg {
	const char *key, *value; /* decoded; value "" when there is none */
};

struct fl_api_request {
	const char *method; /* "GET", "POST", ... */
	const char *path;   /* decoded, without the query */
	struct fl_api_arg args[FL_API_MAX_ARGS];
	size_t n_args; /* FL_API_MAX_ARGS + 1: there were more */
};

/* Write the answer, also for errors, and return the HTTP status code. */
unsigned int fl_api_answer(const struct fl_api_source *source, const struct fl_api_request *request,
			   struct fl_json *json);
