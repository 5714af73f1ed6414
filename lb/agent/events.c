/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which conditions are Events, and what they are called. */
#include "lb/agent/events.h"

#include <stdio.h>
#include <string.h>

#include "lb/kube/events.h"
#include "lb/model/host_ports.h"

#define NAME_LEN 320 /* of a Service or a pod, with what stands around it */

/*
 * Reasons and actions of the first two are kube-proxy's (6.1.9, proxy health). What is wrong with
 * every node alike, such as a Service that cannot mean anything, is none: each node would write it.
 */
const struct fl_event_kind fl_event_kinds[] = {
	{FL_CONDITION_LISTEN, FL_HEALTH_WARNING, "health-check ", FL_EVENT_OF_LAST_WORD,
	 "FailedToStartServiceHealthcheck", "Listen"},
	{FL_CONDITION_LISTEN, FL_HEALTH_WARNING, "healthz ", FL_EVENT_OF_NODE,
	 "FailedToStartProxierHealthcheck", FL_EVENT_START_ACTION},
	{FL_CONDITION_CONFLICT, FL_HEALTH_WARNING, "", FL_EVENT_OF_LAST_WORD, "FrontendTaken",
	 "Program"},
	{FL_CONDITION_REFUSED, FL_HEALTH_ERROR, "", FL_EVENT_OF_FIRST_WORD, "ServiceNotProgrammed",
	 "Program"},
	{FL_CONDITION_SYNC, FL_HEALTH_ERROR, "", FL_EVENT_OF_FIRST_WORD, "ServiceNotProgrammed",
	 "Program"},
	{FL_CONDITION_DRIFT, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "MapsDiffer", "Program"},
	{FL_CONDITION_MAP, FL_HEALTH_WARNING, "", FL_EVENT_OF_NODE, "MapNearlyFull", "Program"},
	{FL_CONDITION_FLOW_TABLE, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "FlowTableFull",
	 "Forward"},
	{FL_CONDITION_BACKEND_PORTS, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "SourcePortsUsedUp",
	 "Forward"},
	{FL_CONDITION_DROPS, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "PacketsDropped", "Forward"},
	{FL_CONDITION_FORWARDING, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "ForwardingOff",
	 "Forward"},
	{FL_CONDITION_EGRESS, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "RouteNotServed", "Forward"},
	{FL_CONDITION_DEVICES, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "NoDeviceServed", "Attach"},
	{FL_CONDITION_DEVICE, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "DeviceNotServed", "Attach"},
	{FL_CONDITION_CGROUP, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "SocketsNotServed", "Attach"},
	{FL_CONDITION_CONNTRACK, FL_HEALTH_WARNING, "", FL_EVENT_OF_NODE, "ConntrackNotSet",
	 FL_EVENT_START_ACTION},
	{FL_CONDITION_PINS, FL_HEALTH_ERROR, "", FL_EVENT_OF_NODE, "PinsLost", "Pin"},
};
const size_t fl_event_n_kinds = sizeof(fl_event_kinds) / sizeof(fl_event_kinds[0]);

int fl_agent_events_open(struct fl_agent_events *events, struct fl_kube_client *client,
			 const char *node, const struct fl_clock *clock)
{
	const struct fl_kube_events_options options = {
		.client = client, .node = node, .clock = *clock};
	const struct fl_kube_event starting = {
		.kind = "Node",
		.ns = "",
		.name = node,
		.reason = FL_EVENT_STARTING,
		.action = FL_EVENT_START_ACTION,
		.note = "fairleadd " FL_VERSION " serves the node's Services",
	};
	int r = fl_kube_events_new(&options, &events->events);

	if (r)
		return r;
	events->node = node;
	events->refreshed = fl_clock_now(clock);
	fl_kube_events_add(events->events, &starting);
	return 0;
}

void fl_agent_events_close(struct fl_agent_events *events)
{
	fl_kube_events_free(&events->events);
}

static const struct fl_event_kind *kind_of(const struct fl_condition *condition)
{
	for (size_t i = 0; i < fl_event_n_kinds; i++) {
		const struct fl_event_kind *kind = &fl_event_kinds[i];

		if (kind->condition == condition->kind && condition->level >= kind->at_least &&
		    !strncmp(condition->subject, kind->subject, strlen(kind->subject)))
			return kind;
	}
	return NULL;
}

/* "default/web:http" is of Service web in default. False: nothing of the kind is there. */
static bool read_service(const char *text, char ns[static NAME_LEN], char name[static NAME_LEN])
{
	const size_t ns_len = strcspn(text, "/ ");
	size_t name_len;

	if (!ns_len || ns_len >= NAME_LEN || text[ns_len] != '/')
		return false;
	name_len = strcspn(text + ns_len + 1, ": ");
	if (!name_len || name_len >= NAME_LEN)
		return false;
	snprintf(ns, NAME_LEN, "%.*s", (int)ns_len, text);
	snprintf(name, NAME_LEN, "%.*s", (int)name_len, text + ns_len + 1);
	return true;
}

static const char *last_word(const char *text)
{
	const char *blank = strrchr(text, ' ');

	return blank ? blank + 1 : text;
}

static void add(struct fl_agent_events *events, const struct fl_condition *condition)
{
	const struct fl_event_kind *kind = kind_of(condition);
	struct fl_kube_event event = {.kind = "Node", .ns = "", .name = events->node};
	const char *subject = condition->subject;
	char ns[NAME_LEN], name[NAME_LEN];
	const char *pod;
	size_t len;

	if (!kind)
		return;
	if (kind->object == FL_EVENT_OF_LAST_WORD)
		subject = last_word(subject);
	if (kind->object != FL_EVENT_OF_NODE && read_service(subject, ns, name)) {
		pod = fl_host_ports_pod(name, &len);
		event.kind = pod ? "Pod" : "Service";
		event.ns = ns;
		event.name = name;
		if (pod) {
			memmove(name, pod, len);
			name[len] = '\0';
		}
	}
	event.warning = true;
	event.reason = kind->reason;
	event.action = kind->action;
	event.note = condition->text;
	fl_kube_events_add(events->events, &event);
}

void fl_agent_events_edge(struct fl_agent_events *events, enum fl_health_edge edge,
			  const struct fl_condition *condition)
{
	if (events->events && (edge == FL_HEALTH_RAISED || edge == FL_HEALTH_LEVEL_CHANGED))
		add(events, condition);
}

static int add_standing(const struct fl_condition *condition, void *arg)
{
	add(arg, condition);
	return 0;
}

void fl_agent_events_tick(struct fl_agent_events *events, struct fl_health *health)
{
	const struct fl_mono now = fl_mono_now();
	const char *trouble;

	if (!events->events)
		return;
	if (fl_mono_ms_between(events->refreshed, now) >= FL_EVENTS_REFRESH_MS) {
		events->refreshed = now;
		fl_health_each(health, add_standing, events);
	}
	fl_kube_events_tick(events->events);
	trouble = fl_kube_events_trouble(events->events);
	if (trouble)
		fl_health_set(health, FL_CONDITION_API, "events", FL_HEALTH_NOTE,
			      "Events are not written: %s", trouble);
	else
		fl_health_clear(health, FL_CONDITION_API, "events");
}
