// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What -fsanitize=thread calls before each access, and the memory behind it. Of the memory that
 * processors share each four bytes have a history of what was stored there, and each processor a
 * view: how much of each history it must not go back behind. A load may give anything that is newer
 * than that; what it reads may carry the view of the one who stored it. This is how Kang, Hur,
 * Lahav, Vafeiadis and Dreyer ("A Promising Semantics for Relaxed-Memory Concurrency", 2017) have
 * it, without promises: loads are never early.
 *
 * The compiler's own load or store follows the call, so what is to be loaded is put there first,
 * and what was stored is looked at in the next call.
 */
#include <assert.h>
#include <string.h>

#include "tests/schedules/schedules.h"

#define CELL 4
#define CELLS 272
#define HISTORY 48

struct view {
	uint8_t at[CELLS]; /* index into the history */
};

struct message {
	uint32_t value;
	bool carries;
	struct view view;
};

#define RECENT 32

/* What a processor knows, has loaded without knowing it yet, and says with what it stores. */
struct knowledge {
	struct view now, loaded, told;
	const struct message *recent[RECENT]; /* what it loaded last */
	unsigned int n_recent;
};

/* Who ever loads and stores there, a bit for each processor. */
struct users {
	uint8_t reads[CELLS], writes[CELLS];
};

static struct {
	unsigned char *begin;
	size_t cells;
	enum order order;
	struct message history[CELLS][HISTORY];
	unsigned int n[CELLS];
	struct knowledge of[PROCESSORS];
	struct view barriers;
	struct users used, seen; /* what is gone by, and what was seen since */
	/* the store that is on its way */
	void *storing;
	size_t store_size;
	uint32_t store_before[4];
} m;

static bool is_shared(const volatile void *p)
{
	return (size_t)((const unsigned char *)p - m.begin) < m.cells * CELL;
}

static unsigned int cell_of(const volatile void *p)
{
	return (unsigned int)(((const unsigned char *)p - m.begin) / CELL);
}

static uint32_t *place(unsigned int cell)
{
	return (uint32_t *)(void *)(m.begin + cell * CELL);
}

static void join(struct view *to, const struct view *from)
{
	for (size_t i = 0; i < m.cells; i++)
		if (from->at[i] > to->at[i])
			to->at[i] = from->at[i];
}

static struct knowledge *own(void)
{
	return &m.of[processor_now()];
}

static bool is_at_work(void)
{
	return processor_now() >= 0;
}

static unsigned int newest(unsigned int cell)
{
	return m.n[cell] - 1;
}

void memory_settle(void)
{
	for (unsigned int cell = 0; cell < m.cells; cell++)
		*place(cell) = m.history[cell][newest(cell)].value;
}

/* Words of entries are of interest to the oracle, which looks at the entries then. */
static void tell(unsigned int cell, uint32_t before, uint32_t after)
{
	for (unsigned int slot = 0; slot < table_slots(); slot++) {
		if (entry_word(slot) != place(cell))
			continue;
		memory_settle();
		oracle_word(slot, before, after);
	}
}

static void append(unsigned int cell, uint32_t value)
{
	struct message *message = &m.history[cell][m.n[cell]];
	const uint32_t before = m.history[cell][newest(cell)].value;

	assert(m.n[cell] < HISTORY);
	m.n[cell]++;
	message->value = value;
	message->carries = m.order != ORDER_STRICT;
	own()->now.at[cell] = (uint8_t)newest(cell);
	if (message->carries)
		message->view = m.order == ORDER_X86 ? own()->now : own()->told;
	*place(cell) = value;
	tell(cell, before, value);
}

/* What the compiler has stored since it said so. */
static void finish_store(void)
{
	unsigned char *p = m.storing;

	if (!p)
		return;
	m.storing = NULL;
	for (unsigned int cell = cell_of(p); cell <= cell_of(p + m.store_size - 1); cell++)
		append(cell, *place(cell));
}

static void load_cell(unsigned int cell)
{
	struct knowledge *k = own();
	unsigned int oldest, at = newest(cell);
	const struct message *message;

	if (m.order != ORDER_STRICT) {
		oldest = k->now.at[cell];
		at -= choose(at - oldest + 1);
	}
	k->now.at[cell] = (uint8_t)at;
	message = &m.history[cell][at];
	k->recent[k->n_recent++ % RECENT] = message;
	if (message->carries) {
		join(&k->loaded, &message->view);
		if (m.order == ORDER_X86)
			join(&k->now, &message->view);
	}
	*place(cell) = message->value;
}

static void full_barrier(void)
{
	struct knowledge *k = own();

	if (m.order == ORDER_STRICT)
		return;
	join(&k->now, &k->loaded);
	join(&k->now, &m.barriers);
	m.barriers = k->now;
	k->told = k->now;
}

/* A place where another processor may go on, if what is there matters to both. */
static bool visit(const volatile void *p, size_t size, bool writes)
{
	const struct users *u = &m.used;
	bool matters = false;
	uint8_t others;

	if (!is_at_work())
		return false;
	finish_store();
	if (!is_shared(p))
		return false;
	for (unsigned int cell = cell_of(p); cell <= cell_of((const unsigned char *)p + size - 1);
	     cell++) {
		(writes ? m.seen.writes : m.seen.reads)[cell] |= (uint8_t)(1 << processor_now());
		others = u->writes[cell] | (writes ? u->reads[cell] : 0);
		matters |= others & ~(1U << processor_now());
	}
	if (matters)
		may_change();
	return true;
}

/* What is newest is there, wherever a store that is on its way has not been yet. */
static bool lies_ready(unsigned char *p, size_t size, bool make_so)
{
	bool ready = true;

	for (unsigned int cell = cell_of(p); cell <= cell_of(p + size - 1); cell++) {
		const uint32_t value = m.history[cell][newest(cell)].value;

		ready &= *place(cell) == value;
		if (make_so)
			*place(cell) = value;
	}
	return ready;
}

static void load(const volatile void *p, size_t size)
{
	if (!visit(p, size, false))
		return;
	for (unsigned int cell = cell_of(p); cell <= cell_of((const unsigned char *)p + size - 1);
	     cell++)
		load_cell(cell);
}

/* A copy of more than a word says where it stores before it says what it loads. */
static void on_load(const volatile void *p, size_t size)
{
	unsigned char *to = m.storing;

	if (!is_at_work() || !to || size <= 8 || size != m.store_size ||
	    !lies_ready(to, size, false)) {
		load(p, size);
		return;
	}
	m.storing = NULL;
	load(p, size);
	lies_ready(to, size, true);
	m.storing = to;
	m.store_size = size;
}

static void on_store(void *p, size_t size)
{
	if (!visit(p, size, true))
		return;
	lies_ready(p, size, true);
	m.storing = p;
	m.store_size = size;
}

/* An atomic operation works on what is newest. */
static void begin_atomic(const volatile void *p, size_t size)
{
	if (!visit(p, size, true))
		return;
	for (unsigned int cell = cell_of(p); cell <= cell_of((const unsigned char *)p + size - 1);
	     cell++) {
		const struct message *message = &m.history[cell][newest(cell)];

		own()->now.at[cell] = (uint8_t)newest(cell);
		if (message->carries)
			join(&own()->loaded, &message->view);
		*place(cell) = message->value;
	}
}

/* `done`: it has stored. Then it was a full barrier, before and after; even on memory that is
 * nobody else's. */
static void end_atomic(const volatile void *p, size_t size, bool done)
{
	if (!is_at_work())
		return;
	if (!done) {
		join(&own()->now, &own()->loaded);
		return;
	}
	full_barrier();
	if (!is_shared(p))
		return;
	for (unsigned int cell = cell_of(p); cell <= cell_of((const unsigned char *)p + size - 1);
	     cell++) {
		own()->told.at[cell] = (uint8_t)m.n[cell];
		append(cell, *place(cell));
	}
	full_barrier();
}

void memory_init(void *begin, size_t size)
{
	m.begin = begin;
	m.cells = size / CELL;
	assert(m.cells <= CELLS);
}

void memory_forget(void)
{
	memset(&m.used, 0, sizeof(m.used));
	memset(&m.seen, 0, sizeof(m.seen));
}

bool memory_learn(void)
{
	const bool grew = memcmp(&m.used, &m.seen, sizeof(m.used));

	m.used = m.seen;
	return grew;
}

void memory_begin(enum order order)
{
	m.order = order;
	m.storing = NULL;
	for (unsigned int cell = 0; cell < m.cells; cell++) {
		m.n[cell] = 1;
		m.history[cell][0].value = *place(cell);
		m.history[cell][0].carries = false;
	}
	memset(m.of, 0, sizeof(m.of));
	memset(&m.barriers, 0, sizeof(m.barriers));
}

void memory_depend(uint64_t value)
{
	struct knowledge *k = is_at_work() ? own() : NULL;

	for (unsigned int i = 1; k && i <= RECENT && i <= k->n_recent; i++) {
		const struct message *message = k->recent[(k->n_recent - i) % RECENT];

		if (message->value != value && message->value >> 16 != value &&
		    (message->value & 0xffff) != value)
			continue;
		if (message->carries)
			join(&k->now, &message->view);
		return;
	}
}

void memory_finish(void)
{
	if (is_at_work())
		finish_store();
}

/* What the compiler calls */

enum { RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST };

void __tsan_init(void);
void __tsan_func_entry(void *pc);
void __tsan_func_exit(void);

void __tsan_init(void)
{
}

void __tsan_func_entry(void *pc)
{
	(void)pc;
}

void __tsan_func_exit(void)
{
}

#define ACCESS(kind, size, on, constness)                                                          \
	void __tsan_##kind##size(constness void *p);                                               \
	void __tsan_unaligned_##kind##size(constness void *p);                                     \
	void __tsan_##kind##size(constness void *p)                                                \
	{                                                                                          \
		on(p, size);                                                                       \
	}                                                                                          \
	void __tsan_unaligned_##kind##size(constness void *p)                                      \
	{                                                                                          \
		on(p, size);                                                                       \
	}
#define ACCESSES(size) ACCESS(read, size, on_load, ) ACCESS(write, size, on_store, )
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)

void __tsan_read_range(void *p, size_t size);
void __tsan_write_range(void *p, size_t size);

void __tsan_read_range(void *p, size_t size)
{
	on_load(p, size);
}

void __tsan_write_range(void *p, size_t size)
{
	on_store(p, size);
}

void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_signal_fence(int order);

void __tsan_atomic_thread_fence(int order)
{
	if (!is_at_work())
		return;
	finish_store();
	if (order == SEQ_CST)
		full_barrier();
	else if (order == ACQUIRE)
		join(&own()->now, &own()->loaded);
}

void __tsan_atomic_signal_fence(int order)
{
	(void)order;
}

#define RMW(bits, type, name, expression)                                                          \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order);                    \
	type __tsan_atomic##bits##_##name(volatile type *p, type v, int order)                     \
	{                                                                                          \
		type before;                                                                       \
                                                                                                   \
		(void)order;                                                                       \
		begin_atomic(p, sizeof(*p));                                                       \
		before = *p;                                                                       \
		*p = expression;                                                                   \
		end_atomic(p, sizeof(*p), true);                                                   \
		return before;                                                                     \
	}

#define ATOMICS(bits, type)                                                                        \
	RMW(bits, type, exchange, v)                                                               \
	RMW(bits, type, fetch_add, before + v)                                                     \
	RMW(bits, type, fetch_sub, before - v)                                                     \
	RMW(bits, type, fetch_or, before | v)                                                      \
	RMW(bits, type, fetch_and, before &v)                                                      \
	type __tsan_atomic##bits##_load(const volatile type *p, int order);                        \
	type __tsan_atomic##bits##_load(const volatile type *p, int order)                         \
	{                                                                                          \
		type v;                                                                            \
                                                                                                   \
		on_load(p, sizeof(*p));                                                            \
		v = *p;                                                                            \
		if (order != RELAXED && is_at_work())                                              \
			join(&own()->now, &own()->loaded);                                         \
		return v;                                                                          \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order);                     \
	void __tsan_atomic##bits##_store(volatile type *p, type v, int order)                      \
	{                                                                                          \
		if (order == RELEASE && is_at_work())                                              \
			own()->told = own()->now;                                                  \
		on_store((void *)(uintptr_t)p, sizeof(*p));                                        \
		*p = v;                                                                            \
		if (is_at_work())                                                                  \
			finish_store();                                                            \
	}                                                                                          \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type from, type to,      \
							int order, int failed);                    \
	type __tsan_atomic##bits##_compare_exchange_val(volatile type *p, type from, type to,      \
							int order, int failed)                     \
	{                                                                                          \
		type before;                                                                       \
                                                                                                   \
		(void)order;                                                                       \
		(void)failed;                                                                      \
		begin_atomic(p, sizeof(*p));                                                       \
		before = *p;                                                                       \
		if (before == from)                                                                \
			*p = to;                                                                   \
		end_atomic(p, sizeof(*p), before == from);                                         \
		return before;                                                                     \
	}                                                                                          \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *from, type to,   \
							  int order, int failed);                  \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile type *p, type *from, type to,   \
							  int order, int failed)                   \
	{                                                                                          \
		const type wanted = *from;                                                         \
                                                                                                   \
		*from = __tsan_atomic##bits##_compare_exchange_val(p, wanted, to, order, failed);  \
		return *from == wanted;                                                            \
	}

ATOMICS(8, uint8_t)
ATOMICS(16, uint16_t)
ATOMICS(32, uint32_t)
ATOMICS(64, uint64_t)
