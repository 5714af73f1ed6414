/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Numbers and addresses as they lie in packets. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "lb/base/ip.h"

static inline uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline struct fl_ip address(bool v6, const uint8_t *p)
{
	struct fl_ip ip;

	if (!v6)
		return fl_ip_from_ipv4(p);
	memcpy(ip.b, p, 16);
	return ip;
}

static inline void put_address(bool v6, uint8_t *p, const struct fl_ip *ip)
{
	memcpy(p, ip->b + (v6 ? 0 : 12), v6 ? 16 : 4);
}
