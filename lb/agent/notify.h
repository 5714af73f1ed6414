/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Telling the service manager how things are, as sd_notify(3) describes it: that the agent is
 * ready, reloading or stopping, a line for people, and that its loop still turns. Without a manager
 * that asked for it nothing is sent.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/un.h>

#include "lb/base/clock.h"

struct fl_notify {
	int fd; /* -1: nobody asked */
	struct sockaddr_un to;
	unsigned int to_len;
	uint64_t beat_ms; /* how often the manager wants to hear; 0: not at all */
	struct fl_mono beaten;
	char status[160]; /* that was sent last */
};
#define FL_NOTIFY_NONE                                                                             \
	{                                                                                          \
		.fd = -1                                                                           \
	}

/* By the values of the environment's NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID (NULL: not set).
 * What cannot be understood counts as not set. */
struct fl_notify fl_notify_open(const char *notify_socket, const char *watchdog_usec,
				const char *watchdog_pid);
void fl_notify_close(struct fl_notify *notify);

/* "READY=1", "STOPPING=1", ...; lost when the manager does not read. */
void fl_notify_send(const struct fl_notify *notify, const char *state);
/* A reload begins; "READY=1" ends it. */
void fl_notify_reloading(const struct fl_notify *notify, struct fl_mono now);
/* The line that `systemctl status` shows; sent when it is another one. */
void fl_notify_status(struct fl_notify *notify, const char *text);
/* To be called each time the loop turns, once a second at least. */
void fl_notify_beat(struct fl_notify *notify, struct fl_mono now);
