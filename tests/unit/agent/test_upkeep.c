/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rhythm of the flow table's upkeep: when passes rest, and what ends a rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <bpf/bpf.h>

#include "lb/agent/upkeep.h"
#include "lb/base/cleanup.h"
#include "lb/dp/filter.h"
#include "tests/unit/conntrack/table_fixture.h"

#define REST_MS FL_UPKEEP_REST_MS
#define PASS (FL_UPKEEP_SLICES / BUCKETS) /* so often a table this small is passed over in one */

struct rhythm {
	struct fixture f;
	struct fl_upkeep upkeep;
	uint64_t now, created;
	unsigned int passes; /* of the IPv4 table */
};

static void passed(enum fl_family family, void *arg)
{
	((struct rhythm *)arg)->passes += family == FL_IPV4;
}

static void begin(struct rhythm *r)
{
	memset(r, 0, sizeof(*r));
	fixture_init(&r->f);
	r->now = NOW;
	r->upkeep = (struct fl_upkeep){.flows = r->f.table, .sweep = r->f.sweep};
	fl_sweep_watch(&r->upkeep.sweep, &(struct fl_sweep_watcher){.passed = passed, .arg = r});
}

/* One slice, and the time until the next. */
static unsigned int step(struct rhythm *r)
{
	const unsigned int ms = fl_upkeep_slice(&r->upkeep, r->now, HZ, r->created);

	r->now += ms * HZ / 1000;
	return ms;
}

static void go_on(struct rhythm *r, uint32_t seconds)
{
	for (const uint64_t end = r->now + (uint64_t)seconds * HZ; r->now < end;)
		step(r);
}

/* Until a rest has begun. */
static void settle(struct rhythm *r)
{
	unsigned int steps = 0;

	while (step(r) != REST_MS)
		assert_in_range(++steps, 1, 4 * FL_UPKEEP_SLICES);
}

static void add(struct rhythm *r, enum fl_flow_state state, uint8_t proto)
{
	fixture_pair(&r->f, &(struct pair){FL_IPV4, 3, 17, proto, state, (uint32_t)r->now,
					   (uint32_t)r->now, 0});
	r->created++;
}

static unsigned int passes_in(struct rhythm *r, uint32_t seconds)
{
	r->passes = 0;
	go_on(r, seconds);
	return r->passes;
}

static void test_passes_rest_when_nothing_is_created(void **state)
{
	struct rhythm r;

	begin(&r);
	settle(&r);
	/* now and then it is looked whether it really is empty */
	assert_in_range(passes_in(&r, 600), 1, 3 * PASS);
	add(&r, FL_FLOW_ESTABLISHED, IPPROTO_TCP);
	assert_int_not_equal(step(&r), REST_MS); /* at once */
	settle(&r);
	assert_int_equal(r.upkeep.sweep.tally[FL_IPV4].used, 2);
	assert_in_range(passes_in(&r, 600), 8 * PASS, 11 * PASS);
	assert_int_equal(fixture_state(&r.f, FL_IPV4, 3), FL_FLOW_ESTABLISHED);
}

static void test_passes_go_on_while_flows_are_created(void **state)
{
	struct rhythm r;

	begin(&r);
	for (int i = 0; i < 5 * FL_UPKEEP_SLICES; i++) {
		r.created++;
		assert_int_equal(step(&r), FL_UPKEEP_MS);
	}
}

static void test_a_rest_ends_when_a_flow_is_over(void **state)
{
	static const struct {
		enum fl_flow_state state;
		uint8_t proto;
		uint32_t timeout_s;
	} rows[] = {
		{FL_FLOW_NEW, IPPROTO_UDP, 30},
		{FL_FLOW_TIME_WAIT, IPPROTO_TCP, 20},
		{FL_FLOW_ESTABLISHED, IPPROTO_UDP, 120},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct rhythm r;
		uint64_t over;

		begin(&r);
		settle(&r);
		add(&r, rows[i].state, rows[i].proto);
		over = r.now + rows[i].timeout_s * HZ;
		while (fixture_state(&r.f, FL_IPV4, 3) != FL_FLOW_FREE)
			step(&r);
		assert_in_range(r.now, over, over + 7 * HZ);
		assert_int_equal(fixture_state(&r.f, FL_IPV4, 17), FL_FLOW_FREE);
	}
}

/* The state of a flow changes without a flow being created. */
static void test_a_closed_flow_outlives_no_rest(void **state)
{
	struct rhythm r;
	uint64_t closed;

	begin(&r);
	add(&r, FL_FLOW_ESTABLISHED, IPPROTO_TCP);
	settle(&r);
	for (uint32_t slot = 3; slot <= 17; slot += 14) {
		struct fl_flow_head *head = fixture_head(&r.f, FL_IPV4, slot);

		head->word = fl_flow_word(1, FL_FLOW_CLOSING);
		head->last_seen = (uint32_t)r.now;
	}
	closed = r.now;
	while (fixture_state(&r.f, FL_IPV4, 3) != FL_FLOW_FREE)
		step(&r);
	assert_in_range(r.now, closed + 10 * HZ, closed + (10 + FL_UPKEEP_REST_S + 7) * HZ);
}

/* Whoever frees a flow may be killed between its halves: that creates none. */
static void test_a_lone_entry_goes_though_nothing_is_created(void **state)
{
	struct rhythm r;
	const uint64_t most_s = 9 * (FL_UPKEEP_REST_S + 7);

	begin(&r);
	add(&r, FL_FLOW_ESTABLISHED, IPPROTO_TCP);
	settle(&r);
	fixture_head(&r.f, FL_IPV4, 17)->word = fl_flow_word(2, FL_FLOW_FREE);
	go_on(&r, (uint32_t)most_s);
	assert_int_equal(fixture_state(&r.f, FL_IPV4, 3), FL_FLOW_FREE);
}

static enum fl_flow_state of_kernel(const struct fl_flow *flow, void *arg)
{
	return *(enum fl_flow_state *)arg;
}

/* The kernel is asked about its flows in each pass. */
static void test_flows_of_the_kernel_leave_no_rest(void **state)
{
	enum fl_flow_state kernel = FL_FLOW_ESTABLISHED;
	struct rhythm r;

	begin(&r);
	settle(&r);
	r.upkeep.sweep.kernel = of_kernel;
	r.upkeep.sweep.kernel_arg = &kernel;
	fixture_pair(&r.f, &(struct pair){FL_IPV4, 3, 17, IPPROTO_TCP, FL_FLOW_ESTABLISHED,
					  (uint32_t)r.now, (uint32_t)r.now, 0});
	fixture_head(&r.f, FL_IPV4, 3)->flags |= FL_FLOW_KERNEL;
	fixture_head(&r.f, FL_IPV4, 17)->flags |= FL_FLOW_KERNEL;
	fl_upkeep_wake(&r.upkeep);
	for (int i = 0; i < 5 * FL_UPKEEP_SLICES; i++)
		assert_int_equal(step(&r), FL_UPKEEP_MS);
	kernel = FL_FLOW_FREE;
	settle(&r);
	assert_int_equal(fixture_state(&r.f, FL_IPV4, 3), FL_FLOW_FREE);
}

static void test_unknown_time_is_waited_for(void **state)
{
	struct rhythm r;

	begin(&r);
	assert_int_equal(fl_upkeep_slice(&r.upkeep, 0, HZ, 0), REST_MS);
	assert_int_equal(r.passes, 0);
}

static struct fl_filter_word filter[FL_FILTER_WORDS], own_ports[FL_OWN_PORT_WORDS];

static bool any_bit(uint32_t half)
{
	for (size_t i = 0; i < FL_FILTER_WORDS; i++)
		if (filter[i].half[half])
			return true;
	return false;
}

/* The node's address that is in the filter is gone; `addresses`: the map of those there are. Which
 * half is read so many seconds later. */
static uint32_t filter_half_after(int addresses, uint32_t seconds)
{
	const struct fl_addr gone = {.w = {0, 0, htonl(0xffff), htonl(0x0a000001)}};
	struct fl_maps maps = FL_MAPS_INIT;
	struct fl_meta meta = {0};
	struct rhythm r;

	begin(&r);
	memset(filter, 0, sizeof(filter));
	maps.filter = filter;
	maps.n_filter = FL_FILTER_WORDS;
	maps.own_ports = own_ports;
	maps.n_own_ports = FL_OWN_PORT_WORDS;
	maps.meta = &meta;
	maps.local_fd = addresses;
	r.upkeep.maps = &maps;
	fl_filter_add_own(&maps, &gone);
	go_on(&r, seconds);
	return meta.filter_half;
}

static void test_the_filter_is_made_anew(void **state)
{
	_cleanup_close_ int addresses =
		bpf_map_create(BPF_MAP_TYPE_HASH, "fl_test", sizeof(struct fl_addr), 4, 16, NULL);

	if (addresses < 0)
		skip();
	assert_int_equal(filter_half_after(addresses, 590), 0);
	assert_true(any_bit(0));
	assert_int_equal(filter_half_after(addresses, 620), 1);
	assert_false(any_bit(1));
}

/* In as many steps as a pass has, which takes a pass's time, though the passes rest. */
static void test_bits_are_made_at_the_pace_of_a_pass(void **state)
{
	struct fl_overflow overflow[2][FL_OVERFLOW_BUCKETS] = {0};
	struct fl_meta meta = {0};
	struct rhythm r;
	unsigned int ms;

	begin(&r);
	r.upkeep.flows.overflow4 = overflow[0];
	r.upkeep.flows.overflow6 = overflow[1];
	r.upkeep.flows.meta = &meta;
	settle(&r);
	overflow[0][0].half[0] = 1; /* of an entry that is gone */
	do {
		ms = step(&r);
		assert_in_range(r.now, NOW, NOW + 100 * HZ);
	} while (r.upkeep.overflow.phase != FL_REBUILD_SCAN);
	assert_int_equal(ms, FL_UPKEEP_MS);
	go_on(&r, 1);
	assert_int_equal(meta.overflow_half, 1);
}

/* What stays is what is known to be enough. */
static void test_a_filter_that_cannot_be_made_stays(void **state)
{
	assert_int_equal(filter_half_after(-1, 1300), 0);
	assert_true(any_bit(0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes_rest_when_nothing_is_created),
		cmocka_unit_test(test_passes_go_on_while_flows_are_created),
		cmocka_unit_test(test_a_rest_ends_when_a_flow_is_over),
		cmocka_unit_test(test_a_closed_flow_outlives_no_rest),
		cmocka_unit_test(test_a_lone_entry_goes_though_nothing_is_created),
		cmocka_unit_test(test_flows_of_the_kernel_leave_no_rest),
		cmocka_unit_test(test_unknown_time_is_waited_for),
		cmocka_unit_test(test_the_filter_is_made_anew),
		cmocka_unit_test(test_bits_are_made_at_the_pace_of_a_pass),
		cmocka_unit_test(test_a_filter_that_cannot_be_made_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
