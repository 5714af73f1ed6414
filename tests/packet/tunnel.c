// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Outer headers by the plane's dispatch. */
#include "tests/packet/tunnel.h"

#include <bpf/bpf.h>

bool by_geneve(const struct trial *t)
{
	return t->p->config.dispatch == FL_DISPATCH_GENEVE;
}

uint32_t l3_size(const struct trial *t)
{
	return l4_offset(t->family) - ETH_HLEN;
}

uint32_t outer_size(const struct trial *t)
{
	/* UDP, Geneve, and an option of an address and four bytes more */
	return l3_size(t) + (by_geneve(t) ? 8 + 8 + 4 + (t->family == FL_IPV4 ? 8U : 20U) : 0);
}

struct outer outer_sent(const struct trial *t, unsigned int backend)
{
	const uint8_t *ip = t->r.out.b + ETH_HLEN, *udp = t->r.out.b + l4_offset(t->family);
	struct outer outer = {.src = addr(t->family, AT_EXT0, 1),
			      .dst = addr(t->family, t->network, backend)};

	if (t->family == FL_IPV6)
		outer.label = (ip[1] & 15U) << 16 | (uint32_t)ip[2] << 8 | ip[3];
	if (!by_geneve(t))
		return outer;
	outer.geneve = true;
	outer.pod = outer.dst;
	outer.port = BACKEND_PORT;
	outer.dst = backend_node(&outer.pod);
	outer.sport = (uint16_t)(udp[0] << 8 | udp[1]);
	/* RFC 6335: not a port that is somebody's */
	if (outer.sport < 49152)
		outer.sport = 49152;
	return outer;
}

struct packet inner_sent(const struct trial *t, const struct packet *packet)
{
	const struct net *net = t->p->net;
	struct packet inner = *packet;

	inner.ttl--;
	inner.dst_mac = net->gateway_mac[t->network];
	inner.src_mac = net->mac[net_dev(t->network)];
	return inner;
}

struct outer outer_came(const struct trial *t, struct fl_ip from, unsigned int pod)
{
	struct outer outer = {.src = from, .dst = addr(t->family, AT_POD, pod)};

	if (!by_geneve(t))
		return outer;
	outer.geneve = true;
	outer.pod = outer.dst;
	outer.port = BACKEND_PORT;
	outer.dst = addr(t->family, AT_EXT0, 1);
	outer.sport = 50123;
	return outer;
}

void peer_add(struct trial *t, const struct fl_ip *ip)
{
	const uint32_t one = 1;

	assert_int_equal(bpf_map_update_elem(t->p->maps.peers_fd, ip, &one, 0), 0);
}
