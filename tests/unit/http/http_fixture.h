/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A server with one clock that the test moves, listeners in a temporary directory and on loopback,
 * and clients of it. The test is both the loop and the clients, so nothing waits for a clock.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lb/base/clock.h"
#include "lb/base/ip.h"
#include "lb/http/http.h"
#include "lb/http/route.h"

#define END " HTTP/1.1\r\nHost: fairlead\r\nConnection: close\r\n\r\n"
#define END_KEEP " HTTP/1.1\r\nHost: fairlead\r\n\r\n"
#define LARGE_BYTES (8 << 20) /* more than the kernel buffers between two sockets */

struct http_state {
	struct fl_http *http;
	struct fl_mono now;
	char dir[64], path[80]; /* the socket at `path` is made by http_listen() */
	uint16_t port[FL_FAMILIES];
	unsigned int calls;
	uint32_t work_ms; /* time that passes while a handler runs */
};

static inline struct fl_mono http_mono(void *arg)
{
	return ((struct http_state *)arg)->now;
}

static inline void http_pass_ms(struct http_state *s, uint64_t ms)
{
	s->now = fl_mono_plus_ms(s->now, ms);
}

static inline void http_setup(struct http_state *s, const struct fl_http_limits *limits)
{
	struct fl_clock clock = {.mono = http_mono, .arg = s};
	struct fl_err err;

	*s = (struct http_state){.now = {FL_NSEC_PER_SEC}, .dir = "/tmp/fairlead-http-XXXXXX"};
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/http.sock", s->dir);
	if (fl_http_new(limits, &clock, &s->http, &err))
		fail_msg("%s", err.text);
}

static inline void http_teardown(struct http_state *s)
{
	fl_http_free(&s->http);
	unlink(s->path);
	assert_int_equal(rmdir(s->dir), 0);
}

static inline int http_dial(const struct sockaddr *addr, socklen_t len)
{
	int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(connect(fd, addr, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static inline int http_dial_unix(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	strcpy(addr.sun_path, path);
	return http_dial((struct sockaddr *)&addr, sizeof(addr));
}

static inline int http_dial_tcp(enum fl_family family, uint16_t port)
{
	struct sockaddr_in6 v6 = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
	struct sockaddr_in v4 = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return family == FL_IPV4 ? http_dial((struct sockaddr *)&v4, sizeof(v4))
				 : http_dial((struct sockaddr *)&v6, sizeof(v6));
}

static inline void http_send(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Let the server work off all that is due by now. */
static inline void http_settle(struct http_state *s)
{
	struct pollfd fd = {fl_http_fd(s->http), POLLIN, 0};

	fl_http_handle(s->http);
	while (poll(&fd, 1, 0) > 0)
		fl_http_handle(s->http);
}

/* Run the loop until the client's connection ends or `until` has come. False: it was reset. */
static inline bool http_receive(struct http_state *s, int fd, const char *until, char *buf,
				size_t size)
{
	size_t len = 0;
	ssize_t n;

	buf[0] = '\0';
	for (;;) {
		struct pollfd fds[] = {{fl_http_fd(s->http), POLLIN, 0}, {fd, POLLIN, 0}};

		assert_true(poll(fds, 2, 20000) > 0);
		if (fds[0].revents)
			fl_http_handle(s->http);
		if (!fds[1].revents)
			continue;
		n = read(fd, buf + len, size - 1 - len);
		if (n <= 0)
			return !n;
		len += (size_t)n;
		buf[len] = '\0';
		if (until && strstr(buf, until))
			return true;
	}
}

/* One request on a connection, which is closed. The status code, 0: no answer. */
static inline int http_ask(struct http_state *s, int fd, const char *request, char *buf,
			   size_t size)
{
	int code = 0;

	http_send(fd, request);
	http_receive(s, fd, NULL, buf, size);
	close(fd);
	sscanf(buf, "HTTP/1.1 %d", &code);
	return code;
}

/* Whether the server has let go of the connection; what it sent before is dropped. */
static inline bool http_ended(int fd)
{
	char buf[4096];
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) > 0)
		continue;
	return !n || errno != EAGAIN;
}
