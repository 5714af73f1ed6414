// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The flow table under several processors at once, with the sweeper at work: conversations of
 * clients that are far too many for a small table, begun, broken off and taken up again at random.
 * An oracle that knows no entry looks at every byte that comes out. It knows what a flow may become
 * (a backend, and a source that nobody else has been given since) and that an established flow
 * stays what it was. FL_TORTURE_S is how long it takes, all trials together.
 */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TRIALS 8 /* that FL_TORTURE_S is shared by */
#define USUAL_S 4
#define THREADS 4
#define CLIENTS 2048
#define LONG_FLOWS 2 /* of each thread */
#define BACKENDS 4

struct torture;

struct long_flow {
	struct packet client, inner; /* as the client writes it, and as the backend got the first */
};

struct worker {
	struct torture *torture;
	pthread_t thread;
	bool running;
	unsigned int number;
	uint64_t seed;
	struct long_flow flow[LONG_FLOWS];
	atomic_uint asking; /* the client whose packet is on its way, + 1 */
	/* what came of it */
	uint64_t packets, replies, taken_over, dropped, left, passed;
	char wrong[256];
};

struct torture {
	struct trial *t;
	bool masqueraded;
	atomic_bool over;
	atomic_ullong clock; /* counts requests */
	struct worker worker[THREADS];
	unsigned int n_workers;
	uint64_t flushed; /* flows */
	uint32_t n_ports; /* source ports */
	/* when each client was given each port towards each backend last, + 1:
	 * [BACKENDS][n_ports][CLIENTS] */
	atomic_ullong *granted;
};

static struct torture torture;

static void wrong(struct worker *w, const char *what, uint32_t client, uint32_t other)
{
	if (!w->wrong[0])
		snprintf(w->wrong, sizeof(w->wrong), "%s (client %u, other %u, processor %u)", what,
			 client, other, w->number);
	atomic_store(&w->torture->over, true);
}

static struct packet client_packet(const struct trial *t, uint32_t client)
{
	return from_client(t, 50 + client % 64, (uint16_t)(1024 + client / 64 * 3));
}

/* The client of an address and port, CLIENTS if it is none of them. */
static uint32_t client_of(const struct trial *t, const struct frame *f, uint32_t address_at,
			  uint32_t address_len, uint32_t port_at)
{
	uint32_t host = f->b[address_at + address_len - 1],
		 port = (uint32_t)f->b[port_at] << 8 | f->b[port_at + 1], client;

	if (host < 50 || host >= 50 + 64 || port < 1024 || (port - 1024) % 3)
		return CLIENTS;
	client = (port - 1024) / 3 * 64 + host - 50;
	return client < CLIENTS ? client : CLIENTS;
}

/* As run_xdp(), but fit for a thread: what fails is said later. */
static bool pass_through(struct worker *w, const struct packet *packet, struct frame *in,
			 struct result *r)
{
	const struct plane *p = w->torture->t->p;
	uint8_t out[256];
	struct xdp_md ctx_in = {.ingress_ifindex = p->net->ifindex[DEV_EXT0]}, ctx;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in->b, .data_out = out,
		    .data_size_out = sizeof(out), .ctx_in = &ctx_in, .ctx_size_in = sizeof(ctx_in),
		    .ctx_out = &ctx, .ctx_size_out = sizeof(ctx));

	bool changed;

	frame_build(packet, in);
	opts.data_size_in = ctx_in.data_end = in->len;
	w->packets++;
	if (bpf_prog_test_run_opts(p->prog_fd[PROG_XDP], &opts) || ctx.data > ctx.data_end ||
	    ctx.data_end > sizeof(out)) {
		wrong(w, "the program does not run", 0, 0);
		return false;
	}
	r->verdict = (int)opts.retval;
	r->out.len = ctx.data_end - ctx.data;
	memcpy(r->out.b, out + ctx.data, r->out.len);
	changed = r->out.len != in->len || memcmp(r->out.b, in->b, in->len);
	w->dropped += r->verdict == XDP_DROP;
	w->left += r->verdict == XDP_PASS && ctx.data;
	w->passed += r->verdict == XDP_PASS && !changed;
	/* a flow whose source is kept goes by the stack, for its replies do */
	if (!w->torture->masqueraded)
		return r->verdict == XDP_PASS && changed;
	if (r->verdict == XDP_PASS && changed)
		wrong(w, "a packet that passes is changed", 0, 0);
	return r->verdict == XDP_TX;
}

/* As we send it on, with one hop less, or as the stack gets it. */
static bool is_sent_as(const struct trial *t, const struct frame *got, struct packet want,
		       enum network network)
{
	struct frame frame;

	if (torture.masqueraded) {
		want.ttl--;
		want.dst_mac = t->p->net->gateway_mac[network];
		want.src_mac = t->p->net->mac[DEV_EXT0];
	}
	frame_build(&want, &frame);
	return frame.len == got->len && !memcmp(frame.b, got->b, frame.len);
}

/* Where it is noted that a client was given a source port, which is one of those we may use. */
static atomic_ullong *granted_at(struct torture *o, uint32_t backend, uint16_t port,
				 uint32_t client)
{
	const struct fl_live *live = &o->t->p->config.live;
	uint32_t index = (backend - 1) * o->n_ports;

	for (int i = 0; i < FL_PORT_RANGES; i++) {
		const struct fl_port_range *range = &live->snat[i];

		if (port >= range->first && port < range->first + range->count)
			return &o->granted[(index + port - range->first) * CLIENTS + client];
		index += range->count;
	}
	return NULL;
}

static void note_grant(struct torture *o, uint32_t backend, uint16_t port, uint32_t client)
{
	atomic_ullong *granted = granted_at(o, backend, port, client);
	unsigned long long when = atomic_fetch_add(&o->clock, 1) + 1, before = atomic_load(granted);

	/* another processor may speak for the same client */
	while (before < when && !atomic_compare_exchange_weak(granted, &before, when))
		;
}

/* The port may have gone over to `client` since `begun`: such a packet has come out since, or is on
 * its way. What is on its way is looked at first, for it becomes what has come out. */
static bool was_granted(struct torture *o, uint32_t backend, uint16_t port, uint32_t client,
			uint64_t begun)
{
	const atomic_ullong *granted = granted_at(o, backend, port, client);

	for (unsigned int i = 0; i < o->n_workers; i++)
		if (atomic_load(&o->worker[i].asking) == client + 1)
			return true;
	return granted && atomic_load(granted) > begun;
}

/* A client's packet. True: it came out towards a backend, as *ret_inner. */
static bool ask(struct worker *w, const struct packet *packet, uint32_t client,
		struct packet *ret_inner)
{
	struct torture *o = w->torture;
	const struct trial *t = o->t;
	const uint32_t l4 = l4_offset(t->family), len = t->family == FL_IPV4 ? 4 : 16;
	struct frame in;
	struct result r;
	struct packet want = *packet;
	uint32_t backend;
	bool sent;

	atomic_store(&w->asking, client + 1);
	sent = pass_through(w, packet, &in, &r);
	if (sent) {
		backend = r.out.b[l4 - 1];
		want.sport = (uint16_t)(r.out.b[l4] << 8 | r.out.b[l4 + 1]);
		want.dport = BACKEND_PORT;
		want.dst = addr(t->family, AT_TX, backend);
		if (o->masqueraded)
			want.src = addr(t->family, AT_EXT0, 1);
		if (backend < 1 || backend > BACKENDS)
			wrong(w, "a packet goes to no backend", client, backend);
		/* a source that is kept gets another port while its own is taken at the backend */
		else if (!plane_may_use_port(t->p, want.sport) &&
			 (o->masqueraded || want.sport != packet->sport))
			wrong(w, "a packet has a source port that is not for it", client,
			      want.sport);
		else if (!is_sent_as(t, &r.out, want, AT_TX))
			wrong(w, "a packet of a client comes out as something else", client, len);
		else if (want.sport != packet->sport)
			note_grant(o, backend, want.sport, client);
		*ret_inner = want;
	}
	atomic_store(&w->asking, 0);
	return sent && !w->wrong[0];
}

/* The backend answers what it got; the client, or whoever has its port by now, hears it. */
static bool answer(struct worker *w, const struct packet *inner, const struct packet *asked,
		   uint32_t client, uint8_t flags, uint32_t seq, uint64_t begun)
{
	struct torture *o = w->torture;
	const struct trial *t = o->t;
	const uint32_t l4 = l4_offset(t->family), len = t->family == FL_IPV4 ? 4 : 16;
	struct packet reply = packet_reverse(inner), want;
	struct frame in;
	struct result r;
	uint32_t other;

	reply.flags = flags;
	reply.seq = seq;
	reply.ack = flags & ACK ? asked->seq + 1 : 0;
	reply.dst_mac = t->p->net->mac[DEV_EXT0];
	reply.src_mac = t->p->net->gateway_mac[AT_TX];
	if (!pass_through(w, &reply, &in, &r))
		return false;
	w->replies++;
	want = reply;
	want.src = asked->dst;
	want.sport = asked->dport;
	want.dst = asked->src;
	want.dport = asked->sport;
	if (is_sent_as(t, &r.out, want, AT_OUTSIDE))
		return true;
	other = client_of(t, &r.out, l4 - len, len, l4 + 2);
	if (other == CLIENTS || other == client || inner->sport == asked->sport ||
	    !was_granted(o, r.out.len ? in.b[l4 - len - 1] : 0, inner->sport, other, begun)) {
		wrong(w, "a reply goes to a stranger", client, other);
		return false;
	}
	want = client_packet(t, other);
	reply.src = want.dst;
	reply.sport = want.dport;
	reply.dst = want.src;
	reply.dport = want.sport;
	if (!is_sent_as(t, &r.out, reply, AT_OUTSIDE))
		wrong(w, "a reply is half of one flow and half of another", client, other);
	w->taken_over++;
	return false;
}

/* Numbers that all processors agree on, which may speak for one client at the same time. */
static uint32_t isn_of(uint32_t client, uint32_t which)
{
	return (client * 2 + which) * 2654435761U;
}

/* A conversation, broken off anywhere. */
static void converse(struct worker *w)
{
	static const uint8_t ends[] = {ACK, ACK, ACK, FIN | ACK, RST, RST | ACK, SYN};
	struct torture *o = w->torture;
	const uint32_t client = next_random(&w->seed) % CLIENTS, how = next_random(&w->seed);
	const uint64_t begun = atomic_fetch_add(&o->clock, 1);
	struct packet packet = client_packet(o->t, client), inner;
	const uint32_t isn = isn_of(client, 0), backend_isn = isn_of(client, 1);

	packet.flags = how % 16 ? SYN : ends[how / 16 % N(ends)];
	packet.seq = packet.flags == SYN ? isn : isn + 1;
	packet.ack = packet.flags & ACK ? backend_isn + 1 : 0;
	if (!ask(w, &packet, client, &inner) || how / 128 % 4 == 0)
		return;
	if (!answer(w, &inner, &packet, client, SYN | ACK, backend_isn, begun) || how / 512 % 8)
		return;
	for (uint32_t i = 0; i < how / 4096 % 4; i++) {
		packet.flags = i ? ends[next_random(&w->seed) % N(ends)] : ACK;
		packet.seq = packet.flags == SYN ? isn : isn + 1;
		packet.ack = packet.flags & ACK ? backend_isn + 1 : 0;
		if (!ask(w, &packet, client, &inner) ||
		    !answer(w, &inner, &packet, client, ends[next_random(&w->seed) % N(ends)],
			    backend_isn + 1, begun))
			return;
	}
}

/* An established flow is what it was at first, in both directions. */
static void check_long(struct worker *w, uint32_t i)
{
	const struct trial *t = w->torture->t;
	struct long_flow *flow = &w->flow[i];
	struct packet want = flow->client, reply = packet_reverse(&flow->inner);
	struct frame in;
	struct result r;

	want.src = flow->inner.src;
	want.sport = flow->inner.sport;
	want.dst = flow->inner.dst;
	want.dport = flow->inner.dport;
	if (!pass_through(w, &flow->client, &in, &r) || !is_sent_as(t, &r.out, want, AT_TX))
		return wrong(w, "an established flow is not what it was", i, r.verdict);
	reply.flags = ACK;
	reply.seq = flow->client.ack;
	reply.ack = flow->client.seq;
	reply.dst_mac = t->p->net->mac[DEV_EXT0];
	reply.src_mac = t->p->net->gateway_mac[AT_TX];
	want = reply;
	want.src = flow->client.dst;
	want.sport = flow->client.dport;
	want.dst = flow->client.src;
	want.dport = flow->client.sport;
	if (!pass_through(w, &reply, &in, &r) || !is_sent_as(t, &r.out, want, AT_OUTSIDE))
		wrong(w, "an established flow is not answered as it was", i, r.verdict);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(w->number % (unsigned int)sysconf(_SC_NPROCESSORS_ONLN), &cpus);
	pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus);
	while (!atomic_load(&w->torture->over)) {
		uint32_t what = next_random(&w->seed);

		if (what % 8)
			converse(w);
		else
			check_long(w, what / 8 % LONG_FLOWS);
	}
	return NULL;
}

/* Before there is any pressure. */
static void establish_long(struct trial *t, struct worker *w)
{
	for (uint16_t i = 0; i < LONG_FLOWS; i++) {
		struct talk talk = talk_from(t, CLIENT_HOST,
					     (uint16_t)(1000 + w->number * LONG_FLOWS + i), t->to);

		talk.masqueraded = torture.masqueraded;
		talk_establish(&talk);
		talk_expect_both(&talk);
		w->flow[i] = (struct long_flow){talk.client, talk.inner};
		w->flow[i].client.seq = talk.client_end.next;
		w->flow[i].client.ack = talk.backend_end.next;
	}
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static bool is_short(const struct fl_flow *flow, void *arg)
{
	struct trial *t = arg;
	const struct fl_ip long_client = addr(t->family, AT_OUTSIDE, CLIENT_HOST);

	return !fl_ip_equal(&flow->client, &long_client);
}

/* What the agent does meanwhile, much faster: it sweeps, and removes all flows but the long ones,
 * as it removes those of a Service that is gone. */
static void sweep_until(struct trial *t, uint64_t end_ms, uint32_t flush_ms)
{
	const uint32_t hz = t->p->config.hz;
	struct fl_flow_table table = plane_flows(t->p);
	struct fl_rebuild rebuild = {0};
	struct fl_sweep sweep = {0};
	struct fl_flow_counts counts;
	uint64_t flushed_ms = now_ms();

	memcpy(sweep.timeout, t->p->config.timeout, sizeof(sweep.timeout));
	sweep.timeout[FL_TIMEOUT_TCP_EMBRYONIC] = sweep.timeout[FL_TIMEOUT_UDP_EMBRYONIC] = hz / 50;
	while (now_ms() < end_ms && !atomic_load(&torture.over)) {
		uint32_t now = plane_now(t->p);

		fl_flow_sweep(&table, &sweep, now, hz, 64);
		fl_overflow_rebuild(&table, &rebuild, now, hz, 64);
		if (now_ms() > flushed_ms + flush_ms) {
			torture.flushed += fl_flow_flush(&table, now, is_short, t);
			flushed_ms = now_ms();
		}
		sched_yield();
	}
	atomic_store(&torture.over, true);
	for (unsigned int i = 0; i < torture.n_workers; i++)
		pthread_join(torture.worker[i].thread, NULL);
	torture.n_workers = 0;
	/* what lost its twin meanwhile is gone when the sweeper comes by */
	fl_flow_sweep(&table, &sweep, plane_now(t->p) + 2 * hz, hz, TINY_BUCKETS);
	fl_flow_sweep(&table, &sweep, plane_now(t->p) + 2 * hz, hz, TINY_BUCKETS);
	fl_flow_count(&table, &counts);
	assert_int_equal(counts.lone, 0);
}

static void stop(struct trial *t)
{
	(void)t;
	atomic_store(&torture.over, true);
	for (unsigned int i = 0; i < torture.n_workers; i++)
		if (torture.worker[i].running)
			pthread_join(torture.worker[i].thread, NULL);
	torture.n_workers = 0;
	free(torture.granted);
	torture.granted = NULL;
}

static uint64_t duration_ms(void)
{
	const char *text = getenv("FL_TORTURE_S");
	long seconds = text ? strtol(text, NULL, 10) : USUAL_S;

	return (uint64_t)(seconds > 0 ? seconds : USUAL_S) * 1000 / TRIALS;
}

struct way {
	struct row row;
	bool keep_source;  /* the table is what is scarce, else source ports are */
	uint32_t flush_ms; /* between two removals of nearly all flows */
};

static const struct way ways[] = {
	{ROW("masqueraded"), false, 5},
	{ROW("source kept"), true, 5},
};

static void nobody_gets_a_strangers_rewrite(struct trial *t)
{
	const struct way *way = t->row;
	unsigned int n = (unsigned int)sysconf(_SC_NPROCESSORS_ONLN);
	uint64_t packets = 0, replies = 0, taken_over = 0, passed = 0;
	int mismatches = 0;

	memset(&torture, 0, sizeof(torture));
	torture.t = t;
	torture.masqueraded = !way->keep_source;
	for (int i = 0; i < FL_PORT_RANGES; i++)
		torture.n_ports += t->p->config.live.snat[i].count;
	torture.granted =
		calloc((size_t)BACKENDS * torture.n_ports * CLIENTS, sizeof(*torture.granted));
	assert_non_null(torture.granted);
	serve(t, (struct scene){.backends = BACKENDS, .keep_source = way->keep_source});
	n = n < 2 ? 2 : n > THREADS ? THREADS : n;
	for (unsigned int i = 0; i < n; i++) {
		torture.worker[i] = (struct worker){
			.torture = &torture, .number = i, .seed = 88172645463325252ULL + i};
		establish_long(t, &torture.worker[i]);
	}
	torture.n_workers = n; /* all, before one of them looks at what the others ask */
	for (unsigned int i = 0; i < n; i++) {
		struct worker *w = &torture.worker[i];

		w->running = !pthread_create(&w->thread, NULL, work, w);
		assert_true(w->running);
	}
	sweep_until(t, now_ms() + duration_ms(), way->flush_ms);
	for (unsigned int i = 0; i < n; i++) {
		const struct worker *w = &torture.worker[i];

		packets += w->packets;
		replies += w->replies;
		taken_over += w->taken_over;
		passed += w->passed;
		t->dropped += w->dropped;
		t->left += w->left;
		mismatches += w->wrong[0] != 0;
	}
	printf("# %s: %llu packets (%llu replies, %llu to the next client of a port), %llu passed, "
	       "%llu dropped, %llu flows made, %llu evicted, %llu removed, %d mismatches\n",
	       t->name, (unsigned long long)packets, (unsigned long long)replies,
	       (unsigned long long)taken_over, (unsigned long long)passed,
	       (unsigned long long)t->dropped,
	       (unsigned long long)plane_counter(t->p, FL_COUNTER_FLOW_NEW),
	       (unsigned long long)plane_counter(t->p, FL_COUNTER_FLOW_EVICTED),
	       (unsigned long long)torture.flushed, mismatches);
	for (unsigned int i = 0; i < n; i++)
		if (torture.worker[i].wrong[0])
			trial_fail(t, "%s", torture.worker[i].wrong);
	assert_true(packets > 0 && replies > 0);
	for (uint32_t c = 0; c < FL_COUNTER_MAX; c++)
		allow_counter(t, c);
}

static const struct test tests[] = {
	{"B8, B11: under pressure, on all processors, no packet gets the rewrite of another flow",
	 CHECK(nobody_gets_a_strangers_rewrite), .undo = stop, .plane = PLANE_TINY, ROWS(ways)},
};

const struct topic torture_topic = {"torture", TESTS(tests)};
