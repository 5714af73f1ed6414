/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the servers of health (10256) and metrics (10249) listen. As with kube-proxy an address may
 * leave its port out; here several may be given, separated by commas, and "none" switches a server
 * off.
 */
#pragma once

#include <stdbool.h>

#include "lb/base/err.h"
#include "lb/base/ip.h"
#include "lb/base/strings.h"

#define FL_BINDS_MAX 16

struct fl_bind {
	struct fl_ip ip;
	uint16_t port;
	/* nobody asked for it by name: without a word where the machine lacks the family */
	bool implied;
	bool v6_only; /* IPv4 has an address of its own in the list */
};

enum fl_bind_server {
	FL_BIND_HEALTHZ, /* by default on all addresses of both families */
	FL_BIND_METRICS, /* on the loopback addresses */
};

/* The addresses of a server; *ret_n 0: it is off. 0 or -EINVAL, which names the setting. */
int fl_binds_read(const struct fl_strings *setting, enum fl_bind_server server,
		  struct fl_bind ret_binds[static FL_BINDS_MAX], size_t *ret_n, struct fl_err *err);
