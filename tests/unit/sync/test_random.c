// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Random changes, refusals, restarts and pauses (robustness B5, A2): after each write all that a
 * packet can find is whole, and in the end the maps say the same as those of an agent that saw only
 * the last state.
 */
#include "tests/unit/sync/sync_fixture.h"

#define SERVICES 8
#define STEPS 300

struct random_service {
	struct want want[2];
	size_t n;
	int64_t created;
	char ip[2][WANT_ENDPOINTS][24];
};

struct dice {
	uint64_t x;
};

static uint32_t roll(struct dice *dice, uint32_t sides)
{
	dice->x = dice->x * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(dice->x >> 33) % sides;
}

static const char *const cluster_ips[SERVICES] = {"10.96.0.1", "10.96.0.2", "10.96.0.3",
						  "10.96.0.4", "10.96.0.5", "10.96.0.6",
						  "10.96.0.7", "10.96.0.8"};
static const char *const shared_ips[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};

/* External addresses are few, so that Services collide. */
static void service_roll(struct dice *dice, struct random_service *service, unsigned self)
{
	service->n = roll(dice, 8) ? 1 + roll(dice, 2) : 0;
	service->created = roll(dice, 3);
	for (size_t p = 0; p < service->n; p++) {
		struct want *want = &service->want[p];
		const uint32_t n = roll(dice, 6);

		*want = (struct want){
			.port_name = p ? "b" : "a",
			.port = (uint16_t)(80 + p),
			.cluster_ip = cluster_ips[self],
			.external_ip = roll(dice, 3) ? NULL : shared_ips[roll(dice, 3)],
			.lb_ip = roll(dice, 3) ? NULL : shared_ips[roll(dice, 3)],
			.node_port = roll(dice, 3) ? 0 : (uint16_t)(30000 + roll(dice, 4)),
			.external_local = roll(dice, 2),
			.internal_local = !roll(dice, 4),
			.affinity = roll(dice, 2),
			.range = roll(dice, 3) ? NULL : "198.51.100.0/24",
			.vips_exempt = roll(dice, 2),
		};
		for (uint32_t i = 0; i < n; i++) {
			/* on which node an address is does not change from Service to Service */
			const uint32_t address = 1 + i * 3 + roll(dice, 3);

			snprintf(service->ip[p][i], sizeof(service->ip[p][i]), "%s10.1.0.%u",
				 address % 3 ? (roll(dice, 8) ? "" : "-") : "*", address);
			want->endpoints[i] = service->ip[p][i];
		}
	}
}

static int service_sync(struct fake *fake, const struct random_service *services, unsigned k)
{
	char name[8];

	snprintf(name, sizeof(name), "s%u", k);
	return fake_sync(fake, name, services[k].created, services[k].want, services[k].n);
}

static void same_lists(const struct fake *a, const struct fake *b)
{
	const struct fake_map *m = &a->map[FL_SYNC_FRONTENDS];
	char text_a[1024], text_b[1024];

	assert_int_equal(m->n, b->map[FL_SYNC_FRONTENDS].n);
	for (uint32_t i = 0; i < m->n; i++) {
		const void *key = m->keys + i * sizeof(struct fl_frontend_key);
		const struct fl_frontend *va = (const struct fl_frontend *)m->values + i;
		const uint32_t at = fake_find(b, FL_SYNC_FRONTENDS, key);
		const struct fl_frontend *vb;

		assert_int_not_equal(at, UINT32_MAX);
		vb = (const struct fl_frontend *)b->map[FL_SYNC_FRONTENDS].values + at;
		assert_int_equal(va->type, vb->type);
		assert_int_equal(va->flags, vb->flags);
		assert_int_equal(va->affinity_timeout, vb->affinity_timeout);
		assert_memory_equal(va->verdict, vb->verdict, sizeof(va->verdict));
		for (int side = 0; side < FL_SIDES; side++)
			assert_string_equal(fake_list(a, &va->list[side], text_a, sizeof(text_a)),
					    fake_list(b, &vb->list[side], text_b, sizeof(text_b)));
	}
	for (int map = 0; map < FL_SYNC_HASHES; map++)
		assert_int_equal(a->map[map].n, b->map[map].n);
}

static void converge(struct fake *fake, const struct random_service *services)
{
	struct fl_sync_stats stats_a, stats_b;
	struct fake *fresh;

	fake->refuse_at = 0;
	for (unsigned k = 0; k < SERVICES; k++)
		assert_int_equal(service_sync(fake, services, k), 0);
	assert_int_equal(fl_sync_settle(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_retry(fake->sync, &fake->err), 0);
	assert_int_equal(fl_sync_verify(fake->sync, NULL, NULL), 0);
	fake_setup((void **)&fresh);
	for (unsigned k = 0; k < SERVICES; k++)
		assert_int_equal(service_sync(fresh, services, k), 0);
	same_lists(fake, fresh);
	fl_sync_reap(fake->sync, UINT64_MAX / 4);
	fl_sync_reap(fake->sync, UINT64_MAX / 2);
	fl_sync_reap(fresh->sync, UINT64_MAX / 4);
	fl_sync_reap(fresh->sync, UINT64_MAX / 2);
	fl_sync_stats(fake->sync, &stats_a);
	fl_sync_stats(fresh->sync, &stats_b);
	assert_int_equal(stats_a.lines_used, stats_b.lines_used);
	assert_int_equal(stats_a.backend_sets, stats_b.backend_sets);
	assert_int_equal(stats_a.backends, stats_b.backends);
	fake_teardown((void **)&fresh);
}

/* Room for about half of what the Services want; or for all of it. */
static void set_room(struct fake *fake, bool tight)
{
	static const uint32_t some[FL_SYNC_HASHES] = {
		[FL_SYNC_MEMBERS] = 14, [FL_SYNC_RANGES] = 4, [FL_SYNC_FRONTENDS] = 22};

	for (int map = 0; map < FL_SYNC_HASHES; map++)
		fake->map[map].max = tight ? some[map] : 512;
	fake->maps.n_lines = tight ? 1 + 9 * 10 : FAKE_LINES;
	fake->maps.n_backends = tight ? 14 : FAKE_BACKENDS;
	fake_restart(fake);
}

/* Each Service is planned, whether it fits or not; from here on what no Service wants may go. */
static void settle(struct fake *fake, const struct random_service *services)
{
	for (unsigned k = 0; k < SERVICES; k++) {
		service_sync(fake, services, k);
		fake_check(fake);
	}
	fl_sync_settle(fake->sync, &fake->err);
	fake_check(fake);
}

/* All Services go, and then there is little room again. */
static void empty(struct fake *fake)
{
	char name[8];

	for (unsigned k = 0; k < SERVICES; k++) {
		snprintf(name, sizeof(name), "s%u", k);
		GONE(fake, name);
	}
	for (int map = 0; map < FL_SYNC_HASHES; map++)
		assert_int_equal(fake->map[map].n, 0);
	memset(fake->maps.backends, 0, FAKE_BACKENDS * sizeof(struct fl_backend));
	set_room(fake, true);
}

/* Rule 2.21, whatever was refused or restarted. */
static void expect_order(const struct fl_conflict *conflict, void *arg)
{
	assert_true(fl_claimant_cmp(&conflict->winner, &conflict->loser) < 0);
}

enum kind {
	FULL,	 /* what would add an element is refused now and then */
	REFUSED, /* any write is */
	TIGHT,	 /* there is too little room, and agents restart */
};

static void run(uint64_t seed, enum kind kind)
{
	struct random_service services[SERVICES] = {0};
	struct dice dice = {seed};
	uint64_t now_ns = 1;
	struct fake *fake;

	fake_setup((void **)&fake);
	fake->refuse_new = kind != REFUSED;
	fake->outlive = kind == REFUSED;
	if (kind == TIGHT)
		set_room(fake, true);
	for (int step = 0; step < STEPS; step++) {
		const unsigned k = roll(&dice, SERVICES);
		const uint32_t event = roll(&dice, 100);

		fake->refuse_at = kind == TIGHT || roll(&dice, 4) ? 0 : 1 + roll(&dice, 12);
		service_roll(&dice, &services[k], k);
		if (event < 80) {
			service_sync(fake, services, k);
		} else if (event < 90) {
			fl_sync_begin(fake->sync);
			for (unsigned i = 0; i < SERVICES; i++) {
				if (roll(&dice, 2))
					service_roll(&dice, &services[i], i);
				service_sync(fake, services, i);
			}
			fl_sync_commit(fake->sync, &fake->err);
		} else if (event < 94) {
			fake->refuse_at = 0;
			fake_restart(fake);
			if (roll(&dice, 2))
				settle(fake, services);
			now_ns = 1;
		} else if (event < 97) {
			fl_sync_retry(fake->sync, &fake->err);
		} else {
			if (kind == TIGHT)
				set_room(fake, false);
			converge(fake, services);
			if (kind == TIGHT)
				empty(fake);
		}
		fl_sync_reap(fake->sync, now_ns += roll(&dice, 1000000000));
		fake_check(fake);
		fake_check_stages(fake);
		fl_sync_each_conflict(fake->sync, expect_order, NULL);
	}
	if (kind == TIGHT)
		set_room(fake, false);
	converge(fake, services);
	fake_teardown((void **)&fake);
}

static void test_full_maps_leave_every_frontend_whole(void **state)
{
	for (uint64_t seed = 1; seed <= 2; seed++)
		run(seed, FULL);
}

/* As a kernel without memory: whatever is refused, no list is half, and all converges. */
static void test_any_refusal_converges(void **state)
{
	for (uint64_t seed = 11; seed <= 12; seed++)
		run(seed, REFUSED);
}

/* B4: what is in force stays whole, over restarts too, and all converges when there is room. */
static void test_too_little_room_converges(void **state)
{
	for (uint64_t seed = 21; seed <= 24; seed++)
		run(seed, TIGHT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_maps_leave_every_frontend_whole),
		cmocka_unit_test(test_any_refusal_converges),
		cmocka_unit_test(test_too_little_room_converges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
