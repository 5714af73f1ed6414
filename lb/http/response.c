/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Answers: documents and text. */
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

const char *fl_http_response_body(const struct fl_http_response *response, size_t *ret_len)
{
	if (response->json)
		return fl_json_text(response->json, ret_len);
	*ret_len = response->text ? strlen(response->text) : 0;
	return response->text;
}
