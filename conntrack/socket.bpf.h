/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The sockets' table: what a frontend that a socket asked for was translated to, so that the socket
 * is shown the frontend again, and an unconnected one stays with its backend. A flat array like the
 * flow table: found by an inlined hash without a helper call, and scanned in memory by
 * conntrack/sockets.c. In a full bucket the record that was not used for the longest time goes.
 */
#pragma once

#include "bpf/abi/hash.h"
#include "bpf/lib/service.bpf.h"

FL_MAPS_OF_SOCKETS(FL_MAP_DEFINE)

/* Where a socket wants to go, or what it is shown. */
struct fl_peer {
	struct fl_addr addr;
	__be16 port;
	__u8 proto;
	bool v6; /* by the address, so false for a mapped IPv4 address on an IPv6 socket */
};

/* A record as it was found. */
struct fl_socket_ref {
	struct fl_socket_record *record;
	__u32 word;
};

/*
 * `key`: the frontend or the backend by which a record of this kind is found; NULL: by the cookie
 * alone. The kernel counts cookies up, so that they need no hash to spread evenly, and sockets that
 * are made one after the other have neighbouring buckets, which the processor fetches ahead.
 */
static __always_inline __u64 fl_socket_hash(__u64 cookie, enum fl_socket_kind kind,
					    const struct fl_peer *key)
{
	__u64 h;

	if (!key)
		return cookie;
	h = fl_hash_addr(true, fl_hash_round(fl_config.flow_seed[1], cookie), &key->addr);
	return fl_hash_finish(fl_hash_round(h, (__u32)key->port << 8 | kind));
}

static __always_inline struct fl_socket_bucket *
fl_socket_bucket_of(__u64 cookie, enum fl_socket_kind kind, const struct fl_peer *key)
{
	__u32 bucket = fl_socket_hash(cookie, kind, key) & fl_config.socket_mask;

	return bpf_map_lookup_elem(&fl_sockets, &bucket);
}

static __always_inline bool fl_socket_matches(const struct fl_socket_record *s, __u64 cookie,
					      enum fl_socket_kind kind, const struct fl_peer *key)
{
	if (s->cookie != cookie || s->kind != kind)
		return false;
	switch (kind) {
	case FL_SOCKET_SENDS:
		return s->frontend_port == key->port && fl_addr_equal(&s->frontend, &key->addr);
	case FL_SOCKET_SHOWS:
		return s->backend_port == key->port && fl_addr_equal(&s->backend, &key->addr);
	default:
		return true;
	}
}

/* A record of the bucket, which may become another one at any time (fl_socket_read()). */
static __always_inline bool fl_socket_find(struct fl_socket_bucket *bucket, __u64 cookie,
					   enum fl_socket_kind kind, const struct fl_peer *key,
					   struct fl_socket_ref *ret_ref)
{
	ret_ref->record = NULL;
	if (!bucket)
		return false;
	for (__u32 way = 0; way < FL_SOCKET_WAYS; way++) {
		struct fl_socket_record *s = &bucket->way[way];
		__u32 word = READ_ONCE(s->word);

		s = fl_after_load(s, word);
		if ((word & FL_SOCKET_STATE_MASK) != FL_SOCKET_USED ||
		    !fl_socket_matches(s, cookie, kind, key))
			continue;
		ret_ref->record = s;
		ret_ref->word = word;
		return true;
	}
	return false;
}

/* Copy a record; false: it is another one by now. The second look at the word depends on all that
 * was read. */
static __always_inline bool fl_socket_read(const struct fl_socket_ref *ref,
					   struct fl_socket_record *ret_value)
{
	const struct fl_socket_record *s = ref->record;
	__u64 seen;

	*ret_value = *s;
	seen = (__u32)(ret_value->frontend.w[0] ^ ret_value->frontend.w[1] ^
		       ret_value->frontend.w[2] ^ ret_value->frontend.w[3] ^
		       ret_value->backend.w[0] ^ ret_value->backend.w[1] ^ ret_value->backend.w[2] ^
		       ret_value->backend.w[3] ^ ret_value->frontend_port ^
		       ret_value->backend_port ^ ret_value->backend_id ^
		       ret_value->backend_generation);
	s = fl_after_load((void *)s, seen);
	return READ_ONCE(s->word) == ref->word;
}

static __always_inline void fl_socket_use(struct fl_socket_record *s)
{
	__u32 now = fl_now();

	if ((__s32)(now - s->last) >= (__s32)fl_config.hz)
		WRITE_ONCE(s->last, now);
}

static __always_inline bool fl_socket_swap(struct fl_socket_record *s, __u32 from, __u32 state)
{
	return __sync_val_compare_and_swap(&s->word, from, fl_socket_word(from, state)) == from;
}

/* The association is over. */
static __always_inline void fl_socket_forget(__u64 cookie, enum fl_socket_kind kind,
					     const struct fl_peer *key)
{
	struct fl_socket_ref ref;

	if (fl_socket_find(fl_socket_bucket_of(cookie, kind, key), cookie, kind, key, &ref))
		fl_socket_swap(ref.record, ref.word, FL_SOCKET_FREE);
}

/* The record that makes way: a free one, else that with the oldest use. */
static __always_inline struct fl_socket_record *fl_socket_victim(struct fl_socket_bucket *bucket,
								 __u32 now, __u32 *ret_word)
{
	struct fl_socket_record *best = NULL;
	__u64 best_age = 0;

	for (__u32 way = 0; way < FL_SOCKET_WAYS; way++) {
		struct fl_socket_record *s = &bucket->way[way];
		__u32 word = READ_ONCE(s->word), state = word & FL_SOCKET_STATE_MASK;
		__s32 idle = now - s->last;
		__u64 age = idle < 0 ? 1 : (__u64)idle + 1; /* another CPU's clock may be ahead */

		if (state == FL_SOCKET_BUSY)
			continue;
		if (state == FL_SOCKET_FREE)
			age = 1ULL << 32;
		if (age <= best_age)
			continue;
		best = s;
		best_age = age;
		*ret_word = word;
	}
	return best;
}

/*
 * Remember what `value` says, in place of the record of the same key if there is one. Where another
 * CPU takes the same place at this moment there will be none, as if it had been evicted.
 */
static __always_inline void fl_socket_put(enum fl_socket_kind kind, const struct fl_peer *key,
					  const struct fl_socket_record *value)
{
	struct fl_socket_bucket *bucket = fl_socket_bucket_of(value->cookie, kind, key);
	struct fl_socket_ref ref;
	struct fl_socket_record *s;
	__u32 word = 0, now = fl_now();

	if (!bucket)
		return;
	if (fl_socket_find(bucket, value->cookie, kind, key, &ref)) {
		s = ref.record;
		word = ref.word;
	} else {
		s = fl_socket_victim(bucket, now, &word);
	}
	if (!s || !fl_socket_swap(s, word, FL_SOCKET_BUSY))
		return;
	s->last = now;
	s->cookie = value->cookie;
	s->frontend = value->frontend;
	s->backend = value->backend;
	s->frontend_port = value->frontend_port;
	s->backend_port = value->backend_port;
	s->backend_id = value->backend_id;
	s->backend_generation = value->backend_generation;
	s->proto = value->proto;
	s->kind = kind;
	/* a full barrier: the stores above are seen where the new word is */
	__sync_lock_test_and_set(&s->word, fl_socket_word(word, FL_SOCKET_USED));
}

/* Whether *to is the backend that a connected socket has to leave. */
static __always_inline bool fl_socket_must_leave(__u64 cookie, const struct fl_peer *to)
{
	struct fl_socket_record value;
	struct fl_socket_ref ref;

	if (!fl_socket_find(fl_socket_bucket_of(cookie, FL_SOCKET_CONNECTED, NULL), cookie,
			    FL_SOCKET_CONNECTED, NULL, &ref) ||
	    READ_ONCE(ref.record->stale) != ref.word || !fl_socket_read(&ref, &value) ||
	    value.proto != to->proto || value.backend_port != to->port ||
	    !fl_addr_equal(&value.backend, &to->addr))
		return false;
	fl_socket_use(ref.record);
	return true;
}

/* A socket is sent from the frontend *p to a backend: *p becomes that, and *ret_value says it. */
static __always_inline void fl_socket_translate(__u64 cookie, struct fl_peer *p, __u32 id,
						const struct fl_backend *backend,
						struct fl_socket_record *ret_value)
{
	*ret_value = (struct fl_socket_record){
		.cookie = cookie,
		.frontend = p->addr,
		.frontend_port = p->port,
		.backend = backend->addr,
		.backend_port = backend->port,
		.backend_id = id,
		.backend_generation = backend->generation,
		.proto = p->proto,
	};
	p->addr = ret_value->backend;
	p->port = ret_value->backend_port;
}

/* The backend that an unconnected socket keeps for the frontend *p, while it is live. */
static __always_inline bool fl_socket_kept(__u64 cookie, const struct fl_peer *p,
					   struct fl_socket_record *ret_value)
{
	struct fl_socket_ref ref;

	if (!fl_socket_find(fl_socket_bucket_of(cookie, FL_SOCKET_SENDS, p), cookie,
			    FL_SOCKET_SENDS, p, &ref))
		return false;
	if (!fl_socket_read(&ref, ret_value) ||
	    !fl_backend_is(fl_backend_get(ret_value->backend_id), ret_value->backend_generation))
		return false;
	fl_socket_use(ref.record);
	return true;
}

/* What comes from this backend is shown as the frontend of `value` from now on. */
static __always_inline void fl_socket_show(const struct fl_socket_record *value)
{
	struct fl_peer backend = {.addr = value->backend, .port = value->backend_port};
	struct fl_socket_ref ref;

	if (fl_socket_find(fl_socket_bucket_of(value->cookie, FL_SOCKET_SHOWS, &backend),
			   value->cookie, FL_SOCKET_SHOWS, &backend, &ref) &&
	    ref.record->frontend_port == value->frontend_port &&
	    fl_addr_equal(&ref.record->frontend, &value->frontend)) {
		fl_socket_use(ref.record);
		return;
	}
	fl_socket_put(FL_SOCKET_SHOWS, &backend, value);
}

/*
 * The frontend that the socket asked for where *p is the backend that it was sent to: *p becomes
 * that. A socket that is connected has one association; another one may ask several frontends of
 * one backend, and what it asked last is shown.
 */
static __always_inline bool fl_socket_restore(__u64 cookie, bool connected, struct fl_peer *p)
{
	enum fl_socket_kind kind = connected ? FL_SOCKET_CONNECTED : FL_SOCKET_SHOWS;
	const struct fl_peer *key = connected ? NULL : p;
	struct fl_socket_ref ref;
	struct fl_socket_record value;

	if (!fl_socket_find(fl_socket_bucket_of(cookie, kind, key), cookie, kind, key, &ref) ||
	    !fl_socket_read(&ref, &value))
		return false;
	/* the record may be older than what the socket is connected to now */
	if (value.backend_port != p->port || !fl_addr_equal(&value.backend, &p->addr))
		return false;
	fl_socket_use(ref.record);
	p->addr = value.frontend;
	p->port = value.frontend_port;
	return true;
}
