// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Our own layout as data, and looking at that of others before it is believed. */
#include "lb/dp/layout.h"

#include <errno.h>
#include <stddef.h>

#include "bpf/abi/fairlead.h"

#define SIZE_OF(type, member) sizeof(((type *)0)->member)
#define PLACE(type, member)                                                                        \
	{                                                                                          \
		offsetof(type, member), SIZE_OF(type, member)                                      \
	}

#define SOCKET_PLACE(member) PLACE(struct fl_socket_record, member)

#define TABLE(flow, bucket)                                                                        \
	{                                                                                          \
		.bucket_size = sizeof(bucket), .entry_size = sizeof(flow), .ways = FL_FLOW_WAYS,   \
		.field = {                                                                         \
			[FL_LAYOUT_WORD] = PLACE(flow, head.word),                                 \
			[FL_LAYOUT_TWIN] = PLACE(flow, head.twin),                                 \
			[FL_LAYOUT_TWIN_GENERATION] = PLACE(flow, head.twin_generation),           \
			[FL_LAYOUT_PROTO] = PLACE(flow, head.proto),                               \
			[FL_LAYOUT_FLAGS] = PLACE(flow, head.flags),                               \
			[FL_LAYOUT_LAST_SEEN] = PLACE(flow, head.last_seen),                       \
			[FL_LAYOUT_SEQ] = PLACE(flow, head.seq),                                   \
			[FL_LAYOUT_ACK] = PLACE(flow, head.ack),                                   \
			[FL_LAYOUT_BACKEND_LOW] = PLACE(flow, head.backend_low),                   \
			[FL_LAYOUT_BACKEND_HIGH] = PLACE(flow, head.backend_high),                 \
			[FL_LAYOUT_PACKETS] = PLACE(flow, head.packets),                           \
			[FL_LAYOUT_BYTES_LOW] = PLACE(flow, head.bytes_low),                       \
			[FL_LAYOUT_BYTES_HIGH] = PLACE(flow, head.bytes_high),                     \
			[FL_LAYOUT_KEY_SADDR] = PLACE(flow, key.saddr),                            \
			[FL_LAYOUT_KEY_DADDR] = PLACE(flow, key.daddr),                            \
			[FL_LAYOUT_KEY_SPORT] = PLACE(flow, key.sport),                            \
			[FL_LAYOUT_KEY_DPORT] = PLACE(flow, key.dport),                            \
			[FL_LAYOUT_REWRITE_SADDR] = PLACE(flow, rewrite.saddr),                    \
			[FL_LAYOUT_REWRITE_DADDR] = PLACE(flow, rewrite.daddr),                    \
			[FL_LAYOUT_REWRITE_SPORT] = PLACE(flow, rewrite.sport),                    \
			[FL_LAYOUT_REWRITE_DPORT] = PLACE(flow, rewrite.dport),                    \
		},                                                                                 \
	}

const struct fl_layout fl_layout_ours = {
	.version = FL_LAYOUT_VERSION,
	.abi_version = FL_ABI_VERSION,
	.state_mask = FL_FLOW_STATE_MASK,
	.generation_shift = FL_FLOW_GENERATION_SHIFT,
	.state =
		{
			[FL_LAYOUT_NEW] = FL_FLOW_NEW,
			[FL_LAYOUT_REPLIED] = FL_FLOW_REPLIED,
			[FL_LAYOUT_ESTABLISHED] = FL_FLOW_ESTABLISHED,
			[FL_LAYOUT_HALF_CLOSED] = FL_FLOW_HALF_CLOSED,
			[FL_LAYOUT_TIME_WAIT] = FL_FLOW_TIME_WAIT,
			[FL_LAYOUT_CLOSING] = FL_FLOW_CLOSING,
		},
	.flag =
		{
			[FL_LAYOUT_IS_REPLY] = FL_FLOW_IS_REPLY,
			[FL_LAYOUT_TO_STACK] = FL_FLOW_TO_STACK,
			[FL_LAYOUT_SNAT] = FL_FLOW_SNAT,
			[FL_LAYOUT_FIN] = FL_FLOW_FIN,
			[FL_LAYOUT_RST] = FL_FLOW_RST,
			[FL_LAYOUT_LOCAL] = FL_FLOW_LOCAL,
			[FL_LAYOUT_STALE] = FL_FLOW_STALE,
			[FL_LAYOUT_KERNEL] = FL_FLOW_KERNEL,
		},
	.family = {TABLE(struct fl_flow4, struct fl_bucket4),
		   TABLE(struct fl_flow6, struct fl_bucket6)},
	.socket_state_mask = FL_SOCKET_STATE_MASK,
	.socket_used = FL_SOCKET_USED,
	.socket_kind =
		{
			[FL_LAYOUT_CONNECTED] = FL_SOCKET_CONNECTED,
			[FL_LAYOUT_SENDS] = FL_SOCKET_SENDS,
			[FL_LAYOUT_SHOWS] = FL_SOCKET_SHOWS,
		},
	.sockets =
		{
			.bucket_size = sizeof(struct fl_socket_bucket),
			.entry_size = sizeof(struct fl_socket_record),
			.ways = FL_SOCKET_WAYS,
			.field =
				{
					[FL_LAYOUT_SOCKET_WORD] = SOCKET_PLACE(word),
					[FL_LAYOUT_SOCKET_LAST] = SOCKET_PLACE(last),
					[FL_LAYOUT_SOCKET_COOKIE] = SOCKET_PLACE(cookie),
					[FL_LAYOUT_SOCKET_FRONTEND] = SOCKET_PLACE(frontend),
					[FL_LAYOUT_SOCKET_BACKEND] = SOCKET_PLACE(backend),
					[FL_LAYOUT_SOCKET_FRONTEND_PORT] =
						SOCKET_PLACE(frontend_port),
					[FL_LAYOUT_SOCKET_BACKEND_PORT] =
						SOCKET_PLACE(backend_port),
					[FL_LAYOUT_SOCKET_PROTO] = SOCKET_PLACE(proto),
					[FL_LAYOUT_SOCKET_KIND] = SOCKET_PLACE(kind),
				},
		},
};

/* Sizes that a field may have. */
struct range {
	uint8_t least, most;
};
#define NUMBER(least, most)                                                                        \
	{                                                                                          \
		least, most                                                                        \
	}
#define FLOW_RANGES(addr)                                                                          \
	{                                                                                          \
		[FL_LAYOUT_WORD] = NUMBER(4, 4), [FL_LAYOUT_TWIN] = NUMBER(4, 4),                  \
		[FL_LAYOUT_TWIN_GENERATION] = NUMBER(1, 4), [FL_LAYOUT_PROTO] = NUMBER(1, 1),      \
		[FL_LAYOUT_FLAGS] = NUMBER(1, 4), [FL_LAYOUT_LAST_SEEN] = NUMBER(4, 4),            \
		[FL_LAYOUT_SEQ] = NUMBER(0, 4), [FL_LAYOUT_ACK] = NUMBER(0, 4),                    \
		[FL_LAYOUT_BACKEND_LOW] = NUMBER(1, 4), [FL_LAYOUT_BACKEND_HIGH] = NUMBER(0, 4),   \
		[FL_LAYOUT_PACKETS] = NUMBER(0, 8), [FL_LAYOUT_BYTES_LOW] = NUMBER(0, 8),          \
		[FL_LAYOUT_BYTES_HIGH] = NUMBER(0, 4), [FL_LAYOUT_KEY_SADDR] = NUMBER(addr, addr), \
		[FL_LAYOUT_KEY_DADDR] = NUMBER(addr, addr), [FL_LAYOUT_KEY_SPORT] = NUMBER(2, 2),  \
		[FL_LAYOUT_KEY_DPORT] = NUMBER(2, 2),                                              \
		[FL_LAYOUT_REWRITE_SADDR] = NUMBER(addr, addr),                                    \
		[FL_LAYOUT_REWRITE_DADDR] = NUMBER(addr, addr),                                    \
		[FL_LAYOUT_REWRITE_SPORT] = NUMBER(2, 2),                                          \
		[FL_LAYOUT_REWRITE_DPORT] = NUMBER(2, 2),                                          \
	}

static const struct range flow4[FL_LAYOUT_FIELDS] = FLOW_RANGES(4);
static const struct range flow6[FL_LAYOUT_FIELDS] = FLOW_RANGES(16);
static const struct range socket[FL_LAYOUT_SOCKET_FIELDS] = {
	[FL_LAYOUT_SOCKET_WORD] = NUMBER(4, 4),
	[FL_LAYOUT_SOCKET_LAST] = NUMBER(4, 4),
	[FL_LAYOUT_SOCKET_COOKIE] = NUMBER(8, 8),
	[FL_LAYOUT_SOCKET_FRONTEND] = NUMBER(16, 16),
	[FL_LAYOUT_SOCKET_BACKEND] = NUMBER(16, 16),
	[FL_LAYOUT_SOCKET_FRONTEND_PORT] = NUMBER(2, 2),
	[FL_LAYOUT_SOCKET_BACKEND_PORT] = NUMBER(2, 2),
	[FL_LAYOUT_SOCKET_PROTO] = NUMBER(1, 1),
	[FL_LAYOUT_SOCKET_KIND] = NUMBER(1, 1),
};

/* Entries are copied word by word, so they begin and end where words do. The word that tells
 * whether one is in use comes first in both lists. */
static bool table_fits(const struct fl_layout_table *t, const struct range *ranges, int n,
		       uint32_t bucket_size)
{
	if (!t->ways || !t->entry_size || t->entry_size % 8 ||
	    t->entry_size > FL_LAYOUT_ENTRY_MAX || t->bucket_size != bucket_size ||
	    (uint32_t)t->ways * t->entry_size > bucket_size || t->field[0].offset % 4)
		return false;
	for (int i = 0; i < n; i++) {
		const struct fl_layout_place *p = &t->field[i];

		if (p->size < ranges[i].least || p->size > ranges[i].most ||
		    p->offset + p->size > t->entry_size)
			return false;
	}
	return true;
}

int fl_layout_check(const struct fl_layout *layout, const uint32_t bucket_size[3],
		    struct fl_err *err)
{
	if (layout->version != FL_LAYOUT_VERSION)
		return fl_err_set(err, -EPROTO,
				  "its layout is described in version %u, this program reads %u",
				  layout->version, FL_LAYOUT_VERSION);
	if (layout->generation_shift > 31)
		return fl_err_set(err, -EPROTO, "the description of its layout is damaged");
	if (!table_fits(&layout->family[0], flow4, FL_LAYOUT_FIELDS, bucket_size[0]) ||
	    !table_fits(&layout->family[1], flow6, FL_LAYOUT_FIELDS, bucket_size[1]) ||
	    !table_fits(&layout->sockets, socket, FL_LAYOUT_SOCKET_FIELDS, bucket_size[2]))
		return fl_err_set(err, -EPROTO, "the description of its tables does not fit them");
	return 0;
}
