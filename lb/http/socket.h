/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A listening socket: how it is made, which peers it lets in, and whose file may be replaced. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lb/base/err.h"
#include "lb/base/ip.h"

struct fl_http_socket {
	int fd;		 /* non-blocking, close-on-exec; -1 none */
	struct fl_ip ip; /* of TCP, with the port that was asked for */
	uint16_t port;
	char path[108]; /* "" for TCP */
	mode_t mode;
	/* the file we made: fl_http_socket_close() removes no other */
	dev_t dev;
	ino_t ino;
};

/* Errors as fl_http_listen_unix() and fl_http_listen_tcp() say. */
int fl_http_socket_open_unix(const char *path, mode_t mode, struct fl_http_socket *ret_socket,
			     struct fl_err *err);
int fl_http_socket_open_tcp(const struct fl_ip *ip, uint16_t port, bool v6_only,
			    struct fl_http_socket *ret_socket, uint16_t *ret_port,
			    struct fl_err *err);
void fl_http_socket_close(struct fl_http_socket *sock);
/* Whether the file of a Unix socket was removed. */
bool fl_http_socket_is_lost(const struct fl_http_socket *sock);
/*
 * Accept one connection. -EAGAIN when there is none, -EACCES after one that was turned away, or
 * the error of accept().
 */
int fl_http_socket_accept(const struct fl_http_socket *sock, int *ret_fd);
