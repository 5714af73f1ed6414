/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What there is when a schedule begins, and what processors then do. */
#pragma once

#include <netinet/in.h>

#include "tests/schedules/schedules.h"

#define PORT 40000 /* for masquerading, the first */
#define ACTS 3

enum what { NOTHING, SYN, SYN_ACK, ACK, RST, DATAGRAM, ANSWER, SWEEP, FLUSH };

/* What a processor does: something of the conversation of a client with a backend. */
struct act {
	enum what what;
	uint32_t client, backend; /* from KEEPS_SOURCE on without masquerading */
	bool other;		  /* another frontend of the same backend */
	bool sent;		  /* its packet is not dropped if that of the act before was not */
};

#define KEEPS_SOURCE 100 /* a client asks it with its own address */

struct situation {
	const char *name;
	void (*prepare)(void);
	uint16_t ports; /* that there are for masquerading */
	struct act acts[PROCESSORS][ACTS];
	bool halves;		 /* flows have lost an entry */
	bool served;		 /* no packet is dropped */
	unsigned int deviations; /* in strict order, if more than usual */
	uint32_t buckets;	 /* 0: one */
	bool v6;
	bool scanned; /* some flow has to be made with one look through each bucket */
};

extern const struct situation situations[];
extern const size_t n_situations;

/* One act, which the oracle looks at. served: no packet is dropped. */
struct outcome act(unsigned int processor, const struct act *a, bool served);
