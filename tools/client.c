/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's API over its Unix socket, by libcurl. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "tools/ask.h"

#define CONNECT_TIMEOUT_S 2L
#define TIMEOUT_S 10L

struct body {
	char *text;
	size_t len, room;
	bool too_long;
};

static size_t receive(char *data, size_t size, size_t n, void *arg)
{
	struct body *body = arg;
	size_t len = size * n;
	char *grown;

	if (len > FL_DOC_MAX_BYTES - body->len) {
		body->too_long = true;
		return 0;
	}
	if (body->len + len + 1 > body->room) {
		body->room = (body->len + len + 1) * 2;
		grown = realloc(body->text, body->room);
		if (!grown)
			return 0;
		body->text = grown;
	}
	memcpy(body->text + body->len, data, len);
	body->len += len;
	body->text[body->len] = '\0';
	return len;
}

static int request_failed(CURL *curl, CURLcode rc, const struct body *body, struct fl_err *err)
{
	long number = 0;

	if (body->too_long)
		return fl_err_set(err, -E2BIG, "the agent's answer is longer than %u bytes",
				  FL_DOC_MAX_BYTES);
	if (rc == CURLE_WRITE_ERROR || rc == CURLE_OUT_OF_MEMORY)
		return fl_err_set(err, -ENOMEM, "no memory");
	curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
	if (rc == CURLE_COULDNT_CONNECT && number)
		return fl_err_set(err, -ECONNREFUSED, "%s", strerror((int)number));
	return fl_err_set(err, -ECONNREFUSED, "%s", curl_easy_strerror(rc));
}

/* A missing socket is not worth a CURL error text; libcurl also loses the errno of connect() on
 * Unix sockets. */
static int check_path(const char *socket, struct fl_err *err)
{
	if (access(socket, R_OK | W_OK))
		return fl_err_set(err, -ECONNREFUSED, "%s", strerror(errno));
	return 0;
}

int fl_client_request(const char *socket, const char *method, const char *path, char **ret_text,
		      size_t *ret_len, long *ret_code, struct fl_err *err)
{
	_cleanup_free_ char *url = NULL;
	struct body body = {0};
	CURL *curl;
	CURLcode rc;
	int r;

	r = check_path(socket, err);
	if (r)
		return r;
	if (asprintf(&url, "http://fairlead%s", path) < 0) {
		url = NULL;
		return fl_err_set(err, -ENOMEM, "no memory");
	}
	curl = curl_easy_init();
	if (!curl)
		return fl_err_set(err, -ENOMEM, "cannot start an HTTP client");
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, socket);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	}
	rc = curl_easy_perform(curl);
	r = rc == CURLE_OK ? 0 : request_failed(curl, rc, &body, err);
	if (!r)
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_code);
	curl_easy_cleanup(curl);
	if (!r && !body.text)
		r = fl_err_set(err, -EPROTO, "the agent's answer is empty");
	if (r) {
		free(body.text);
		return r;
	}
	*ret_text = body.text;
	*ret_len = body.len;
	return 0;
}
