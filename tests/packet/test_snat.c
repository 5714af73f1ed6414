// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Source ports for masqueraded flows (ARCHITECTURE.md, rule 5.3.4): from the allowed ranges only,
 * none twice towards one backend, none that a socket of this node has, and every one of them for a
 * client that tries again.
 */
#include "tests/packet/packet.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Sockets of the running trial. */
static int sockets[SMALL_PORTS];
static unsigned int n_sockets;

/* Bind a socket to an address and port; TCP ones listen. */
static void bind_to(const struct trial *t, struct fl_ip ours, uint16_t port)
{
	int type = t->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM, r;
	int fd = socket(t->family == FL_IPV4 ? AF_INET : AF_INET6, type | SOCK_CLOEXEC, 0);
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};

	memcpy(&sin.sin_addr, ours.b + 12, 4);
	memcpy(&sin6.sin6_addr, ours.b, 16);
	r = t->family == FL_IPV4 ? bind(fd, (struct sockaddr *)&sin, sizeof(sin))
				 : bind(fd, (struct sockaddr *)&sin6, sizeof(sin6));
	if (fd < 0 || r || (t->proto == IPPROTO_TCP && listen(fd, 1)))
		fail_msg("cannot bind port %u: %s", port, strerror(errno));
	assert_true(n_sockets < N(sockets));
	sockets[n_sockets++] = fd;
}

static void bind_socket(const struct trial *t, uint16_t port)
{
	bind_to(t, addr(t->family, AT_EXT0, 1), port);
}

static void close_sockets(struct trial *t)
{
	while (n_sockets)
		close(sockets[--n_sockets]);
}

/* Both directions get a state. */
static void set_state(struct plane *p, const struct fl_flow *flow, enum fl_flow_state state)
{
	const uint32_t slots[] = {flow->slot, flow->reply_slot};

	for (size_t i = 0; i < N(slots); i++) {
		struct fl_flow_head *head = plane_head(p, flow->family, slots[i]);

		head->word = (head->word & ~FL_FLOW_STATE_MASK) | state;
	}
}

/* A client that tries again, at once, until it gets a port. False: it never does. */
static bool insist(struct trial *t, const struct packet *packet)
{
	for (int i = 0; i < 2 * SMALL_PORTS; i++) {
		if (feed(t, packet) != DROPPED)
			return true;
		expect_drop(t, FL_REASON_NO_SOURCE_PORT);
		expect_no_flow(t, packet);
	}
	return false;
}

/* Establish flows from many clients until one gets no port; returns how many there are. */
static unsigned int exhaust(struct trial *t, unsigned int host, bool seen[65536])
{
	for (unsigned int n = 0; n < 2 * SMALL_PORTS; n++) {
		struct packet packet =
			from_client(t, host + n % 5, (uint16_t)(1000 + n * 31 + host));
		struct fl_flow flow;

		if (!insist(t, &packet))
			return n;
		expect_outcome(t, SENT);
		flow = expect_flow(t, &packet);
		assert_true(plane_may_use_port(t->p, flow.source_port));
		assert_false(seen[flow.source_port]);
		seen[flow.source_port] = true;
		set_state(t->p, &flow, FL_FLOW_ESTABLISHED);
	}
	fail_msg("more flows than ports");
	return 0;
}

static void all_ports_are_used(struct trial *t)
{
	for (unsigned int host = 1; host < 200; host += 20) {
		bool seen[65536] = {false};
		unsigned int n;

		plane_flows_clear(t->p);
		n = exhaust(t, host, seen);
		assert_int_equal(n, SMALL_PORTS);
	}
}

/* With 95 % of the ports in use, and a pause between its attempts as clients make it. */
static void client_that_tries_again_gets_a_port(struct trial *t)
{
	const unsigned int used = SMALL_PORTS * 95 / 100;
	unsigned int tries = 0;

	for (unsigned int n = 0; n < SMALL_PORTS; n++) {
		struct packet packet = from_client(t, 1 + n % 5, (uint16_t)(1000 + n * 31));
		struct fl_flow flow;

		if (n < used)
			assert_true(insist(t, &packet));
		else
			do {
				tries++;
				plane_forget_exhaustion(t->p);
			} while (feed(t, &packet) == DROPPED);
		flow = expect_flow(t, &packet);
		set_state(t->p, &flow, FL_FLOW_ESTABLISHED);
	}
	/* each attempt looks at another one of all ports at least */
	assert_in_range(tries, 5, 5 * SMALL_PORTS);
	allow_counter(t, FL_REASON_NO_SOURCE_PORT);
}

#define LIVE (SMALL_PORTS * 6 / 10)

/* Flows that last equally long, with more than half of the ports in use: none is refused. */
static void ports_come_round(struct trial *t)
{
	struct fl_flow live[LIVE];

	for (unsigned int n = 0; n < 10 * SMALL_PORTS; n++) {
		struct packet packet = from_client(t, 1 + n % 100, (uint16_t)(1000 + n * 31));
		struct fl_flow *flow = &live[n % LIVE];

		if (n >= LIVE)
			set_state(t->p, flow, FL_FLOW_FREE);
		feed(t, &packet);
		expect_outcome(t, SENT);
		*flow = expect_flow(t, &packet);
		set_state(t->p, flow, FL_FLOW_TIME_WAIT);
	}
}

/* All ports taken towards one backend are free towards another. */
static void ports_are_counted_for_each_backend(struct trial *t)
{
	struct fl_ip other = addr(t->family, t->network, 2);
	bool seen[65536] = {false};
	struct packet packet = from_client(t, CLIENT_HOST, 999);

	exhaust(t, 1, seen);
	backend_add(t->p, 2, &other, BACKEND_PORT, t->proto, 0);
	packet.dst = addr(t->family, AT_SERVICE, 12);
	service_add(t->p, &(struct service){.id = 2,
					    .type = FL_FRONTEND_CLUSTER_IP,
					    .ip = packet.dst,
					    .port = packet.dport,
					    .proto = t->proto,
					    .flags = MASQUERADE_ALL,
					    .ids = {{2}, {2}}});
	feed(t, &packet);
	expect_outcome(t, SENT);
	expect_flow(t, &packet);
}

/* Without anybody sweeping. */
static void expired_flows_give_their_ports_back(struct trial *t)
{
	bool seen[65536] = {false};
	uint32_t then;

	exhaust(t, 1, seen);
	then = plane_now(t->p) - 86401 * t->p->config.hz;
	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++)
		plane_head(t->p, t->family, slot)->last_seen = then;
	for (uint16_t i = 0; i < 20; i++) {
		struct talk talk = talk_from(t, 200, 5000 + i, t->to);

		talk_establish(&talk);
	}
	/* what lay in the way of an entry is replaced in place */
	allow_counter(t, FL_COUNTER_FLOW_EXPIRED);
}

/* An original that was lost leaves its reply behind: nobody answers it any more. */
static void lone_replies_give_their_ports_back(struct trial *t)
{
	bool seen[65536] = {false};

	exhaust(t, 1, seen);
	for (uint32_t slot = 0; slot < SMALL_BUCKETS * FL_FLOW_WAYS; slot++) {
		struct fl_flow_head *head = plane_head(t->p, t->family, slot);

		if ((head->word & FL_FLOW_STATE_MASK) && !(head->flags & FL_FLOW_IS_REPLY))
			head->word = ((head->word >> FL_FLOW_GENERATION_SHIFT) + 1)
				     << FL_FLOW_GENERATION_SHIFT;
	}
	for (uint16_t i = 0; i < 20; i++) {
		struct talk talk = talk_from(t, 200, 5000 + i, t->to);

		talk_establish(&talk);
	}
}

/* The same client port at all frontends of a service, one backend: all of them work. */
static void collisions_get_other_ports(struct trial *t)
{
	struct talk talk[SCENE_FRONTENDS];

	for (int i = 0; i < SCENE_FRONTENDS; i++) {
		talk[i] = talk_from(t, CLIENT_HOST, CLIENT_PORT, &t->fe[i]);
		talk_establish(&talk[i]);
		for (int j = 0; j < i; j++)
			assert_int_not_equal(talk[i].inner.sport, talk[j].inner.sport);
	}
	for (int i = 0; i < SCENE_FRONTENDS; i++)
		talk_expect_both(&talk[i]);
}

#define CLIENTS 30

/* Lost and made again, with others in between, it is the same. */
static void first_candidate_is_the_same_again(struct trial *t)
{
	uint16_t ports[CLIENTS];

	for (int round = 0; round < 2; round++) {
		plane_flows_clear(t->p);
		for (uint16_t i = 0; i < CLIENTS; i++) {
			uint16_t n = (uint16_t)(round ? CLIENTS - 1 - i : i);
			struct packet packet = from_client(t, CLIENT_HOST, CLIENT_PORT + n);
			struct fl_flow flow;

			feed(t, &packet);
			flow = expect_flow(t, &packet);
			if (round && flow.source_port != ports[n])
				trial_fail(t, "port %u, before it was %u", flow.source_port,
					   ports[n]);
			ports[n] = flow.source_port;
		}
	}
}

#define POOL 3
#define POOL_HOST 101

static void set_pool(struct trial *t)
{
	pool_set(t->p, net_dev(t->network), t->family, POOL_HOST, POOL);
}

/* Which of the pool's addresses it is. */
static unsigned int pool_index(struct trial *t, const struct fl_ip *ip)
{
	for (unsigned int i = 0; i < POOL; i++) {
		const struct fl_ip ours =
			addr(t->family, (enum network)net_dev(t->network), POOL_HOST + i);

		if (fl_ip_equal(ip, &ours))
			return i;
	}
	trial_fail(t, "an address that is not in the pool");
}

/* Lost and made again, with others in between, a flow has the same one. */
static void each_flow_has_one_of_several_addresses(struct trial *t)
{
	unsigned int used[POOL] = {0}, index[CLIENTS];
	uint16_t ports[CLIENTS];

	set_pool(t);
	for (int round = 0; round < 2; round++) {
		plane_flows_clear(t->p);
		for (uint16_t i = 0; i < CLIENTS; i++) {
			const uint16_t n = (uint16_t)(round ? CLIENTS - 1 - i : i);
			struct talk talk = talk_from(t, CLIENT_HOST, CLIENT_PORT + n, t->to);
			unsigned int at;

			talk_establish(&talk);
			talk_expect_both(&talk);
			at = pool_index(t, &talk.inner.src);
			used[at]++;
			if (round && (at != index[n] || talk.inner.sport != ports[n]))
				trial_fail(t, "address %u and port %u, before %u and %u", at,
					   talk.inner.sport, index[n], ports[n]);
			index[n] = at;
			ports[n] = talk.inner.sport;
		}
	}
	for (unsigned int i = 0; i < POOL; i++)
		assert_true(used[i] >= CLIENTS / POOL / 2);
}

/* Some clients more than there are ports, which none of them loses to another. */
static void several_addresses_have_all_ports_each(struct trial *t)
{
	static bool seen[POOL][65536];
	unsigned int n[POOL] = {0};

	memset(seen, 0, sizeof(seen));
	set_pool(t);
	for (unsigned int i = 0; i < 6 * POOL * SMALL_PORTS; i++) {
		struct packet packet = from_client(t, 1 + i % 100, (uint16_t)(1000 + i * 31));
		struct fl_flow flow;
		unsigned int at;

		if (!insist(t, &packet))
			continue;
		flow = expect_flow(t, &packet);
		at = pool_index(t, &flow.source);
		assert_false(seen[at][flow.source_port]);
		seen[at][flow.source_port] = true;
		set_state(t->p, &flow, FL_FLOW_ESTABLISHED);
		if (++n[at] == SMALL_PORTS && n[0] + n[1] + n[2] == POOL * SMALL_PORTS)
			return;
	}
	trial_fail(t, "%u, %u and %u ports were given out", n[0], n[1], n[2]);
}

static void expect_goes_on_with(struct talk *talk, const struct fl_ip *source)
{
	struct trial *t = talk->t;

	talk_send(talk, ACK);
	expect_outcome(t, SENT);
	expect_address(t, &talk->inner.src, source);
	talk_reply(talk, ACK);
	talk_expect_reply(talk);
}

/* What has an address that others do not get any more goes on with it. */
static void flows_outlive_the_addresses_of_others(struct trial *t)
{
	struct talk talk = talk_begin(t), next = talk_from(t, CLIENT_HOST, CLIENT_PORT + 1, t->to);
	struct fl_ip source;

	set_pool(t);
	talk_establish(&talk);
	source = talk.inner.src;
	pool_index(t, &source);
	pool_set(t->p, net_dev(t->network), t->family, POOL_HOST, 0);
	expect_goes_on_with(&talk, &source);
	talk_establish(&next);
	source = addr(t->family, (enum network)net_dev(t->network), 1);
	talk_expect_both(&next);
	expect_address(t, &next.inner.src, &source);
}

static void ports_of_sockets_are_not_used(struct trial *t)
{
	const struct fl_port_range *range = &t->p->config.live.snat[0];
	bool seen[65536] = {false};
	unsigned int n, left = SMALL_PORTS - range->count;

	for (uint16_t i = 0; i < range->count; i++)
		bind_socket(t, range->first + i);
	n = exhaust(t, 1, seen);
	assert_int_equal(n, left);
	for (uint16_t i = 0; i < range->count; i++)
		assert_false(seen[range->first + i]);
}

struct bound {
	struct row row;
	bool seen;     /* the bind hooks have seen the socket */
	bool reported; /* the agent has said lately that they see every one */
	bool stale;    /* it said so once */
};

static const struct bound bounds[] = {
	{ROW("seen, reported"), true, true, false},
	{ROW("seen, never reported"), true, false, false},
	{ROW("seen, reported long ago"), true, false, true},
	{ROW("not seen, reported"), false, true, false},
	{ROW("not seen, never reported"), false, false, false},
	{ROW("not seen, reported long ago"), false, false, true},
};

/*
 * While the agent reports that the bind hooks see every socket, only ports they have seen are
 * looked at: a socket on one of those keeps it, one that they have not seen is not looked for.
 */
static void only_bound_ports_are_looked_at(struct trial *t)
{
	const struct bound *bound = t->row;
	const uint16_t port = t->p->config.live.snat[0].first;
	__u64 *words = t->p->maps.bound_ports;
	bool seen[65536] = {false};

	bind_socket(t, port);
	if (bound->reported)
		t->p->maps.meta->bound_ports_stamp = plane_now(t->p);
	if (bound->stale)
		t->p->maps.meta->bound_ports_stamp =
			plane_now(t->p) - (FL_BOUND_PORTS_S + 1) * t->p->config.hz;
	if (bound->seen)
		words[FL_BOUND_WORD(t->proto, port)] |= 1ULL << (port & 63);
	/* of a port without a socket the bit says nothing */
	words[FL_BOUND_WORD(t->proto, port + 1)] |= 1ULL << ((port + 1) & 63);
	exhaust(t, 1, seen);
	assert_int_equal(seen[port], bound->reported && !bound->seen);
	assert_true(seen[port + 1]);
}

struct listener {
	struct row row;
	bool any; /* address; otherwise the node's */
};

static const struct listener listeners[] = {
	{ROW("at the node's address"), false},
	{ROW("at any address"), true},
};

/* A local backend's client keeps its own address, so sockets of this node are nothing to it. */
static void unmasqueraded_flows_ignore_sockets(struct trial *t)
{
	const struct listener *listener = t->row;
	struct talk talk = talk_begin(t);

	if (listener->any)
		bind_to(t, (struct fl_ip){0}, CLIENT_PORT);
	else
		bind_socket(t, CLIENT_PORT);
	talk_send(&talk, SYN);
	talk_expect_request(&talk);
	assert_int_equal(talk.inner.sport, CLIENT_PORT);
}

#define SMALL .hooks = ON_INGRESS, .plane = PLANE_SMALL

static const struct test tests[] = {
	{"B2: no port is left over while clients try again", CHECK(all_ports_are_used), SMALL},
	{"B2: a client that tries again gets a port when nearly all are used",
	 CHECK(client_that_tries_again_gets_a_port), SMALL},
	{"B2: with more than half of the ports in use no flow is refused", CHECK(ports_come_round),
	 SMALL},
	{"B2: ports are counted for each backend", CHECK(ports_are_counted_for_each_backend),
	 SMALL},
	{"a flow that is over gives its port back", CHECK(expired_flows_give_their_ports_back),
	 SMALL},
	{"and so does what is left of one that was lost", CHECK(lone_replies_give_their_ports_back),
	 SMALL, .forged = true},
	{"5.3.4: flows that would collide get other ports", CHECK(collisions_get_other_ports),
	 SMALL},
	{"5.3.4: the first candidate is a function of the tuple",
	 CHECK(first_candidate_is_the_same_again), .hooks = ON_INGRESS},
	{"5.3.4: each flow has one of several addresses, a function of its tuple",
	 CHECK(each_flow_has_one_of_several_addresses), .hooks = ON_INGRESS},
	{"B2: each of several addresses has all ports",
	 CHECK(several_addresses_have_all_ports_each), SMALL},
	{"5.3.4: a flow keeps an address that new ones do not get",
	 CHECK(flows_outlive_the_addresses_of_others), .hooks = ON_INGRESS},
	{"B3: ports of the node's sockets are not used", CHECK(ports_of_sockets_are_not_used),
	 SMALL, .undo = close_sockets},
	{"B3: only ports that the bind hooks have seen are looked at, while that is known",
	 CHECK(only_bound_ports_are_looked_at), SMALL, .undo = close_sockets, ROWS(bounds)},
	{"a client that keeps its address has nothing to do with sockets of this node",
	 CHECK(unmasqueraded_flows_ignore_sockets), .hooks = ON_INGRESS, .networks = IN(AT_POD),
	 .undo = close_sockets, ROWS(listeners)},
};

const struct topic snat_topic = {"source-ports", TESTS(tests)};
