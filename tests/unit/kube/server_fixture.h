/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * An API server on loopback that says what the test tells it to. The test is the loop of both ends:
 * a request that comes in is kept until the test answers it, by a part of its request line.
 */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lb/base/clock.h"

#define CONNECTIONS 32
#define PATIENCE_MS 20000 /* of a test that fails */

struct fake_connection {
	int fd; /* 0: none */
	char request[8192];
	size_t len;
	bool asked; /* the request is complete, and not answered to its end */
};

struct fake_server {
	int fd;
	uint16_t port;
	char url[64];
	struct fake_connection connections[CONNECTIONS];
	unsigned int requests; /* so far */
	char last[8192];       /* the request that came in last */
};

static inline void fake_reuse(int fd)
{
	const int on = 1;

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
}

static inline void fake_open(struct fake_server *s)
{
	struct sockaddr_in addr = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(addr);

	*s = (struct fake_server){
		.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
	assert_true(s->fd >= 0);
	fake_reuse(s->fd);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(s->fd, 16), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&addr, &len), 0);
	s->port = ntohs(addr.sin_port);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%u", s->port);
}

static inline void fake_cut(struct fake_connection *c)
{
	if (c->fd)
		close(c->fd);
	*c = (struct fake_connection){0};
}

static inline void fake_close(struct fake_server *s)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		fake_cut(&s->connections[i]);
	close(s->fd);
}

static inline void fake_accept(struct fake_server *s)
{
	int fd;

	while ((fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
		size_t i = 0;

		while (i < CONNECTIONS && s->connections[i].fd)
			i++;
		assert_in_range(i, 0, CONNECTIONS - 1);
		s->connections[i].fd = fd;
	}
}

/* Whether a request is there with all that is sent with it. */
static inline bool fake_is_whole(const char *request)
{
	const char *end = strstr(request, "\r\n\r\n");
	const char *length = strstr(request, "Content-Length: ");

	if (!end)
		return false;
	return !length || length > end ||
	       strlen(end + 4) >= (size_t)atoi(length + strlen("Content-Length: "));
}

static inline void fake_read(struct fake_server *s, struct fake_connection *c)
{
	ssize_t n = read(c->fd, c->request + c->len, sizeof(c->request) - c->len - 1);

	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return;
	if (n <= 0) {
		fake_cut(c);
		return;
	}
	c->len += (size_t)n;
	c->request[c->len] = '\0';
	if (c->asked || !fake_is_whole(c->request))
		return;
	c->asked = true;
	s->requests++;
	snprintf(s->last, sizeof(s->last), "%s", c->request);
}

/* Let both ends do what they can, and wait a moment if that is nothing. */
static inline void fake_turn(struct fake_server *s, int client_fd, int wait_ms)
{
	struct pollfd fds[CONNECTIONS + 2] = {{.fd = client_fd, .events = POLLIN},
					      {.fd = s->fd, .events = POLLIN}};

	for (size_t i = 0; i < CONNECTIONS; i++)
		fds[i + 2] = (struct pollfd){.fd = s->connections[i].fd ? s->connections[i].fd : -1,
					     .events = POLLIN};
	poll(fds, CONNECTIONS + 2, wait_ms);
	fake_accept(s);
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (s->connections[i].fd)
			fake_read(s, &s->connections[i]);
}

/* The connection whose unanswered request has this in it; NULL: none. */
static inline struct fake_connection *fake_asked(struct fake_server *s, const char *what)
{
	for (size_t i = 0; i < CONNECTIONS; i++)
		if (s->connections[i].asked && strstr(s->connections[i].request, what))
			return &s->connections[i];
	return NULL;
}

static inline void fake_write(struct fake_connection *c, const char *text, size_t len)
{
	while (len) {
		ssize_t n = write(c->fd, text, len);

		assert_true(n > 0);
		text += n;
		len -= (size_t)n;
	}
}

/* A whole answer. */
static inline void fake_answer(struct fake_connection *c, const char *status, const char *headers,
			       const char *body)
{
	char head[512];

	snprintf(head, sizeof(head), "HTTP/1.1 %s\r\nContent-Length: %zu\r\n%s\r\n", status,
		 strlen(body), headers);
	fake_write(c, head, strlen(head));
	fake_write(c, body, strlen(body));
	c->asked = false;
	c->len = 0;
}

/* An answer that goes on. */
static inline void fake_begin(struct fake_connection *c)
{
	static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

	fake_write(c, head, sizeof(head) - 1);
}

static inline void fake_say(struct fake_connection *c, const char *text)
{
	char size[24];

	snprintf(size, sizeof(size), "%zx\r\n", strlen(text));
	fake_write(c, size, strlen(size));
	fake_write(c, text, strlen(text));
	fake_write(c, "\r\n", 2);
}

static inline void fake_end(struct fake_connection *c)
{
	fake_write(c, "0\r\n\r\n", 5);
	c->asked = false;
	c->len = 0;
}
