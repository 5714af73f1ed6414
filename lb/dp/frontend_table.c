// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Finding, writing and moving frontends in their table, beside readers that take no lock. */
#include "lb/dp/frontend_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define LINES_MIN 16
#define NO_PLACE UINT32_MAX
#define TRIES 1000 /* of a reader; each fails by a write to the very line it reads */

uint32_t fl_frontend_lines_for(uint32_t n)
{
	uint32_t lines = LINES_MIN;

	while (n > lines / 2 && lines < 1U << 30)
		lines <<= 1;
	return n ? lines : 0;
}

struct fl_frontend_table fl_frontend_table_over(struct fl_frontend_line *lines, size_t n,
						uint64_t seed)
{
	if (!lines || !n)
		return (struct fl_frontend_table){0};
	return (struct fl_frontend_table){
		.lines = lines, .mask = (uint32_t)n - 1, .room = (uint32_t)n / 2, .seed = seed};
}

struct fl_frontend_table fl_frontend_table_of(const struct fl_maps *maps)
{
	return fl_frontend_table_over(maps->frontends, maps->n_frontends,
				      maps->meta ? maps->meta->flow_seed[1] : 0);
}

static bool is_ipv6(const struct fl_addr *addr)
{
	return addr->w[0] || addr->w[1] || addr->w[2] != htonl(0xffff);
}

static uint32_t home_of(const struct fl_frontend_table *t, const struct fl_frontend_key *key)
{
	const uint64_t hash =
		fl_frontend_hash(is_ipv6(&key->addr), &key->addr, key->port, key->proto, t->seed);

	return fl_frontend_home(hash, t->mask);
}

static struct fl_frontend_line *line_at(const struct fl_frontend_table *t, uint32_t home,
					uint32_t place)
{
	return &t->lines[fl_frontend_place(home, place, t->mask)];
}

/* Reading */

static void unpack(const struct fl_frontend_packed *p, struct fl_frontend *ret_value)
{
	*ret_value = (struct fl_frontend){
		.service_id = p->service_id,
		.flags = p->flags,
		.type = p->type,
		.affinity_timeout = p->affinity_timeout,
	};
	for (int side = 0; side < FL_SIDES; side++) {
		ret_value->verdict[side] = (uint8_t)fl_packed_verdict(p->side[side]);
		ret_value->list[side] = fl_packed_list(p->side[side], p->service_id);
	}
}

enum line_look {
	NOTHING,
	FOUND,
	CHANGED, /* while it was read */
};

/* Key and contents as they were at one moment. */
static enum line_look look_at(const struct fl_frontend_line *line,
			      struct fl_frontend_line *ret_copy)
{
	const uint32_t word = __atomic_load_n(&line->word, __ATOMIC_ACQUIRE);

	if (!(word & FL_FRONTEND_LIVE))
		return NOTHING;
	ret_copy->key = line->key;
	ret_copy->frontend = line->frontend;
	for (int side = 0; side < FL_SIDES; side++)
		ret_copy->frontend.side[side] =
			__atomic_load_n(&line->frontend.side[side], __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&line->word, __ATOMIC_RELAXED) == word ? FOUND : CHANGED;
}

static enum line_look look_for(const struct fl_frontend_table *t, const struct fl_frontend_key *key,
			       uint32_t home, struct fl_frontend_line *ret_copy,
			       const struct fl_frontend_line **ret_line)
{
	const uint64_t chain = __atomic_load_n(&t->lines[home].chain, __ATOMIC_ACQUIRE);

	for (uint32_t place = 0; place < FL_FRONTEND_PLACES; place++) {
		const struct fl_frontend_line *line = line_at(t, home, place);
		enum line_look look = chain >> place & 1 ? look_at(line, ret_copy) : NOTHING;

		if (look == CHANGED)
			return CHANGED;
		if (look == FOUND && !memcmp(&ret_copy->key, key, sizeof(*key))) {
			*ret_line = line;
			return FOUND;
		}
	}
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return __atomic_load_n(&t->lines[home].chain, __ATOMIC_RELAXED) == chain ? NOTHING
										 : CHANGED;
}

/* The line where a reader finds the key, and what it reads there; NULL: none. */
static const struct fl_frontend_line *find(const struct fl_frontend_table *t,
					   const struct fl_frontend_key *key,
					   struct fl_frontend_line *ret_copy)
{
	const struct fl_frontend_line *line = NULL;
	const uint32_t home = home_of(t, key);
	enum line_look look = CHANGED;

	for (int i = 0; i < TRIES && look == CHANGED; i++)
		look = look_for(t, key, home, ret_copy, &line);
	return look == FOUND ? line : NULL;
}

bool fl_frontend_table_get(const struct fl_frontend_table *table, const struct fl_frontend_key *key,
			   struct fl_frontend *ret_value)
{
	struct fl_frontend_line copy;

	if (!table->lines || !find(table, key, &copy))
		return false;
	unpack(&copy.frontend, ret_value);
	return true;
}

/*
 * Only lines that a reader is led to count: of a key that is being moved the first one, and none
 * that a damaged chain hides.
 */
int fl_frontend_table_each(const struct fl_frontend_table *table,
			   int (*fn)(const void *key, const void *value, void *arg), void *arg)
{
	int r = 0;

	for (size_t i = 0; table->lines && i <= table->mask && !r; i++) {
		const struct fl_frontend_line *line = &table->lines[i];
		struct fl_frontend_line copy, found;
		struct fl_frontend value;

		if (look_at(line, &copy) != FOUND || find(table, &copy.key, &found) != line)
			continue;
		unpack(&found.frontend, &value);
		r = fn(&found.key, &value, arg);
	}
	return r;
}

/* Writing */

static struct fl_frontend_packed pack(const struct fl_frontend *value)
{
	struct fl_frontend_packed p = {
		.service_id = value->service_id,
		.affinity_timeout = value->affinity_timeout,
		.flags = value->flags,
		.type = value->type,
	};

	for (int side = 0; side < FL_SIDES; side++)
		p.side[side] = fl_pack_side(&value->list[side], value->verdict[side]);
	return p;
}

static bool is_live(const struct fl_frontend_line *line)
{
	return line->word & FL_FRONTEND_LIVE;
}

static bool has_key(const struct fl_frontend_line *line, const struct fl_frontend_key *key)
{
	return is_live(line) && !memcmp(&line->key, key, sizeof(*key));
}

/* Fill a line that is not live, and make it so. */
static void fill(struct fl_frontend_line *line, const struct fl_frontend_key *key,
		 const struct fl_frontend_packed *packed)
{
	/* a reader that sees any of these stores sees that `word` changed before them */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	line->key = *key;
	line->frontend = *packed;
	__atomic_store_n(&line->word, line->word | FL_FRONTEND_LIVE, __ATOMIC_RELEASE);
}

static void leave(struct fl_frontend_line *line)
{
	/* clears the lowest bit, and raises the generation */
	__atomic_store_n(&line->word, line->word + 1, __ATOMIC_RELEASE);
}

/* Add a place to a home's chain, or take it out. */
static void chain(struct fl_frontend_line *home, uint32_t place, bool used)
{
	const uint64_t changes = (home->chain >> 32) + 1;
	const uint32_t bit = 1U << place, places = (uint32_t)home->chain;

	__atomic_store_n(&home->chain, changes << 32 | (used ? places | bit : places & ~bit),
			 __ATOMIC_SEQ_CST);
}

static void put_at(struct fl_frontend_table *t, uint32_t home, uint32_t place,
		   const struct fl_frontend_key *key, const struct fl_frontend_packed *packed)
{
	fill(line_at(t, home, place), key, packed);
	chain(&t->lines[home], place, true);
}

static void take_from(struct fl_frontend_table *t, uint32_t home, uint32_t place)
{
	leave(line_at(t, home, place));
	chain(&t->lines[home], place, false);
}

/* The first free place of a home, or NO_PLACE. */
static uint32_t free_place(const struct fl_frontend_table *t, uint32_t home)
{
	for (uint32_t place = 0; place < FL_FRONTEND_PLACES; place++)
		if (!is_live(line_at(t, home, place)))
			return place;
	return NO_PLACE;
}

/* Which place of a home a line is, the first if it is several (in a small table). */
static uint32_t place_of(const struct fl_frontend_table *t, uint32_t home,
			 const struct fl_frontend_line *line)
{
	for (uint32_t place = 0; place < FL_FRONTEND_PLACES; place++)
		if (line_at(t, home, place) == line)
			return place;
	return NO_PLACE;
}

/* All places of a home are taken: move a key of another home that has a free place. */
static uint32_t make_room(struct fl_frontend_table *t, uint32_t home)
{
	for (uint32_t place = 0; place < FL_FRONTEND_PLACES; place++) {
		struct fl_frontend_line *line = line_at(t, home, place);
		const uint32_t its = home_of(t, &line->key), from = place_of(t, its, line);
		const uint32_t to = free_place(t, its);

		if (to == NO_PLACE || from == NO_PLACE)
			continue;
		put_at(t, its, to, &line->key, &line->frontend);
		take_from(t, its, from);
		return place;
	}
	return NO_PLACE;
}

static uint32_t get_place(struct fl_frontend_table *t, uint32_t home)
{
	const uint32_t place = free_place(t, home);

	return place == NO_PLACE ? make_room(t, home) : place;
}

/* For what a live line must not change: make the key live at another place first. */
static int replace(struct fl_frontend_table *t, uint32_t home, uint32_t place,
		   const struct fl_frontend_packed *packed)
{
	struct fl_frontend_line *line = line_at(t, home, place);
	const uint32_t other = get_place(t, home);

	if (other == NO_PLACE)
		return -E2BIG;
	/* this very key may have been moved to make room */
	if (!is_live(line))
		return -EAGAIN;
	put_at(t, home, other, &line->key, packed);
	take_from(t, home, place);
	if (other < place)
		return 0;
	put_at(t, home, place, &line_at(t, home, other)->key, packed);
	take_from(t, home, other);
	return 0;
}

static int update(struct fl_frontend_table *t, uint32_t home, uint32_t place,
		  const struct fl_frontend_packed *packed)
{
	struct fl_frontend_line *line = line_at(t, home, place);

	if (memcmp(&line->frontend, packed, offsetof(struct fl_frontend_packed, side)))
		return replace(t, home, place, packed);
	for (int side = 0; side < FL_SIDES; side++)
		if (line->frontend.side[side] != packed->side[side])
			__atomic_store_n(&line->frontend.side[side], packed->side[side],
					 __ATOMIC_RELEASE);
	return 0;
}

/* Where the key is, as its home's chain says, or NO_PLACE. */
static uint32_t place_with(const struct fl_frontend_table *t, uint32_t home,
			   const struct fl_frontend_key *key)
{
	for (uint32_t place = 0; place < FL_FRONTEND_PLACES; place++)
		if (t->lines[home].chain >> place & 1 && has_key(line_at(t, home, place), key))
			return place;
	return NO_PLACE;
}

int fl_frontend_table_put(struct fl_frontend_table *table, const struct fl_frontend_key *key,
			  const struct fl_frontend *value)
{
	const struct fl_frontend_packed packed = pack(value);
	uint32_t home, place;
	int r;

	if (!table->lines)
		return -E2BIG;
	home = home_of(table, key);
	do {
		place = place_with(table, home, key);
		r = place == NO_PLACE ? 0 : update(table, home, place, &packed);
	} while (r == -EAGAIN);
	if (place != NO_PLACE)
		return r;
	if (table->used >= table->room)
		return -E2BIG;
	place = get_place(table, home);
	if (place == NO_PLACE)
		return -E2BIG;
	put_at(table, home, place, key, &packed);
	table->used++;
	return 0;
}

/* From every place, whatever the chain says: a change of the chain must not bring it back. */
void fl_frontend_table_remove(struct fl_frontend_table *table, const struct fl_frontend_key *key)
{
	const uint32_t home = table->lines ? home_of(table, key) : 0;

	for (uint32_t place = 0; table->lines && place < FL_FRONTEND_PLACES; place++) {
		if (!has_key(line_at(table, home, place), key))
			continue;
		take_from(table, home, place);
		table->used--;
	}
}

/* Take out live lines that no reader is led to, and of two with one key the one found last. */
static void tidy_lines(struct fl_frontend_table *t)
{
	t->used = 0;
	for (size_t i = 0; i <= t->mask; i++) {
		struct fl_frontend_line *line = &t->lines[i], found;
		uint32_t home, place;

		if (!is_live(line))
			continue;
		if (find(t, &line->key, &found) == line) {
			t->used++;
			continue;
		}
		home = home_of(t, &line->key);
		place = place_of(t, home, line);
		if (place == NO_PLACE)
			leave(line);
		else
			take_from(t, home, place);
	}
}

/* Take out places where no key of the home lies: they only lengthen searches. */
static void tidy_chains(struct fl_frontend_table *t)
{
	for (uint32_t home = 0; home <= t->mask; home++) {
		for (uint32_t left = (uint32_t)t->lines[home].chain; left; left &= left - 1) {
			const uint32_t place = (uint32_t)__builtin_ctz(left);
			const struct fl_frontend_line *line = line_at(t, home, place);

			if (!is_live(line) || home_of(t, &line->key) != home)
				chain(&t->lines[home], place, false);
		}
	}
}

void fl_frontend_table_tidy(struct fl_frontend_table *table)
{
	if (!table->lines)
		return;
	tidy_lines(table);
	tidy_chains(table);
}
