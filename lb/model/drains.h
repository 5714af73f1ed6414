/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Backends that an operator has drained: whatever weight they have, they get no new connections on
 * this node. Each is an address, or a port of it, or a protocol of that. Pure.
 */
#pragma once

#include "lb/base/err.h"
#include "lb/base/ip.h"

#define FL_DRAINS_MAX 4096

struct fl_drain {
	struct fl_ip ip;
	uint16_t port; /* host byte order; 0: all */
	uint8_t proto; /* 0: all; else there is a port too */
	int64_t since_unix_s;
};

/* Sorted by address, port and protocol; none covers another. Zero-initialise. */
struct fl_drains {
	struct fl_drain *v;
	size_t n, room;
};

void fl_drains_fini(struct fl_drains *drains);
/* 0 or -ENOMEM. */
int fl_drains_copy(const struct fl_drains *from, struct fl_drains *ret_drains);

/* The one that covers this backend, or NULL. Port 0, or protocol 0: all of it. `drains` may be
 * NULL. */
const struct fl_drain *fl_drains_find(const struct fl_drains *drains, const struct fl_ip *ip,
				      uint16_t port, uint8_t proto);
/* Those that it covers go into it. 1: it is covered already, and nothing has changed. 0, -ENOSPC
 * (FL_DRAINS_MAX) or -ENOMEM. */
int fl_drains_add(struct fl_drains *drains, const struct fl_drain *drain);
/* Take away all that `drain` covers. Returns how many. */
size_t fl_drains_del(struct fl_drains *drains, const struct fl_drain *drain);

/* Whether `drain` is, or has in it, this backend. */
bool fl_drain_covers(const struct fl_drain *drain, const struct fl_ip *ip, uint16_t port,
		     uint8_t proto);

/* "10.1.2.3", "10.1.2.3:80", "10.1.2.3:80/TCP", "fd00::1", "[fd00::1]", "[fd00::1]:80/UDP" */
#define FL_DRAIN_STRLEN (FL_IP_PORT_STRLEN + 6)
const char *fl_drain_format(const struct fl_drain *drain, char buf[static FL_DRAIN_STRLEN]);
/* -EINVAL with words. since_unix_s is 0. */
int fl_drain_parse(const char *text, struct fl_drain *ret_drain, struct fl_err *err);
