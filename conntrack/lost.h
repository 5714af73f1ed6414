/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Backends that service ports have lost while other service ports keep them, and the question that
 * follows: must a UDP client of this frontend leave that backend? */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"

/* A service port no longer sends new flows to a backend. */
struct fl_lost_backend {
	uint32_t service_id;
	uint32_t backend;
	uint16_t generation;
};

/* Those of one change. All zero: none. */
struct fl_lost_backends {
	struct fl_lost_backend *items;
	size_t n, cap;
	bool sorted; /* by the first look-up since the last was added */
};
int fl_lost_backends_add(struct fl_lost_backends *lost,
			 const struct fl_lost_backend *one); /* 0 or -ENOMEM */
void fl_lost_backends_clear(struct fl_lost_backends *lost);

/* The service port that serves an address and UDP port now; 0 none. */
typedef uint32_t fl_service_at_fn(const struct fl_addr *addr, __be16 port, void *arg);

struct fl_lost {
	struct fl_lost_backends *backends;
	fl_service_at_fn *service_at; /* asked only about clients of a lost backend */
	void *arg;
};

/* Whether the service port of this frontend lost the backend. generation: 0 any. */
bool fl_lost_has(const struct fl_lost *lost, uint32_t backend, uint16_t generation,
		 const struct fl_addr *frontend, __be16 port);
