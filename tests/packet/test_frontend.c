// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Which address and port is a service's: rules 2.1 to 2.6, 2.9, 2.12, 2.19, 2.20, 2.22. */
#include "tests/packet/packet.h"

#include <string.h>

#include "lb/dp/filter.h"
#include "lb/dp/frontend_table.h"

static void frontend_forwards(struct trial *t)
{
	struct talk talk = talk_begin(t);

	talk_send(&talk, SYN);
	talk_expect_request(&talk);
	expect_counter(t, FL_COUNTER_FLOW_NEW, 1);
	expect_flows(t, 1);
}

struct node_address {
	struct row row;
	enum network network;
	unsigned int host;
	uint32_t flags; /* enum fl_local_flags */
	bool served;
};

static const struct node_address node_addresses[] = {
	{ROW("of ext0"), AT_EXT0, 1, FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS, true},
	{ROW("of ext1"), AT_EXT1, 1, FL_LOCAL_NODE | FL_LOCAL_NODE_PORTS, true},
	{ROW("not among the node port addresses"), AT_VIP, 99, FL_LOCAL_NODE, false},
	{ROW("of another node"), AT_EXT0, 2, 0, false},
};

static void node_port_on_each_local_address(struct trial *t)
{
	const struct node_address *row = t->row;
	struct frontend to = {FL_FRONTEND_NODE_PORT, addr(t->family, row->network, row->host),
			      NODE_PORT};
	struct talk talk = talk_from(t, CLIENT_HOST, CLIENT_PORT, &to);

	if (row->flags)
		local_add(t->p, &to.ip, row->flags);
	talk_send(&talk, SYN);
	if (row->served)
		talk_expect_request(&talk);
	else
		expect_untouched(t);
	expect_flows(t, row->served);
}

/* An external IP that is the node's own address, at the number of a node port. */
static void service_address_beats_node_port(struct trial *t)
{
	struct fl_ip other = addr(t->family, AT_TX, 7);
	struct packet packet = packet_of(t);
	struct fl_flow flow;

	backend_add(t->p, 7, &other, 9, t->proto, 0);
	service_add(t->p, &(struct service){.id = 2,
					    .type = FL_FRONTEND_EXTERNAL_IP,
					    .ip = t->to->ip,
					    .port = NODE_PORT,
					    .proto = t->proto,
					    .flags = MASQUERADE_ALL,
					    .ids = {{7}, {7}}});
	feed(t, &packet);
	expect_outcome(t, SENT);
	flow = expect_flow(t, &packet);
	expect_address(t, &flow.backend, &other);
	assert_int_equal(flow.backend_port, 9);
}

struct unknown {
	struct row row;
	enum network network;
	unsigned int host;
	uint16_t port;
	uint8_t flags;
	bool rejected;
};

/* Only a packet that begins a flow is answered. */
static const struct unknown unknowns[] = {
	{ROW("cluster IP, SYN"), AT_SERVICE, 10, 81, SYN, true},
	{ROW("external IP, SYN", .hooks = ON_NETWORK), AT_VIP, 20, 81, SYN, true},
	{ROW("load balancer, SYN", .hooks = ON_NETWORK), AT_VIP, 30, 81, SYN, true},
	{ROW("external IP, from a pod", .hooks = ON_POD_INGRESS), AT_VIP, 20, 81, SYN, false},
	{ROW("load balancer, from a pod", .hooks = ON_POD_INGRESS), AT_VIP, 30, 81, SYN, false},
	{ROW("cluster IP, ACK", .protos = ONLY_TCP), AT_SERVICE, 10, 81, ACK, false},
	{ROW("cluster IP, SYN and ACK", .protos = ONLY_TCP), AT_SERVICE, 10, 81, SYN | ACK, false},
	{ROW("cluster IP, RST", .protos = ONLY_TCP), AT_SERVICE, 10, 81, RST, false},
	{ROW("node port"), AT_EXT0, 1, 30081, SYN, false},
	{ROW("service port at the node's address"), AT_EXT0, 1, SERVICE_PORT, SYN, false},
	{ROW("address of no service"), AT_SERVICE, 11, SERVICE_PORT, SYN, false},
	{ROW("foreign address"), AT_FOREIGN, 1, SERVICE_PORT, SYN, false},
};

static void ask_unknown(struct trial *t, struct packet *ret_packet)
{
	const struct unknown *row = t->row;

	*ret_packet = packet_of(t);
	ret_packet->dst = addr(t->family, row->network, row->host);
	ret_packet->dport = row->port;
	ret_packet->flags = row->flags;
	feed(t, ret_packet);
}

static void unknown_port_is_rejected(struct trial *t)
{
	const struct unknown *row = t->row;
	struct packet packet;

	ask_unknown(t, &packet);
	if (row->rejected)
		expect_answer(t, &packet, ICMP_PORT_UNREACHABLE, 0, FL_REASON_REJECT_UNKNOWN_PORT);
	else
		expect_untouched(t);
	expect_flows(t, 0);
}

/* An external IP that is also an address of the node: other ports of it are the node's. */
static void unknown_port_of_an_own_address_passes(struct trial *t)
{
	struct packet packet = packet_of(t);

	local_add(t->p, &packet.dst, FL_LOCAL_NODE);
	packet.dport++;
	feed(t, &packet);
	expect_untouched(t);
}

static void unknown_port_passes_when_not_rejecting(struct trial *t)
{
	struct packet packet;

	ask_unknown(t, &packet);
	expect_untouched(t);
}

/* A service of the one protocol, a packet of the other. */
static void protocols_are_two_services(struct trial *t)
{
	struct packet packet = packet_of(t);

	packet.proto = t->proto == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP;
	feed(t, &packet);
	if (t->to->type == FL_FRONTEND_NODE_PORT ||
	    (t->hook == HOOK_POD_INGRESS && t->to->type != FL_FRONTEND_CLUSTER_IP))
		expect_untouched(t);
	else
		expect_answer(t, &packet, ICMP_PORT_UNREACHABLE, 0, FL_REASON_REJECT_UNKNOWN_PORT);
	expect_flows(t, 0);
}

/* A frontend without a live choice in its table: the agent and the datapath disagree. */
static void missing_backend_is_a_named_drop(struct trial *t)
{
	struct packet packet = packet_of(t);

	memset(&t->p->maps.backends[1], 0, sizeof(struct fl_backend));
	feed(t, &packet);
	expect_drop(t, FL_REASON_NO_BACKEND);
	expect_no_flow(t, &packet);
}

struct crowding {
	struct row row;
	uint32_t others; /* frontends that came first, and have the same home in the table */
};

static const struct crowding crowdings[] = {
	{ROW("one before it"), 1},
	{ROW("two"), 2},
	{ROW("15"), 15},
	{ROW("all places but one"), FL_FRONTEND_PLACES - 1},
};

/* The next address, from *n on, of which a frontend would have this home. */
static struct fl_frontend_key neighbour(const struct trial *t, uint32_t home, uint32_t *n)
{
	const uint64_t seed = t->p->config.flow_seed[1];
	struct fl_ip ip = addr(t->family, AT_FOREIGN, 1);
	struct fl_frontend_key key = {.port = htons(SERVICE_PORT), .proto = t->proto};
	uint64_t hash;

	do {
		ip.b[13] = (uint8_t)(*n >> 16);
		ip.b[14] = (uint8_t)(*n >> 8);
		ip.b[15] = (uint8_t)(*n)++;
		memcpy(&key.addr, &ip, sizeof(key.addr));
		hash = fl_frontend_hash(t->family == FL_IPV6, &key.addr, key.port, key.proto, seed);
	} while (fl_frontend_home(hash, t->p->config.frontend_mask) != home);
	return key;
}

/* Wherever in the table it lies; and what is not in it is found nowhere. */
static void frontend_among_its_neighbours(struct trial *t)
{
	const struct crowding *row = t->row;
	struct fl_frontend_table table = fl_frontend_table_of(&t->p->maps);
	struct talk talk = talk_begin(t);
	struct packet stranger = packet_of(t);
	const uint64_t seed = t->p->config.flow_seed[1];
	struct fl_frontend_key key = {.port = htons(t->to->port), .proto = t->proto}, other;
	struct fl_frontend value;
	uint32_t home, n = 0;

	memcpy(&key.addr, &t->to->ip, sizeof(key.addr));
	home = fl_frontend_home(
		fl_frontend_hash(t->family == FL_IPV6, &key.addr, key.port, key.proto, seed),
		t->p->config.frontend_mask);
	assert_true(fl_frontend_table_get(&table, &key, &value));
	fl_frontend_table_tidy(&table);
	fl_frontend_table_remove(&table, &key);
	for (uint32_t i = 0; i < row->others; i++) {
		other = neighbour(t, home, &n);
		assert_int_equal(fl_frontend_table_put(&table, &other, &value), 0);
	}
	assert_int_equal(fl_frontend_table_put(&table, &key, &value), 0);
	talk_send(&talk, SYN);
	talk_expect_request(&talk);

	other = neighbour(t, home, &n);
	memcpy(&stranger.dst, &other.addr, sizeof(other.addr));
	fl_filter_add_frontend(&t->p->maps, &other);
	feed(t, &stranger);
	expect_untouched(t);
	expect_flows(t, 1);
}

static const struct test tests[] = {
	{"2.1 to 2.6: a frontend of each type leads to a backend", CHECK(frontend_forwards),
	 .hooks = ON_INGRESS, .networks = IN(AT_TX) | IN(AT_POD), .frontends = EVERY_FRONTEND},
	{"2.1 to 2.6: however many frontends have one home in their table",
	 CHECK(frontend_among_its_neighbours), .hooks = ON_INGRESS, ROWS(crowdings)},
	{"2.9, 2.12, 2.20: node ports are served on the node's listed addresses and on no other",
	 CHECK(node_port_on_each_local_address), .hooks = ON_INGRESS, ROWS(node_addresses)},
	{"2.19: a service's address beats a node port", CHECK(service_address_beats_node_port),
	 .hooks = ON_INGRESS, .frontends = 1 << 3},
	{"2.22: a port that no service has is rejected at a service's address",
	 CHECK(unknown_port_is_rejected), .hooks = ON_INGRESS | ON_EGRESS, ROWS(unknowns)},
	{"2.22: not at an address that is the node's own",
	 CHECK(unknown_port_of_an_own_address_passes), .hooks = ON_INGRESS | ON_EGRESS,
	 .frontends = 1 << 1},
	{"2.22, switched off: the packet passes, as in iptables mode",
	 CHECK(unknown_port_passes_when_not_rejecting), .hooks = ON_INGRESS | ON_EGRESS,
	 ROWS(unknowns), .plane = PLANE_SMALL},
	{"1.10: TCP and UDP at one port are two services", CHECK(protocols_are_two_services),
	 .hooks = ON_INGRESS, .frontends = EVERY_FRONTEND},
	{"a backend that is not there is a drop under its name",
	 CHECK(missing_backend_is_a_named_drop), .hooks = ON_INGRESS},
};

const struct topic frontend_topic = {"frontends", TESTS(tests)};
