// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is sent to frontends that forward by DSR. */
#include "tests/model/make.h"
#include "tests/model/wire.h"

bool make_by_dsr(const struct scenario *s, const struct conversation *c)
{
	enum model_kind kind;
	const int port = model_find(&s->model, &c->asked.dst, c->asked.dport, c->proto, &kind);

	return port >= 0 && s->model.port[port].dsr;
}

uint8_t make_dsr_flags(struct rng *r)
{
	const uint32_t how = rng_below(r, 100);

	return how < 30	  ? M_SYN
	       : how < 75 ? M_ACK
	       : how < 90 ? M_ACK | 8
	       : how < 96 ? M_FIN | M_ACK
			  : M_RST;
}

void make_class(struct model_frame *f, uint8_t class)
{
	uint8_t *ip = f->b + ETHER;

	if (f->b[12] == 0x86) {
		ip[0] |= class >> 4;
		ip[1] = (uint8_t)(class << 4);
		return;
	}
	ip[1] = class;
	put16(ip + 10, 0);
	put16(ip + 10, make_sum(0, ip, (ip[0] & 15) * 4U));
}
