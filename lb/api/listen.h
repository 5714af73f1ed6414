/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Unix socket the API listens on: who may connect, and whose file may be replaced. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "lb/base/err.h"

struct fl_listener {
	int fd; /* non-blocking, close-on-exec */
	char path[108];
	/* the file we made: fl_listener_close() removes no other */
	dev_t dev;
	ino_t ino;
};

/* Errors as fl_api_open() says. */
int fl_listener_open(struct fl_listener *listener, const char *path, struct fl_err *err);
void fl_listener_close(struct fl_listener *listener);
/*
 * Accept one connection, from root or our own user; others are closed. -EAGAIN when there is none,
 * -EACCES after one that was turned away, or what accept said.
 */
int fl_listener_accept(struct fl_listener *listener, int *ret_fd);
