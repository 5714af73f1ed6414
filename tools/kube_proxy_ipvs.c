// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Virtual servers are told by their addresses, for they have no names; sets by their names. */
#include "tools/kube_proxy_ipvs.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

/* the usual service-node-port-range */
#define NODE_PORTS_FIRST 30000
#define NODE_PORTS_LAST 32767

/* without what stands before them: "KUBE-", of IPv6 "KUBE-6-". Others have sets of such names too,
 * kube-router for one. */
static const char *const sets[] = {
	"LOOP-BACK",
	"CLUSTER-IP",
	"EXTERNAL-IP",
	"EXTERNAL-IP-LOCAL",
	"LOAD-BALANCER",
	"LOAD-BALANCER-LOCAL",
	"LOAD-BALANCER-FW",
	"LOAD-BALANCER-SOURCE-CIDR",
	"LOAD-BALANCER-SOURCE-IP",
	"NODE-PORT-TCP",
	"NODE-PORT-LOCAL-TCP",
	"NODE-PORT-UDP",
	"NODE-PORT-LOCAL-UDP",
	"NODE-PORT-SCTP-HASH",
	"NODE-PORT-LOCAL-SCTP-HASH",
	"HEALTH-CHECK-NODE-PORT",
	"IPVS-IPS",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Copy the next line, without its end, and go on behind it. False: there is none. */
static bool next_line(const char **at, char *ret_line, size_t room)
{
	const size_t len = strcspn(*at, "\n");

	if (!**at)
		return false;
	snprintf(ret_line, room, "%.*s", (int)(len < room ? len : room - 1), *at);
	*at += len + ((*at)[len] == '\n');
	return true;
}

/* "192.0.2.1:80" or "[2001:db8::1]:80". */
static bool parse_place(const char *text, struct fl_ip *ret_ip, unsigned long *ret_port)
{
	char ip[FL_IP_STRLEN];
	const char *colon = strrchr(text, ':');
	size_t len = colon ? (size_t)(colon - text) : 0;

	if (*text == '[' && len > 2 && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (!len || len >= sizeof(ip))
		return false;
	memcpy(ip, text, len);
	ip[len] = '\0';
	*ret_port = strtoul(colon + 1, NULL, 10);
	return !fl_ip_parse(ip, ret_ip);
}

static bool is_ours(const char *place, const struct fl_ip *addrs, size_t n)
{
	unsigned long port;
	struct fl_ip ip;

	if (!parse_place(place, &ip, &port))
		return false;
	for (size_t i = 0; i < n; i++)
		if (fl_ip_equal(&ip, &addrs[i]))
			return true;
	return port >= NODE_PORTS_FIRST && port <= NODE_PORTS_LAST;
}

static bool is_our_set(const char *name)
{
	if (strncmp(name, "KUBE-", 5))
		return false;
	name += 5;
	if (!strncmp(name, "6-", 2))
		name += 2;
	for (size_t i = 0; i < COUNT(sets); i++)
		if (!strcmp(name, sets[i]))
			return true;
	return false;
}

static int finish(struct fl_kube_ipvs *ipvs, FILE *out)
{
	if (fclose(out)) {
		fl_kube_ipvs_fini(ipvs);
		return -ENOMEM;
	}
	if (!ipvs->gone)
		fl_kube_ipvs_fini(ipvs);
	return 0;
}

int fl_kube_ipvs_servers(const char *saved, const struct fl_ip *addrs, size_t n,
			 struct fl_kube_ipvs *ret_servers)
{
	char line[200], option[20], place[80];
	size_t len;
	FILE *out;

	*ret_servers = (struct fl_kube_ipvs){0};
	out = open_memstream(&ret_servers->input, &len);
	if (!out)
		return -ENOMEM;
	while (next_line(&saved, line, sizeof(line))) {
		/* of a mark of the firewall's there is only a number, and kube-proxy has none */
		if (sscanf(line, "-A %19s %79s", option, place) != 2)
			continue;
		if (strcmp(option, "-f") && is_ours(place, addrs, n)) {
			fprintf(out, "-D %s %s\n", option, place);
			ret_servers->gone++;
		} else {
			ret_servers->left++;
		}
	}
	return finish(ret_servers, out);
}

int fl_kube_ipvs_sets(const char *names, struct fl_kube_ipvs *ret_sets)
{
	char name[80];
	size_t len;
	FILE *out;

	*ret_sets = (struct fl_kube_ipvs){0};
	out = open_memstream(&ret_sets->input, &len);
	if (!out)
		return -ENOMEM;
	while (next_line(&names, name, sizeof(name))) {
		if (!is_our_set(name))
			continue;
		fprintf(out, "destroy %s\n", name);
		ret_sets->gone++;
	}
	return finish(ret_sets, out);
}

void fl_kube_ipvs_fini(struct fl_kube_ipvs *ipvs)
{
	free(ipvs->input);
	ipvs->input = NULL;
}
