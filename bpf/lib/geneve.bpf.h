/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Geneve (RFC 8926) as nodes send it to each other: UDP, the fixed header, one option that names
 * the backend, and an IP packet of the same family as the outer one. Other networks may use the
 * same port, so all of it that does not differ from packet to packet is what tells ours.
 */
#pragma once

#include "bpf/lib/packet.bpf.h"

#define FL_GENEVE_PORT 6081
#define FL_GENEVE_VNI 0x464c44U
/* An option of a class for experiments (RFC 8926, section 7), critical: who does not know it must
 * not take the packet apart. */
#define FL_GENEVE_CLASS 0xff46U
#define FL_GENEVE_TYPE 0x81U
#define FL_GENEVE_CRITICAL 0x40U /* flag of the header: there is a critical option */

/* Source ports that flows are spread over (RFC 8926, section 3.3). */
#define FL_GENEVE_SPORT 0xc000U
#define FL_GENEVE_SPORTS 0x3fffU

/* The option goes on with the backend's address, its port and two bytes of zero. */
struct fl_geneve {
	struct udphdr udp;
	__be32 first; /* version, length of options, flags, type of what is inside */
	__be32 vni;
	__be32 option; /* class, type, length */
};

/* The option's data, bytes. */
static __always_inline __u32 fl_geneve_data(bool v6)
{
	return (v6 ? 16 : 4) + 4;
}

/* All that is in front of the packet inside. */
static __always_inline __u32 fl_geneve_size(bool v6)
{
	return fl_l4_offset(v6) - FL_L3 + sizeof(struct fl_geneve) + fl_geneve_data(v6);
}

static __always_inline __be32 fl_geneve_first(bool v6)
{
	return bpf_htonl((fl_geneve_data(v6) / 4 + 1) << 24 | FL_GENEVE_CRITICAL << 16 |
			 (v6 ? FL_ETH_P_IPV6 : FL_ETH_P_IP));
}

static __always_inline __be32 fl_geneve_option(bool v6)
{
	return bpf_htonl(FL_GENEVE_CLASS << 16 | FL_GENEVE_TYPE << 8 | fl_geneve_data(v6) / 4);
}

/*
 * Whether this is one of ours, as far as it does not depend on who sends it. The checksum is zero,
 * as sent: one that is not would have to be looked at.
 */
static __always_inline bool fl_geneve_is_ours(const struct fl_geneve *g, bool v6)
{
	return g->udp.dest == bpf_htons(FL_GENEVE_PORT) && !g->udp.check &&
	       g->first == fl_geneve_first(v6) && g->vni == bpf_htonl(FL_GENEVE_VNI << 8) &&
	       g->option == fl_geneve_option(v6);
}

/* The same of a frame with UDP behind an IP header of the usual length. */
static __always_inline bool fl_packet_is_geneve(void *data, void *data_end, bool v6)
{
	const struct fl_geneve *g = data + fl_l4_offset(v6);

	return (void *)(g + 1) <= data_end && fl_geneve_is_ours(g, v6);
}

/* Write it; len: of UDP. The sum is zero: what is inside has its own (RFC 6935). */
static __always_inline void fl_geneve_write(struct fl_geneve *g, bool v6, __u32 len, __u32 hash,
					    const struct fl_addr *pod, __be16 port)
{
	__be32 *data = (void *)(g + 1);

	g->udp.source = bpf_htons(FL_GENEVE_SPORT | (hash & FL_GENEVE_SPORTS));
	g->udp.dest = bpf_htons(FL_GENEVE_PORT);
	g->udp.len = bpf_htons(len);
	g->udp.check = 0;
	g->first = fl_geneve_first(v6);
	g->vni = bpf_htonl(FL_GENEVE_VNI << 8);
	g->option = fl_geneve_option(v6);
	if (v6) {
		__builtin_memcpy(data, pod, 16);
		data += 4;
	} else {
		*data++ = pod->w[3];
	}
	*data = 0;
	*(__be16 *)data = port;
}
