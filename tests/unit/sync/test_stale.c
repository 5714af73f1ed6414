// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * 7.1 to 7.8: after whatever has become of a Service, which clients of it choose another backend.
 * Plans go through lb/sync, and what it says about frontends through conntrack/resteer.c to flows
 * and records of sockets, as in the agent; only the maps are memory.
 */
#include "conntrack/resteer.h"
#include "tests/unit/sync/sync_fixture.h"

#define BUCKETS 4

enum client {
	PACKETS,
	UNCONNECTED, /* socket */
	CONNECTED,
	CLIENTS,
};

enum event {
	REMOVED,
	TERMINATING,	    /* it still serves (7.3) */
	DRAINED,	    /* its weight is 0: it serves its flows */
	TERMINATED,	    /* it does not serve any more, though others do */
	ALL_GONE,	    /* 7.5 */
	ALL_GONE_AND_OTHER, /* {1a} -> {} -> {2b} before anybody looked */
	ONE_BY_ONE,	    /* the same, looked at in between */
	DELETED,	    /* 7.7 */
	DELETED_AND_BACK,
	MOVED,	       /* the frontend is another Service's now, which has not the backend */
	MOVED_TO_SAME, /* ... which has it as well */
	DROPPED,       /* the Service has this frontend no more */
	OVERTAKEN,     /* another Service is the older one now, and has the frontends (2.21) */
	MORE,	       /* endpoints */
	POLICY,
	RESTART,	     /* of the agent: nothing has changed */
	RESTART_REMOVED,     /* it went while no agent ran */
	RESTART_DELETED,     /* so did the Service */
	CRASHED,	     /* after the maps were written, before anybody looked */
	RESTART_UNREAD,	     /* the Service cannot be read, and when it can the endpoint is gone */
	RESTART_TERMINATING, /* it serves, and is in no list; the maps do not say whose it is */
	EVENTS,
};

static const struct {
	const char *name;
	bool leaves;
} events[EVENTS] = {
	[REMOVED] = {"removed", true},
	[TERMINATING] = {"terminating", false},
	[DRAINED] = {"drained", false},
	[TERMINATED] = {"terminated", true},
	[ALL_GONE] = {"all gone", true},
	[ALL_GONE_AND_OTHER] = {"all gone, and another came", true},
	[ONE_BY_ONE] = {"all gone, then another came", true},
	[DELETED] = {"deleted", true},
	[DELETED_AND_BACK] = {"deleted, and back as it was", false},
	[MOVED] = {"the frontend moved", true},
	[MOVED_TO_SAME] = {"the frontend moved to a Service with the same backend", false},
	[DROPPED] = {"the Service lost the frontend", true},
	[OVERTAKEN] = {"another Service took the frontend over", true},
	[MORE] = {"more endpoints", false},
	[POLICY] = {"another policy", false},
	[RESTART] = {"restart", false},
	[RESTART_REMOVED] = {"removed while no agent ran", true},
	[RESTART_DELETED] = {"deleted while no agent ran", true},
	[CRASHED] = {"removed, and the agent crashed", true},
	[RESTART_UNREAD] = {"removed while the Service could not be read", true},
	[RESTART_TERMINATING] = {"terminating, and the agent started anew", false},
};

/* One of both families, and of every type of frontend. */
struct words {
	const char *cluster_ip, *external_ip, *lb_ip, *other_ip, *node_ip, *e1a, *e1b, *e2b,
		*only_1a, *drained_1a;
};

static const struct words words_of[FL_FAMILIES] = {
	[FL_IPV4] = {"10.96.0.1", "198.51.100.1", "203.0.113.1", "10.96.0.9", "192.0.2.7",
		     "10.1.0.1", "10.1.0.2", "10.1.0.3", "-10.1.0.1", "~10.1.0.1"},
	[FL_IPV6] = {"fd96::1", "2001:db8:51::1", "2001:db8:113::1", "fd96::9", "2001:db8::7",
		     "fd01::1", "fd01::2", "fd01::3", "-fd01::1", "~fd01::1"},
};

struct world {
	struct fake *fake;
	struct fl_resteer resteer;
	struct fl_mono now;
	struct fl_bucket4 flows4[BUCKETS];
	struct fl_bucket6 flows6[BUCKETS];
	struct fl_socket_bucket sockets[BUCKETS];
	/* the combination */
	enum fl_family family;
	enum fl_frontend_type type;
	uint8_t proto;
	bool shared; /* another Service has the same endpoints and keeps them */
	/* TCP: connections are reset, as the Services say, and as the node says */
	bool resets, resets_all;
	const struct words *words;
};

static enum fl_serving serving(const struct fl_frontend_key *frontend,
			       const struct fl_addr *backend, __be16 port, void *ctx)
{
	return fl_sync_serving(((struct world *)ctx)->fake->sync, frontend, backend, port);
}

static bool has_node_ports(const struct fl_addr *addr, void *ctx)
{
	const struct fl_addr node = fake_addr(((struct world *)ctx)->words->node_ip);

	return !memcmp(addr, &node, sizeof(node));
}

static const struct fl_resteer_ops ops = {serving, has_node_ports};

static struct fl_mono read_clock(void *arg)
{
	return ((struct world *)arg)->now;
}

static struct fl_clock clock_of_test = {.mono = read_clock};

static void on_touched(const struct fl_frontend_key *frontend, void *arg)
{
	fl_resteer_touch(&((struct world *)arg)->resteer, frontend);
}

/* The agent looks, and does so again later. */
static void look(struct world *w)
{
	for (int i = 0; i < 3; i++) {
		while (fl_resteer_run(&w->resteer))
			;
		w->now.ns += 2 * FL_NSEC_PER_SEC;
	}
}

/* The agent's memory is lost, and another begins with the maps and tables as they are. */
static void restart(struct world *w)
{
	struct fl_maps maps = w->fake->maps;

	fl_resteer_fini(&w->resteer);
	maps.flows4 = w->flows4;
	maps.flows6 = w->flows6;
	maps.sockets = w->sockets;
	maps.n_flows4 = maps.n_flows6 = maps.n_sockets = BUCKETS;
	fl_resteer_init(&w->resteer, &ops, w, &clock_of_test, &maps);
	w->resteer.reset_orphans = w->resets_all;
	fake_restart(w->fake);
}

/* Clients */

static struct fl_frontend_key asked(const struct world *w)
{
	const char *const ips[FL_FRONTEND_TYPES] = {
		[FL_FRONTEND_CLUSTER_IP] = w->words->cluster_ip,
		[FL_FRONTEND_EXTERNAL_IP] = w->words->external_ip,
		[FL_FRONTEND_LOAD_BALANCER] = w->words->lb_ip,
		[FL_FRONTEND_NODE_PORT] = w->words->node_ip,
	};

	return (struct fl_frontend_key){
		.addr = fake_addr(ips[w->type]),
		.port = htons(w->type == FL_FRONTEND_NODE_PORT ? 30080 : 80),
		.proto = w->proto};
}

#define HEAD_WORD (5U << FL_FLOW_GENERATION_SHIFT | FL_FLOW_ESTABLISHED)

static void flow_begin(struct world *w, const struct fl_frontend_key *frontend, uint32_t id)
{
	const struct fl_backend *backend = &w->fake->maps.backends[id];
	struct fl_flow_head head = {.word = HEAD_WORD, .proto = w->proto};

	fl_flow_set_backend(&head, id);
	if (w->family == FL_IPV4) {
		struct fl_flow4 *flow = &w->flows4[1].way[2];

		flow->head = head;
		flow->key.daddr = frontend->addr.w[3];
		flow->key.dport = frontend->port;
		flow->rewrite.daddr = backend->addr.w[3];
		flow->rewrite.dport = backend->port;
	} else {
		struct fl_flow6 *flow = &w->flows6[1].way[2];

		flow->head = head;
		flow->key.daddr = frontend->addr;
		flow->key.dport = frontend->port;
		flow->rewrite.daddr = backend->addr;
		flow->rewrite.dport = backend->port;
	}
}

static void socket_begin(struct world *w, const struct fl_frontend_key *frontend, uint32_t id,
			 enum fl_socket_kind kind)
{
	const struct fl_backend *backend = &w->fake->maps.backends[id];

	w->sockets[kind].way[1] = (struct fl_socket_record){
		.word = FL_SOCKET_USED,
		.cookie = kind,
		.frontend = frontend->addr,
		.frontend_port = frontend->port,
		.backend = backend->addr,
		.backend_port = backend->port,
		.backend_id = id,
		.backend_generation = backend->generation,
		.proto = w->proto,
		.kind = (uint8_t)kind,
	};
}

/* As the programs judge it: the id still stands for 1a, which is live. */
static bool is_live(const struct world *w, uint32_t id)
{
	const struct fl_backend *backend = &w->fake->maps.backends[id];
	const struct fl_addr addr = fake_addr(w->words->e1a);

	return backend->flags & FL_BACKEND_LIVE && !memcmp(&backend->addr, &addr, sizeof(addr));
}

static bool has_left(const struct world *w, enum client client)
{
	const struct fl_flow_head *head =
		w->family == FL_IPV4 ? &w->flows4[1].way[2].head : &w->flows6[1].way[2].head;
	const struct fl_socket_record *sends = &w->sockets[FL_SOCKET_SENDS].way[1],
				      *connected = &w->sockets[FL_SOCKET_CONNECTED].way[1];

	switch (client) {
	case PACKETS:
		return head->flags & FL_FLOW_STALE ||
		       (w->proto == IPPROTO_UDP && !is_live(w, fl_flow_backend(head)));
	case UNCONNECTED:
		return (sends->word & FL_SOCKET_STATE_MASK) == FL_SOCKET_FREE ||
		       !is_live(w, sends->backend_id);
	default:
		return (connected->word & FL_SOCKET_STATE_MASK) == FL_SOCKET_FREE;
	}
}

/* Services */

static void sync_a_at(struct world *w, int64_t created, const char *e1, const char *e2)
{
	assert_int_equal(SYNC_AT(w->fake, "a", created,
				 {.proto = w->proto,
				  .resets = w->resets,
				  .family = w->family,
				  .cluster_ip = w->words->cluster_ip,
				  .external_ip = w->words->external_ip,
				  .lb_ip = w->words->lb_ip,
				  .node_port = 30080,
				  .endpoints = {e1, e2}}),
			 0);
}

static void sync_a(struct world *w, const char *e1, const char *e2)
{
	sync_a_at(w, 1, e1, e2);
}

/* Its object is at fault. */
static void keep_a(struct world *w)
{
	const struct want want = {
		.proto = w->proto, .family = w->family, .cluster_ip = w->words->cluster_ip};
	struct plan plan;
	bool kept = false;

	plan_make(&plan, "a", &want, 1);
	assert_int_equal(fl_sync_keep(w->fake->sync, "default", "a", &plan.plan, &kept), 0);
	assert_true(kept);
}

/* Keeps 1a, whatever becomes of "a". */
static void sync_b(struct world *w)
{
	if (w->shared)
		assert_int_equal(SYNC_AT(w->fake, "b", 2,
					 {.proto = w->proto,
					  .resets = w->resets,
					  .family = w->family,
					  .cluster_ip = w->words->other_ip,
					  .endpoints = {w->words->e1a, w->words->e2b}}),
				 0);
}

/* Has the frontends that "a" had. */
static void sync_c(struct world *w, const char *endpoint)
{
	assert_int_equal(SYNC_AT(w->fake, "c", 3,
				 {.proto = w->proto,
				  .resets = w->resets,
				  .family = w->family,
				  .cluster_ip = w->words->cluster_ip,
				  .external_ip = w->words->external_ip,
				  .lb_ip = w->words->lb_ip,
				  .node_port = 30080,
				  .endpoints = {endpoint}}),
			 0);
}

static void settle(struct world *w)
{
	assert_int_equal(fl_sync_settle(w->fake->sync, &w->fake->err), 0);
}

static void happen(struct world *w, enum event event)
{
	const struct words *x = w->words;

	switch (event) {
	case REMOVED:
		sync_a(w, x->e1b, NULL);
		break;
	case DRAINED:
		sync_a(w, x->drained_1a, x->e1b);
		break;
	case TERMINATING:
		sync_a(w, x->only_1a, x->e1b);
		break;
	case TERMINATED:
		sync_a(w, x->only_1a, x->e1b);
		look(w);
		sync_a(w, x->e1b, NULL);
		break;
	case ALL_GONE:
		sync_a(w, NULL, NULL);
		break;
	case ALL_GONE_AND_OTHER:
		sync_a(w, NULL, NULL);
		sync_a(w, x->e2b, NULL);
		break;
	case ONE_BY_ONE:
		sync_a(w, NULL, NULL);
		look(w);
		sync_a(w, x->e2b, NULL);
		break;
	case DELETED:
		GONE(w->fake, "a");
		break;
	case DELETED_AND_BACK:
		GONE(w->fake, "a");
		sync_a(w, x->e1a, x->e1b);
		break;
	case MOVED:
		sync_c(w, x->e2b);
		GONE(w->fake, "a");
		break;
	case MOVED_TO_SAME:
		sync_c(w, x->e1a);
		GONE(w->fake, "a");
		break;
	case DROPPED:
		assert_int_equal(
			SYNC_AT(w->fake, "a", 1,
				{.proto = w->proto,
				 .resets = w->resets,
				 .family = w->family,
				 .cluster_ip =
					 w->type == FL_FRONTEND_CLUSTER_IP ? NULL : x->cluster_ip,
				 .external_ip =
					 w->type == FL_FRONTEND_EXTERNAL_IP ? NULL : x->external_ip,
				 .lb_ip = w->type == FL_FRONTEND_LOAD_BALANCER ? NULL : x->lb_ip,
				 .node_port = w->type == FL_FRONTEND_NODE_PORT ? 0 : 30080,
				 .endpoints = {x->e1a, x->e1b}}),
			0);
		break;
	case OVERTAKEN:
		sync_c(w, x->e2b);
		look(w);
		assert_false(has_left(w, PACKETS));
		sync_a_at(w, 9, x->e1a, x->e1b);
		break;
	case MORE:
		assert_int_equal(SYNC_AT(w->fake, "a", 1,
					 {.proto = w->proto,
					  .resets = w->resets,
					  .family = w->family,
					  .cluster_ip = x->cluster_ip,
					  .external_ip = x->external_ip,
					  .lb_ip = x->lb_ip,
					  .node_port = 30080,
					  .endpoints = {x->e1a, x->e1b, x->e2b}}),
				 0);
		break;
	case POLICY:
		assert_int_equal(SYNC_AT(w->fake, "a", 1,
					 {.proto = w->proto,
					  .resets = w->resets,
					  .family = w->family,
					  .cluster_ip = x->cluster_ip,
					  .external_ip = x->external_ip,
					  .lb_ip = x->lb_ip,
					  .node_port = 30080,
					  .external_local = true,
					  .endpoints = {x->e1a, x->e1b}}),
				 0);
		break;
	case RESTART:
		restart(w);
		look(w);
		sync_a(w, x->e1a, x->e1b);
		look(w);
		sync_b(w);
		settle(w);
		break;
	case RESTART_REMOVED:
		restart(w);
		look(w);
		sync_a(w, x->e1b, NULL);
		sync_b(w);
		settle(w);
		break;
	case RESTART_DELETED:
		restart(w);
		sync_b(w);
		settle(w);
		break;
	case CRASHED:
		sync_a(w, x->e1b, NULL);
		restart(w);
		sync_a(w, x->e1b, NULL);
		sync_b(w);
		settle(w);
		break;
	case RESTART_UNREAD:
		restart(w);
		keep_a(w);
		sync_b(w);
		settle(w);
		look(w);
		assert_false(has_left(w, PACKETS));
		sync_a(w, x->e1b, NULL);
		break;
	case RESTART_TERMINATING:
		sync_a(w, x->only_1a, x->e1b);
		look(w);
		restart(w);
		sync_b(w);
		look(w);
		sync_a(w, x->only_1a, x->e1b);
		settle(w);
		break;
	default:
		fail();
	}
}

/* The agent has started and judged everything; then a client is sent to 1a. */
static void begin(struct world *w)
{
	struct fl_frontend_key frontend = asked(w);
	uint32_t id;

	w->fake->options.touched = on_touched;
	w->fake->options.touched_arg = w;
	w->fake->options.reject_unknown_port = true;
	w->now.ns = FL_NSEC_PER_SEC;
	clock_of_test.arg = w;
	memset(w->flows4, 0, sizeof(w->flows4));
	memset(w->flows6, 0, sizeof(w->flows6));
	memset(w->sockets, 0, sizeof(w->sockets));
	restart(w);
	sync_a(w, w->words->e1a, w->words->e1b);
	sync_b(w);
	settle(w);
	look(w);
	id = fake_backend(w->fake, w->words->e1a);
	assert_int_not_equal(id, 0);
	flow_begin(w, &frontend, id);
	socket_begin(w, &frontend, id, FL_SOCKET_SENDS);
	socket_begin(w, &frontend, id, FL_SOCKET_CONNECTED);
}

static void check(struct world *w, enum event event)
{
	static const char *const types[] = {
		[FL_FRONTEND_CLUSTER_IP] = "cluster IP",
		[FL_FRONTEND_EXTERNAL_IP] = "external IP",
		[FL_FRONTEND_LOAD_BALANCER] = "load balancer",
		[FL_FRONTEND_NODE_PORT] = "node port",
	};
	static const char *const clients[] = {"packets", "unconnected socket", "connected socket"};

	for (enum client client = PACKETS; client < CLIENTS; client++) {
		/* 5.9.3: the kernel asks nobody about what a connected socket sends */
		bool leaves = events[event].leaves && client != CONNECTED;

		/* of a Service that went while no agent ran nobody knows that it reset them */
		if (w->proto == IPPROTO_TCP)
			leaves &= w->resets && (event != RESTART_DELETED || w->resets_all);

		/* TCP sockets have no such record */
		if (w->proto == IPPROTO_TCP && client == UNCONNECTED)
			continue;
		if (has_left(w, client) != leaves)
			fail_msg("%s, %s, %s, %s, IPv%d: %s", events[event].name, types[w->type],
				 clients[client], w->shared ? "shared" : "not shared",
				 w->family == FL_IPV4 ? 4 : 6, leaves ? "stays" : "leaves");
	}
}

static void run_all(uint8_t proto, bool resets, bool resets_all)
{
	for (enum event event = 0; event < EVENTS; event++) {
		for (int i = 0; i < 2 * FL_FAMILIES * 4; i++) {
			struct world w = {
				.family = (enum fl_family)(i & 1),
				.shared = i & 2,
				.type = (enum fl_frontend_type)(FL_FRONTEND_CLUSTER_IP + (i >> 2)),
				.proto = proto,
				.resets = resets,
				.resets_all = resets_all,
			};
			void *state = NULL;

			fake_setup(&state);
			w.fake = state;
			w.words = &words_of[w.family];
			begin(&w);
			happen(&w, event);
			look(&w);
			check(&w, event);
			fl_resteer_fini(&w.resteer);
			fake_teardown(&state);
		}
	}
}

static void test_udp_clients_follow_their_frontend(void **state)
{
	run_all(IPPROTO_UDP, false, false);
}

/* 7.8: nothing happens to TCP. */
static void test_tcp_clients_stay(void **state)
{
	run_all(IPPROTO_TCP, false, false);
}

/* Where connections are reset, those that UDP clients would leave are. */
static void test_tcp_clients_are_reset(void **state)
{
	run_all(IPPROTO_TCP, true, false);
	run_all(IPPROTO_TCP, true, true);
}

/* What is gone when resetting is switched on. */
static void test_resetting_begins_later(void **state)
{
	struct world w = {
		.type = FL_FRONTEND_CLUSTER_IP, .proto = IPPROTO_TCP, .words = &words_of[FL_IPV4]};
	void *fake = NULL;

	fake_setup(&fake);
	w.fake = fake;
	begin(&w);
	happen(&w, REMOVED);
	look(&w);
	assert_int_equal(w.resteer.touched.n, 0);
	assert_false(has_left(&w, PACKETS));
	w.resets = true;
	happen(&w, REMOVED);
	look(&w);
	assert_true(has_left(&w, PACKETS));
	fl_resteer_fini(&w.resteer);
	fake_teardown(&fake);
}

/* An external IP that is the node's own address beats the node port there (2.19): flows of the node
 * port at that address alone are judged by what the external IP serves. */
static void test_an_external_ip_takes_over_from_a_node_port(void **state)
{
	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		struct world w = {.family = family,
				  .type = FL_FRONTEND_NODE_PORT,
				  .proto = IPPROTO_UDP,
				  .shared = true,
				  .words = &words_of[family]};
		void *fake = NULL;

		fake_setup(&fake);
		w.fake = fake;
		begin(&w);
		assert_int_equal(SYNC_AT(w.fake, "d", 4,
					 {.proto = IPPROTO_UDP,
					  .family = family,
					  .port = 30080,
					  .external_ip = w.words->node_ip,
					  .endpoints = {w.words->e2b}}),
				 0);
		look(&w);
		assert_true(has_left(&w, PACKETS));
		assert_true(has_left(&w, UNCONNECTED));
		fl_resteer_fini(&w.resteer);
		fake_teardown(&fake);
	}
}

/* Only what takes something away asks for a look at the flows. */
static void test_changes_that_touch_nothing(void **state)
{
	static const enum event each[] = {TERMINATING, MORE, POLICY, REMOVED};

	for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++) {
		struct world w = {.type = FL_FRONTEND_CLUSTER_IP,
				  .proto = IPPROTO_UDP,
				  .words = &words_of[FL_IPV4]};
		void *fake = NULL;

		fake_setup(&fake);
		w.fake = fake;
		begin(&w);
		happen(&w, each[i]);
		/* each of the four frontends */
		assert_int_equal(w.resteer.touched.n, each[i] == REMOVED ? 4 : 0);
		fl_resteer_fini(&w.resteer);
		fake_teardown(&fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_udp_clients_follow_their_frontend),
		cmocka_unit_test(test_tcp_clients_stay),
		cmocka_unit_test(test_tcp_clients_are_reset),
		cmocka_unit_test(test_resetting_begins_later),
		cmocka_unit_test(test_an_external_ip_takes_over_from_a_node_port),
		cmocka_unit_test(test_changes_that_touch_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
