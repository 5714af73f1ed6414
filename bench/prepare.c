// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Establishing flows the honest way: the client's packet goes through the program, what comes out
 * is answered as the endpoint would, the answer goes through the program, and the client goes on.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"

#define SYN 0x02
#define ACK 0x10
#define FRAME_LEN BENCH_LONG_FRAME_LEN

struct frame {
	uint8_t bytes[FRAME_LEN];
	uint32_t len;
};

static uint32_t add(const void *data, size_t len, uint32_t sum)
{
	const uint8_t *b = data;

	for (size_t i = 0; i + 1 < len; i += 2)
		sum += b[i] << 8 | b[i + 1];
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static void finish(struct frame *f, bool v6, uint8_t proto)
{
	size_t l4_off = ETH_HLEN + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	uint32_t l4_len = f->len - l4_off, sum = proto + l4_len;
	uint8_t *l4 = f->bytes + l4_off;
	uint16_t *check = proto == IPPROTO_TCP ? &((struct tcphdr *)l4)->check
					       : &((struct udphdr *)l4)->check;

	if (!v6) {
		struct iphdr *ip = (void *)(f->bytes + ETH_HLEN);

		ip->check = 0;
		ip->check = fold(add(ip, sizeof(*ip), 0));
	}
	*check = 0;
	sum = add(l4 - (v6 ? 32 : 8), v6 ? 32 : 8, sum);
	*check = fold(add(l4, l4_len, sum));
}

static void from_client(struct frame *f, uint64_t x, uint32_t services, uint8_t proto, bool v6,
			uint8_t flags)
{
	const bool syn = flags & SYN;
	struct bench_tuple t = bench_tuple(x, services);
	size_t l4_off = ETH_HLEN + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	size_t l4_len = proto == IPPROTO_TCP ? sizeof(struct tcphdr) : sizeof(struct udphdr);
	struct ethhdr *eth = (void *)f->bytes;
	struct tcphdr *tcp = (void *)(f->bytes + l4_off);

	memset(f, 0, sizeof(*f));
	f->len = l4_off + l4_len;
	memset(eth->h_source, 2, 6);
	eth->h_proto = htons(v6 ? ETH_P_IPV6 : ETH_P_IP);
	if (v6) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		*(uint32_t *)ip = htonl(0x60000000);
		ip->payload_len = htons(l4_len);
		ip->nexthdr = proto;
		ip->hop_limit = 64;
		ip->saddr.s6_addr32[0] = htonl(BENCH_CLIENT_NET6);
		ip->saddr.s6_addr32[3] = htonl(t.client);
		ip->daddr.s6_addr32[0] = htonl(BENCH_VIP_NET6);
		ip->daddr.s6_addr32[3] = htonl(t.vip);
	} else {
		struct iphdr *ip = (void *)(eth + 1);

		ip->version = 4;
		ip->ihl = 5;
		ip->tot_len = htons(f->len - ETH_HLEN);
		ip->frag_off = htons(0x4000);
		ip->ttl = 64;
		ip->protocol = proto;
		ip->saddr = htonl(t.client);
		ip->daddr = htonl(t.vip);
	}
	tcp->source = htons(t.client_port);
	tcp->dest = htons(BENCH_PORT);
	if (proto == IPPROTO_TCP) {
		tcp->doff = 5;
		/* both ends begin with 0 */
		tcp->seq = htonl(!syn);
		tcp->ack_seq = htonl(!syn);
		((uint8_t *)tcp)[13] = flags;
		tcp->window = 0xffff;
	} else {
		((struct udphdr *)tcp)->len = htons(l4_len);
	}
	finish(f, v6, proto);
}

/* The endpoint's answer to the first packet. */
static void from_endpoint(struct frame *f, uint8_t proto, bool v6, uint8_t flags)
{
	size_t l4_off = ETH_HLEN + (v6 ? sizeof(struct ipv6hdr) : sizeof(struct iphdr));
	struct tcphdr *tcp = (void *)(f->bytes + l4_off);
	uint16_t port = tcp->source;
	uint8_t a[16];

	if (v6) {
		struct ipv6hdr *ip = (void *)(f->bytes + ETH_HLEN);

		memcpy(a, &ip->saddr, 16);
		ip->saddr = ip->daddr;
		memcpy(&ip->daddr, a, 16);
		ip->hop_limit = 64;
	} else {
		struct iphdr *ip = (void *)(f->bytes + ETH_HLEN);

		memcpy(a, &ip->saddr, 4);
		ip->saddr = ip->daddr;
		memcpy(&ip->daddr, a, 4);
		ip->ttl = 64;
	}
	tcp->source = tcp->dest;
	tcp->dest = port;
	if (proto == IPPROTO_TCP) {
		((uint8_t *)tcp)[13] = flags;
		tcp->seq = 0;
		tcp->ack_seq = htonl(1);
	}
	finish(f, v6, proto);
}

/* Put a client's packet into what another node sends it in. */
static void put_behind(struct frame *f, const struct bench_path *path, uint64_t x, bool v6)
{
	const uint32_t size = bench_outer_size(v6, path->outer);
	struct bench_outer o = {
		.from_net6 = BENCH_PEER_NET6,
		.from = v6 ? BENCH_PEER_LOW6 : BENCH_PEER,
		.to_net6 = BENCH_POD_NET6,
		.to = bench_endpoint(x, path->endpoints),
		.pod_net6 = BENCH_POD_NET6,
		.pod_port = BENCH_POD_PORT,
		.sport = BENCH_GENEVE_SPORT,
		.inner = f->len - ETH_HLEN,
	};

	if (path->outer == BENCH_NO_OUTER)
		return;
	if (path->outer == BENCH_GENEVE) {
		o.pod = o.to;
		o.to_net6 = BENCH_NODE_NET6;
		o.to = v6 ? BENCH_NODE_LOW6 : BENCH_NODE;
	}
	memmove(f->bytes + ETH_HLEN + size, f->bytes + ETH_HLEN, f->len - ETH_HLEN);
	bench_outer_write(f->bytes + ETH_HLEN, v6, path->outer, &o);
	f->len += size;
}

/* Where frames come in. */
struct door {
	int prog_fd;
	bool skb;
	unsigned int device;
	uint8_t mac[6];
};

static int door_open(int prog_fd, bool skb, unsigned int device, struct door *ret_door,
		     struct fl_err *err)
{
	char name[IF_NAMESIZE];

	ret_door->prog_fd = prog_fd;
	ret_door->skb = skb;
	if (!if_indextoname(device, name))
		return fl_err_set(err, -errno, "there is no device %u", device);
	return bench_device(name, &ret_door->device, ret_door->mac, err);
}

/* Pass a frame through a program, padded as on a wire; it comes back as sent. False: it was not
 * forwarded. */
static bool pass(const struct bench_path *path, const struct door *door, struct frame *f,
		 uint32_t *ret_code)
{
	struct __sk_buff skb = {.ifindex = door->device};
	uint32_t len = f->len < ETH_ZLEN ? ETH_ZLEN : f->len;
	struct xdp_md md = {.data_end = len, .ingress_ifindex = door->device};
	uint8_t out[FRAME_LEN + 64];
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->bytes, .data_size_in = len,
		    .data_out = out, .data_size_out = sizeof(out),
		    .ctx_in = door->skb ? (void *)&skb : (void *)&md,
		    .ctx_size_in = door->skb ? sizeof(skb) : sizeof(md), .repeat = 1);

	memcpy(f->bytes, door->mac, sizeof(door->mac));
	if (bpf_prog_test_run_opts(door->prog_fd, &opts)) {
		*ret_code = -errno;
		return false;
	}
	*ret_code = opts.retval;
	if (opts.data_size_out > sizeof(f->bytes))
		return false;
	memcpy(f->bytes, out, opts.data_size_out);
	if (path->to_stack)
		return opts.retval == (door->skb ? (uint32_t)TC_ACT_UNSPEC : XDP_PASS);
	if (door->skb)
		return opts.retval == TC_ACT_REDIRECT;
	return opts.retval == XDP_TX || opts.retval == XDP_REDIRECT;
}

/* Pass one packet of flow x through, step 0, 1 or 2 of those of bench_prepare(). */
static bool pass_step(const struct bench_path *path, int step, const struct door *client,
		      const struct door *endpoint, uint64_t x, uint32_t services, uint8_t proto,
		      bool v6, struct frame *f, uint32_t *ret_code)
{
	const bool tcp = proto == IPPROTO_TCP;

	if (step == 1)
		from_endpoint(f, proto, v6, tcp ? SYN | ACK : 0);
	else
		from_client(f, x, services, proto, v6, !tcp ? 0 : step ? ACK : SYN);
	if (step != 1)
		put_behind(f, path, x, v6);
	return pass(path, step == 1 ? endpoint : client, f, ret_code);
}

/*
 * A UDP flow proves itself by going on for two seconds; until then a newcomer may take its entries
 * where four of them share a bucket, however empty the table is. So all clients go on once these
 * are over, and those whose flow was taken begin again: among proven flows nothing is taken. The
 * last begin, for in the order in which flows were made each would take the entry of the next one,
 * before that has gone on.
 */
#define UDP_PROOF_S 3

static void prove_datagrams(const struct bench_path *path, uint64_t n, const struct door *client,
			    const struct door *endpoint, uint32_t services, bool v6)
{
	uint32_t code;

	sleep(UDP_PROOF_S);
	for (uint64_t x = n; x-- > 0;) {
		struct frame f;

		if (pass_step(path, 0, client, endpoint, x, services, IPPROTO_UDP, v6, &f, &code))
			pass_step(path, 1, client, endpoint, x, services, IPPROTO_UDP, v6, &f,
				  &code);
	}
}

int bench_prepare(const struct bench_path *path, uint64_t n, uint32_t services, uint8_t proto,
		  bool v6, uint64_t *ret_refused, struct fl_err *err)
{
	static const char *const steps[] = {"first packet", "answer", "second packet"};
	uint64_t refused = 0;
	struct door client, endpoint;
	uint32_t code = 0;
	int rc = door_open(path->ingress_fd, path->skb, path->client_device, &client, err);

	if (!rc)
		rc = door_open(path->reply_fd, path->skb || path->reply_skb, path->endpoint_device,
			       &endpoint, err);
	if (rc)
		return rc;
	for (uint64_t x = 0; x < n; x++) {
		struct frame f;
		int step = 0;

		for (; step < 3; step += path->one_way ? 2 : 1)
			if (!pass_step(path, step, &client, &endpoint, x, services, proto, v6, &f,
				       &code))
				goto failed;
		continue;
	failed:
		if (++refused <= n / 50 || path->crowded)
			continue;
		return fl_err_set(err, -EPROTO, "flow %llu: the %s was not forwarded (%d)",
				  (unsigned long long)x, steps[step], (int)code);
	}
	if (proto == IPPROTO_UDP)
		prove_datagrams(path, n, &client, &endpoint, services, v6);
	*ret_refused = refused;
	return 0;
}
