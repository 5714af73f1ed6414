/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * DSR in tests: what is in front of a packet on its way between nodes, in the way that the plane
 * dispatches. In the plane of Geneve each backend of another node has a node of its own.
 */
#pragma once

#include "tests/packet/packet.h"

bool by_geneve(const struct trial *t);
/* Bytes of the outer header. */
uint32_t outer_size(const struct trial *t);
/* Bytes of an IP header. */
uint32_t l3_size(const struct trial *t);

/* As this node sends a packet to backend number `backend` of the trial's network; of what is the
 * datapath's to choose, as it is in the packet that has come out last. */
struct outer outer_sent(const struct trial *t, unsigned int backend);
/* And what is inside then: one hop less, and nothing else of it changed. */
struct packet inner_sent(const struct trial *t, const struct packet *packet);
/* As the node at `from` sends one to this node, for its pod number `pod`. */
struct outer outer_came(const struct trial *t, struct fl_ip from, unsigned int pod);

/* That is a node of the cluster. */
void peer_add(struct trial *t, const struct fl_ip *ip);
