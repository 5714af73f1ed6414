/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Parsing the packet at hand. */
#pragma once

#include "bpf/lib/packet.bpf.h"

static __always_inline bool fl_parse_flow(fl_ctx *ctx, bool v6, struct fl_packet *p)
{
	return fl_packet_parse_flow(fl_ctx_data(ctx), fl_ctx_data_end(ctx), fl_ctx_len(ctx),
				    fl_ctx_merged(ctx), v6, p);
}

/*
 * What a packet is that no flow's is: enum fl_packet_kind. Global, so that it is verified once, and
 * what follows it not once for each way through it.
 */
int fl_parse_rest(fl_ctx *ctx, bool v6, struct fl_packet *p);

__noinline int fl_parse_rest(fl_ctx *ctx, bool v6, struct fl_packet *p)
{
	if (!p)
		return FL_PACKET_OTHER;
	return fl_packet_parse_rest(fl_ctx_data(ctx), fl_ctx_data_end(ctx), fl_ctx_len(ctx), v6, p);
}
