/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* From samples to conditions. */
#include "lb/agent/gauges.h"

#include <inttypes.h>
#include <string.h>

#define HIGH_PERCENT 90
/* so many packets in a minute are more than a route or a neighbour that was late */
#define DROPS_MANY 10
/* of a minute's new TCP flows */
#define UNANSWERED_MIN 20
#define UNANSWERED_WARNING_PERCENT 5
#define UNANSWERED_ERROR_PERCENT 50

/* Reasons of which no packet should fall, and how bad many of them are. */
static const struct {
	enum fl_reason reason;
	enum fl_health_level many;
} watched[] = {
	{FL_REASON_NO_SOURCE_PORT, FL_HEALTH_ERROR},
	{FL_REASON_FLOW_TABLE_FULL, FL_HEALTH_ERROR},
	{FL_REASON_NEW_FLOW_RATE, FL_HEALTH_WARNING},
	{FL_REASON_NO_ROUTE, FL_HEALTH_ERROR},
	{FL_REASON_NO_BACKEND, FL_HEALTH_ERROR},
	{FL_REASON_NO_MASQUERADE_ADDRESS, FL_HEALTH_ERROR},
	{FL_REASON_REWRITE_FAILED, FL_HEALTH_ERROR},
};

static const struct {
	const char *token, *text;
} reasons[] = {
#define X(name, token, text) [FL_REASON_##name] = {token, text},
	FL_REASONS(X)
#undef X
};

static const char *const family_names[] = {[FL_IPV4] = "IPv4", [FL_IPV6] = "IPv6"};

static unsigned int percent(uint64_t part, uint64_t whole)
{
	return whole ? (unsigned int)(100 * part / whole) : 0;
}

/* The counters of so many samples ago, or of the first one; NULL: there was none. */
static const struct fl_gauge_counters *before(const struct fl_gauges *g, size_t samples)
{
	const size_t back = samples < g->n_samples ? samples : g->n_samples;

	return back ? &g->kept[(g->n_samples - back) % FL_GAUGES_KEPT] : NULL;
}

/* A counter that fell is one of new maps. */
static uint64_t growth(uint64_t from, uint64_t to)
{
	return to > from ? to - from : 0;
}

/* Packets that could not be forwarded */

static void update_drops(struct fl_gauges *g, enum fl_reason reason, enum fl_health_level many,
			 uint64_t lost)
{
	const char *token = reasons[reason].token;

	if (lost)
		fl_health_set(g->health, FL_CONDITION_DROPS, token,
			      lost >= DROPS_MANY ? many : FL_HEALTH_NOTE,
			      "%" PRIu64 " packets were dropped within a minute, %s: %s", lost,
			      token, reasons[reason].text);
	else
		fl_health_clear(g->health, FL_CONDITION_DROPS, token);
}

bool fl_gauges_rose(const struct fl_gauges *g, enum fl_reason reason)
{
	const struct fl_gauge_counters *last = before(g, 1), *previous = before(g, 2);

	return last && last->reasons[reason] > previous->reasons[reason];
}

/* The flow table */

static void update_table(struct fl_gauges *g, enum fl_family family,
			 const struct fl_flow_tally *tally)
{
	const char *name = family_names[family];
	const unsigned int used = percent(tally->used, tally->slots);
	const unsigned int proven = percent(tally->proven, tally->slots);

	if (used < HIGH_PERCENT) {
		fl_health_clear(g->health, FL_CONDITION_FLOW_TABLE, name);
		return;
	}
	/* embryonic flows make room for newer ones */
	fl_health_set(g->health, FL_CONDITION_FLOW_TABLE, name,
		      proven >= HIGH_PERCENT ? FL_HEALTH_ERROR : FL_HEALTH_WARNING,
		      "the %s flow table is %u %% full, %u %% by established flows: raise "
		      "maps.flowBuckets%c",
		      name, used, proven, family == FL_IPV4 ? '4' : '6');
}

/* Flows without a reply */

/*
 * Flows without a reply stay for the handshake's timeout, so that there are as many as new ones
 * came in that time, times the share of them that fails. Where all are answered there are next to
 * none, since an answer takes milliseconds.
 */
static void update_replies(struct fl_gauges *g, const struct fl_gauge_sample *sample,
			   uint64_t created)
{
	const uint64_t unanswered =
		sample->flows[FL_IPV4].unanswered + sample->flows[FL_IPV6].unanswered;
	/* more than were created: those of before the first sample */
	const unsigned int share = unanswered > created ? 100 : percent(unanswered, created);

	if (unanswered < UNANSWERED_MIN || share < UNANSWERED_WARNING_PERCENT)
		fl_health_clear(g->health, FL_CONDITION_REPLIES, "");
	else
		fl_health_set(g->health, FL_CONDITION_REPLIES, "",
			      share >= UNANSWERED_ERROR_PERCENT ? FL_HEALTH_ERROR
								: FL_HEALTH_WARNING,
			      "%" PRIu64 " TCP flows have got no reply, %u %% of those of the last "
			      "minute: see which in the flow list, state new",
			      unanswered, share);
}

/* Flows that bypass us. Which device that is, the host's own look at routes says, unless rules or
 * marks lead these flows elsewhere. */
static void update_exits(struct fl_gauges *g, uint64_t flows)
{
	if (flows)
		fl_health_set(
			g->health, FL_CONDITION_UNSERVED_EXIT, "", FL_HEALTH_WARNING,
			"%" PRIu64 " flows left unmasqueraded within a minute by a device "
			"that is not served: unless the replies come back by this node, their "
			"connections break (name the device in --devices)",
			flows);
	else
		fl_health_clear(g->health, FL_CONDITION_UNSERVED_EXIT, "");
}

/* The other maps */

static void update_map(struct fl_gauges *g, const struct fl_map_use *map)
{
	if (percent(map->used, map->size) < HIGH_PERCENT)
		fl_health_clear(g->health, FL_CONDITION_MAP, map->name);
	else
		fl_health_set(g->health, FL_CONDITION_MAP, map->name, FL_HEALTH_WARNING,
			      "map %s is %u %% full, %" PRIu64 " of %" PRIu64 ": raise %s",
			      map->name, percent(map->used, map->size), map->used, map->size,
			      map->setting);
}

void fl_gauges_update(struct fl_gauges *g, const struct fl_gauge_sample *sample)
{
	const struct fl_gauge_counters *old = before(g, FL_GAUGES_KEPT);
	struct fl_gauge_counters now = {.flows_created = sample->flows_created,
					.flows_unserved_exit = sample->flows_unserved_exit};

	/* what happened before this agent began is no news */
	for (size_t i = 0; i < sizeof(watched) / sizeof(watched[0]) && old; i++)
		update_drops(g, watched[i].reason, watched[i].many,
			     growth(old->reasons[watched[i].reason],
				    sample->reasons[watched[i].reason]));
	if (old) {
		update_exits(g, growth(old->flows_unserved_exit, sample->flows_unserved_exit));
		update_replies(g, sample, growth(old->flows_created, sample->flows_created));
	}
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++)
		update_table(g, family, &sample->flows[family]);
	for (size_t i = 0; i < sample->n_maps; i++)
		update_map(g, &sample->maps[i]);
	memcpy(now.reasons, sample->reasons, sizeof(now.reasons));
	g->kept[g->n_samples++ % FL_GAUGES_KEPT] = now;
}
