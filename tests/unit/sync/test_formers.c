// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tables that service ports with DSR have had before: what stands in fl_formers, and until when. */
#include "tests/unit/sync/sync_fixture.h"

static char text[8192];

static const struct fl_former *record(const struct fake *fake, uint32_t *ret_service)
{
	*ret_service = fake_frontend(fake, "10.96.0.1", 80, IPPROTO_TCP)->service_id;
	return &fake->maps.formers[*ret_service % FL_FORMER_LISTS];
}

/* The ids of the tables before, the newest first; "" where there is none. */
static void expect_formers(struct fake *fake, const char *first, const char *second,
			   const char *third)
{
	const char *const want[FL_FORMERS] = {first, second, third};
	uint32_t service;
	const struct fl_former *former = record(fake, &service);

	for (int i = 0; i < FL_FORMERS; i++) {
		const struct fl_list list = fl_packed_list(former->side[i], service);

		assert_true(!*want[i] || former->service_id == service);
		assert_string_equal(
			former->side[i] ? fake_list(fake, &list, text, sizeof(text)) : "", want[i]);
	}
}

#define WEB(fake, ...)                                                                             \
	do {                                                                                       \
		assert_int_equal(SYNC(fake, "web",                                                 \
				      {.cluster_ip = "10.96.0.1",                                  \
				       .endpoints = {__VA_ARGS__},                                 \
				       .dsr = true}),                                              \
				 0);                                                               \
		fake_check(fake);                                                                  \
	} while (0)

#define A "10.1.0.1"
#define B "10.1.0.2"
#define C "10.1.0.3"
#define D "10.1.0.4"
#define E "10.1.0.5"

static void test_the_last_three_are_remembered(void **state)
{
	struct fake *fake = *state;

	WEB(fake, A, B, C, D, E);
	expect_formers(fake, "", "", "");
	WEB(fake, A, B, C, D);
	expect_formers(fake, A "," B "," C "," D "," E, "", "");
	WEB(fake, A, B, C);
	WEB(fake, A, B);
	expect_formers(fake, A "," B "," C, A "," B "," C "," D, A "," B "," C "," D "," E);
	WEB(fake, A);
	expect_formers(fake, A "," B, A "," B "," C, A "," B "," C "," D);
}

/* The set is the same one, which is not built again. */
static void test_one_that_is_in_force_again_is_no_former_one(void **state)
{
	struct fake *fake = *state;

	WEB(fake, A, B);
	WEB(fake, A);
	WEB(fake, A, B);
	expect_formers(fake, A, "", "");
	WEB(fake, A);
	expect_formers(fake, A "," B, "", "");
}

static void test_none_is_in_force_for_a_while(void **state)
{
	struct fake *fake = *state;

	WEB(fake, A, B);
	WEB(fake, NULL);
	expect_formers(fake, A "," B, "", "");
	WEB(fake, B);
	expect_formers(fake, A "," B, "", "");
}

/* Sets and backend ids stay while they stand here, past the time that readers are given. */
static void test_what_is_remembered_stays(void **state)
{
	struct fake *fake = *state;
	struct fl_addr addr = fake_addr(B);
	uint32_t gone;

	WEB(fake, A, B);
	gone = fake_backend(fake, B);
	WEB(fake, A);
	fl_sync_reap(fake->sync, 1);
	fl_sync_reap(fake->sync, 5000000000ULL);
	expect_formers(fake, A "," B, "", "");
	for (uint32_t i = 0; i < 2 * FAKE_BACKENDS; i++) {
		char ip[32];

		snprintf(ip, sizeof(ip), "10.2.%u.%u", i / 200, 1 + i % 200);
		assert_int_equal(
			SYNC(fake, "other", {.cluster_ip = "10.96.0.2", .endpoints = {ip}}), 0);
		fl_sync_reap(fake->sync, (i + 6) * 1000000000ULL);
		fl_sync_reap(fake->sync, (i + 8) * 1000000000ULL);
	}
	assert_memory_equal(&fake->maps.backends[gone].addr, &addr, sizeof(addr));
}

static uint32_t sets(const struct fake *fake)
{
	struct fl_sync_stats stats;

	fl_sync_stats(fake->sync, &stats);
	return stats.backend_sets;
}

static void expect_given_back(struct fake *fake, uint32_t before)
{
	fl_sync_reap(fake->sync, 1);
	fl_sync_reap(fake->sync, 5000000000ULL);
	assert_int_equal(sets(fake), before);
	for (uint32_t i = 0; i < FL_FORMER_LISTS; i++)
		for (int k = 0; k < FL_FORMERS; k++)
			assert_int_equal(fake->maps.formers[i].side[k], 0);
}

static void test_a_service_that_goes_gives_them_back(void **state)
{
	struct fake *fake = *state;
	const uint32_t before = sets(fake);

	WEB(fake, A, B);
	WEB(fake, A);
	assert_int_equal(GONE(fake, "web"), 0);
	expect_given_back(fake, before);
}

static void test_so_does_one_without_dsr(void **state)
{
	struct fake *fake = *state;
	const uint32_t before = sets(fake);

	WEB(fake, A, B);
	WEB(fake, A);
	assert_int_equal(SYNC(fake, "web", {.cluster_ip = "10.96.0.1", .endpoints = {A}}), 0);
	expect_given_back(fake, before + 1);
	/* and it begins to remember with the first table of its own */
	WEB(fake, B);
	expect_formers(fake, "", "", "");
}

static void test_without_dsr_nothing_is_remembered(void **state)
{
	struct fake *fake = *state;
	const uint32_t before = sets(fake);

	SYNC(fake, "web", {.cluster_ip = "10.96.0.1", .endpoints = {A, B}});
	SYNC(fake, "web", {.cluster_ip = "10.96.0.1", .endpoints = {A}});
	expect_given_back(fake, before + 1);
}

static void test_an_agent_that_starts_gives_them_back(void **state)
{
	struct fake *fake = *state;
	const uint32_t before = sets(fake);

	WEB(fake, A, B);
	WEB(fake, A);
	fake_restart(fake);
	expect_given_back(fake, before + 1);
}

/* No backend id is left: what is only remembered makes room for what is wanted. */
static void test_full_maps_give_them_back(void **state)
{
	struct fake *fake = *state;
	uint32_t service;
	int rc = 0;

	WEB(fake, A, B);
	WEB(fake, A);
	assert_true(record(fake, &service)->side[0]);
	for (uint32_t i = 0; i < FAKE_BACKENDS / 8 && !rc; i++) {
		struct want want = {.dsr = true};
		char ip[16][32], vip[32], name[32];

		for (uint32_t k = 0; k < 16; k++) {
			snprintf(ip[k], sizeof(ip[k]), "10.%u.%u.1", 2 + k, 1 + i);
			want.endpoints[k] = ip[k];
		}
		snprintf(vip, sizeof(vip), "10.97.0.%u", 1 + i);
		snprintf(name, sizeof(name), "other-%u", i);
		want.cluster_ip = vip;
		rc = fake_sync(fake, name, 0, &want, 1);
	}
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(record(fake, &service)->side[0], 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_the_last_three_are_remembered),
		TEST(test_one_that_is_in_force_again_is_no_former_one),
		TEST(test_none_is_in_force_for_a_while),
		TEST(test_what_is_remembered_stays),
		TEST(test_a_service_that_goes_gives_them_back),
		TEST(test_so_does_one_without_dsr),
		TEST(test_without_dsr_nothing_is_remembered),
		TEST(test_an_agent_that_starts_gives_them_back),
		TEST(test_full_maps_give_them_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
