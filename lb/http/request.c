/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* libmicrohttpd's side of a listener: from its callbacks to the routes, and back. */
#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lb/base/cleanup.h"
#include "lb/base/json_write.h"
#include "lb/http/listener.h"

#define CONNECTION_MEMORY 16384 /* limits request line and headers too */

static struct fl_mono now(const struct fl_http_listener *listener)
{
	return fl_clock_now(&listener->shared->clock);
}

static enum MHD_Result collect_arg(void *arg, enum MHD_ValueKind kind, const char *key,
				   const char *value)
{
	struct fl_http_request *request = arg;

	request->too_many_args = request->n_args >= FL_HTTP_MAX_ARGS;
	if (request->too_many_args)
		return MHD_NO;
	request->args[request->n_args++] = (struct fl_http_arg){key, value ? value : ""};
	return MHD_YES;
}

static void free_json(void *arg)
{
	struct fl_json *json = arg;

	fl_json_free(&json);
}

/* Takes the body out of the response: libmicrohttpd frees it when it is sent. */
static struct MHD_Response *make_response(struct fl_http_response *response)
{
	static const char no_memory[] = "no memory\n";
	struct MHD_Response *made;
	const char *body;
	size_t len;

	body = fl_http_response_body(response, &len);
	if (!body) {
		response->code = 500;
		response->type = "text/plain";
		return MHD_create_response_from_buffer(sizeof(no_memory) - 1, (void *)no_memory,
						       MHD_RESPMEM_PERSISTENT);
	}
	if (!response->json) {
		made = MHD_create_response_from_buffer(len, response->text, MHD_RESPMEM_MUST_FREE);
		if (made)
			response->text = NULL;
		return made;
	}
	made = MHD_create_response_from_buffer_with_free_callback_cls(len, (void *)body, free_json,
								      response->json);
	if (made)
		response->json = NULL;
	return made;
}

static enum MHD_Result send_response(struct fl_http_listener *listener,
				     struct fl_http_connection *connection,
				     struct fl_http_response *response)
{
	struct MHD_Response *made = make_response(response);
	enum MHD_Result result;

	if (!made)
		return MHD_NO;
	MHD_add_response_header(made, MHD_HTTP_HEADER_CONTENT_TYPE, response->type);
	MHD_add_response_header(made, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (response->allow)
		MHD_add_response_header(made, MHD_HTTP_HEADER_ALLOW, response->allow);
	for (size_t i = 0; i < response->n_headers; i++)
		MHD_add_response_header(made, response->headers[i].name,
					response->headers[i].value);
	fl_http_connection_enter(&listener->connections, connection, FL_HTTP_SENDING,
				 now(listener));
	result = MHD_queue_response(connection->mhd, response->code, made);
	MHD_destroy_response(made);
	return result;
}

/* Whom a client of a TCP socket has asked; the socket may be a wildcard's. */
static void fill_local(const struct fl_http_connection *connection, struct fl_http_request *request)
{
	struct sockaddr_storage addr;
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&addr;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&addr;
	socklen_t len = sizeof(addr);

	if (getsockname(connection->fd, (struct sockaddr *)&addr, &len))
		return;
	if (addr.ss_family == AF_INET) {
		request->local = fl_ip_from_ipv4(&v4->sin_addr);
		request->local_port = ntohs(v4->sin_port);
	} else if (addr.ss_family == AF_INET6) {
		memcpy(request->local.b, &v6->sin6_addr, sizeof(request->local.b));
		request->local_port = ntohs(v6->sin6_port);
	}
}

/* A body that is announced as too long is refused before it is sent. */
static enum MHD_Result begin_request(struct fl_http_listener *listener,
				     struct fl_http_connection *connection)
{
	const char *length = MHD_lookup_connection_value(connection->mhd, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);
	_cleanup_(fl_http_response_fini) struct fl_http_response response = {0};
	uint32_t limit = listener->shared->limits.body_bytes;

	connection->body_bytes = 0;
	if (!length || strtoull(length, NULL, 10) <= limit)
		return MHD_YES;
	fl_http_routes_refuse(&listener->routes, &response, 413, "the body is longer than %u bytes",
			      limit);
	return send_response(listener, connection, &response);
}

static enum MHD_Result handle_request(void *arg, struct MHD_Connection *mhd, const char *url,
				      const char *method, const char *version, const char *body,
				      size_t *body_bytes, void **state)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	_cleanup_(fl_http_response_fini) struct fl_http_response response = {0};
	struct fl_http_request request = {.method = method, .path = url};
	struct fl_http_connection *connection = info ? info->socket_context : NULL;
	struct fl_http_listener *listener = arg;

	if (!connection)
		return MHD_NO;
	if (!*state) {
		*state = connection;
		return begin_request(listener, connection);
	}
	if (*body_bytes) {
		/* no route needs a body; a short one is read and dropped */
		connection->body_bytes += *body_bytes;
		*body_bytes = 0;
		return connection->body_bytes > listener->shared->limits.body_bytes ? MHD_NO
										    : MHD_YES;
	}
	if (now(listener).ns > listener->turn_ends.ns) {
		if (connection->phase != FL_HTTP_WAITING)
			fl_http_connection_enter(&listener->connections, connection,
						 FL_HTTP_WAITING, now(listener));
		connection->suspended = true;
		MHD_suspend_connection(mhd);
		return MHD_YES;
	}
	MHD_get_connection_values(mhd, MHD_GET_ARGUMENT_KIND, collect_arg, &request);
	fill_local(connection, &request);
	fl_http_routes_answer(&listener->routes, &request, &response);
	return send_response(listener, connection, &response);
}

static void request_completed(void *arg, struct MHD_Connection *mhd, void **state,
			      enum MHD_RequestTerminationCode code)
{
	struct fl_http_listener *listener = arg;

	if (*state)
		fl_http_connection_enter(&listener->connections, *state, FL_HTTP_RECEIVING,
					 now(listener));
	*state = NULL;
}

static void connection_changed(void *arg, struct MHD_Connection *mhd, void **context,
			       enum MHD_ConnectionNotificationCode code)
{
	struct fl_http_listener *listener = arg;
	int fd;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		if (*context)
			fl_http_connection_remove(&listener->connections, *context);
		*context = NULL;
		return;
	}
	fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	*context = fl_http_connection_add(&listener->connections, mhd, fd, now(listener));
	if (!*context)
		shutdown(fd, SHUT_RDWR);
}

struct MHD_Daemon *fl_http_listener_daemon(struct fl_http_listener *listener,
					   unsigned int max_connections)
{
	return MHD_start_daemon(
		MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
		handle_request, listener, MHD_OPTION_CONNECTION_LIMIT, max_connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
		MHD_OPTION_NOTIFY_CONNECTION, connection_changed, listener,
		MHD_OPTION_NOTIFY_COMPLETED, request_completed, listener, MHD_OPTION_END);
}
