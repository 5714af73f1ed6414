// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Robustness G17: of many source ports that are given away, one after the other, none is given to a
 * flow while another towards the same backend has it, none is a socket's of this node, and all are
 * of the ranges that are ours. FL_ALLOCATIONS says how many, for each trial.
 */
#include "tests/packet/packet.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIRST_PORT 40000 /* of PLANE_SMALL */
#define SOCKETS 5
#define ALLOCATIONS 30000

struct crowd {
	struct row row;
	unsigned int live; /* flows at a time */
};

static const struct crowd crowds[] = {
	{ROW("half of the ports in use"), SMALL_PORTS / 2},
	{ROW("95 of 100 in use, by flows and sockets"), SMALL_PORTS * 95 / 100 - SOCKETS},
};

static int sockets[SOCKETS] = {-1, -1, -1, -1, -1};

static void close_sockets(struct trial *t)
{
	(void)t;
	for (int i = 0; i < SOCKETS; i++) {
		if (sockets[i] >= 0)
			close(sockets[i]);
		sockets[i] = -1;
	}
}

static uint16_t port_of_socket(int i)
{
	return (uint16_t)(FIRST_PORT + 7 * i);
}

/* At the address that flows are masqueraded with. */
static void open_sockets(const struct trial *t)
{
	const struct fl_ip ours = addr(t->family, AT_EXT0, 1);
	const bool v6 = t->family == FL_IPV6;

	for (int i = 0; i < SOCKETS; i++) {
		struct sockaddr_in sin = {.sin_family = AF_INET,
					  .sin_port = htons(port_of_socket(i))};
		struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
					    .sin6_port = htons(port_of_socket(i))};
		int fd = socket(v6 ? AF_INET6 : AF_INET,
				(t->proto == IPPROTO_TCP ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC,
				0),
		    r;

		memcpy(&sin.sin_addr, ours.b + 12, 4);
		memcpy(&sin6.sin6_addr, ours.b, 16);
		r = v6 ? bind(fd, (struct sockaddr *)&sin6, sizeof(sin6))
		       : bind(fd, (struct sockaddr *)&sin, sizeof(sin));
		if (fd < 0 || r || (t->proto == IPPROTO_TCP && listen(fd, 1)))
			fail_msg("cannot bind port %u: %s", port_of_socket(i), strerror(errno));
		sockets[i] = fd;
	}
}

/* Who has a port: the entries of its flow. */
struct holder {
	struct fl_flow_head *head, *reply;
	uint16_t port;
};

static struct fl_flow_head *entry_of(const struct trial *t, const struct fl_tuple6 *key)
{
	const bool v6 = t->family == FL_IPV6;
	const uint64_t hash = fl_hash_tuple(v6, key, t->proto, t->p->config.flow_seed[0]);

	for (uint32_t choice = 0; choice < FL_FLOW_CHOICES; choice++) {
		const uint32_t bucket = fl_hash_bucket(hash, choice, SMALL_BUCKETS - 1);

		for (uint32_t way = 0; way < FL_FLOW_WAYS; way++) {
			struct fl_flow_head *head =
				plane_head(t->p, t->family, bucket * FL_FLOW_WAYS + way);
			const struct fl_tuple4 *four = &((const struct fl_flow4 *)head)->key;
			const struct fl_tuple6 *six = &((const struct fl_flow6 *)head)->key;

			if (fl_flow_state(head->word) < FL_FLOW_NEW)
				continue;
			if (v6 ? !memcmp(six, key, sizeof(*key))
			       : four->saddr == key->saddr.w[3] && four->daddr == key->daddr.w[3] &&
					    four->sport == key->sport && four->dport == key->dport)
				return head;
		}
	}
	return NULL;
}

/* As it is freed by the sweep, which takes both. */
static void end_flow(struct holder *holder, bool held[65536])
{
	struct fl_flow_head *const heads[] = {holder->head, holder->reply};

	for (size_t i = 0; i < N(heads); i++)
		heads[i]->word = fl_flow_word(fl_flow_generation(heads[i]->word) + 1, FL_FLOW_FREE);
	held[holder->port] = false;
}

/* A flow that nobody takes the port from. */
static void establish(struct fl_flow_head *head)
{
	head->word = (head->word & ~FL_FLOW_STATE_MASK) | FL_FLOW_ESTABLISHED;
}

struct attempt {
	struct frame frame, out;
	struct fl_tuple6 key;
	uint32_t l4, host_at; /* offsets: the ports, and the last byte of the client's address */
};

/* The n-th client; the program does not look at checksums. */
static void be_client(struct attempt *a, uint64_t n)
{
	const uint16_t port = htons((uint16_t)(1000 + n % 60000));

	a->frame.b[a->host_at] = (uint8_t)(1 + n / 60000 % 250);
	((uint8_t *)&a->key.saddr)[15] = a->frame.b[a->host_at];
	memcpy(a->frame.b + a->l4, &port, sizeof(port));
	a->key.sport = port;
}

/* The source port that it gets; 0: none. */
static uint16_t attempt(struct trial *t, struct attempt *a)
{
	struct xdp_md xdp = {.data_end = a->frame.len,
			     .ingress_ifindex = t->p->net->ifindex[DEV_EXT0]};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = a->frame.b, .data_size_in = a->frame.len,
		    .data_out = a->out.b, .data_size_out = sizeof(a->out.b), .ctx_in = &xdp,
		    .ctx_size_in = sizeof(xdp));

	assert_int_equal(bpf_prog_test_run_opts(t->p->prog_fd[PROG_XDP], &opts), 0);
	if (opts.retval == XDP_DROP) {
		t->dropped++;
		return 0;
	}
	assert_int_equal(opts.retval, XDP_TX);
	return (uint16_t)(a->out.b[a->l4] << 8 | a->out.b[a->l4 + 1]);
}

static struct attempt attempt_of(struct trial *t)
{
	struct packet packet = from_client(t, 1, 1000);
	struct attempt a = {.key = {.dport = htons(packet.dport)}};

	frame_build(&packet, &a.frame);
	a.l4 = ETH_HLEN + (t->family == FL_IPV6 ? 40 : 20);
	a.host_at = ETH_HLEN + (t->family == FL_IPV6 ? 8 + 15 : 12 + 3);
	memcpy(&a.key.saddr, packet.src.b, 16);
	memcpy(&a.key.daddr, packet.dst.b, 16);
	return a;
}

static void no_port_is_given_twice(struct trial *t)
{
	const struct crowd *crowd = t->row;
	const char *many = getenv("FL_ALLOCATIONS");
	const uint64_t wanted = many ? strtoull(many, NULL, 10) : ALLOCATIONS;
	static struct holder holders[SMALL_PORTS];
	static bool held[65536], used[65536];
	struct attempt a = attempt_of(t);
	uint64_t seed = 7, made = 0, refused = 0;
	unsigned int n = 0, ports = 0;

	memset(held, 0, sizeof(held));
	memset(used, 0, sizeof(used));
	open_sockets(t);
	for (int i = 0; i < SOCKETS; i++)
		held[port_of_socket(i)] = true;
	for (uint64_t client = 0; made < wanted; client++) {
		struct holder *to;
		uint16_t port;

		be_client(&a, client);
		port = attempt(t, &a);
		if (!port) {
			refused++;
			assert_true(refused < 100 * (made + 1000));
			continue;
		}
		if (held[port] || !plane_may_use_port(t->p, port))
			trial_fail(t, "after %llu ports: %u is %s", (unsigned long long)made, port,
				   held[port] ? "another's" : "none of ours");
		made++;
		held[port] = true;
		ports += !used[port];
		used[port] = true;
		/* the newcomer takes the place of one that ends */
		if (n < crowd->live) {
			to = &holders[n++];
		} else {
			to = &holders[next_random(&seed) % n];
			end_flow(to, held);
		}
		to->port = port;
		to->head = entry_of(t, &a.key);
		assert_non_null(to->head);
		to->reply = plane_head(t->p, t->family, to->head->twin);
		establish(to->head);
		establish(to->reply);
	}
	/* B2: at least 95 of 100 are usable; sockets have the others */
	assert_int_equal(ports, SMALL_PORTS - SOCKETS);
	allow_counter(t, FL_REASON_NO_SOURCE_PORT);
	if (many)
		printf("# %s: %llu source ports given away, %llu refused, none twice\n", t->name,
		       (unsigned long long)made, (unsigned long long)refused);
}

static const struct test tests[] = {
	{"G17: no source port is given to two flows towards one backend",
	 CHECK(no_port_is_given_twice), .plane = PLANE_SMALL, .undo = close_sockets, ROWS(crowds)},
};

const struct topic allocations_topic = {"allocations", TESTS(tests)};
