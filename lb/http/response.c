/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers: documents and text. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/http/route.h"

void fl_http_response_fini(struct fl_http_response *response)
{
	fl_json_free(&response->json);
	free(response->text);
	*response = (struct fl_http_response){0};
}

void fl_http_respond_json(struct fl_http_response *response, unsigned int code,
			  struct fl_json **json)
{
	fl_http_response_fini(response);
	*response = (struct fl_http_response){
		.code = code, .type = "application/json", .json = TAKE_PTR(*json)};
}

void fl_http_respond_owned(struct fl_http_response *response, unsigned int code, const char *type,
			   char *text)
{
	fl_http_response_fini(response);
	*response = (struct fl_http_response){.code = code, .type = type, .text = text};
}

void fl_http_respond_text(struct fl_http_response *response, unsigned int code, const char *fmt,
			  ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	va_end(ap);
	fl_http_response_fini(response);
	*response = (struct fl_http_response){
		.code = code, .type = "text/plain; charset=utf-8", .text = text};
}

void fl_http_response_header(struct fl_http_response *response, const char *name, const char *fmt,
			     ...)
{
	struct fl_http_header *header;
	va_list ap;

	assert(response->n_headers < FL_HTTP_MAX_HEADERS);
	header = &response->headers[response->n_headers++];
	header->name = name;
	va_start(ap, fmt);
	vsnprintf(header->value, sizeof(header->value), fmt, ap);
	va_end(ap);
}

const char *fl_http_response_body(const struct fl_http_response *response, size_t *ret_len)
{
	if (response->json)
		return fl_json_text(response->json, ret_len);
	*ret_len = response->text ? strlen(response->text) : 0;
	return response->text;
}
