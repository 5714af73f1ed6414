/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An address as the model has it and as the maps have it: the same 16 bytes. */
#pragma once

#include <assert.h>
#include <string.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/ip.h"

static_assert(sizeof(struct fl_ip) == sizeof(struct fl_addr), "an address has 16 bytes");

static inline struct fl_ip fl_ip_from_addr(const struct fl_addr *addr)
{
	struct fl_ip ip;

	memcpy(&ip, addr, sizeof(ip));
	return ip;
}

static inline struct fl_addr fl_addr_from_ip(const struct fl_ip *ip)
{
	struct fl_addr addr;

	memcpy(&addr, ip, sizeof(addr));
	return addr;
}
