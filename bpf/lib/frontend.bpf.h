/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Frontends by address and port: usually one line of a flat array. bpf/abi/frontend.h says how the
 * table is laid out, and why a look-up returns one state of a frontend and never half of two.
 */
#pragma once

#include "bpf/lib/maps.bpf.h"

/* How often a search begins again because the agent moved keys meanwhile. */
#define FL_FRONTEND_TRIES 8

typedef __u32 __attribute__((may_alias)) fl_key_rest;

static __always_inline const struct fl_frontend_line *fl_frontend_line(__u32 at)
{
	return bpf_map_lookup_elem(&fl_frontends, &at);
}

/* Port and protocol as they lie in a key. */
static __always_inline __u32 fl_frontend_rest(__be16 port, __u8 proto)
{
	struct fl_frontend_key key = {.port = port, .proto = proto};

	return *(const fl_key_rest *)&key.port;
}

static __always_inline __u32 fl_frontend_home_of(bool v6, const struct fl_addr *addr, __be16 port,
						 __u8 proto)
{
	__u64 hash = fl_frontend_hash(v6, addr, port, proto, fl_config.flow_seed[1]);

	return fl_frontend_home(hash, fl_config.frontend_mask);
}

/* 0: it is, or has just been, a live line with this key. Not a bool, which would be a branch. */
static __always_inline __u32 fl_frontend_line_differs(const struct fl_frontend_line *line,
						      const struct fl_addr *addr, __u32 rest)
{
	const __u32 *w = line->key.addr.w;

	return (w[0] ^ addr->w[0]) | (w[1] ^ addr->w[1]) | (w[2] ^ addr->w[2]) |
	       (w[3] ^ addr->w[3]) | (*(const fl_key_rest *)&line->key.port ^ rest) |
	       (~READ_ONCE(line->word) & FL_FRONTEND_LIVE);
}

/* What a line says of this key. False: nothing, or it changed while it was read. */
static __always_inline bool fl_frontend_read(const struct fl_frontend_line *line,
					     const struct fl_addr *addr, __u32 rest,
					     struct fl_frontend_packed *ret_fe)
{
	const __u64 *from = (const __u64 *)&line->frontend;
	__u64 *to = (__u64 *)ret_fe;
	__u32 word = READ_ONCE(line->word);

	fl_loads_in_order();
	if (fl_frontend_line_differs(line, addr, rest))
		return false;
	for (__u32 i = 0; i < sizeof(*ret_fe) / sizeof(*to); i++)
		to[i] = READ_ONCE(from[i]);
	fl_loads_in_order();
	return READ_ONCE(line->word) == word;
}

/*
 * What applies to a frontend. 1: found; 0: there is none; -1: keys moved, and it may have gone past
 * us. ret_fe NULL: only whether there is one. A global function, so that its loop is verified once.
 */
int fl_frontend_look_up(bool v6, const struct fl_addr *addr, __be16 port, __u8 proto,
			struct fl_frontend_packed *ret_fe);

__noinline int fl_frontend_look_up(bool v6, const struct fl_addr *addr, __be16 port, __u8 proto,
				   struct fl_frontend_packed *ret_fe)
{
	const struct fl_frontend_line *first, *line;
	const __u32 rest = fl_frontend_rest(port, proto);
	__u32 home, place, at;
	__u64 chain;

	if (!addr)
		return 0;
	home = fl_frontend_home_of(v6, addr, port, proto);
	first = fl_frontend_line(home);
	if (!first)
		return 0;
	chain = READ_ONCE(first->chain);
	fl_loads_in_order();
	for (place = 0; place < FL_FRONTEND_PLACES && (__u32)chain >> place; place++) {
		if (!(chain >> place & 1))
			continue;
		at = fl_frontend_place(home, place, fl_config.frontend_mask);
		line = fl_frontend_line(at);
		if (line && !fl_frontend_line_differs(line, addr, rest))
			goto found;
	}
	fl_loads_in_order();
	return READ_ONCE(first->chain) == chain ? 0 : -1;
found:
	if (!ret_fe)
		return 1;
	return fl_frontend_read(line, addr, rest, ret_fe) ? 1 : -1;
}

/* The same until keys rest: the agent moves them for a moment only. False: there is none. */
static __always_inline bool fl_frontend_get(bool v6, const struct fl_addr *addr, __be16 port,
					    __u8 proto, struct fl_frontend_packed *ret_fe)
{
	int found = 0;

	for (int i = 0; i < FL_FRONTEND_TRIES; i++) {
		found = fl_frontend_look_up(v6, addr, port, proto, ret_fe);
		if (likely(found >= 0))
			break;
	}
	/* one result to the compiler: clang 19 leaves registers unset on the ways of the loop that
	 * find nothing, which verifiers do not allow */
	return fl_opaque(found) > 0;
}

static __always_inline bool fl_frontend_is(bool v6, const struct fl_addr *addr, __be16 port,
					   __u8 proto)
{
	return fl_frontend_get(v6, addr, port, proto, NULL);
}

static __always_inline __u64 fl_frontend_side(const struct fl_frontend_packed *fe,
					      enum fl_side side)
{
	return side == FL_SIDE_EXTERNAL ? fe->side[FL_SIDE_EXTERNAL] : fe->side[FL_SIDE_INTERNAL];
}

static __always_inline struct fl_list fl_frontend_list(const struct fl_frontend_packed *fe,
						       enum fl_side side)
{
	return fl_packed_list(fl_frontend_side(fe, side), fe->service_id);
}
