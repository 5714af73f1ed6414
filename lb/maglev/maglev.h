/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Maglev lookup tables (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load
 * Balancer", NSDI 2016, section 3.4): every backend gets its share of a table of prime length, and
 * the loss of one backend moves few slots of the others. Pure: a table depends on the identities,
 * the weights, the seed and the length only, so every node that knows the same backends builds the
 * same one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lb/base/ip.h"

#define FL_MAGLEV_BACKENDS_MAX 65535
#define FL_MAGLEV_LENGTH_MAX 131071
#define FL_MAGLEV_RATIO 200 /* slots per backend, unless configured */

struct fl_maglev_backend {
	struct fl_ip ip;
	uint16_t port; /* host byte order */
	uint8_t proto;
	uint16_t weight; /* share of slots; 0: none */
};

struct fl_maglev_turn;

/* Working memory that is kept between builds. Initialise with zeroes. */
struct fl_maglev_scratch {
	struct fl_maglev_turn *turns;
	size_t n_turns;
};

void fl_maglev_scratch_fini(struct fl_maglev_scratch *scratch);

/*
 * The length of the table for so many backends: the smallest of a short list of primes with at
 * least `ratio` (0: FL_MAGLEV_RATIO) slots per backend, or the largest of them. 0 for no backends.
 */
uint32_t fl_maglev_length(size_t n_backends, uint32_t ratio);

/* Whether a configured length will do: a prime up to FL_MAGLEV_LENGTH_MAX. */
bool fl_maglev_length_valid(uint32_t length);

/*
 * Fill table[0..length) with indexes into `backends`. The place of a backend is bound to its
 * identity (ip, port, proto) and the seed: another order of the input gives the same backend in
 * every slot. Two backends with one identity differ by their order only.
 *
 * -EINVAL: no backend with a weight, or no valid length. -E2BIG: more than FL_MAGLEV_BACKENDS_MAX.
 * -ENOMEM. The table is untouched on error.
 */
int fl_maglev_build(const struct fl_maglev_backend *backends, size_t n_backends, uint64_t seed,
		    uint32_t length, struct fl_maglev_scratch *scratch, uint16_t *table);
