/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The agent's API over its Unix socket, by libcurl. */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "lb/base/clock.h"
#include "lb/base/doc.h"
#include "tools/ask.h"

#define CONNECT_TIMEOUT_S 2L
#define TIMEOUT_S 10L
#define PATIENCE_MS 300 /* then it is looked whether the agent is stopped */
#define SLOW_MS 1000
#define POLL_MS 100

struct body {
	char *text;
	size_t len, room;
	bool too_long;
	bool tell; /* when the agent is slow; once */
	int fd;	   /* libcurl's connection; -1 none yet */
};

static size_t receive(char *data, size_t size, size_t n, void *arg)
{
	struct body *body = arg;
	size_t len = size * n;

	if (len > FL_DOC_MAX_BYTES - body->len) {
		body->too_long = true;
		return 0;
	}
	if (FL_ARRAY_ROOM(body->text, body->room, body->len + len + 1))
		return 0;
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

/* To know the descriptor while libcurl is at work on it. */
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *addr)
{
	struct body *body = arg;

	body->fd = socket(addr->family, addr->socktype | SOCK_CLOEXEC, addr->protocol);
	return body->fd;
}

/* The process that listens there, 0 when it cannot be known (another PID namespace). */
static pid_t peer_pid(int fd)
{
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);

	return fd >= 0 && !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) ? peer.pid : 0;
}

/* By a signal, or by a debugger: it cannot answer until it is continued. */
static bool is_stopped(pid_t pid)
{
	char path[32], line[512] = "", *end;
	_cleanup_fclose_ FILE *stat = NULL;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stat = pid ? fopen(path, "re") : NULL;
	if (!stat || !fgets(line, sizeof(line), stat))
		return false;
	end = strrchr(line, ')'); /* the name before it may hold anything */
	return end && end[1] == ' ' && (end[2] == 'T' || end[2] == 't');
}

/* Transfer, but do not wait for an agent that is stopped. */
static int transfer(CURLM *multi, struct body *body, CURLcode *ret_rc, struct fl_err *err)
{
	struct fl_mono begin = fl_mono_now();
	int running = 1, left;
	CURLMsg *message;

	while (!curl_multi_perform(multi, &running) && running) {
		uint64_t ms = fl_mono_ms_between(begin, fl_mono_now());

		if (!body->len && ms >= PATIENCE_MS) {
			pid_t pid = peer_pid(body->fd);

			if (is_stopped(pid))
				return fl_err_set(err, -ETIMEDOUT, "process %d is stopped",
						  (int)pid);
			if (ms >= SLOW_MS && body->tell)
				fl_say("the agent is slow to answer; waiting up to %ld s",
				       TIMEOUT_S);
			body->tell &= ms < SLOW_MS;
		}
		curl_multi_poll(multi, NULL, 0, POLL_MS, NULL);
	}
	message = curl_multi_info_read(multi, &left);
	*ret_rc = message ? message->data.result : CURLE_OUT_OF_MEMORY;
	return 0;
}

static int perform(CURL *curl, struct body *body, struct fl_err *err)
{
	CURLM *multi = curl_multi_init();
	CURLcode rc = CURLE_OK;
	int r;

	if (!multi || curl_multi_add_handle(multi, curl)) {
		curl_multi_cleanup(multi);
		return fl_err_set(err, -ENOMEM, "no memory");
	}
	r = transfer(multi, body, &rc, err);
	if (!r && rc)
		r = request_failed(curl, rc, body, err);
	curl_multi_remove_handle(multi, curl);
	curl_multi_cleanup(multi);
	return r;
}

int fl_client_request(const char *socket, const char *method, const char *path, bool tell,
		      char **ret_text, size_t *ret_len, long *ret_code, struct fl_err *err)
{
	_cleanup_free_ char *url = NULL;
	struct body body = {.tell = tell, .fd = -1};
	CURL *curl;
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
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, &body);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, receive);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &body);
	if (!strcmp(method, "POST")) {
		curl_easy_setopt(curl, CURLOPT_POST, 1L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	}
	r = perform(curl, &body, err);
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
