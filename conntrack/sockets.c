// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Records of the sockets' table, read and freed while programs write them. */
#include "conntrack/sockets.h"

static bool is_used(uint32_t word)
{
	return (word & FL_SOCKET_STATE_MASK) == FL_SOCKET_USED;
}

bool fl_socket_copy(const struct fl_socket_table *table, size_t slot,
		    struct fl_socket_record *ret_copy)
{
	struct fl_socket_record *s = fl_socket_at(table, slot);
	const uint32_t word = __atomic_load_n(&s->word, __ATOMIC_ACQUIRE);

	if (!is_used(word))
		return false;
	*ret_copy = *s;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	ret_copy->word = word;
	return __atomic_load_n(&s->word, __ATOMIC_RELAXED) == word;
}

bool fl_socket_free(const struct fl_socket_table *table, size_t slot,
		    const struct fl_socket_record *copy)
{
	uint32_t word = copy->word;

	return __atomic_compare_exchange_n(&fl_socket_at(table, slot)->word, &word,
					   fl_socket_word(word, FL_SOCKET_FREE), false,
					   __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

bool fl_socket_is_stale(const struct fl_socket_record *copy)
{
	return copy->stale == copy->word;
}

/* Should the record be another one by now, its word is another one too, and this says nothing. */
void fl_socket_set_stale(const struct fl_socket_table *table, size_t slot,
			 const struct fl_socket_record *copy, bool stale)
{
	__atomic_store_n(&fl_socket_at(table, slot)->stale, stale ? copy->word : 0,
			 __ATOMIC_RELAXED);
}

size_t fl_sockets_stale_count(const struct fl_socket_table *table)
{
	size_t n = 0;

	for (size_t slot = 0; slot < table->n * FL_SOCKET_WAYS; slot++) {
		const struct fl_socket_record *s = fl_socket_at(table, slot);
		const uint32_t word = __atomic_load_n(&s->word, __ATOMIC_RELAXED);

		n += is_used(word) && __atomic_load_n(&s->stale, __ATOMIC_RELAXED) == word;
	}
	return n;
}

size_t fl_sockets_count(const struct fl_socket_table *table)
{
	size_t n = 0;

	for (size_t slot = 0; slot < table->n * FL_SOCKET_WAYS; slot++)
		n += is_used(__atomic_load_n(&fl_socket_at(table, slot)->word, __ATOMIC_RELAXED));
	return n;
}
