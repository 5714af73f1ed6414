/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The numbers that backends have in our maps, by address, port and protocol. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"

struct fl_backend_ids {
	struct fl_backend_id {
		struct fl_addr addr;
		__be16 port;
		uint8_t proto;
		uint8_t gone; /* remembered only */
		uint32_t id;
	} * items; /* sorted; those that serve come before those that do not */
	size_t n;
};

/* 0 or -ENOMEM. */
int fl_backend_ids_init(struct fl_backend_ids *ids, const struct fl_backend *backends, size_t n);
void fl_backend_ids_fini(struct fl_backend_ids *ids);
/* 0: there is none. */
uint32_t fl_backend_ids_find(const struct fl_backend_ids *ids, const struct fl_addr *addr,
			     __be16 port, uint8_t proto);
