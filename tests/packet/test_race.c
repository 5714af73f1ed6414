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

struct pair {
	struct spec client[2];
	uint32_t bucket; /* first choice of the reply that both would have */
};

/* Clients whose first candidate for a source port is the same, two by two. */
static void find_pairs(struct plane *p, const struct kind *kind, const struct frontend *fe,
		       struct pair pairs[PAIRS])
{
	static struct spec first[65536];
	bool has_first[65536] = {false};
	int n = 0;

	for (uint16_t sport = 1000; n < PAIRS; sport++) {
		struct spec s = client_spec(p, kind->family, kind->proto, 10, sport, fe);
		struct fl_flow flow;
		struct result r;
		uint16_t port;

		plane_flows_clear(p);
		assert_int_equal(xdp(p, &s, &r), XDP_TX);
		flow = expect_flow(p, &s);
		port = flow.source_port;
		if (has_first[port])
			pairs[n++] =
				(struct pair){{first[port], s}, flow.reply_slot / FL_FLOW_WAYS};
		has_first[port] = !has_first[port];
		first[port] = s;
	}
	plane_flows_clear(p);
}

static uint32_t entries(const struct plane *p, enum fl_family family)
{
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++)
		n += (plane_head(p, family, slot)->word & FL_FLOW_STATE_MASK) != FL_FLOW_FREE;
	return n;
}

/* Established flows of others in all ways of a bucket. */
static void crowd(struct plane *p, enum fl_family family, uint32_t bucket)
{
	for (uint32_t way = 0; way < FL_FLOW_WAYS; way++) {
		struct fl_flow_head *head = plane_head(p, family, bucket * FL_FLOW_WAYS + way);

		head->word = 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED;
		head->proto = IPPROTO_TCP;
		head->last_seen = plane_now(p);
	}
}

enum contest {
	ONE_PORT,	  /* two flows with the same first candidate */
	ONE_PORT_CROWDED, /* the same, and their replies have no room in the first bucket */
	ONE_FLOW,	  /* the first packet of a flow, twice */
	CONTESTS,
};

/* Let two processors send at the same moment, and look at what that left. */
static void turns(struct plane *p, struct sender senders[2], enum fl_family family,
		  const struct pair pairs[PAIRS], enum contest contest)
{
	for (int turn = 1; turn <= ROUNDS; turn++) {
		const struct pair *pair = &pairs[turn % PAIRS];
		const struct spec *client[2] = {&pair->client[0],
						&pair->client[contest == ONE_FLOW ? 0 : 1]};
		struct fl_flow flow[2] = {0};
		uint32_t passed = 0, others = 0;

		plane_flows_clear(p);
		if (contest == ONE_PORT_CROWDED) {
			crowd(p, family, pair->bucket);
			others = FL_FLOW_WAYS;
		}
		for (int i = 0; i < 2; i++)
			frame_build(client[i], &senders[i].frame);
		for (int i = 0; i < 2; i++)
			atomic_store(&senders[i].turn, turn);
		for (int i = 0; i < 2; i++)
			while (atomic_load(&senders[i].done) < turn)
				sched_yield();
		for (int i = 0; i < 2; i++) {
			if (senders[i].verdict == XDP_DROP) {
				expect_no_flow(p, client[i]);
				continue;
			}
			assert_int_equal(senders[i].verdict, XDP_TX);
			if (contest != ONE_FLOW)
				flow[i] = expect_flow(p, client[i]);
			passed++;
		}
		if (contest == ONE_FLOW) {
			assert_int_equal(passed, 2);
			assert_in_range(entries(p, family), 2, 4);
			continue;
		}
		/* nothing is left of one that was dropped */
		assert_int_equal(entries(p, family), 2 * passed + others);
		if (passed == 2)
			assert_int_not_equal(flow[0].source_port, flow[1].source_port);
	}
}

/*
 * Design section 6: no source port twice towards one backend, not even when two processors find it
 * free at the same moment. Whoever is late is dropped under that name and comes again. Two first
 * packets of one flow are no such thing: both are sent.
 */
static void test_one_source_port_is_not_given_twice(void **state)
{
	for (int k = 0; k < KINDS; k++)
		for (enum contest contest = ONE_PORT; contest < CONTESTS; contest++) {
			const struct scene scene = scene_of(&kinds[k], AT_TX);
			struct plane *p = SMALL(state);
			struct frontend fe[SCENE_FRONTENDS];
			struct pair pairs[PAIRS];
			/* outlives a failure, as the threads do */
			static struct sender senders[KINDS][CONTESTS][2];
			struct sender *two = senders[k][contest];
			pthread_t threads[2];

			plane_reset(p);
			scene_set(p, &scene, fe);
			find_pairs(p, &kinds[k], &fe[0], pairs);
			for (unsigned int i = 0; i < 2; i++) {
				two[i] = (struct sender){.plane = p, .cpu = i};
				assert_int_equal(
					pthread_create(&threads[i], NULL, send_in_turn, &two[i]),
					0);
			}
			turns(p, two, scene.family, pairs, contest);
			for (int i = 0; i < 2; i++)
				pthread_join(threads[i], NULL);
		}
}

int race_tests(struct world *world)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_source_port_is_not_given_twice),
	};

	return run_topic("two processors", tests, N(tests), world);
}
