/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Section 3 against a second reading of it: random endpoints, hints and policies are planned, and
 * the lists are compared with those of an oracle that works on sets of bits, sentence by sentence.
 * The seed is fixed, so a failure repeats; it names the round.
 */
#include "tests/unit/model/fixture.h"

#define ROUNDS 20000
#define MAX_ENDPOINTS 7

typedef unsigned int set; /* bit i: endpoint i */

struct input {
	int n;
	bool internal_local, external_local, external, node_hints;
	char zone; /* 'a'..'c', 0 none */
	struct {
		bool ready, serving, terminating, local;
		set zones, nodes; /* bit 0: zone-a, node-1; bit 1: zone-b, node-2; bit 2: zone-c,
				     node-3 */
	} endpoint[MAX_ENDPOINTS];
};

struct lists {
	bool uses_cluster, uses_local, any;
	set cluster, local;
};

static uint64_t next(uint64_t *seed)
{
	/* xorshift64* */
	*seed ^= *seed >> 12;
	*seed ^= *seed << 25;
	*seed ^= *seed >> 27;
	return *seed * 2685821657736338717ULL >> 32;
}

static bool chance(uint64_t *seed, unsigned int percent)
{
	return next(seed) % 100 < percent;
}

static struct input random_input(uint64_t *seed)
{
	unsigned int ready = next(seed) % 4 * 33, hinted = next(seed) % 3 * 50;
	struct input input = {
		.n = (int)(next(seed) % (MAX_ENDPOINTS + 1)),
		.internal_local = chance(seed, 50),
		.external_local = chance(seed, 50),
		.external = chance(seed, 50),
		.node_hints = chance(seed, 70),
		.zone = chance(seed, 20) ? 0 : (char)('a' + next(seed) % 3),
	};

	for (int i = 0; i < input.n; i++) {
		input.endpoint[i].ready = chance(seed, ready);
		input.endpoint[i].serving = chance(seed, 60);
		input.endpoint[i].terminating = chance(seed, 40);
		input.endpoint[i].local = chance(seed, 40);
		input.endpoint[i].zones = chance(seed, hinted) ? next(seed) % 8 : 0;
		input.endpoint[i].nodes = chance(seed, hinted) ? next(seed) % 8 : 0;
	}
	return input;
}

/* The oracle */

static struct lists oracle(const struct input *input)
{
	set ready = 0, fallback = 0, local = 0, with_nodes = 0, this_node = 0, with_zones = 0,
	    this_zone = 0;
	set available;
	struct lists lists = {
		.uses_cluster = !input->internal_local || input->external,
		.uses_local = input->internal_local || (input->external_local && input->external),
	};

	for (int i = 0; i < input->n; i++) {
		set bit = 1U << i;

		ready |= input->endpoint[i].ready ? bit : 0;
		fallback |= input->endpoint[i].serving && input->endpoint[i].terminating ? bit : 0;
		local |= input->endpoint[i].local ? bit : 0;
		with_nodes |= input->endpoint[i].nodes ? bit : 0;
		with_zones |= input->endpoint[i].zones ? bit : 0;
		this_node |= input->endpoint[i].nodes & 1 ? bit : 0;
		if (input->zone)
			this_zone |=
				input->endpoint[i].zones & (1U << (input->zone - 'a')) ? bit : 0;
	}

	if (input->node_hints && !(ready & ~with_nodes) && (ready & this_node))
		available = this_node;
	else if (!(ready & ~with_zones) && (ready & this_zone))
		available = this_zone;
	else
		available = ~0U;

	lists.any = ready || fallback;
	if (lists.uses_cluster)
		lists.cluster = ready & available ? ready & available : fallback;
	if (lists.uses_local)
		lists.local = ready & local ? ready & local : fallback & local;
	return lists;
}

/* The planner */

static void spec_of(const struct input *input, int i, char *text, size_t size)
{
	static const char *const zones[] = {"", "a", "b", "a+b", "c", "a+c", "b+c", "a+b+c"};
	static const char *const nodes[] = {"", "1", "2", "1+2", "3", "1+3", "2+3", "1+2+3"};
	set z = input->endpoint[i].zones, n = input->endpoint[i].nodes;

	snprintf(text, size, "10.0.0.%d %c%c%c%s%s%s%s%s", i, input->endpoint[i].ready ? 'r' : '-',
		 input->endpoint[i].serving ? 's' : '-', input->endpoint[i].terminating ? 't' : '-',
		 input->endpoint[i].local ? " local" : "", z ? " Z=" : "", zones[z], n ? " N=" : "",
		 nodes[n]);
}

static set members(const struct fl_plan_port *port, uint8_t flag)
{
	set members = 0;

	for (size_t i = 0; i < port->n_endpoints; i++)
		members |= port->endpoints[i].flags & flag ? 1U << port->endpoints[i].ip.b[15] : 0;
	return members;
}

static void check_round(unsigned int round, const struct input *input, uint64_t *seed)
{
	_cleanup_(fl_service_free) struct fl_service *service =
		service_web(input->external ? 30080 : 0);
	_cleanup_(fl_slice_free) struct fl_slice *a = slice_web("a", 80, "");
	_cleanup_(fl_slice_free) struct fl_slice *b = slice_web("b", 80, "");
	_cleanup_(fl_plan_fini) struct fl_plan plan = {0}, again = {0};
	char zone[] = {'z', 'o', 'n', 'e', '-', input->zone, '\0'};
	struct fl_plan_options options = {
		.node_name = "node-1",
		.zone = input->zone ? zone : "",
		.node_hints = input->node_hints,
	};
	const struct fl_slice *slices[] = {a, b}, *reversed[] = {b, a};
	struct lists expected = oracle(input);
	const struct fl_plan_port *port;

	service->type = FL_SERVICE_NODE_PORT;
	service->internal_local = input->internal_local;
	service->external_local = input->external_local;
	for (int i = input->n - 1; i >= 0; i--) {
		char text[64];

		spec_of(input, i, text, sizeof(text));
		add_endpoint(chance(seed, 50) ? a : b, text, "node-1");
	}
	assert_int_equal(fl_plan_service(service, slices, 2, &options, &plan), 0);
	assert_int_equal(fl_plan_service(service, reversed, 2, &options, &again), 0);
	port = &plan.ports[0];
	if (port->uses_cluster != expected.uses_cluster ||
	    port->uses_local != expected.uses_local || port->has_any != expected.any ||
	    members(port, FL_PLAN_IN_CLUSTER) != expected.cluster ||
	    members(port, FL_PLAN_IN_LOCAL) != expected.local)
		fail_msg("round %u: cluster %d %#x, local %d %#x, any %d; expected %d %#x, %d %#x, "
			 "%d",
			 round, port->uses_cluster, members(port, FL_PLAN_IN_CLUSTER),
			 port->uses_local, members(port, FL_PLAN_IN_LOCAL), port->has_any,
			 expected.uses_cluster, expected.cluster, expected.uses_local,
			 expected.local, expected.any);
	/* the order of slices does not show */
	assert_int_equal(port->n_endpoints, again.ports[0].n_endpoints);
	for (size_t i = 0; i < port->n_endpoints; i++) {
		assert_true(fl_ip_equal(&port->endpoints[i].ip, &again.ports[0].endpoints[i].ip));
		assert_int_equal(port->endpoints[i].flags, again.ports[0].endpoints[i].flags);
	}
}

static void test_lists_agree_with_the_oracle(void **state)
{
	uint64_t seed = 0x66616972;

	for (unsigned int round = 0; round < ROUNDS; round++) {
		struct input input = random_input(&seed);

		check_round(round, &input, &seed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists_agree_with_the_oracle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
