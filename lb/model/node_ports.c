/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* nodePortAddresses against the machine's addresses (rules 2.9 to 2.18). */
#include "lb/model/node_ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

#define MAX_PER_ENTRY 2 /* the most prefixes one entry of the setting stands for */

static const struct keyword {
	const char *word;
	const char *cidrs[MAX_PER_ENTRY];
} keywords[] = {
	{"all", {"0.0.0.0/0", "::/0"}},
	{"localhost", {"127.0.0.0/8", "::1/128"}},
};

static bool is_zero_prefix(const struct fl_prefix *prefix)
{
	return prefix->len == (fl_prefix_family(prefix) == FL_IPV4 ? 96 : 0);
}

/* Either lies within the other: a small range inside 127.0.0.0/8, or a large one around it. */
static bool touches_ipv4_loopback(const struct fl_prefix *prefix)
{
	struct fl_prefix loopback;

	fl_prefix_parse("127.0.0.0/8", &loopback);
	return fl_prefix_contains(&loopback, &prefix->ip) ||
	       fl_prefix_contains(prefix, &loopback.ip);
}

/* "primary" (rule 2.15): the node's own addresses, one prefix each, loopback left out. */
static size_t expand_primary(const struct fl_node_ports_input *input, struct fl_prefix *out)
{
	bool have[FL_FAMILIES] = {false};
	size_t n = 0;

	for (size_t i = 0; i < input->n_node_ips; i++) {
		enum fl_family family = fl_ip_family(&input->node_ips[i]);

		if (have[family] || fl_ip_is_loopback(&input->node_ips[i]))
			continue;
		have[family] = true;
		out[n++] = (struct fl_prefix){.ip = input->node_ips[i], .len = 128};
	}
	return n;
}

/* One entry of the setting as prefixes; how many, or -EINVAL. */
static int expand(const struct fl_node_ports_input *input, const char *entry, struct fl_prefix *out)
{
	if (!strcmp(entry, "primary"))
		return (int)expand_primary(input, out);
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strcmp(entry, keywords[i].word))
			continue;
		for (int j = 0; j < MAX_PER_ENTRY; j++)
			fl_prefix_parse(keywords[i].cidrs[j], &out[j]);
		return MAX_PER_ENTRY;
	}
	return fl_prefix_parse(entry, out) ? -EINVAL : 1;
}

static int compare_ips(const void *a, const void *b)
{
	return fl_ip_cmp(a, b);
}

static bool in_any(const struct fl_prefix *prefixes, size_t n, const struct fl_ip *ip)
{
	for (size_t i = 0; i < n; i++) {
		if (fl_prefix_contains(&prefixes[i], ip))
			return true;
	}
	return false;
}

/* The accepted set of a family that is not match-all (rule 2.13). */
static int collect(const struct fl_node_ports_input *input, const struct fl_prefix *prefixes,
		   size_t n_prefixes, enum fl_family family, struct fl_node_ports *node_ports)
{
	_cleanup_free_ struct fl_ip *set = NULL;
	size_t n = 0, unique = 0;

	if (!input->n_local)
		return 0;
	set = calloc(input->n_local, sizeof(*set));
	if (!set)
		return -ENOMEM;
	for (size_t i = 0; i < input->n_local; i++) {
		const struct fl_ip *ip = &input->local[i];

		if (fl_ip_family(ip) != family || !in_any(prefixes, n_prefixes, ip))
			continue;
		if (fl_ip_is_loopback(ip))
			node_ports->dropped_loopback[family] = true;
		else
			set[n++] = *ip;
	}
	qsort(set, n, sizeof(*set), compare_ips);
	for (size_t i = 0; i < n; i++) {
		if (!unique || !fl_ip_equal(&set[unique - 1], &set[i]))
			set[unique++] = set[i];
	}
	node_ports->accepted[family] = TAKE_PTR(set);
	node_ports->n_accepted[family] = unique;
	return 0;
}

int fl_node_ports_init(const struct fl_node_ports_input *input,
		       struct fl_node_ports *ret_node_ports, struct fl_err *err)
{
	_cleanup_(fl_node_ports_fini) struct fl_node_ports node_ports = {
		.match_all = {true, true},
	};
	_cleanup_free_ struct fl_prefix *prefixes = NULL;
	size_t n = 0;

	prefixes = calloc(input->n_addresses * MAX_PER_ENTRY + 1, sizeof(*prefixes));
	if (!prefixes)
		return fl_err_set(err, -ENOMEM, "nodePortAddresses: out of memory");
	for (size_t i = 0; i < input->n_addresses; i++) {
		int more = expand(input, input->addresses[i], &prefixes[n]);

		if (more < 0)
			return fl_err_set(err, more,
					  "nodePortAddresses: \"%.64s\" is neither a CIDR nor one "
					  "of all, primary, localhost",
					  input->addresses[i]);
		n += (size_t)more;
	}

	/* no CIDR of a family, or one that covers all of it: match-all (rules 2.10, 2.11) */
	for (size_t i = 0; i < n; i++)
		node_ports.match_all[fl_prefix_family(&prefixes[i])] = false;
	node_ports.ipv4_loopback = node_ports.match_all[FL_IPV4];
	for (size_t i = 0; i < n; i++) {
		if (is_zero_prefix(&prefixes[i]))
			node_ports.match_all[fl_prefix_family(&prefixes[i])] = true;
		if (touches_ipv4_loopback(&prefixes[i]))
			node_ports.ipv4_loopback = true;
	}
	for (int family = 0; family < FL_FAMILIES; family++) {
		if (!node_ports.match_all[family] &&
		    collect(input, prefixes, n, family, &node_ports))
			return fl_err_set(err, -ENOMEM, "nodePortAddresses: out of memory");
	}
	*ret_node_ports = node_ports;
	node_ports = (struct fl_node_ports){0};
	return 0;
}

int fl_node_ports_copy(const struct fl_node_ports *node_ports, struct fl_node_ports *ret_copy)
{
	_cleanup_(fl_node_ports_fini) struct fl_node_ports copy = *node_ports;

	for (int family = 0; family < FL_FAMILIES; family++)
		copy.accepted[family] = NULL;
	*ret_copy = (struct fl_node_ports){0};
	for (int family = 0; family < FL_FAMILIES; family++) {
		const size_t n = node_ports->n_accepted[family];

		copy.accepted[family] = calloc(n + 1, sizeof(struct fl_ip));
		if (!copy.accepted[family])
			return -ENOMEM;
		if (n)
			memcpy(copy.accepted[family], node_ports->accepted[family],
			       n * sizeof(struct fl_ip));
	}
	*ret_copy = copy;
	copy = (struct fl_node_ports){0};
	return 0;
}

void fl_node_ports_fini(struct fl_node_ports *node_ports)
{
	for (int family = 0; family < FL_FAMILIES; family++)
		free(node_ports->accepted[family]);
	*node_ports = (struct fl_node_ports){0};
}

bool fl_node_ports_equal(const struct fl_node_ports *a, const struct fl_node_ports *b)
{
	for (int family = 0; family < FL_FAMILIES; family++) {
		if (a->match_all[family] != b->match_all[family] ||
		    a->n_accepted[family] != b->n_accepted[family])
			return false;
		for (size_t i = 0; i < a->n_accepted[family]; i++)
			if (!fl_ip_equal(&a->accepted[family][i], &b->accepted[family][i]))
				return false;
	}
	return true;
}

bool fl_node_ports_accept(const struct fl_node_ports *node_ports, const struct fl_ip *ip)
{
	enum fl_family family = fl_ip_family(ip);

	if (fl_ip_is_loopback(ip))
		return false;
	if (node_ports->match_all[family])
		return true;
	return node_ports->n_accepted[family] &&
	       bsearch(ip, node_ports->accepted[family], node_ports->n_accepted[family],
		       sizeof(*ip), compare_ips);
}

size_t fl_node_ips(const struct fl_node *node, const struct fl_ip *bind_address,
		   struct fl_ip ret_ips[static FL_FAMILIES])
{
	size_t n = 0;

	for (int family = 0; family < FL_FAMILIES; family++) {
		const struct fl_ip *ip = NULL;

		if (bind_address && fl_ip_family(bind_address) == (enum fl_family)family &&
		    !fl_ip_is_unspecified(bind_address))
			ip = bind_address;
		for (size_t i = 0; node && !ip && i < node->n_addresses; i++) {
			if (fl_ip_family(&node->addresses[i]) == (enum fl_family)family)
				ip = &node->addresses[i];
		}
		if (ip)
			ret_ips[n++] = *ip;
	}
	return n;
}
