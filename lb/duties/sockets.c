/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Merging what is wanted into what is there. */
#include "lb/duties/sockets.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/err.h"
#include "lb/http/http.h"

#define SUBJECT_STRLEN 640 /* with a Service's namespace and name */

struct fl_socket {
	struct fl_ip ip;
	uint16_t port;
	bool v6_only, implied;
	char *what, *service; /* owned; service "": of none */
	int error;	      /* 0: it is open */
	bool tried;
};

static int compare(const void *a, const void *b)
{
	const struct fl_socket *x = a, *y = b;
	int order = (x->port > y->port) - (x->port < y->port);

	return order ? order : fl_ip_cmp(&x->ip, &y->ip);
}

static void list_free(struct fl_socket *list, size_t n)
{
	for (size_t i = 0; list && i < n; i++) {
		free(list[i].what);
		free(list[i].service);
	}
	free(list);
}

/* "health-check 0.0.0.0:30100 default/web" */
static const char *subject_of(const struct fl_sockets *sockets, const struct fl_socket *sock,
			      char buf[static SUBJECT_STRLEN])
{
	char text[FL_IP_PORT_STRLEN];

	snprintf(buf, SUBJECT_STRLEN, "%s %s%s%s", sockets->server,
		 fl_ip_port_format(&sock->ip, sock->port, text), *sock->service ? " " : "",
		 sock->service);
	return buf;
}

/* Nothing is wrong with a machine that has one family only. */
static bool is_absent(const struct fl_socket *sock)
{
	return sock->implied && (sock->error == -EADDRNOTAVAIL || sock->error == -EAFNOSUPPORT);
}

static void report(const struct fl_sockets *sockets, const struct fl_socket *sock)
{
	char text[FL_IP_PORT_STRLEN], subject[SUBJECT_STRLEN];

	subject_of(sockets, sock, subject);
	if (!sock->error || is_absent(sock))
		fl_health_clear(sockets->health, FL_CONDITION_LISTEN, subject);
	else
		fl_health_set(sockets->health, FL_CONDITION_LISTEN, subject, sockets->level,
			      "cannot listen on %s for %s%s%s: %s",
			      fl_ip_port_format(&sock->ip, sock->port, text), sock->what,
			      *sock->service ? " " : "", sock->service, strerror(-sock->error));
}

static void forget(const struct fl_sockets *sockets, const struct fl_socket *sock)
{
	char subject[SUBJECT_STRLEN];

	fl_health_clear(sockets->health, FL_CONDITION_LISTEN, subject_of(sockets, sock, subject));
}

static void try_to_open(const struct fl_sockets *sockets, struct fl_socket *sock)
{
	sock->tried = true;
	sock->error = fl_http_listener_open(sockets->listener, &sock->ip, sock->port, sock->v6_only,
					    NULL, NULL);
	report(sockets, sock);
}

static void drop(const struct fl_sockets *sockets, const struct fl_socket *sock)
{
	if (!sock->error)
		fl_http_listener_close(sockets->listener, &sock->ip, sock->port);
	forget(sockets, sock);
}

void fl_sockets_fini(struct fl_sockets *sockets)
{
	list_free(sockets->sockets, sockets->n);
	sockets->sockets = NULL;
	sockets->n = 0;
}

/* Sorted, without duplicates. NULL: no memory. */
static struct fl_socket *list_of(const struct fl_socket_want *wants, size_t n, size_t *ret_n)
{
	struct fl_socket *list = calloc(n + 1, sizeof(*list));
	size_t unique = 0;

	for (size_t i = 0; list && i < n; i++) {
		list[i] = (struct fl_socket){
			.ip = wants[i].ip,
			.port = wants[i].port,
			.v6_only = wants[i].v6_only,
			.implied = wants[i].implied,
			.what = strdup(wants[i].what),
			.service = strdup(wants[i].service ? wants[i].service : "")};
		if (list[i].what && list[i].service)
			continue;
		list_free(list, i + 1);
		return NULL;
	}
	if (!list)
		return NULL;
	qsort(list, n, sizeof(*list), compare);
	for (size_t i = 0; i < n; i++)
		if (unique && !compare(&list[unique - 1], &list[i])) {
			free(list[i].what);
			free(list[i].service);
		} else {
			list[unique++] = list[i];
		}
	*ret_n = unique;
	return list;
}

int fl_sockets_set(struct fl_sockets *sockets, const struct fl_socket_want *wants, size_t n)
{
	struct fl_socket *old = sockets->sockets, *list = list_of(wants, n, &n);
	const size_t n_old = sockets->n;

	if (!list)
		return -ENOMEM;
	/* closed first: what is wanted may need the port */
	for (size_t i = 0, j = 0; i < n_old; i++) {
		while (j < n && compare(&list[j], &old[i]) < 0)
			j++;
		if (j == n || compare(&list[j], &old[i])) {
			drop(sockets, &old[i]);
			continue;
		}
		list[j].error = old[i].error;
		list[j].tried = true;
		if (strcmp(list[j].service, old[i].service))
			forget(sockets, &old[i]);
	}
	for (size_t j = 0; j < n; j++)
		if (!list[j].tried)
			try_to_open(sockets, &list[j]);
		else if (list[j].error)
			report(sockets, &list[j]); /* it may be for something else now */
	list_free(old, n_old);
	sockets->sockets = list;
	sockets->n = n;
	return 0;
}

void fl_sockets_retry(struct fl_sockets *sockets)
{
	for (size_t i = 0; i < sockets->n; i++)
		if (sockets->sockets[i].error)
			try_to_open(sockets, &sockets->sockets[i]);
}

int fl_sockets_error(const struct fl_sockets *sockets, struct fl_err *err)
{
	for (size_t i = 0; i < sockets->n; i++) {
		const struct fl_socket *sock = &sockets->sockets[i];
		char text[FL_IP_PORT_STRLEN];

		if (sock->error && !is_absent(sock))
			return fl_err_set(err, sock->error, "cannot listen on %s for %s%s%s: %s",
					  fl_ip_port_format(&sock->ip, sock->port, text),
					  sock->what, *sock->service ? " " : "", sock->service,
					  strerror(-sock->error));
	}
	return 0;
}
