// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The slow path is programs that are reached by tail calls, over memory that one program at a time
 * can have. Where either is missing, packets that need it are dropped under a name, those of
 * established flows go on, and what is of no flow passes.
 */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <netinet/in.h>
#include <stdlib.h>

#define MAX_CPUS 1024

static struct bpf_object *object_of(const struct trial *t)
{
	return t->p->objects[t->hook == HOOK_XDP ? FL_OBJECT_XDP : FL_OBJECT_TC].bpf;
}

/* What programs work on is taken on each CPU, or free. */
static void set_taken(struct trial *t, uint64_t taken)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object_of(t), "fl_work");
	const size_t size = (bpf_map__value_size(map) + 7) / 8;
	uint64_t *values = calloc(MAX_CPUS * size, sizeof(*values));

	assert_non_null(values);
	for (size_t cpu = 0; cpu < MAX_CPUS; cpu++)
		values[cpu * size] = taken;
	for (uint32_t key = 0; key < bpf_map__max_entries(map); key++)
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &key, values, 0), 0);
	free(values);
}

static void take_work(struct trial *t)
{
	set_taken(t, 1);
}

static void give_work_back(struct trial *t)
{
	set_taken(t, 0);
}

static const struct array {
	const char *map, *programs[30];
} arrays[] = {
	{"fl_xdp_slow",
	 {"fl_xdp_slow4", "fl_xdp_slow6", "fl_xdp_icmp4", "fl_xdp_icmp6", "fl_xdp_tunnel4",
	  "fl_xdp_tunnel6", "fl_xdp_unpack4", "fl_xdp_unpack6", "fl_xdp_geneve4", "fl_xdp_geneve6",
	  "fl_xdp_unpack_slow4", "fl_xdp_unpack_slow6", "fl_xdp_unpack_rest4",
	  "fl_xdp_unpack_rest6", "fl_xdp_pass_on4", "fl_xdp_pass_on6", "fl_xdp_tunnel_error4",
	  "fl_xdp_tunnel_error6"}},
	{"fl_tc_slow",
	 {"fl_arriving4",     "fl_arriving6",	 "fl_leaving4",	      "fl_leaving6",
	  "fl_icmp4",	      "fl_icmp6",	 "fl_odd4",	      "fl_odd6",
	  "fl_odd_decided4",  "fl_odd_decided6", "fl_odd_tunnel4",    "fl_odd_tunnel6",
	  "fl_unpack_odd4",   "fl_unpack_odd6",	 "fl_unpack_decide4", "fl_unpack_decide6",
	  "fl_tunnel4",	      "fl_tunnel6",	 "fl_unpack4",	      "fl_unpack6",
	  "fl_geneve4",	      "fl_geneve6",	 "fl_unpack_slow4",   "fl_unpack_slow6",
	  "fl_unpack_rest4",  "fl_unpack_rest6", "fl_pass_on4",	      "fl_pass_on6",
	  "fl_tunnel_error4", "fl_tunnel_error6"}},
};

static void set_programs(struct trial *t, bool there)
{
	const struct array *array = &arrays[t->hook != HOOK_XDP];
	struct bpf_object *object = object_of(t);
	struct bpf_map *map = bpf_object__find_map_by_name(object, array->map);

	for (uint32_t i = 0; i < bpf_map__max_entries(map); i++) {
		int fd = bpf_program__fd(
			bpf_object__find_program_by_name(object, array->programs[i]));

		if (there)
			assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &i, &fd, 0), 0);
		else
			bpf_map_delete_elem(bpf_map__fd(map), &i);
	}
}

static void remove_programs(struct trial *t)
{
	set_programs(t, false);
}

static void put_programs_back(struct trial *t)
{
	set_programs(t, true);
}

struct lack {
	struct row row;
	void (*begin)(struct trial *t);
	void (*end)(struct trial *t);
};

static const struct lack lacks[] = {
	{ROW("the programs are gone"), remove_programs, put_programs_back},
	{ROW("the memory is taken"), take_work, give_work_back},
};

static void undo(struct trial *t)
{
	((const struct lack *)t->row)->end(t);
}

static void what_needs_it_is_dropped_under_a_name(struct trial *t)
{
	const struct lack *row = t->row;
	struct talk talk = talk_begin(t);
	struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT + 1);
	struct fl_flow flow;

	talk_establish(&talk);
	row->begin(t);
	assert_int_equal(feed(t, &packet), DROPPED);
	expect_drop(t, FL_REASON_SLOW_PATH);
	expect_no_flow(t, &packet);
	/* that took its time, and once a second a flow's packet takes the slow path */
	assert_true(find_flow(t->p, &talk.client, &flow));
	flow_age(t->p, &flow, 0);
	talk_expect_both(&talk);
	row->end(t);
	feed(t, &packet);
	expect_outcome(t, SENT);
}

/* What cannot be of a flow, neighbour discovery among it, or is about one. */
static void what_is_of_no_flow_passes(struct trial *t)
{
	const struct lack *row = t->row;
	const bool v6 = t->family == FL_IPV6;
	const uint8_t protocols[] = {v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP, IPPROTO_GRE, IPPROTO_ESP};
	const uint8_t types[] = {v6 ? 135 : 8 /* echo */, v6 ? 1 : 3 /* unreachable */};
	struct packet packet = packet_of(t);
	struct frame frame;

	row->begin(t);
	for (size_t i = 0; i < sizeof(protocols); i++)
		for (size_t k = 0; k < sizeof(types); k++) {
			frame_build(&packet, &frame);
			frame_write(&frame, ETH_HLEN + (v6 ? 6 : 9), &protocols[i], 1);
			frame_write(&frame, l4_offset(t->family), &types[k], 1);
			feed_frame(t, t->hook, hook_dev(t->hook), &frame);
			expect_untouched(t);
		}
	expect_counter(t, FL_REASON_SLOW_PATH, 0);
}

static const struct test tests[] = {
	{"packets that the slow path would have decided are not passed on undecided",
	 CHECK(what_needs_it_is_dropped_under_a_name), ROWS(lacks), .undo = undo,
	 .hooks = ON_XDP | ON_TC_INGRESS},
	{"and what is not ours is never dropped", CHECK(what_is_of_no_flow_passes), ROWS(lacks),
	 .undo = undo, .protos = ONLY_UDP,
	 .hooks = ON_XDP | ON_TC_INGRESS | ON_POD_INGRESS | ON_EGRESS},
};

const struct topic slow_topic = {"slow", TESTS(tests)};
