// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What must not happen, under whatever schedule. It looks at the words of the entries only: each
 * time that an entry begins or ends to be live is noted, with what it held then. A packet must
 * become what an entry with its key said at some moment while the packet was on its way; and no
 * entry may say what nobody wanted it to.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tests/schedules/schedules.h"

#define LIVES 256
#define FLOWS 64

/* From when to when an entry was live. */
struct life {
	unsigned int slot;
	uint32_t generation;
	struct content c;
	uint64_t begun, ended;
};

struct flow {
	struct tuple asked, to;
	uint8_t proto;
};

static struct {
	bool timed, halves;
	struct life life[LIVES];
	unsigned int n_lives;
	struct flow made[FLOWS];
	unsigned int n_made;
	char wrong[512];
} o;

static const char *say(const struct tuple *t)
{
	static char text[4][64];
	static unsigned int n;
	char *to = text[n++ % 4];

	snprintf(to, sizeof(text[0]), "%u.%u:%u>%u.%u:%u", t->src >> 24, t->src & 255, t->sport,
		 t->dst >> 24, t->dst & 255, t->dport);
	return to;
}

static void wrong(const char *format, ...)
{
	va_list args;

	if (o.wrong[0])
		return;
	va_start(args, format);
	vsnprintf(o.wrong, sizeof(o.wrong), format, args);
	va_end(args);
	schedule_fail();
}

void oracle_begin(bool timed, bool halves)
{
	struct content c;

	/* flows stay made: those that were there when the schedule began */
	o.timed = timed;
	o.halves = halves;
	o.n_lives = 0;
	o.wrong[0] = '\0';
	for (unsigned int slot = 0; slot < table_slots(); slot++) {
		const uint32_t word = *entry_word(slot);

		if (entry_content(slot, &c))
			o.life[o.n_lives++] =
				(struct life){slot, word_generation(word), c, 0, UINT64_MAX};
	}
}

void oracle_made(const struct tuple *asked, const struct tuple *to, uint8_t proto)
{
	for (unsigned int i = 0; i < o.n_made; i++)
		if (tuple_equal(&o.made[i].asked, asked) && tuple_equal(&o.made[i].to, to) &&
		    o.made[i].proto == proto)
			return;
	if (o.n_made < FLOWS)
		o.made[o.n_made++] = (struct flow){*asked, *to, proto};
	else
		wrong("there are too many flows for the oracle");
}

/* A request's rewrite is what its flow was made for, a reply's the mirror image. */
static bool was_wanted(const struct content *c)
{
	for (unsigned int i = 0; i < o.n_made; i++) {
		const struct flow *f = &o.made[i];
		const struct tuple back_key = tuple_reverse(&f->to),
				   back = tuple_reverse(&f->asked);

		if (f->proto != c->proto)
			continue;
		if (is_reply(c)
			    ? tuple_equal(&c->key, &back_key) && tuple_equal(&c->rewrite, &back)
			    : tuple_equal(&c->key, &f->asked) && tuple_equal(&c->rewrite, &f->to))
			return true;
	}
	return false;
}

static void begin_life(unsigned int slot, uint32_t word)
{
	struct content c;

	if (!entry_content(slot, &c))
		return;
	if (!was_wanted(&c))
		wrong("entry %u says %s becomes %s, which no flow was made for", slot, say(&c.key),
		      say(&c.rewrite));
	if (is_reply(&c) && is_being_filled(c.twin, c.twin_generation))
		wrong("%s can be answered before anybody has looked for another flow of it",
		      say(&c.rewrite));
	for (unsigned int i = 0; i < o.n_lives; i++) {
		const struct life *l = &o.life[i];

		/* a reply may be there twice, until one of the originals gives way */
		if (l->ended == UINT64_MAX && l->c.proto == c.proto &&
		    tuple_equal(&l->c.key, &c.key) &&
		    !(is_reply(&c) && tuple_equal(&l->c.rewrite, &c.rewrite)))
			wrong("%s is the key of two flows: entries %u and %u", say(&c.key), l->slot,
			      slot);
	}
	if (o.n_lives == LIVES)
		return wrong("there are too many lives for the oracle");
	o.life[o.n_lives++] = (struct life){slot, word_generation(word), c, step_now(), UINT64_MAX};
}

void oracle_word(unsigned int slot, uint32_t before, uint32_t after)
{
	const bool same = word_generation(before) == word_generation(after);

	if (is_live(before) && !(is_live(after) && same))
		for (unsigned int i = 0; i < o.n_lives; i++)
			if (o.life[i].slot == slot && o.life[i].ended == UINT64_MAX)
				o.life[i].ended = step_now();
	if (is_live(after) && !(is_live(before) && same))
		begin_life(slot, after);
}

/* Whether an entry had this key and said this, while the packet was on its way. */
static bool was_said(const struct tuple *key, const struct tuple *rewrite, uint8_t proto,
		     uint64_t begun)
{
	for (unsigned int i = 0; i < o.n_lives; i++) {
		const struct life *l = &o.life[i];

		/* where loads may be late, so may a packet be that hears from nobody */
		if (l->c.proto == proto && tuple_equal(&l->c.key, key) &&
		    tuple_equal(&l->c.rewrite, rewrite) && (!o.timed || l->ended >= begun))
			return true;
	}
	return false;
}

/* Whether the answer would have been somebody else's. */
static bool was_strangers(const struct tuple *key, const struct tuple *rewrite, uint8_t proto,
			  uint64_t begun)
{
	for (unsigned int i = 0; i < o.n_lives; i++) {
		const struct life *l = &o.life[i];

		if (l->c.proto == proto && tuple_equal(&l->c.key, key) &&
		    !tuple_equal(&l->c.rewrite, rewrite) && l->ended >= begun)
			return true;
	}
	return false;
}

void oracle_packet(const struct packet *p, const struct outcome *out, uint64_t begun, bool served)
{
	const struct tuple back_key = tuple_reverse(&out->to), back = tuple_reverse(&p->t);

	if (!out->translated && served)
		wrong("%s is not sent", say(&p->t));
	if (!out->translated)
		return;
	if (!was_said(&p->t, &out->to, p->proto, begun))
		wrong("%s becomes %s, which no entry said meanwhile", say(&p->t), say(&out->to));
	else if (p->backend && !was_said(&back_key, &back, p->proto, begun) &&
		 (!o.halves || was_strangers(&back_key, &back, p->proto, begun)))
		wrong("%s becomes %s, whose reply it would not get", say(&p->t), say(&out->to));
	else if (out->device && out->device != device_of(out->to.dst))
		wrong("%s becomes %s, and leaves by the way of another flow", say(&p->t),
		      say(&out->to));
}

/* Once proven, an original goes on for a second without a look at its reply, by which its source
 * port is its own. */
static bool is_proven_without_reply(unsigned int slot, const struct content *c)
{
	struct content reply;

	return !o.halves && !is_reply(c) && is_proven(*entry_word(slot)) &&
	       (!entry_content(c->twin, &reply) || reply.twin != slot ||
		(uint16_t)word_generation(*entry_word(c->twin)) != c->twin_generation);
}

void oracle_rest(void)
{
	struct content c;

	for (unsigned int slot = 0; slot < table_slots(); slot++) {
		if (!is_idle_word(*entry_word(slot)))
			wrong("entry %u is busy for ever: %#x", slot, *entry_word(slot));
		else if (entry_content(slot, &c) && !was_wanted(&c))
			wrong("in the end entry %u says %s becomes %s, which no flow was made for",
			      slot, say(&c.key), say(&c.rewrite));
		else if (is_live(*entry_word(slot)) && is_proven_without_reply(slot, &c))
			wrong("in the end %s goes on as %s, whose source port anybody may be given",
			      say(&c.key), say(&c.rewrite));
	}
}

bool oracle_content(void)
{
	return !o.wrong[0];
}

const char *oracle_wrong(void)
{
	return o.wrong;
}
