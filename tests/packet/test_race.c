// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Two processors at the same moment: what one of them has checked, the other may have changed. */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

#include "lb/dp/frontend_table.h"

#define PAIRS 32
#define ROUNDS 1000

/* A thread that sends a frame whenever `turn` goes up, and then says so in `done`. */
struct sender {
	const struct plane *plane;
	struct frame frame, out;
	atomic_int turn, done;
	int verdict; /* -1: the program did not run */
	unsigned int cpu;
	pthread_t thread;
	bool running;
};

static struct sender senders[2];

static void *send_in_turn(void *arg)
{
	struct sender *sender = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(sender->cpu, &cpus);
	/* where there is no such processor, the two take turns on another */
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	for (int turn = 1;; turn++) {
		struct xdp_md ctx = {.ingress_ifindex = sender->plane->net->ifindex[DEV_EXT0]};
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = sender->frame.b,
			    .data_out = sender->out.b, .data_size_out = sizeof(sender->out.b),
			    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx));

		while (atomic_load(&sender->turn) < turn)
			sched_yield();
		if (atomic_load(&sender->turn) > ROUNDS)
			return NULL;
		ctx.data_end = opts.data_size_in = sender->frame.len;
		sender->verdict = bpf_prog_test_run_opts(sender->plane->prog_fd[PROG_XDP], &opts)
					  ? -1
					  : (int)opts.retval;
		atomic_store(&sender->done, turn);
	}
}

static void start_senders(struct trial *t)
{
	for (unsigned int i = 0; i < N(senders); i++) {
		senders[i] = (struct sender){.plane = t->p, .cpu = i};
		senders[i].running =
			!pthread_create(&senders[i].thread, NULL, send_in_turn, &senders[i]);
		assert_true(senders[i].running);
	}
}

static void stop_senders(struct trial *t)
{
	for (unsigned int i = 0; i < N(senders); i++) {
		atomic_store(&senders[i].turn, ROUNDS + 1);
		if (senders[i].running)
			pthread_join(senders[i].thread, NULL);
		senders[i].running = false;
	}
}

struct pair {
	struct packet client[2];
	uint32_t bucket; /* first choice of the reply that both would have */
};

/* Clients whose first candidate for a source port is the same, two by two. */
static void find_pairs(struct trial *t, struct pair pairs[PAIRS])
{
	static struct packet first[65536];
	bool has_first[65536] = {false};
	int n = 0;

	for (uint16_t sport = 1000; n < PAIRS; sport++) {
		struct packet packet = from_client(t, CLIENT_HOST, sport);
		struct fl_flow flow;
		uint16_t port;

		plane_flows_clear(t->p);
		feed(t, &packet);
		expect_outcome(t, SENT);
		flow = expect_flow(t, &packet);
		port = flow.source_port;
		if (has_first[port])
			pairs[n++] = (struct pair){{first[port], packet},
						   flow.reply_slot / FL_FLOW_WAYS};
		has_first[port] = !has_first[port];
		first[port] = packet;
	}
	plane_flows_clear(t->p);
}

static uint32_t entries(const struct trial *t)
{
	uint32_t n = 0;

	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++)
		n += (plane_head(t->p, t->family, slot)->word & FL_FLOW_STATE_MASK) != FL_FLOW_FREE;
	return n;
}

/* Established flows of others in all ways of a bucket. */
static void crowd(struct trial *t, uint32_t bucket)
{
	for (uint32_t way = 0; way < FL_FLOW_WAYS; way++) {
		struct fl_flow_head *head =
			plane_head(t->p, t->family, bucket * FL_FLOW_WAYS + way);

		head->word = 1 << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED;
		head->proto = IPPROTO_TCP;
		head->last_seen = plane_now(t->p);
	}
}

struct contest {
	struct row row;
	bool crowded; /* replies have no room in the first bucket */
};

static const struct contest contests[] = {
	{ROW("one port"), false},
	{ROW("one port, crowded"), true},
};

static void send_both(const struct packet *const client[2], int turn)
{
	for (int i = 0; i < 2; i++)
		frame_build(client[i], &senders[i].frame);
	for (int i = 0; i < 2; i++)
		atomic_store(&senders[i].turn, turn);
	for (int i = 0; i < 2; i++)
		while (atomic_load(&senders[i].done) < turn)
			sched_yield();
}

/* What the two left in the table. */
static void look(struct trial *t, const struct packet *const client[2])
{
	const struct contest *contest = t->row;
	struct fl_flow flow[2] = {0};
	uint32_t sent = 0;

	for (int i = 0; i < 2; i++) {
		if (senders[i].verdict == XDP_DROP) {
			expect_no_flow(t, client[i]);
			t->dropped++;
			continue;
		}
		assert_int_equal(senders[i].verdict, XDP_TX);
		flow[i] = expect_flow(t, client[i]);
		sent++;
	}
	/* nothing is left of one that was dropped */
	assert_int_equal(entries(t), 2 * sent + (contest->crowded ? FL_FLOW_WAYS : 0));
	if (sent == 2)
		assert_int_not_equal(flow[0].source_port, flow[1].source_port);
}

static void one_source_port_is_not_given_twice(struct trial *t)
{
	const struct contest *contest = t->row;
	struct pair pairs[PAIRS];

	find_pairs(t, pairs);
	start_senders(t);
	for (int turn = 1; turn <= ROUNDS; turn++) {
		const struct pair *pair = &pairs[turn % PAIRS];
		const struct packet *client[2] = {&pair->client[0], &pair->client[1]};

		plane_flows_clear(t->p);
		if (contest->crowded)
			crowd(t, pair->bucket);
		send_both(client, turn);
		look(t, client);
	}
	expect_counter(t, FL_REASON_NO_SOURCE_PORT, t->dropped);
}

/*
 * The first packet of one flow, twice: whatever each of them found, both leave with the same source
 * port, and one flow is left.
 */
static void one_flow_has_one_source_port(struct trial *t)
{
	const uint32_t port_at = l4_offset(t->family);

	start_senders(t);
	for (int turn = 1; turn <= ROUNDS; turn++) {
		struct packet packet = from_client(t, CLIENT_HOST, (uint16_t)(1000 + turn * 7));
		const struct packet *client[2] = {&packet, &packet};

		plane_flows_clear(t->p);
		send_both(client, turn);
		for (int i = 0; i < 2; i++)
			assert_int_equal(senders[i].verdict, XDP_TX);
		if (memcmp(senders[0].out.b + port_at, senders[1].out.b + port_at, 2))
			trial_fail(t, "round %d: two source ports", turn);
		if (entries(t) != 2)
			trial_fail(t, "round %d: %u entries of one flow", turn, entries(t));
	}
}

#define LOOKS 200000

/* A thread that feeds one frame again and again; the program's counters say what became of it. */
struct stream {
	const struct plane *plane;
	struct frame frame;
	int rc;
	atomic_bool ended;
	pthread_t thread;
	bool running;
};

static struct stream stream;

static void *feed_on(void *arg)
{
	struct stream *s = arg;
	struct xdp_md ctx = {.data_end = s->frame.len,
			     .ingress_ifindex = s->plane->net->ifindex[DEV_EXT0]};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = s->frame.b, .data_size_in = s->frame.len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = LOOKS);

	s->rc = bpf_prog_test_run_opts(s->plane->prog_fd[PROG_XDP], &opts);
	atomic_store(&s->ended, true);
	return NULL;
}

static void join_stream(struct trial *t)
{
	if (stream.running)
		pthread_join(stream.thread, NULL);
	stream.running = false;
}

/*
 * A frontend that is written anew all the time, by way of other places of the table; every packet
 * finds it. It refuses under a name, so that each packet looks for it and is counted.
 */
static void frontend_is_found_while_it_moves(struct trial *t)
{
	struct fl_frontend_table table = fl_frontend_table_of(&t->p->maps);
	struct fl_frontend_key key = {.port = htons(t->to->port), .proto = t->proto};
	const struct packet packet = packet_of(t);
	struct fl_frontend value;
	uint32_t moves = 0, looks = 0;

	service_replace(t->p, t->fe,
			(struct service){.id = 1,
					 .family = t->family,
					 .proto = t->proto,
					 .verdict = {FL_VERDICT_DROP, FL_VERDICT_DROP}});
	memcpy(&key.addr, &t->to->ip, sizeof(key.addr));
	assert_true(fl_frontend_table_get(&table, &key, &value));
	/* again if this thread had no processor meanwhile */
	while (!moves) {
		stream = (struct stream){.plane = t->p};
		frame_build(&packet, &stream.frame);
		stream.running = !pthread_create(&stream.thread, NULL, feed_on, &stream);
		assert_true(stream.running);
		for (; !atomic_load(&stream.ended); moves++) {
			value.affinity_timeout++;
			assert_int_equal(fl_frontend_table_put(&table, &key, &value), 0);
		}
		join_stream(t);
		assert_int_equal(stream.rc, 0);
		looks += LOOKS;
	}
	t->dropped += looks;
	expect_counter(t, FL_REASON_NO_LOCAL_ENDPOINT, looks);
}

static const struct test tests[] = {
	/* the later one is dropped under that name and comes again */
	{"B2: no source port is given twice, not even by two processors at one moment",
	 CHECK(one_source_port_is_not_given_twice), .undo = stop_senders, .plane = PLANE_SMALL,
	 .forged = true, ROWS(contests)},
	{"B2: two first packets of one flow make one flow", CHECK(one_flow_has_one_source_port),
	 .undo = stop_senders, .plane = PLANE_SMALL},
	{"A2: a frontend that changes is found at every moment",
	 CHECK(frontend_is_found_while_it_moves), .undo = join_stream},
};

const struct topic race_topic = {"processors", TESTS(tests)};
