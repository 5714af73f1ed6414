// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The filter's bits after the agent has made them anew: those that flows need are there, whatever
 * has become of their Services, and what is left of flows and Services that are no more is gone. */
#include "lb/dp/filter.h"
#include "tests/packet/packet.h"

#include <string.h>

#define EVERYWHERE (IN(AT_POD) | IN(AT_TX))

struct side {
	struct row row;
	uint32_t half; /* the one that is read at first */
};

static const struct side sides[] = {
	{ROW("first half of the bits"), 0},
	{ROW("second half of the bits"), 1},
};

/* What the agent does in ten minutes. The half that is read no more can have anything in it. */
static void rebuild(struct plane *p)
{
	struct fl_rebuild state = {0};
	const uint32_t half = p->maps.meta->filter_half, hz = p->config.hz;

	for (uint64_t i = 0; i < 2000 && p->maps.meta->filter_half == half; i++)
		fl_filter_rebuild(&p->maps, &state, i * hz, hz, 64);
	assert_int_not_equal(p->maps.meta->filter_half, half);
	fl_filter_clear(&p->maps, half);
}

static unsigned int bits(const struct plane *p)
{
	const uint32_t half = p->maps.meta->filter_half;
	unsigned int n = 0;

	for (size_t i = 0; i < p->maps.n_filter; i++)
		n += (unsigned int)__builtin_popcountll(p->maps.filter[i].half[half]);
	for (size_t i = 0; i < p->maps.n_own_ports; i++)
		n += (unsigned int)__builtin_popcountll(p->maps.own_ports[i].half[half]);
	return n;
}

static void delete_services(struct plane *p)
{
	memset(p->maps.frontends, 0, p->maps.n_frontends * sizeof(*p->maps.frontends));
	for (uint32_t id = 1; id < p->maps.n_backends; id++)
		backend_remove(p, id);
}

static void begin_with(struct plane *p, uint32_t half)
{
	p->maps.meta->filter_half = half;
	fl_filter_clear(&p->maps, !half);
	rebuild(p);
}

static void new_flows_find_their_frontend(struct trial *t)
{
	const struct side *side = t->row;
	struct talk talk = talk_begin(t);

	begin_with(t->p, side->half);
	talk_establish(&talk);
	talk_expect_both(&talk);
}

static void open_connections_outlive_their_service(struct trial *t)
{
	const struct side *side = t->row;
	struct talk talk = talk_begin(t);

	t->p->maps.meta->filter_half = side->half;
	talk_establish(&talk);
	delete_services(t->p);
	rebuild(t->p);
	talk_expect_both(&talk);
	rebuild(t->p);
	talk_expect_both(&talk);
}

/* The reply's packets make the original again, and the client's find it. */
static void half_a_flow_becomes_whole(struct trial *t)
{
	struct talk talk = talk_begin(t);
	struct fl_flow flow;

	talk_establish(&talk);
	flow = expect_flow(t, &talk.client);
	delete_services(t->p);
	plane_forget(t->p, t->family, flow.slot);
	rebuild(t->p);
	plane_head(t->p, t->family, flow.reply_slot)->last_seen =
		plane_now(t->p) - 2 * t->p->config.hz;
	talk_reply(&talk, ACK);
	talk_expect_reply(&talk);
	talk_expect_both(&talk);
}

static void nothing_is_left_of_what_is_gone(struct trial *t)
{
	const struct side *side = t->row;
	const struct fl_flow_table table = plane_flows(t->p);
	struct talk talk = talk_begin(t);
	unsigned int before;

	delete_services(t->p);
	begin_with(t->p, side->half);
	before = bits(t->p);
	assert_true(before > 0);
	serve(t, t->test->scene);
	talk_establish(&talk);
	assert_true(bits(t->p) > before);
	delete_services(t->p);
	fl_flow_flush(&table, plane_now(t->p), NULL, NULL);
	rebuild(t->p);
	assert_int_equal(bits(t->p), before);
	feed(t, &talk.client);
	expect_untouched(t);
}

static const struct test tests[] = {
	{"new flows find their frontend after the bits are made anew",
	 CHECK(new_flows_find_their_frontend), .hooks = ON_INGRESS, .networks = EVERYWHERE,
	 .frontends = EVERY_FRONTEND, ROWS(sides)},
	{"connections outlive their Service and its bits",
	 CHECK(open_connections_outlive_their_service), .protos = ONLY_TCP, .hooks = ON_INGRESS,
	 .networks = EVERYWHERE, .frontends = EVERY_FRONTEND, ROWS(sides)},
	{"half a connection has the bits of both", CHECK(half_a_flow_becomes_whole),
	 .protos = ONLY_TCP, .hooks = ON_INGRESS, .networks = EVERYWHERE,
	 .frontends = EVERY_FRONTEND},
	{"nothing is left of flows and Services that are gone",
	 CHECK(nothing_is_left_of_what_is_gone), .hooks = ON_INGRESS, .networks = EVERYWHERE,
	 .frontends = EVERY_FRONTEND, ROWS(sides)},
};

const struct topic filter_topic = {"filter", TESTS(tests)};
