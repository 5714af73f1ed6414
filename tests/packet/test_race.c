// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Two processors at the same moment: what one of them has checked, the other may have changed. */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#define PAIRS 32
#define ROUNDS 1000

/* A thread that sends a frame whenever `turn` goes up, and then says so in `done`. */
struct sender {
	const struct plane *plane;
	struct frame frame;
	atomic_int turn, done;
	int verdict; /* -1: the program did not run */
	unsigned int cpu;
};

static void *send_in_turn(void *arg)
{
	struct sender *sender = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sender->cpu, &cpus);
	/* where there is no such processor, the two take turns on another */
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	for (int turn = 1; turn <= ROUNDS; turn++) {
		struct xdp_md ctx = {.ingress_ifindex = sender->plane->net->ifindex[DEV_EXT0]};
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = sender->frame.b, .ctx_in = &ctx,
			    .ctx_size_in = sizeof(ctx));

		while (atomic_load(&sender->turn) < turn)
			sched_yield();
		ctx.data_end = opts.data_size_in = sender->frame.len;
		sender->verdict = bpf_prog_test_run_opts(sender->plane->prog_fd[PROG_XDP], &opts)
					  ? -1
					  : (int)opts.retval;
		atomic_store(&sender->done, turn);
	}
	return NULL;
}

static void forget(struct plane *p, enum fl_family family, const struct fl_flow *flow)
{
	plane_head(p, family, flow->slot)->word = FL_FLOW_FREE;
	plane_head(p, family, flow->reply_slot)->word = FL_FLOW_FREE;
}

/* Clients whose first candidate for a source port is the same, two by two. */
static void find_pairs(struct plane *p, const struct kind *kind, const struct frontend *fe,
		       struct spec pairs[PAIRS][2])
{
	static struct spec first[65536];
	bool has_first[65536] = {false};
	int n = 0;

	for (uint16_t sport = 1000; n < PAIRS; sport++) {
		struct spec s = client_spec(p, kind->family, kind->proto, 10, sport, fe);
		struct fl_flow flow;
		struct result r;
		uint16_t port;

		assert_int_equal(xdp(p, &s, &r), XDP_TX);
		flow = expect_flow(p, &s);
		forget(p, kind->family, &flow);
		port = flow.source_port;
		if (has_first[port]) {
			pairs[n][0] = first[port];
			pairs[n++][1] = s;
		}
		has_first[port] = !has_first[port];
		first[port] = s;
	}
}

/*
 * Design section 6: no source port twice towards one backend, not even when two processors find it
 * free at the same moment. Whoever is late is dropped under that name and comes again.
 */
static void test_one_source_port_is_not_given_twice(void **state)
{
	for (int k = 0; k < KINDS; k++) {
		const struct scene scene = scene_of(&kinds[k], AT_TX);
		struct plane *p = SMALL(state);
		struct frontend fe[SCENE_FRONTENDS];
		struct spec pairs[PAIRS][2];
		/* outlives a failure, as the threads do */
		static struct sender senders[KINDS][2];
		pthread_t threads[2];
		uint32_t dropped = 0;

		plane_reset(p);
		scene_set(p, &scene, fe);
		find_pairs(p, &kinds[k], &fe[0], pairs);
		for (unsigned int i = 0; i < 2; i++) {
			senders[k][i] = (struct sender){.plane = p, .cpu = i};
			assert_int_equal(
				pthread_create(&threads[i], NULL, send_in_turn, &senders[k][i]), 0);
		}
		for (int turn = 1; turn <= ROUNDS; turn++) {
			struct spec *pair = pairs[turn % PAIRS];
			struct fl_flow flow[2] = {0};

			for (int i = 0; i < 2; i++)
				frame_build(&pair[i], &senders[k][i].frame);
			for (int i = 0; i < 2; i++)
				atomic_store(&senders[k][i].turn, turn);
			for (int i = 0; i < 2; i++)
				while (atomic_load(&senders[k][i].done) < turn)
					sched_yield();
			for (int i = 0; i < 2; i++) {
				if (senders[k][i].verdict == XDP_DROP) {
					dropped++;
					expect_no_flow(p, &pair[i]);
					continue;
				}
				assert_int_equal(senders[k][i].verdict, XDP_TX);
				flow[i] = expect_flow(p, &pair[i]);
			}
			if (flow[0].source_port == flow[1].source_port)
				assert_int_equal(flow[0].source_port, 0); /* both were dropped */
			for (int i = 0; i < 2; i++)
				if (flow[i].source_port)
					forget(p, scene.family, &flow[i]);
		}
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], NULL);
		assert_int_equal(plane_counter(p, FL_REASON_NO_SOURCE_PORT), dropped);
	}
}

int race_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_source_port_is_not_given_twice),
	};

	return run_topic("two processors", tests, N(tests), world);
}
