// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Session affinity by client address: rules 5.5.1 to 5.5.4. */
#include "tests/packet/packet.h"

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <string.h>

#define BACKENDS 5

static struct scene sticky(int k)
{
	struct scene scene = scene_of(&kinds[k], AT_TX);

	scene.backends = BACKENDS;
	scene.more_flags = FL_AFFINITY;
	return scene;
}

/* A new flow; returns the backend it got. */
static uint32_t connect_from(struct plane *p, const struct scene *scene, const struct frontend *fe,
			     unsigned int host, uint16_t port)
{
	struct spec s = client_spec(p, scene->family, scene->proto, host, port, fe);
	struct result r;

	assert_int_equal(xdp(p, &s, &r), XDP_TX);
	return expect_flow(p, &s).backend_id;
}

static struct fl_affinity_key key_of(const struct scene *scene, unsigned int host,
				     uint32_t service_id)
{
	struct fl_ip ip = addr(scene->family, AT_OUTSIDE, host);
	struct fl_affinity_key key = {.service_id = service_id};

	memcpy(&key.client, &ip, sizeof(key.client));
	return key;
}

static bool record_get(const struct plane *p, const struct scene *scene, unsigned int host,
		       struct fl_affinity *ret)
{
	struct fl_affinity_key key = key_of(scene, host, 1);

	return !bpf_map_lookup_elem(p->maps.affinity_fd, &key, ret);
}

static void record_set(const struct plane *p, const struct scene *scene, unsigned int host,
		       uint32_t backend, uint32_t last)
{
	struct fl_affinity_key key = key_of(scene, host, 1);
	struct fl_affinity record = {.backend = backend,
				     .generation = p->maps.backends[backend].generation,
				     .last = last};

	assert_int_equal(bpf_map_update_elem(p->maps.affinity_fd, &key, &record, 0), 0);
}

/* 5.5.1: whatever port the client uses, whichever frontend it asks; another client may get another
 * one. */
static void test_client_keeps_its_backend(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = sticky(k);
		struct frontend fe[SCENE_FRONTENDS];
		bool used[BACKENDS + 1] = {false};
		int different = 0;

		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		for (unsigned int host = 1; host <= 30; host++) {
			uint32_t first = connect_from(USUAL(state), &scene, &fe[0], host, 4000);

			for (uint16_t i = 1; i < 9; i++)
				assert_int_equal(connect_from(USUAL(state), &scene,
							      &fe[i % SCENE_FRONTENDS], host,
							      (uint16_t)(4000 + i)),
						 first);
			different += !used[first];
			used[first] = true;
		}
		assert_true(different >= 3);
	}
}

/* 5.5.1: a record belongs to a service port; and it, not the hash, decides. */
static void test_record_decides_for_its_service_only(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = sticky(k);
		struct plane *p = USUAL(state);
		struct frontend fe[SCENE_FRONTENDS], other;
		uint32_t natural, chosen;

		plane_reset(p);
		scene_set(p, &scene, fe);
		other = (struct frontend){FL_FRONTEND_CLUSTER_IP,
					  addr(scene.family, AT_SERVICE, 12), SERVICE_PORT};
		service_add(p, &(struct service){.id = 2,
						 .type = other.type,
						 .ip = other.ip,
						 .port = other.port,
						 .proto = scene.proto,
						 .flags = MASQUERADE_ALL | FL_AFFINITY,
						 .affinity_timeout = 100 * p->config.hz,
						 .ids = {{1, 2, 3, 4, 5}, {1, 2, 3, 4, 5}}});
		natural = connect_from(p, &scene, &other, 10, 4000);
		chosen = natural % BACKENDS + 1;
		record_set(p, &scene, 10, chosen, plane_now(p));
		assert_int_equal(connect_from(p, &scene, &fe[0], 10, 4000), chosen);
		assert_int_equal(connect_from(p, &scene, &fe[3], 10, 4001), chosen);
		assert_int_equal(connect_from(p, &scene, &other, 10, 4001), natural);
	}
}

/* 5.5.2: a new flow restarts the timeout, a packet of an open one does not. */
static void test_timeout_runs_from_the_last_new_flow(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = sticky(k);
		struct plane *p = USUAL(state);
		uint32_t timeout = 3600 * p->config.hz, natural, chosen, then;
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_affinity record;
		struct talk t;

		plane_reset(p);
		scene_set(p, &scene, fe);
		natural = connect_from(p, &scene, &fe[0], 10, 3999);
		chosen = natural % BACKENDS + 1;
		then = plane_now(p) - timeout + p->config.hz;
		record_set(p, &scene, 10, chosen, then);
		t = talk_begin(p, &scene, &fe[0], 10, 4000);
		talk_establish(&t);
		assert_int_equal(expect_flow(p, &t.client).backend_id, chosen);
		assert_true(record_get(p, &scene, 10, &record));
		assert_true(plane_now(p) - record.last < p->config.hz);

		record_set(p, &scene, 10, chosen, then);
		for (int i = 0; i < 5; i++) {
			struct result r;

			talk_send(&t, ACK, &r);
			talk_reply(&t, ACK, &r);
		}
		assert_true(record_get(p, &scene, 10, &record));
		assert_int_equal(record.last, then);

		/* written by a processor whose clock is a tick ahead */
		record_set(p, &scene, 10, chosen, plane_now(p) + 2);
		assert_int_equal(connect_from(p, &scene, &fe[0], 10, 4002), chosen);

		/* too late: chosen afresh, and recorded */
		record_set(p, &scene, 10, chosen, plane_now(p) - timeout - p->config.hz);
		assert_int_equal(connect_from(p, &scene, &fe[0], 10, 4001), natural);
		assert_true(record_get(p, &scene, 10, &record));
		assert_int_equal(record.backend, natural);
	}
}

enum unfit {
	NOT_IN_THE_LIST,
	GONE,
	ANOTHER_GENERATION,
	NEVER_WAS,
	UNFITS,
};

/* 5.5.3, 5.5.4: a record whose backend is not in force is a miss, never a drop, and is replaced. */
static void test_unfit_records_are_misses(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (enum unfit unfit = 0; unfit < UNFITS; unfit++) {
			const struct scene scene = sticky(k);
			struct plane *p = USUAL(state);
			struct fl_ip outside_the_list = addr(scene.family, AT_TX, 7);
			struct frontend fe[SCENE_FRONTENDS];
			struct fl_affinity record;
			uint32_t natural, chosen;

			plane_reset(p);
			scene_set(p, &scene, fe);
			natural = connect_from(p, &scene, &fe[0], 10, 4000);
			chosen = unfit == NOT_IN_THE_LIST ? 7
				 : unfit == NEVER_WAS	  ? 63
							  : natural % BACKENDS + 1;
			backend_add(p, 7, &outside_the_list, BACKEND_PORT, scene.proto, 0);
			record_set(p, &scene, 10, chosen, plane_now(p));
			if (unfit == GONE)
				backend_remove(p, chosen);
			if (unfit == ANOTHER_GENERATION)
				p->maps.backends[chosen].generation++;
			assert_int_equal(connect_from(p, &scene, &fe[0], 10, 4001), natural);
			assert_true(record_get(p, &scene, 10, &record));
			assert_int_equal(record.backend, natural);
		}
}

/* Without affinity nothing is recorded. */
static void test_no_affinity_no_record(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		struct scene scene = sticky(k);
		struct frontend fe[SCENE_FRONTENDS];
		struct fl_affinity record;

		scene.more_flags = 0;
		plane_reset(USUAL(state));
		scene_set(USUAL(state), &scene, fe);
		connect_from(USUAL(state), &scene, &fe[0], 10, 4000);
		assert_false(record_get(USUAL(state), &scene, 10, &record));
	}
}

int affinity_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_client_keeps_its_backend),
		cmocka_unit_test(test_record_decides_for_its_service_only),
		cmocka_unit_test(test_timeout_runs_from_the_last_new_flow),
		cmocka_unit_test(test_unfit_records_are_misses),
		cmocka_unit_test(test_no_affinity_no_record),
	};

	return run_topic("session affinity", tests, N(tests), world);
}
