/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Filters of flows: a table of keys, each with the function that reads its value. */
#include "lb/api/flow_filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/api/view.h"

static int parse_number(const char *text, unsigned long max, unsigned long *ret_number)
{
	unsigned long number;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	number = strtoul(text, &end, 10);
	if (errno || *end || number > max)
		return -EINVAL;
	*ret_number = number;
	return 0;
}

static int set_proto(struct fl_flow_filter *filter, size_t offset, const char *value)
{
	int proto;

	if (!fl_word_value_typed(fl_proto_words, value, &proto))
		return -EINVAL;
	filter->proto = (uint8_t)proto;
	return 0;
}

static int set_family(struct fl_flow_filter *filter, size_t offset, const char *value)
{
	int family;

	if (!fl_word_value_typed(fl_family_words, value, &family))
		return -EINVAL;
	filter->family = (uint8_t)(1 + family);
	return 0;
}

/* The states of live flows. */
static const struct fl_word *const state_words = &fl_flow_state_words[FL_FLOW_NEW];

static int set_states(struct fl_flow_filter *filter, size_t offset, const char *value)
{
	uint32_t states = filter->states;

	for (const char *end;; value = end + 1) {
		char word[16];
		int state;

		end = value + strcspn(value, ",");
		snprintf(word, sizeof(word), "%.*s", (int)(end - value), value);
		if ((size_t)(end - value) >= sizeof(word) ||
		    !fl_word_value_typed(state_words, word, &state))
			return -EINVAL;
		states |= 1U << state;
		if (!*end)
			break;
	}
	filter->states = states;
	return 0;
}

static int set_limit(struct fl_flow_filter *filter, size_t offset, const char *value)
{
	unsigned long limit;

	if (parse_number(value, FL_FLOW_LIMIT_MAX, &limit) || !limit)
		return -EINVAL;
	filter->limit = (uint32_t)limit;
	return 0;
}

static int set_service(struct fl_flow_filter *filter, size_t offset, const char *value)
{
	const char *slash = strchr(value, '/'), *name = slash ? slash + 1 : value,
		   *colon = strchr(name, ':');
	size_t ns_len = slash ? (size_t)(slash - value) : 0;
	size_t name_len = colon ? (size_t)(colon - name) : strlen(name);
	const char *port = colon ? colon + 1 : "";

	/* "#12" is a service without a name */
	if ((!ns_len && *value != '#') || !name_len || ns_len >= sizeof(filter->ns) ||
	    name_len >= sizeof(filter->name) || strlen(port) >= sizeof(filter->port))
		return -EINVAL;
	snprintf(filter->ns, sizeof(filter->ns), "%.*s", (int)ns_len, value);
	snprintf(filter->name, sizeof(filter->name), "%.*s", (int)name_len, name);
	snprintf(filter->port, sizeof(filter->port), "%s", port);
	return 0;
}

/* Cut "IP:PORT", "[IP]:PORT" or ":PORT" in two; an IPv6 address without brackets has no port. */
static int split_port(char *text, char **ret_ip, const char **ret_port)
{
	char *colon = strrchr(text, ':');

	*ret_ip = text;
	*ret_port = NULL;
	if (*text == '[') {
		char *end = strchr(text, ']');

		if (!end || (end[1] && end[1] != ':'))
			return -EINVAL;
		*ret_port = end[1] ? end + 2 : NULL;
		*end = '\0';
		*ret_ip = text + 1;
	} else if (colon && colon == strchr(text, ':')) {
		*colon = '\0';
		*ret_port = colon + 1;
	}
	return 0;
}

static int parse_peer(const char *value, struct fl_peer_filter *ret_peer)
{
	struct fl_peer_filter parsed = {.set = true};
	char text[80], *ip;
	const char *port;
	unsigned long number;

	if (strlen(value) >= sizeof(text))
		return -EINVAL;
	strcpy(text, value);
	if (split_port(text, &ip, &port))
		return -EINVAL;
	if (port) {
		if (parse_number(port, 65535, &number) || !number)
			return -EINVAL;
		parsed.port = (uint16_t)number;
	}
	if (strchr(ip, '/')) {
		if (fl_prefix_parse(ip, &parsed.prefix))
			return -EINVAL;
	} else if (*ip) {
		if (fl_ip_parse(ip, &parsed.prefix.ip))
			return -EINVAL;
		parsed.prefix.len = 128;
	} else if (!port) {
		return -EINVAL;
	}
	*ret_peer = parsed;
	return 0;
}

static int set_peer(struct fl_flow_filter *filter, size_t offset, const char *value)
{
	return parse_peer(value, (struct fl_peer_filter *)((char *)filter + offset));
}

/* One address and one port. */
static int parse_end(const char *value, struct fl_peer_filter *ret_peer)
{
	int rc = parse_peer(value, ret_peer);

	return rc || ret_peer->prefix.len != 128 || !ret_peer->port ? -EINVAL : 0;
}

static int set_flow(struct fl_flow_filter *filter, size_t offset, const char *value)
{
	char text[160], *slash, *arrow;
	struct fl_flow_name name;
	int proto;

	if (strlen(value) >= sizeof(text) || filter->n_flows == FL_FLOW_NAMES_MAX)
		return -EINVAL;
	strcpy(text, value);
	slash = strchr(text, '/');
	arrow = strstr(text, "->");
	if (!slash || !arrow || arrow < slash)
		return -EINVAL;
	*slash = *arrow = '\0';
	if (!fl_word_value_typed(fl_proto_words, text, &proto) ||
	    parse_end(slash + 1, &name.client) || parse_end(arrow + 2, &name.frontend))
		return -EINVAL;
	name.proto = (uint8_t)proto;
	filter->flow[filter->n_flows++] = name;
	return 0;
}

#define PEER "IP, IP/LEN, IP:PORT, [IP]:PORT or :PORT"

static const struct {
	const char *key;
	int (*set)(struct fl_flow_filter *filter, size_t offset, const char *value);
	size_t offset;
	bool several;
	const struct fl_word *words; /* or */
	const char *expected;
} keys[] = {
	{"proto", set_proto, 0, false, fl_proto_words, NULL},
	{"family", set_family, 0, false, fl_family_words, NULL},
	{"state", set_states, 0, true, &fl_flow_state_words[FL_FLOW_NEW], NULL},
	{"client", set_peer, offsetof(struct fl_flow_filter, client), false, NULL, PEER},
	{"frontend", set_peer, offsetof(struct fl_flow_filter, frontend), false, NULL, PEER},
	{"backend", set_peer, offsetof(struct fl_flow_filter, backend), false, NULL, PEER},
	{"service", set_service, 0, false, NULL, "NAMESPACE/NAME or NAMESPACE/NAME:PORT"},
	{"limit", set_limit, 0, false, NULL, "a number from 1 to 100000"},
	{"flow", set_flow, 0, true, NULL, "PROTOCOL/CLIENT->FRONTEND"},
};
#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

const char *fl_flow_filter_key(size_t i)
{
	return i < N_KEYS ? keys[i].key : NULL;
}

int fl_flow_filter_set(struct fl_flow_filter *filter, const char *key, const char *value,
		       struct fl_err *err)
{
	char words[80];

	for (size_t i = 0; i < N_KEYS; i++) {
		if (strcmp(key, keys[i].key))
			continue;
		if (filter->given & 1U << i && !keys[i].several)
			return fl_err_set(err, -EINVAL, "%s: given twice", key);
		if (keys[i].set(filter, keys[i].offset, value))
			return fl_err_set(
				err, -EINVAL, "%s: \"%.80s\" is not %s", key, value,
				keys[i].words ? fl_words_format(keys[i].words, words, sizeof(words))
					      : keys[i].expected);
		filter->given |= 1U << i;
		return 0;
	}
	return fl_err_set(err, -ENOENT, "there is no filter \"%.40s\"", key);
}

bool fl_flow_filter_empty(const struct fl_flow_filter *filter)
{
	return !filter->proto && !filter->family && !filter->states && !filter->client.set &&
	       !filter->frontend.set && !filter->backend.set && !*filter->name && !filter->n_flows;
}

static bool peer_matches(const struct fl_peer_filter *peer, const struct fl_ip *ip, uint16_t port)
{
	if (!peer->set)
		return true;
	if (peer->port && peer->port != port)
		return false;
	if (!peer->prefix.len)
		return true;
	return fl_prefix_contains(&peer->prefix, ip);
}

static bool service_matches(const struct fl_flow_filter *filter, const struct fl_view *view,
			    const struct fl_flow *flow)
{
	struct fl_service_filter service_filter = {filter->ns, filter->name, filter->port};
	const struct fl_view_frontend *frontend;
	struct fl_view_service service;

	frontend = fl_view_find(view, &flow->frontend, flow->frontend_port, flow->proto);
	if (!frontend)
		return false;
	service = fl_view_service_of(view, frontend);
	return fl_view_service_matches(view, &service, &service_filter);
}

static bool name_matches(const struct fl_flow_filter *filter, const struct fl_flow *flow)
{
	for (size_t i = 0; i < filter->n_flows; i++) {
		const struct fl_flow_name *name = &filter->flow[i];

		if (name->proto == flow->proto &&
		    peer_matches(&name->client, &flow->client, flow->client_port) &&
		    peer_matches(&name->frontend, &flow->frontend, flow->frontend_port))
			return true;
	}
	return !filter->n_flows;
}

bool fl_flow_filter_matches(const struct fl_flow_filter *filter, const struct fl_view *view,
			    const struct fl_flow *flow)
{
	if (filter->proto && filter->proto != flow->proto)
		return false;
	if (filter->family && filter->family != 1 + flow->family)
		return false;
	if (filter->states && !(filter->states & 1U << flow->state))
		return false;
	return name_matches(filter, flow) &&
	       peer_matches(&filter->client, &flow->client, flow->client_port) &&
	       peer_matches(&filter->frontend, &flow->frontend, flow->frontend_port) &&
	       peer_matches(&filter->backend, &flow->backend, flow->backend_port) &&
	       (!*filter->name || service_matches(filter, view, flow));
}

struct flush {
	const struct fl_flow_filter *filter;
	const struct fl_view *view;
};

static bool flush_matches(const struct fl_flow *flow, void *arg)
{
	const struct flush *flush = arg;

	return fl_flow_filter_matches(flush->filter, flush->view, flow);
}

size_t fl_flow_filter_flush(const struct fl_flow_filter *filter, const struct fl_view *view)
{
	struct fl_flow_table table = fl_flow_table_of(view->maps);
	struct flush flush = {filter, view};

	return fl_flow_flush(&table, view->now, flush_matches, &flush);
}
