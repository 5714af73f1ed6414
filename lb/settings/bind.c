/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reading ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT. */
#include "lb/settings/bind.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *key;
	uint16_t port;
	const char *implied[FL_FAMILIES];
} servers[] = {
	[FL_BIND_HEALTHZ] = {"healthzBindAddress", 10256, {"0.0.0.0", "::"}},
	[FL_BIND_METRICS] = {"metricsBindAddress", 10249, {"127.0.0.1", "::1"}},
};

static int parse_port(const char *text, uint16_t *ret_port)
{
	const size_t len = strlen(text);
	unsigned long number;

	if (!len || len > 5 || strspn(text, "0123456789") != len)
		return -EINVAL;
	number = strtoul(text, NULL, 10);
	if (!number || number > UINT16_MAX)
		return -EINVAL;
	*ret_port = (uint16_t)number;
	return 0;
}

static int parse(const char *text, struct fl_bind *bind)
{
	char copy[FL_IP_PORT_STRLEN], *ip = copy, *port = NULL, *end;

	if (strlen(text) >= sizeof(copy))
		return -EINVAL;
	strcpy(copy, text);
	if (*copy == '[') {
		end = strchr(copy, ']');
		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
		ip++;
	} else {
		end = strchr(copy, ':');
		if (end && !strchr(end + 1, ':')) { /* more than one: IPv6 without a port */
			*end = '\0';
			port = end + 1;
		}
	}
	if (fl_ip_parse(ip, &bind->ip))
		return -EINVAL;
	return port ? parse_port(port, &bind->port) : 0;
}

static void leave_ipv4_to_its_own(struct fl_bind *binds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			binds[i].v6_only |= binds[j].port == binds[i].port &&
					    fl_ip_family(&binds[j].ip) == FL_IPV4;
}

int fl_binds_read(const struct fl_strings *setting, enum fl_bind_server server,
		  struct fl_bind ret_binds[static FL_BINDS_MAX], size_t *ret_n, struct fl_err *err)
{
	const bool implied = !setting->n;
	const size_t n = implied ? FL_FAMILIES : setting->n;

	*ret_n = 0;
	if (n == 1 && !strcmp(setting->items[0], "none"))
		return 0;
	if (n > FL_BINDS_MAX)
		return fl_err_set(err, -EINVAL, "%s has more than %d addresses",
				  servers[server].key, FL_BINDS_MAX);
	for (size_t i = 0; i < n; i++) {
		const char *text = implied ? servers[server].implied[i] : setting->items[i];

		ret_binds[i] = (struct fl_bind){.port = servers[server].port, .implied = implied};
		if (parse(text, &ret_binds[i]))
			return fl_err_set(err, -EINVAL,
					  "%s \"%.64s\" is not an address like 0.0.0.0:%u, "
					  "[::]:%u or none",
					  servers[server].key, text, servers[server].port,
					  servers[server].port);
		for (size_t j = 0; j < i; j++)
			if (ret_binds[j].port == ret_binds[i].port &&
			    fl_ip_equal(&ret_binds[j].ip, &ret_binds[i].ip))
				return fl_err_set(err, -EINVAL, "%s has %.64s twice",
						  servers[server].key, text);
	}
	leave_ipv4_to_its_own(ret_binds, n);
	*ret_n = n;
	return 0;
}
