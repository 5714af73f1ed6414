/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * HTTP for the JSON API: libmicrohttpd without threads, on connections that we accepted and whose
 * peer we looked at. One epoll descriptor holds the listener, libmicrohttpd's own epoll and a timer
 * for its timeouts, so the agent's loop watches a single descriptor.
 */
#include "lb/api/api.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "lb/api/listen.h"
#include "lb/api/routes.h"
#include "lb/base/cleanup.h"
#include "lb/base/clock.h"
#include "lb/base/json_write.h"

#define MAX_CONNECTIONS 64
#define MAX_ACCEPTS 16 /* per wake-up, so that a crowd at the door does not starve the loop */
#define TIMEOUT_S 5    /* of an idle connection */
#define CONNECTION_MEMORY 16384 /* limits request line and headers too */
#define MAX_BODY 4096
#define PAUSE_MS 500
#define TURN_NS (10 * 1000 * 1000) /* answers are made for so long in one turn of the loop */

struct fl_api {
	struct fl_api_source source;
	struct fl_listener listener;
	int epoll_fd, timer_fd;
	bool paused; /* the listener is not watched: no descriptors left to accept with */
	struct MHD_Daemon *daemon;
	uint64_t turn_ends_ns;
	/* suspended: their answers are made in a later turn, after what is more urgent */
	struct MHD_Connection *waiting[MAX_CONNECTIONS];
	size_t n_waiting;
};

/* Per request: libmicrohttpd calls several times until the body is there. */
struct request {
	size_t body_bytes;
};

static enum MHD_Result collect_arg(void *arg, enum MHD_ValueKind kind, const char *key,
				   const char *value)
{
	struct fl_api_request *request = arg;

	if (request->n_args >= FL_API_MAX_ARGS) {
		request->n_args = FL_API_MAX_ARGS + 1;
		return MHD_NO;
	}
	request->args[request->n_args++] = (struct fl_api_arg){key, value ? value : ""};
	return MHD_YES;
}

static enum MHD_Result respond(struct MHD_Connection *connection, unsigned int code,
			       const char *text, size_t len)
{
	struct MHD_Response *response;
	enum MHD_Result result;

	response = MHD_create_response_from_buffer(len, (void *)text, MHD_RESPMEM_MUST_COPY);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	result = MHD_queue_response(connection, code, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer(struct fl_api *api, struct MHD_Connection *connection,
			      const char *url, const char *method)
{
	static const char no_memory[] = "{\"apiVersion\":\"fairlead.dev/v1\",\"kind\":\"Error\","
					"\"code\":500,\"message\":\"no memory\"}\n";
	struct fl_api_request request = {.method = method, .path = url};
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(false);
	const char *text;
	unsigned int code;
	size_t len;

	MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, collect_arg, &request);
	code = json ? fl_api_answer(&api->source, &request, json) : 500;
	text = fl_json_text(json, &len);
	if (!text)
		return respond(connection, 500, no_memory, sizeof(no_memory) - 1);
	return respond(connection, code, text, len);
}

static enum MHD_Result handle_request(void *arg, struct MHD_Connection *connection, const char *url,
				      const char *method, const char *version, const char *body,
				      size_t *body_bytes, void **state)
{
	struct request *request = *state;
	struct fl_api *api = arg;

	if (!request) {
		request = calloc(1, sizeof(*request));
		*state = request;
		return request ? MHD_YES : MHD_NO;
	}
	if (*body_bytes) {
		/* no request has a body that matters; a little is read and dropped, much ends the
		 * connection */
		request->body_bytes += *body_bytes;
		*body_bytes = 0;
		return request->body_bytes > MAX_BODY ? MHD_NO : MHD_YES;
	}
	if (api->n_waiting < MAX_CONNECTIONS && fl_mono_now().ns > api->turn_ends_ns) {
		api->waiting[api->n_waiting++] = connection;
		MHD_suspend_connection(connection);
		return MHD_YES;
	}
	return answer(api, connection, url, method);
}

static void request_completed(void *arg, struct MHD_Connection *connection, void **state,
			      enum MHD_RequestTerminationCode code)
{
	free(TAKE_PTR(*state));
}

static int watch(struct fl_api *api, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(api->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int start(struct fl_api *api, struct fl_err *err)
{
	const union MHD_DaemonInfo *info;
	int rc;

	api->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (api->epoll_fd < 0)
		return fl_err_set(err, -errno, "cannot make an epoll descriptor: %s",
				  strerror(errno));
	api->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (api->timer_fd < 0)
		return fl_err_set(err, -errno, "cannot make a timer: %s", strerror(errno));
	api->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		handle_request, api, MHD_OPTION_CONNECTION_LIMIT, (unsigned int)MAX_CONNECTIONS,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)TIMEOUT_S,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_NOTIFY_COMPLETED, request_completed, NULL, MHD_OPTION_END);
	info = api->daemon ? MHD_get_daemon_info(api->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info)
		return fl_err_set(err, -ENOMEM, "cannot start the HTTP server");
	rc = watch(api, api->listener.fd);
	if (!rc)
		rc = watch(api, api->timer_fd);
	if (!rc)
		rc = watch(api, info->epoll_fd);
	return rc ? fl_err_set(err, rc, "cannot watch a descriptor: %s", strerror(-rc)) : 0;
}

int fl_api_open(const char *path, const struct fl_api_source *source, struct fl_api **ret_api,
		struct fl_err *err)
{
	_cleanup_(fl_api_close) struct fl_api *api = calloc(1, sizeof(*api));
	int rc;

	if (!api)
		return fl_err_set(err, -ENOMEM, "no memory");
	api->source = *source;
	api->listener.fd = api->epoll_fd = api->timer_fd = -1;
	rc = fl_listener_open(&api->listener, path, err);
	if (!rc)
		rc = start(api, err);
	if (rc)
		return fl_err_wrap(err, rc, "API socket");
	*ret_api = TAKE_PTR(api);
	return 0;
}

int fl_api_fd(const struct fl_api *api)
{
	return api->epoll_fd;
}

/* A listener that is readable but cannot be accepted from would keep the loop spinning. */
static void pause_listener(struct fl_api *api)
{
	api->paused = !epoll_ctl(api->epoll_fd, EPOLL_CTL_DEL, api->listener.fd, NULL);
}

static void accept_all(struct fl_api *api)
{
	/* libmicrohttpd wants an address; a Unix peer's says nothing */
	const struct sockaddr peer = {.sa_family = AF_UNIX};

	if (api->paused)
		api->paused = watch(api, api->listener.fd) != 0;
	for (int i = 0; i < MAX_ACCEPTS; i++) {
		int fd, rc = fl_listener_accept(&api->listener, &fd);

		if (rc == -EACCES || rc == -EINTR || rc == -ECONNABORTED)
			continue;
		if (rc) {
			if (rc != -EAGAIN && !api->paused)
				pause_listener(api);
			return;
		}
		/* closes fd in any case */
		MHD_add_connection(api->daemon, fd, &peer, sizeof(peer));
	}
}

static void set_timer(struct fl_api *api)
{
	MHD_UNSIGNED_LONG_LONG ms = 0;
	struct itimerspec when = {0};
	bool due = MHD_get_timeout(api->daemon, &ms) == MHD_YES || api->n_waiting;
	uint64_t expirations;

	while (read(api->timer_fd, &expirations, sizeof(expirations)) > 0)
		continue;
	if (api->paused && (!due || ms > PAUSE_MS)) {
		due = true;
		ms = PAUSE_MS;
	}
	if (api->n_waiting)
		ms = 0;
	if (due) {
		when.it_value.tv_sec = (time_t)(ms / 1000);
		/* an all-zero value would disarm it */
		when.it_value.tv_nsec = (long)(ms % 1000) * 1000000 + 1;
	}
	timerfd_settime(api->timer_fd, 0, &when, NULL);
}

static void resume_all(struct fl_api *api)
{
	while (api->n_waiting)
		MHD_resume_connection(api->waiting[--api->n_waiting]);
}

void fl_api_handle(struct fl_api *api)
{
	accept_all(api);
	resume_all(api);
	api->turn_ends_ns = fl_mono_now().ns + TURN_NS;
	MHD_run(api->daemon);
	set_timer(api);
}

int fl_api_mend(struct fl_api *api, struct fl_err *err)
{
	struct fl_listener listener = {.fd = -1};
	struct stat st;
	int rc;

	if (!lstat(api->listener.path, &st) || errno != ENOENT)
		return 0;
	rc = fl_listener_open(&listener, api->listener.path, err);
	if (rc)
		return fl_err_wrap(err, rc, "API socket");
	rc = watch(api, listener.fd);
	if (rc) {
		fl_listener_close(&listener);
		return fl_err_set(err, rc, "cannot watch a descriptor: %s", strerror(-rc));
	}
	fl_closep(&api->listener.fd); /* nothing is left there to unlink */
	api->listener = listener;
	api->paused = false;
	return 0;
}

void fl_api_close(struct fl_api **apip)
{
	struct fl_api *api = *apip;

	if (!api)
		return;
	fl_listener_close(&api->listener);
	resume_all(api);
	if (api->daemon)
		MHD_stop_daemon(api->daemon);
	fl_closep(&api->timer_fd);
	fl_closep(&api->epoll_fd);
	free(api);
	*apip = NULL;
}
