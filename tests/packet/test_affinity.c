// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Session affinity by client address: rules 5.5.1 to 5.5.4. */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <string.h>

#define BACKENDS 5

/* A new flow; returns the id of the backend it got. */
static uint32_t connect_from(struct trial *t, const struct frontend *frontend, unsigned int host,
			     uint16_t port)
{
	struct talk talk = talk_from(t, host, port, frontend);

	talk_send(&talk, SYN);
	talk_expect_request(&talk);
	return expect_flow(t, &talk.client).backend_id;
}

static struct fl_affinity_key key_of(const struct trial *t, unsigned int host)
{
	struct fl_ip ip = addr(t->family, client_network(t->hook), host);
	struct fl_affinity_key key = {.service_id = 1};

	memcpy(&key.client, &ip, sizeof(key.client));
	return key;
}

static bool record_get(const struct trial *t, unsigned int host, struct fl_affinity *ret)
{
	struct fl_affinity_key key = key_of(t, host);

	return !bpf_map_lookup_elem(t->p->maps.affinity_fd, &key, ret);
}

static void record_set(const struct trial *t, unsigned int host, uint32_t backend, uint32_t last)
{
	struct fl_affinity_key key = key_of(t, host);
	struct fl_affinity record = {.backend = backend,
				     .generation = t->p->maps.backends[backend].generation,
				     .last = last};

	assert_int_equal(bpf_map_update_elem(t->p->maps.affinity_fd, &key, &record, 0), 0);
}

static void expect_record(const struct trial *t, unsigned int host, uint32_t backend)
{
	struct fl_affinity record;

	assert_true(record_get(t, host, &record));
	assert_int_equal(record.backend, backend);
	assert_int_equal(record.generation, t->p->maps.backends[backend].generation);
}

/* The one it gets without a record, which depends on its tuple. Leaves neither flow nor record. */
static uint32_t natural_of(struct trial *t, const struct frontend *frontend, uint16_t port)
{
	struct fl_affinity_key key = key_of(t, CLIENT_HOST);
	uint32_t id = connect_from(t, frontend, CLIENT_HOST, port);

	plane_flows_clear(t->p);
	bpf_map_delete_elem(t->p->maps.affinity_fd, &key);
	return id;
}

/* Any other backend than this. */
static uint32_t other_than(uint32_t backend)
{
	return backend % BACKENDS + 1;
}

/* Whatever port the client uses, whichever frontend it asks; another client may get another one. */
static void client_keeps_its_backend(struct trial *t)
{
	bool used[BACKENDS + 1] = {false};
	int different = 0;

	for (unsigned int host = 11; host <= 40; host++) {
		uint32_t first;

		/* before they crowd one another out */
		plane_flows_clear(t->p);
		first = connect_from(t, &t->fe[0], host, CLIENT_PORT);
		for (uint16_t i = 1; i < 9; i++)
			assert_int_equal(connect_from(t, &t->fe[i % SCENE_FRONTENDS], host,
						      (uint16_t)(CLIENT_PORT + i)),
					 first);
		different += !used[first];
		used[first] = true;
	}
	assert_true(different >= 3);
}

static struct frontend add_another_service(struct trial *t)
{
	struct frontend other = {FL_FRONTEND_CLUSTER_IP, addr(t->family, AT_SERVICE, 12),
				 SERVICE_PORT};

	service_add(t->p, &(struct service){.id = 2,
					    .type = other.type,
					    .ip = other.ip,
					    .port = other.port,
					    .proto = t->proto,
					    .flags = MASQUERADE_ALL | FL_AFFINITY,
					    .affinity_timeout = 100 * t->p->config.hz,
					    .ids = {{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}}});
	return other;
}

/* The record, not the hash, decides. */
static void record_decides_for_its_service_only(struct trial *t)
{
	struct frontend other = add_another_service(t);
	uint32_t natural = natural_of(t, &other, CLIENT_PORT), chosen = other_than(natural);

	record_set(t, CLIENT_HOST, chosen, plane_now(t->p));
	for (uint16_t i = 0; i < SCENE_FRONTENDS; i++)
		assert_int_equal(connect_from(t, &t->fe[i], CLIENT_HOST, CLIENT_PORT + i), chosen);
	assert_int_equal(connect_from(t, &other, CLIENT_HOST, CLIENT_PORT), natural);
}

struct age {
	struct row row;
	int before_the_end_s; /* of the timeout; negative: it is over */
	int ahead; /* jiffies: the record was written by a processor whose clock is ahead */
};

static const struct age ages[] = {
	{ROW("a second before its end"), 1, 0},
	{ROW("a second after its end"), -1, 0},
	{ROW("written by a clock that is ahead"), 0, 2},
};

static uint32_t last_of(struct trial *t, const struct age *age)
{
	uint32_t hz = t->p->config.hz;

	if (age->ahead)
		return plane_now(t->p) + (uint32_t)age->ahead;
	return plane_now(t->p) - 3600 * hz + (uint32_t)(age->before_the_end_s * (int)hz);
}

static void record_lasts_for_its_timeout(struct trial *t)
{
	const struct age *age = t->row;
	uint32_t natural = natural_of(t, t->to, CLIENT_PORT), chosen = other_than(natural),
		 expected;

	expected = age->before_the_end_s < 0 ? natural : chosen;
	record_set(t, CLIENT_HOST, chosen, last_of(t, age));
	assert_int_equal(connect_from(t, t->to, CLIENT_HOST, CLIENT_PORT), expected);
	expect_record(t, CLIENT_HOST, expected);
}

static void new_flow_restarts_the_timeout(struct trial *t)
{
	struct talk talk = talk_from(t, CLIENT_HOST, CLIENT_PORT, t->to);
	uint32_t chosen, then;
	struct fl_affinity record;

	chosen = other_than(natural_of(t, t->to, CLIENT_PORT));
	then = last_of(t, &ages[0]);
	record_set(t, CLIENT_HOST, chosen, then);
	talk_establish(&talk);
	assert_int_equal(expect_flow(t, &talk.client).backend_id, chosen);
	assert_true(record_get(t, CLIENT_HOST, &record));
	assert_true(plane_now(t->p) - record.last < t->p->config.hz);
	/* packets of an open one do not */
	record_set(t, CLIENT_HOST, chosen, then);
	for (int i = 0; i < 5; i++)
		talk_expect_both(&talk);
	assert_true(record_get(t, CLIENT_HOST, &record));
	assert_int_equal(record.last, then);
}

/* The record alone makes a client sticky; its address does not bring it back to the same one. */
static void expired_record_frees_the_client(struct trial *t)
{
	bool used[BACKENDS + 1] = {false};
	int different = 0;

	for (uint16_t i = 0; i < 10; i++) {
		struct fl_affinity_key key = key_of(t, CLIENT_HOST);
		uint32_t id = connect_from(t, t->to, CLIENT_HOST, CLIENT_PORT + i);

		different += !used[id];
		used[id] = true;
		assert_int_equal(bpf_map_delete_elem(t->p->maps.affinity_fd, &key), 0);
	}
	/* all ten the same: once in two million */
	assert_true(different > 1);
}

struct unfit {
	struct row row;
	uint32_t id; /* 0: a backend of the list that is not the natural one */
	bool gone, another_generation;
};

static const struct unfit unfits[] = {
	{ROW("not in the list"), 7, false, false},
	{ROW("gone"), 0, true, false},
	{ROW("another generation"), 0, false, true},
	{ROW("never was"), 63, false, false},
};

static void unfit_record_is_a_miss(struct trial *t)
{
	const struct unfit *unfit = t->row;
	struct fl_ip outside_the_list = addr(t->family, t->network, 7);
	uint32_t natural = natural_of(t, t->to, CLIENT_PORT), chosen;

	chosen = unfit->id ? unfit->id : other_than(natural);
	backend_add(t->p, 7, &outside_the_list, BACKEND_PORT, t->proto, 0);
	record_set(t, CLIENT_HOST, chosen, plane_now(t->p));
	if (unfit->gone)
		backend_remove(t->p, chosen);
	if (unfit->another_generation)
		t->p->maps.backends[chosen].generation++;
	assert_int_equal(connect_from(t, t->to, CLIENT_HOST, CLIENT_PORT), natural);
	expect_record(t, CLIENT_HOST, natural);
}

static void without_affinity_nothing_is_recorded(struct trial *t)
{
	struct fl_affinity record;

	connect_from(t, t->to, CLIENT_HOST, CLIENT_PORT);
	assert_false(record_get(t, CLIENT_HOST, &record));
}

static void expect_no_record(struct trial *t)
{
	struct fl_affinity record;

	if (record_get(t, CLIENT_HOST, &record))
		trial_fail(t, "what was refused has written a record");
}

/* Of a connection that this node would know, since the backend is its own. */
static void stray_segment_is_not_recorded(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.flags = ACK;
	packet.payload = 20;
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_FLOW);
	expect_no_record(t);
}

static void expired_packet_is_not_recorded(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.ttl = 1;
	feed(t, &packet);
	expect_answer(t, &packet, ICMP_TTL_EXCEEDED, 0, FL_REASON_TTL_EXCEEDED);
	expect_no_record(t);
}

/* Above the rate. */
static void refused_flow_is_not_recorded(struct trial *t)
{
	struct packet packet = packet_of(t);

	plane_rate_set(t->p, t->hook == HOOK_XDP ? FL_OBJECT_XDP : FL_OBJECT_TC, RATE_NEW_FLOW,
		       (struct rate_bucket){.stamp = plane_now(t->p)});
	feed(t, &packet);
	expect_drop(t, FL_REASON_NEW_FLOW_RATE);
	expect_no_record(t);
}

static void tunnelled_flow_is_recorded(struct trial *t)
{
	struct packet packet = packet_of(t);
	struct fl_flow flow;

	feed(t, &packet);
	expect_outcome(t, SENT);
	assert_true(find_flow(t->p, &packet, &flow));
	expect_record(t, CLIENT_HOST, flow.backend_id);
	expect_counter(t, FL_COUNTER_FLOW_TUNNELLED, 1);
}

#define STICKY                                                                                     \
	.hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD),                                   \
	.scene = {.backends = BACKENDS, .more_flags = FL_AFFINITY}

#define STICKY_DSR                                                                                 \
	{                                                                                          \
		.backends = BACKENDS, .more_flags = FL_AFFINITY | FL_TUNNEL                        \
	}

static const struct test tests[] = {
	{"5.5.1: a client keeps its backend at all frontends of a service port",
	 CHECK(client_keeps_its_backend), STICKY},
	{"5.5.1: a record belongs to a service port", CHECK(record_decides_for_its_service_only),
	 STICKY},
	{"5.5.2: a record lasts for its timeout", CHECK(record_lasts_for_its_timeout), STICKY,
	 ROWS(ages)},
	{"5.5.2: a new flow restarts the timeout, a packet of an open one does not",
	 CHECK(new_flow_restarts_the_timeout), STICKY},
	{"5.5.3: without a record the choice is a new one", CHECK(expired_record_frees_the_client),
	 STICKY},
	{"5.5.3, 5.5.4: a record whose backend is not in force is a miss, never a drop",
	 CHECK(unfit_record_is_a_miss), STICKY, ROWS(unfits)},
	{"nothing is recorded for a segment of no flow", CHECK(stray_segment_is_not_recorded),
	 .protos = ONLY_TCP, .hooks = ON_NETWORK, .networks = IN(AT_POD), .scene = STICKY_DSR},
	{"nothing is recorded for a packet that is not sent on",
	 CHECK(expired_packet_is_not_recorded), .hooks = ON_XDP | ON_TC_INGRESS | ON_POD_INGRESS,
	 .scene = {.backends = BACKENDS, .more_flags = FL_AFFINITY}},
	{"... also by DSR", CHECK(expired_packet_is_not_recorded), .hooks = ON_XDP | ON_TC_INGRESS,
	 .scene = STICKY_DSR},
	{"nothing is recorded for a flow that is not made", CHECK(refused_flow_is_not_recorded),
	 .hooks = ON_XDP | ON_TC_INGRESS | ON_POD_INGRESS, .plane = PLANE_LIMITED,
	 .scene = {.backends = BACKENDS, .more_flags = FL_AFFINITY}},
	{"... nor by DSR", CHECK(refused_flow_is_not_recorded), .hooks = ON_XDP | ON_TC_INGRESS,
	 .plane = PLANE_LIMITED, .scene = STICKY_DSR},
	{"5.5.1: DSR records the backend", CHECK(tunnelled_flow_is_recorded), .hooks = ON_NETWORK,
	 .scene = STICKY_DSR},
	{"without affinity nothing is recorded", CHECK(without_affinity_nothing_is_recorded),
	 .hooks = ON_INGRESS, .scene = {.backends = BACKENDS}},
};

const struct topic affinity_topic = {"affinity", TESTS(tests)};
