/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Flows that the kernel's NAT has are entered so that a program finds them and leaves them as they
 * are, and live as long as the kernel says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <cmocka.h>

#include "bpf/abi/hash.h"
#include "conntrack/import.h"
#include "conntrack/entry.h"
#include "tests/unit/conntrack/table_fixture.h"

struct scene {
	struct fixture f;
	struct fl_meta meta;
	struct fl_overflow overflow4, overflow6;
	enum fl_flow_state kernel; /* what it answers */
	size_t asked;
};

static void scene_init(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	fixture_init(&s->f);
	s->meta.flow_seed[0] = 0x1234567;
	s->f.table.meta = &s->meta;
	s->f.table.overflow4 = &s->overflow4;
	s->f.table.overflow6 = &s->overflow6;
}

static struct fl_ip ip(const char *text)
{
	struct fl_ip parsed;

	assert_int_equal(fl_ip_parse(text, &parsed), 0);
	return parsed;
}

static struct fl_flow kernel_flow(enum fl_family family, uint16_t port, bool masqueraded)
{
	const bool v6 = family == FL_IPV6;
	struct fl_flow flow = {
		.family = family,
		.proto = IPPROTO_TCP,
		.state = FL_FLOW_ESTABLISHED,
		.client = ip(v6 ? "2001:db8::1" : "198.51.100.1"),
		.client_port = port,
		.frontend = ip(v6 ? "fd96::1" : "10.96.0.1"),
		.frontend_port = 80,
		.backend = ip(v6 ? "fd01::9" : "10.1.0.9"),
		.backend_port = 8080,
	};

	flow.source = masqueraded ? ip(v6 ? "fd09::9" : "10.9.9.9") : flow.client;
	flow.source_port = masqueraded ? 999 : port;
	return flow;
}

struct seen {
	struct fl_flow flow;
	size_t n;
};

static int see(const struct fl_flow *flow, void *arg)
{
	struct seen *seen = arg;

	seen->flow = *flow;
	seen->n++;
	return 0;
}

static struct seen walk(struct scene *s)
{
	struct seen seen = {.n = 0};

	fl_flow_walk(&s->f.table, NOW, see, &seen);
	return seen;
}

static void test_entries_leave_packets_alone(void **state)
{
	for (int row = 0; row < 4; row++) {
		const enum fl_family family = row & 1 ? FL_IPV6 : FL_IPV4;
		const struct fl_flow flow = kernel_flow(family, 40000, row & 2);
		struct fl_entry entry, twin;
		struct scene s;
		struct seen seen;

		scene_init(&s);
		assert_int_equal(fl_flow_import(&s.f.table, &flow, NOW), 1);
		seen = walk(&s);
		assert_int_equal(seen.n, 1);
		assert_true(seen.flow.flags & FL_FLOW_KERNEL);
		assert_int_equal(!!(seen.flow.flags & FL_FLOW_SNAT), !!(row & 2));
		assert_int_equal(seen.flow.state, FL_FLOW_ESTABLISHED);
		assert_true(fl_ip_equal(&seen.flow.client, &flow.client));
		assert_true(fl_ip_equal(&seen.flow.frontend, &flow.frontend));
		assert_true(fl_ip_equal(&seen.flow.backend, &flow.backend));
		assert_true(fl_ip_equal(&seen.flow.source, &flow.source));
		assert_int_equal(seen.flow.source_port, flow.source_port);
		assert_int_equal(seen.flow.backend_port, 8080);
		/* of both directions the rewrite is the key, and the stack gets the packet */
		assert_true(fl_entry_read(&s.f.table, family, seen.flow.slot, &entry));
		assert_true(fl_entry_twin(&s.f.table, family, seen.flow.slot, &entry, &twin));
		assert_true(fl_ip_equal(&entry.daddr, &entry.new_daddr));
		assert_true(fl_ip_equal(&entry.saddr, &entry.new_saddr));
		assert_int_equal(entry.dport, entry.new_dport);
		assert_true(fl_ip_equal(&twin.daddr, &twin.new_daddr));
		assert_true(fl_ip_equal(&twin.saddr, &twin.new_saddr));
		assert_int_equal(twin.sport, twin.new_sport);
		assert_true(entry.head.flags & FL_FLOW_TO_STACK);
		assert_true(twin.head.flags & FL_FLOW_TO_STACK);
		/* again: it is there already */
		assert_int_equal(fl_flow_import(&s.f.table, &flow, NOW), 0);
		assert_int_equal(walk(&s).n, 1);
	}
}

/* One half of the flow is claimed by a program, which still looks for others; the other is free. */
static void test_a_flow_that_a_program_is_making_stays_its(void **state)
{
	(void)state;
	for (int row = 0; row < 4; row++) {
		const enum fl_family family = row & 1 ? FL_IPV6 : FL_IPV4;
		const struct fl_flow flow = kernel_flow(family, 40000, false);
		struct fl_flow_head *claimed, *other;
		struct scene s;
		struct seen seen;
		uint32_t claim;

		scene_init(&s);
		assert_int_equal(fl_flow_import(&s.f.table, &flow, NOW), 1);
		seen = walk(&s);
		claimed = fl_entry_head(&s.f.table, family,
					row & 2 ? seen.flow.reply_slot : seen.flow.slot);
		other = fl_entry_head(&s.f.table, family,
				      row & 2 ? seen.flow.slot : seen.flow.reply_slot);
		claimed->word = fl_flow_word(fl_flow_generation(claimed->word), FL_FLOW_BUSY);
		claim = fl_entry_claim(claimed);
		other->word = fl_flow_word(fl_flow_generation(other->word) + 1, FL_FLOW_FREE);
		assert_int_equal(fl_flow_import(&s.f.table, &flow, NOW), 0);
		assert_int_equal(walk(&s).n, 0);
		assert_int_equal(claimed->word, claim);
		/* nothing of it is left claimed */
		fl_entry_withdraw(claimed, claim);
		assert_int_equal(fl_flow_import(&s.f.table, &flow, NOW), 1);
	}
}

/* A program looks where the hash says, in the first bucket, and in others if a bit says so. */
static bool found(struct scene *s, const struct fl_flow *flow, size_t slot)
{
	struct fl_entry entry;
	struct fl_tuple6 key;
	uint32_t bucket = (uint32_t)(slot / FL_FLOW_WAYS), first;
	uint8_t proto;
	uint64_t hash;

	assert_true(fl_entry_key(&s->f.table, flow->family, slot, &key, &proto));
	assert_true(fl_entry_read(&s->f.table, flow->family, slot, &entry));
	hash = fl_hash_tuple(false, &key, proto, s->meta.flow_seed[0]);
	first = fl_hash_bucket(hash, 0, BUCKETS - 1);
	for (uint32_t choice = 1; choice < FL_FLOW_CHOICES; choice++)
		if (fl_hash_bucket(hash, choice, BUCKETS - 1) == bucket &&
		    s->overflow4.half[0] >> (first * (FL_FLOW_CHOICES - 1) + choice - 1) & 1 &&
		    s->overflow4.half[1] >> (first * (FL_FLOW_CHOICES - 1) + choice - 1) & 1)
			return true;
	return bucket == first;
}

static int all_found(const struct fl_flow *flow, void *arg)
{
	assert_true(found(arg, flow, flow->slot));
	assert_true(found(arg, flow, flow->reply_slot));
	return 0;
}

static void test_a_full_table_refuses(void **state)
{
	size_t entered = 0;
	struct scene s;

	scene_init(&s);
	for (uint16_t port = 1000; port < 1200; port++) {
		const struct fl_flow flow = kernel_flow(FL_IPV4, port, false);
		const int r = fl_flow_import(&s.f.table, &flow, NOW);

		assert_true(r == 1 || r == -ENOSPC);
		entered += r == 1;
	}
	assert_in_range(entered, BUCKETS * FL_FLOW_WAYS / 2 - 3, BUCKETS * FL_FLOW_WAYS / 2);
	assert_int_equal(walk(&s).n, entered);
	fl_flow_walk(&s.f.table, NOW, all_found, &s);
}

static enum fl_flow_state ask_kernel(const struct fl_flow *flow, void *arg)
{
	struct scene *s = arg;

	s->asked++;
	assert_int_equal(flow->client_port, 40000);
	return s->kernel;
}

static void test_kernel_decides(void **state)
{
	static const struct {
		enum fl_flow_state kernel;
		uint32_t idle_s;
		size_t left;
		enum fl_flow_state then;
	} rows[] = {
		/* seen by the kernel only: idle here, and in use */
		{FL_FLOW_ESTABLISHED, 5000, 1, FL_FLOW_ESTABLISHED},
		{FL_FLOW_HALF_CLOSED, 1, 1, FL_FLOW_HALF_CLOSED},
		{FL_FLOW_FREE, 1, 0, FL_FLOW_FREE},
		/* it does not answer: as any other flow */
		{FL_FLOW_STATES, 1, 1, FL_FLOW_ESTABLISHED},
		{FL_FLOW_STATES, 5000, 0, FL_FLOW_FREE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fl_flow flow = kernel_flow(FL_IPV4, 40000, true);
		struct scene s;
		struct seen seen;

		scene_init(&s);
		s.kernel = rows[i].kernel;
		s.f.sweep.kernel = ask_kernel;
		s.f.sweep.kernel_arg = &s;
		fl_flow_import(&s.f.table, &flow, NOW - rows[i].idle_s * HZ);
		fl_flow_sweep(&s.f.table, &s.f.sweep, NOW, HZ, BUCKETS);
		assert_int_equal(s.asked, 1);
		seen = walk(&s);
		assert_int_equal(seen.n, rows[i].left);
		if (!seen.n)
			continue;
		assert_int_equal(seen.flow.state, rows[i].then);
		if (rows[i].kernel < FL_FLOW_STATES)
			assert_int_equal(seen.flow.idle_jiffies, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_leave_packets_alone),
		cmocka_unit_test(test_a_flow_that_a_program_is_making_stays_its),
		cmocka_unit_test(test_a_full_table_refuses),
		cmocka_unit_test(test_kernel_decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
