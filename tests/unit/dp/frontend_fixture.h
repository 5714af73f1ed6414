/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A table of frontends in memory that processes share, keys by number, and what must hold of the
 * memory whenever no writer is at work. */
#pragma once

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "lb/dp/frontend_table.h"

#define SEED 0xfedcba9876543210ULL

static inline struct fl_frontend_table table_new(uint32_t lines)
{
	void *memory = mmap(NULL, lines * sizeof(struct fl_frontend_line), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return fl_frontend_table_over(memory, lines, SEED);
}

static inline void table_free(struct fl_frontend_table *t)
{
	munmap(t->lines, (t->mask + 1ULL) * sizeof(*t->lines));
}

/* Addresses of both families, by turns. */
static inline struct fl_frontend_key key_of(uint32_t n)
{
	struct fl_frontend_key key = {.port = htons(80), .proto = n & 2 ? 17 : 6};

	if (n & 1)
		key.addr.w[0] = htonl(0xfd000000);
	else
		key.addr.w[2] = htonl(0xffff);
	key.addr.w[3] = htonl(0x0a000000 + n);
	return key;
}

/* Everything in it follows from one number, so that a mixture of two is seen. */
static inline struct fl_frontend value_of(uint32_t n)
{
	struct fl_frontend value = {
		.service_id = n,
		.flags = (uint16_t)(n % 31),
		.type = FL_FRONTEND_CLUSTER_IP,
		.affinity_timeout = n ^ 0x55555555,
	};

	for (uint32_t side = 0; side < FL_SIDES; side++) {
		value.verdict[side] = FL_VERDICT_FORWARD;
		value.list[side] = (struct fl_list){
			.slab = n % (1U << FL_SIDE_SLAB_BITS),
			.lut_len = n % 131071,
			.count = n % 65535,
			.id = n * 2 + side,
		};
	}
	return value;
}

static inline bool is_whole(const struct fl_frontend *value)
{
	const struct fl_frontend whole = value_of(value->service_id);

	return !memcmp(value, &whole, sizeof(whole));
}

static inline uint32_t home_of_key(const struct fl_frontend_table *t,
				   const struct fl_frontend_key *key)
{
	const bool v6 = key->addr.w[2] != htonl(0xffff);
	return fl_frontend_home(fl_frontend_hash(v6, &key->addr, key->port, key->proto, t->seed),
				t->mask);
}

/* The first of these keys from number *n on whose home this is; *n goes behind it. */
static inline struct fl_frontend_key key_with_home(const struct fl_frontend_table *t, uint32_t home,
						   uint32_t *n)
{
	struct fl_frontend_key key;

	do
		key = key_of((*n)++);
	while (home_of_key(t, &key) != home);
	return key;
}

static inline bool table_has(const struct fl_frontend_table *t, uint32_t n)
{
	const struct fl_frontend_key key = key_of(n);
	struct fl_frontend value;

	if (!fl_frontend_table_get(t, &key, &value))
		return false;
	assert_true(is_whole(&value));
	return true;
}

static inline int table_put(struct fl_frontend_table *t, uint32_t n, uint32_t value_n)
{
	const struct fl_frontend_key key = key_of(n);
	const struct fl_frontend value = value_of(value_n);

	return fl_frontend_table_put(t, &key, &value);
}

static inline void table_remove(struct fl_frontend_table *t, uint32_t n)
{
	const struct fl_frontend_key key = key_of(n);

	fl_frontend_table_remove(t, &key);
}

/* A chain says where keys of its home lie, no more and no less; no key is there twice. */
static inline void table_check(const struct fl_frontend_table *t)
{
	uint32_t live = 0, places = 0;

	for (uint32_t home = 0; home <= t->mask; home++) {
		const uint32_t chain = (uint32_t)t->lines[home].chain;

		live += t->lines[home].word & FL_FRONTEND_LIVE;
		for (uint32_t place = 0; place < FL_FRONTEND_PLACES; place++) {
			const uint32_t at = fl_frontend_place(home, place, t->mask);
			const struct fl_frontend_line *line = &t->lines[at];
			struct fl_frontend value;

			if (!(chain >> place & 1))
				continue;
			places++;
			assert_true(line->word & FL_FRONTEND_LIVE);
			assert_int_equal(home_of_key(t, &line->key), home);
			assert_true(fl_frontend_table_get(t, &line->key, &value));
			assert_int_equal(value.service_id, line->frontend.service_id);
		}
	}
	assert_int_equal(places, live);
	assert_int_equal(live, t->used);
}
