// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Token buckets for new flows and for ICMP answers. The clock is the kernel's: time passes in the
 * tests by moving the bucket's stamp, and what really passes meanwhile is allowed for.
 */
#include "tests/packet/packet.h"

struct limit {
	enum rate rate;
	uint32_t per_second;
	enum fl_reason reason;
};

static const struct limit limits[] = {
	{RATE_NEW_FLOW, NEW_FLOW_RATE, FL_REASON_NEW_FLOW_RATE},
	{RATE_REJECT, REJECT_RATE, FL_REASON_REJECT_RATE},
};

/* Service with backends for the one, without for the other. */
static struct frontend set_service(struct plane *p, const struct limit *limit,
				   const struct scene *scene)
{
	struct frontend fe[SCENE_FRONTENDS];

	plane_reset(p);
	scene_set(p, scene, fe);
	if (limit->rate == RATE_REJECT)
		service_add(p, &(struct service){.id = 1,
						 .type = FL_FRONTEND_CLUSTER_IP,
						 .ip = fe[0].ip,
						 .port = fe[0].port,
						 .proto = scene->proto});
	return fe[0];
}

/* One packet of yet another flow: true if it was let through. */
static bool one_more(struct plane *p, const struct limit *limit, const struct scene *scene,
		     const struct frontend *fe, uint16_t *port)
{
	struct spec s = client_spec(p, scene->family, scene->proto, 10, (*port)++, fe);
	uint64_t refused = plane_counter(p, limit->reason);
	struct result r;

	if (xdp(p, &s, &r) == XDP_DROP) {
		assert_int_equal(plane_counter(p, limit->reason), refused + 1);
		expect_no_flow(p, &s);
		return false;
	}
	assert_int_equal(r.verdict, XDP_TX);
	return true;
}

/* Tokens that come by themselves while a test runs, and one for the fraction at its beginning. */
static uint32_t extra(struct plane *p, const struct limit *limit, uint32_t since)
{
	return (plane_now(p) - since) * limit->per_second / p->config.hz + 1;
}

static void test_bucket(void **state)
{
	static const struct {
		uint32_t tokens, ago_s; /* s since the last refill */
		uint32_t full;		/* of a second's worth, what must come through */
	} rows[] = {{0, 0, 0}, {3, 0, 0}, {0, 1, 1}, {0, 100, 1}};

	for (size_t l = 0; l < N(limits); l++)
		for (size_t i = 0; i < N(rows); i++)
			for (int k = 0; k < KINDS; k++) {
				const struct scene scene = scene_of(&kinds[k], AT_TX);
				struct plane *p = LIMITED(state);
				struct frontend fe = set_service(p, &limits[l], &scene);
				uint32_t begin = plane_now(p), passed = 0, least;
				uint16_t port = 4000;

				least = rows[i].full ? limits[l].per_second : rows[i].tokens;
				plane_rate_set(
					p, FL_OBJECT_XDP, limits[l].rate,
					(struct rate_bucket){
						.stamp = begin - rows[i].ago_s * p->config.hz,
						.parts = rows[i].tokens * p->config.hz});
				for (int n = 0; n < 30; n++)
					passed += one_more(p, &limits[l], &scene, &fe, &port);
				assert_in_range(passed, least, least + extra(p, &limits[l], begin));
			}
}

/* Packets that come faster than tokens do: the rate is kept, not nothing. */
static void test_steady_stream_gets_its_rate(void **state)
{
	for (size_t l = 0; l < N(limits); l++) {
		const struct scene scene = {.proto = IPPROTO_UDP, .place = AT_TX};
		struct plane *p = LIMITED(state);
		struct frontend fe = set_service(p, &limits[l], &scene);
		uint32_t begin = plane_now(p), passed = 0, seconds = 3;
		uint16_t port = 4000;

		plane_rate_set(p, FL_OBJECT_XDP, limits[l].rate,
			       (struct rate_bucket){.stamp = begin});
		for (uint32_t jiffy = 0; jiffy < seconds * p->config.hz; jiffy++) {
			struct rate_bucket bucket =
				plane_rate_get(p, FL_OBJECT_XDP, limits[l].rate);

			bucket.stamp--;
			plane_rate_set(p, FL_OBJECT_XDP, limits[l].rate, bucket);
			passed += one_more(p, &limits[l], &scene, &fe, &port);
		}
		assert_in_range(passed, seconds * limits[l].per_second,
				seconds * limits[l].per_second + extra(p, &limits[l], begin));
	}
}

/* Promise 2: the limit is for newcomers; open flows never meet it. */
static void test_open_flows_are_not_limited(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = LIMITED(state);
		struct frontend fe = set_service(p, &limits[0], &scene);
		struct result r;
		struct talk t;

		plane_rate_set(
			p, FL_OBJECT_XDP, RATE_NEW_FLOW,
			(struct rate_bucket){.stamp = plane_now(p), .parts = 5 * p->config.hz});
		t = talk_begin(p, &scene, &fe, 10, 4000);
		talk_establish(&t);
		plane_rate_set(p, FL_OBJECT_XDP, RATE_NEW_FLOW,
			       (struct rate_bucket){.stamp = plane_now(p)});
		for (int i = 0; i < 20; i++) {
			assert_int_equal(talk_send(&t, ACK, &r), XDP_TX);
			assert_int_equal(talk_reply(&t, ACK, &r), XDP_TX);
		}
	}
}

int rate_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bucket),
		cmocka_unit_test(test_steady_stream_gets_its_rate),
		cmocka_unit_test(test_open_flows_are_not_limited),
	};

	return run_topic("rate limits", tests, N(tests), world);
}
