// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Bringing the records of sockets over, by the protocol of conntrack/socket.bpf.h: a socket goes on
 * to be shown the frontend that it asked for, and an unconnected one stays with its backend. */
#include "bpf/abi/hash.h"
#include "conntrack/migrate.h"
#include "conntrack/raw.h"
#include "conntrack/sockets.h"
#include "lb/dp/layout.h"

static enum fl_socket_kind kind_of(const struct fl_layout *layout, uint8_t kind)
{
	for (int i = 0; i < FL_LAYOUT_SOCKET_KINDS; i++)
		if (layout->socket_kind[i] && layout->socket_kind[i] == kind)
			return fl_layout_ours.socket_kind[i];
	return FL_SOCKET_NONE;
}

static bool read_record(const struct fl_old_flows *old, size_t slot,
			struct fl_socket_record *ret_record)
{
	const struct fl_layout_table *t = fl_old_table(old, FL_OLD_SOCKETS);
	const struct fl_layout_place *f = t->field;
	const unsigned char *entry = fl_raw_at(old, FL_OLD_SOCKETS, slot);
	_Alignas(8) unsigned char raw[FL_LAYOUT_ENTRY_MAX];
	uint32_t word = fl_raw_word(t, entry, __ATOMIC_ACQUIRE);

	if ((word & old->layout.socket_state_mask) != old->layout.socket_used)
		return false;
	fl_raw_copy(raw, entry, t->entry_size);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	if (fl_raw_word(t, entry, __ATOMIC_RELAXED) != word)
		return false;
	*ret_record = (struct fl_socket_record){
		.last = (uint32_t)fl_raw_number(raw, &f[FL_LAYOUT_SOCKET_LAST]),
		.cookie = fl_raw_number(raw, &f[FL_LAYOUT_SOCKET_COOKIE]),
		.frontend_port = (__be16)fl_raw_number(raw, &f[FL_LAYOUT_SOCKET_FRONTEND_PORT]),
		.backend_port = (__be16)fl_raw_number(raw, &f[FL_LAYOUT_SOCKET_BACKEND_PORT]),
		.proto = (uint8_t)fl_raw_number(raw, &f[FL_LAYOUT_SOCKET_PROTO]),
		.kind = (uint8_t)kind_of(&old->layout,
					 (uint8_t)fl_raw_number(raw, &f[FL_LAYOUT_SOCKET_KIND])),
	};
	memcpy(&ret_record->frontend, raw + f[FL_LAYOUT_SOCKET_FRONTEND].offset,
	       sizeof(ret_record->frontend));
	memcpy(&ret_record->backend, raw + f[FL_LAYOUT_SOCKET_BACKEND].offset,
	       sizeof(ret_record->backend));
	return ret_record->kind != FL_SOCKET_NONE;
}

/* By what a record of its kind is found besides the cookie, as fl_socket_hash() has it. */
static uint64_t hash_of(const struct fl_socket_record *r, uint64_t seed)
{
	const bool sends = r->kind == FL_SOCKET_SENDS;
	const struct fl_addr *addr = sends ? &r->frontend : &r->backend;
	const uint32_t port = sends ? r->frontend_port : r->backend_port;
	uint64_t h;

	if (r->kind == FL_SOCKET_CONNECTED)
		return r->cookie;
	h = fl_hash_addr(true, fl_hash_round(seed, r->cookie), addr);
	return fl_hash_finish(fl_hash_round(h, port << 8 | r->kind));
}

static bool same_end(const struct fl_addr *a, __be16 a_port, const struct fl_addr *b, __be16 b_port)
{
	return a_port == b_port && !memcmp(a, b, sizeof(*a));
}

static bool same_key(const struct fl_socket_record *a, const struct fl_socket_record *b)
{
	if (a->cookie != b->cookie || a->kind != b->kind)
		return false;
	if (a->kind == FL_SOCKET_SENDS)
		return same_end(&a->frontend, a->frontend_port, &b->frontend, b->frontend_port);
	return a->kind == FL_SOCKET_CONNECTED ||
	       same_end(&a->backend, a->backend_port, &b->backend, b->backend_port);
}

static bool later(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) > 0;
}

/* Which record of the bucket makes way for this one; NULL: none does. */
static struct fl_socket_record *victim(struct fl_socket_bucket *bucket,
				       const struct fl_socket_record *record, uint32_t *ret_word)
{
	struct fl_socket_record *best = NULL;

	for (int way = 0; way < FL_SOCKET_WAYS; way++) {
		struct fl_socket_record *s = &bucket->way[way];
		uint32_t word = __atomic_load_n(&s->word, __ATOMIC_ACQUIRE);
		uint32_t state = word & FL_SOCKET_STATE_MASK;

		if (state == FL_SOCKET_USED && same_key(s, record)) {
			*ret_word = word;
			return later(record->last, s->last) ? s : NULL;
		}
		if (state == FL_SOCKET_BUSY || (state == FL_SOCKET_USED && best) ||
		    (state == FL_SOCKET_USED && !later(record->last, s->last)))
			continue;
		best = s;
		*ret_word = word;
	}
	return best;
}

static void place(const struct fl_socket_table *table, const struct fl_socket_record *record,
		  uint64_t seed)
{
	struct fl_socket_bucket *bucket = &table->buckets[hash_of(record, seed) & (table->n - 1)];
	uint32_t word, busy;
	struct fl_socket_record *s = victim(bucket, record, &word);

	if (!s)
		return;
	busy = fl_socket_word(word, FL_SOCKET_BUSY);
	if (!__atomic_compare_exchange_n(&s->word, &word, busy, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_RELAXED))
		return; /* a program is writing there */
	/* the word stays as it was taken */
	memcpy((char *)s + sizeof(s->word), (const char *)record + sizeof(record->word),
	       sizeof(*s) - sizeof(s->word));
	__atomic_exchange_n(&s->word, fl_socket_word(word, FL_SOCKET_USED), __ATOMIC_SEQ_CST);
}

void fl_sockets_migrate(const struct fl_socket_table *table, const struct fl_backend *backends,
			const struct fl_backend_ids *ids, uint64_t seed,
			const struct fl_old_flows *old)
{
	const size_t slots = fl_raw_slots(old, FL_OLD_SOCKETS);

	for (size_t slot = 0; slot < slots; slot++) {
		struct fl_socket_record r;

		if (!read_record(old, slot, &r))
			continue;
		r.backend_id = fl_backend_ids_find(ids, &r.backend, r.backend_port, r.proto);
		r.backend_generation = r.backend_id ? backends[r.backend_id].generation : 0;
		/* without a backend of ours it has to choose another one anyway */
		if (r.backend_id || r.kind != FL_SOCKET_SENDS)
			place(table, &r, seed);
	}
}
