/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The set of drained backends, and how one is written. */
#include "lb/model/drains.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/array.h"
#include "lb/model/names.h"

void fl_drains_fini(struct fl_drains *drains)
{
	free(drains->v);
	*drains = (struct fl_drains){0};
}

int fl_drains_copy(const struct fl_drains *from, struct fl_drains *ret_drains)
{
	struct fl_drains copy = {0};

	if (from->n && FL_ARRAY_ROOM(copy.v, copy.room, from->n))
		return -ENOMEM;
	if (from->n)
		memcpy(copy.v, from->v, from->n * sizeof(*copy.v));
	copy.n = from->n;
	*ret_drains = copy;
	return 0;
}

bool fl_drain_covers(const struct fl_drain *drain, const struct fl_ip *ip, uint16_t port,
		     uint8_t proto)
{
	return fl_ip_equal(&drain->ip, ip) && (!drain->port || drain->port == port) &&
	       (!drain->proto || drain->proto == proto);
}

static int compare(const struct fl_drain *a, const struct fl_drain *b)
{
	const int by_ip = fl_ip_cmp(&a->ip, &b->ip);

	if (by_ip)
		return by_ip;
	return a->port != b->port ? (int)a->port - (int)b->port : (int)a->proto - (int)b->proto;
}

/* Where `drain` is, or would be. */
static size_t place_of(const struct fl_drains *drains, const struct fl_drain *drain)
{
	size_t low = 0, high = drains->n;

	while (low < high) {
		const size_t mid = low + (high - low) / 2;

		if (compare(&drains->v[mid], drain) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

const struct fl_drain *fl_drains_find(const struct fl_drains *drains, const struct fl_ip *ip,
				      uint16_t port, uint8_t proto)
{
	/* from the widest to the narrowest */
	const struct fl_drain wanted[] = {
		{.ip = *ip}, {.ip = *ip, .port = port}, {.ip = *ip, .port = port, .proto = proto}};

	for (size_t i = 0; drains && drains->n && i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const size_t at = place_of(drains, &wanted[i]);

		if (at < drains->n && !compare(&drains->v[at], &wanted[i]))
			return &drains->v[at];
	}
	return NULL;
}

size_t fl_drains_del(struct fl_drains *drains, const struct fl_drain *drain)
{
	size_t left = 0, n = drains->n;

	for (size_t i = 0; i < n; i++) {
		const struct fl_drain *one = &drains->v[i];

		if (!fl_drain_covers(drain, &one->ip, one->port, one->proto))
			drains->v[left++] = *one;
	}
	drains->n = left;
	return n - left;
}

int fl_drains_add(struct fl_drains *drains, const struct fl_drain *drain)
{
	size_t at;

	if (fl_drains_find(drains, &drain->ip, drain->port, drain->proto))
		return 1;
	if (FL_ARRAY_ROOM(drains->v, drains->room, drains->n + 1))
		return -ENOMEM;
	if (!fl_drains_del(drains, drain) && drains->n >= FL_DRAINS_MAX)
		return -ENOSPC;
	at = place_of(drains, drain);
	memmove(&drains->v[at + 1], &drains->v[at], (drains->n - at) * sizeof(*drains->v));
	drains->v[at] = *drain;
	drains->n++;
	return 0;
}

const char *fl_drain_format(const struct fl_drain *drain, char buf[static FL_DRAIN_STRLEN])
{
	char text[FL_IP_PORT_STRLEN];

	if (!drain->port)
		fl_ip_format(&drain->ip, text);
	else
		fl_ip_port_format(&drain->ip, drain->port, text);
	snprintf(buf, FL_DRAIN_STRLEN, "%s%s%s", text, drain->proto ? "/" : "",
		 drain->proto ? fl_proto_name(drain->proto) : "");
	return buf;
}

/* "80" */
static bool parse_port(const char *text, uint16_t *ret_port)
{
	unsigned long port;

	if (!*text || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
		return false;
	port = strtoul(text, NULL, 10);
	if (!port || port > UINT16_MAX)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* Cut "/PROTOCOL" off. */
static bool cut_proto(char *text, uint8_t *ret_proto)
{
	char *slash = strchr(text, '/');
	int proto;

	if (!slash)
		return true;
	if (!fl_word_value_typed(fl_proto_words, slash + 1, &proto))
		return false;
	*ret_proto = (uint8_t)proto;
	*slash = '\0';
	return true;
}

/* An IPv6 address without brackets has no port. */
static bool cut_port(char **text, uint16_t *ret_port)
{
	char *colon = strchr(*text, ':'), *end;

	if (**text == '[') {
		end = strchr(*text, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		*end = '\0';
		++*text;
		/* brackets are for IPv6 */
		return strchr(*text, ':') && (!end[1] || parse_port(end + 2, ret_port));
	}
	if (!colon || strchr(colon + 1, ':'))
		return true;
	*colon = '\0';
	return parse_port(colon + 1, ret_port);
}

int fl_drain_parse(const char *text, struct fl_drain *ret_drain, struct fl_err *err)
{
	struct fl_drain drain = {0};
	char copy[FL_DRAIN_STRLEN], *at = copy;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy) ||
	    !cut_proto(copy, &drain.proto) || !cut_port(&at, &drain.port) ||
	    (drain.proto && !drain.port) || fl_ip_parse(at, &drain.ip) ||
	    fl_ip_is_unspecified(&drain.ip))
		return fl_err_set(err, -EINVAL,
				  "\"%.60s\" is not an address, with a port or without, such as "
				  "10.1.2.3, 10.1.2.3:80 or [fd00::1]:80",
				  text);
	*ret_drain = drain;
	return 0;
}
