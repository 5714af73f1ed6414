/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Datagrams to the service manager's socket. */
#include "lb/agent/notify.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static bool set_address(struct fl_notify *notify, const char *path)
{
	size_t len = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || len < 2 || len >= sizeof(notify->to.sun_path))
		return false;
	notify->to = (struct sockaddr_un){.sun_family = AF_UNIX};
	memcpy(notify->to.sun_path, path, len);
	/* an abstract name begins with a zero and has no end but its length */
	if (path[0] == '@')
		notify->to.sun_path[0] = '\0';
	else
		len++;
	notify->to_len = (unsigned int)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

static uint64_t number(const char *text)
{
	char *end;
	unsigned long long n;

	if (!text || *text < '0' || *text > '9')
		return 0;
	n = strtoull(text, &end, 10);
	return *end ? 0 : n;
}

struct fl_notify fl_notify_open(const char *notify_socket, const char *watchdog_usec,
				const char *watchdog_pid)
{
	struct fl_notify notify = FL_NOTIFY_NONE;

	if (!notify_socket || !set_address(&notify, notify_socket))
		return notify;
	notify.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* the variables may be meant for the process that started this one */
	if (!watchdog_pid || number(watchdog_pid) == (uint64_t)getpid())
		notify.beat_ms = number(watchdog_usec) / 1000 / 2;
	return notify;
}

void fl_notify_close(struct fl_notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	*notify = (struct fl_notify)FL_NOTIFY_NONE;
}

void fl_notify_send(const struct fl_notify *notify, const char *state)
{
	if (notify->fd >= 0)
		(void)sendto(notify->fd, state, strlen(state), MSG_NOSIGNAL,
			     (const struct sockaddr *)&notify->to, notify->to_len);
}

void fl_notify_reloading(const struct fl_notify *notify, struct fl_mono now)
{
	char state[80];

	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%llu",
		 (unsigned long long)(now.ns / 1000));
	fl_notify_send(notify, state);
}

void fl_notify_status(struct fl_notify *notify, const char *text)
{
	char state[sizeof(notify->status) + 16];

	if (!strncmp(notify->status, text, sizeof(notify->status) - 1))
		return;
	snprintf(notify->status, sizeof(notify->status), "%s", text);
	snprintf(state, sizeof(state), "STATUS=%s", notify->status);
	fl_notify_send(notify, state);
}

void fl_notify_beat(struct fl_notify *notify, struct fl_mono now)
{
	if (!notify->beat_ms || fl_mono_ms_between(notify->beaten, now) < notify->beat_ms)
		return;
	notify->beaten = now;
	fl_notify_send(notify, "WATCHDOG=1");
}
