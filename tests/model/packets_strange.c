// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is sent besides conversations: past the frontends, from where nobody may send, by the node
 * itself; and bytes that say something else than they should. */
#include <netinet/in.h>
#include <string.h>

#include "tests/model/make.h"

bool make_straight(const struct scenario *s, const struct conversation *c, struct rng *r,
		   struct step *to)
{
	struct make k = make_for(s, c->device, r);

	k.family = c->family;
	k.proto = c->proto;
	k.t = c->flow->inner;
	if (rng_percent(r, 20))
		k.t.sport++;
	k.flags = rng_percent(r, 70) ? M_SYN : M_ACK;
	k.seq = rng_next(r);
	to->hook = c->hook;
	to->device = c->device;
	make_frame(&k, &to->frame);
	return true;
}

bool make_strange(const struct scenario *s, const struct model *m, struct rng *r, struct step *to)
{
	static const char *const sources[FL_FAMILIES][6] = {
		{"0.0.0.0", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255", "0.1.2.3"},
		{"::", "::1", "fe80::1", "febf::9", "ff02::1", "192.0.2.1"}};
	struct conversation c, other;
	struct make k;

	make_conversation(m, &c, r);
	k = make_for(s, c.device, r);
	k.family = c.family;
	k.proto = c.proto;
	k.t = c.asked;
	k.flags = rng_percent(r, 80) ? M_SYN : M_ACK;
	switch (rng_below(r, 4)) {
	case 0:
		k.t.src = addr(c.family, (enum network)rng_below(r, 3), 1);
		break;
	case 1:
		fl_ip_parse(sources[c.family][rng_below(r, 6)], &k.t.src);
		break;
	case 2:
		k.t.src = k.t.dst;
		k.t.sport = k.t.dport;
		break;
	default:
		make_target(m, r, &other);
		if (other.family != c.family)
			return false;
		k.t.src = other.asked.dst;
		k.t.sport = rng_percent(r, 70) ? other.asked.dport : 4000;
	}
	to->hook = c.hook;
	to->device = c.device;
	make_frame(&k, &to->frame);
	return true;
}

bool make_leaving(const struct scenario *s, const struct model *m, const struct conversation *of,
		  struct rng *r, struct step *to)
{
	struct conversation c;
	struct make k;

	make_conversation(m, &c, r);
	to->hook = rng_percent(r, 75) ? MEETS_WAY_OUT : MEETS_POD_OUT;
	to->device = to->hook == MEETS_POD_OUT ? DEV_POD : DEV_EXT0;
	k = make_for(s, to->device, r);
	k.family = c.family;
	k.proto = c.proto;
	k.t = c.asked;
	k.t.src = rng_percent(r, 70) ? addr(c.family, AT_EXT0, 1)
				     : addr(c.family, AT_POD, 1 + rng_below(r, 6));
	k.flags = rng_percent(r, 85) ? M_SYN : M_ACK;
	if (rng_percent(r, 25)) {
		/* from a port that may be a node port, to somebody outside */
		k.t.sport = c.asked.dport;
		k.t.dst = addr(c.family, AT_OUTSIDE, 10 + rng_below(r, 4));
		k.t.dport = (uint16_t)(4000 + rng_below(r, 6));
	}
	if (of->used && model_is_local(m, &of->asked.dst) && rng_percent(r, 70)) {
		/* and to who asks that node port */
		k.family = of->family;
		k.proto = of->proto;
		k.t = model_mirror(&of->asked);
	}
	make_frame(&k, &to->frame);
	to->node_sends = true;
	return true;
}

void make_spoilt(struct model_frame *f, struct rng *r)
{
	uint8_t *ip = f->b + ETHER;
	const bool v6 = f->b[12] == 0x86;
	/* of 0x45: another version, or a header that is too short */
	static const uint8_t lengths[] = {0x01, 0x04, 0x10, 0x20, 0x40, 0x80};

	switch (rng_below(r, 10)) {
	case 0:
		f->b[rng_below(r, 6)] ^= (uint8_t)(1 + rng_below(r, 255));
		break;
	case 1:
		f->b[12 + rng_below(r, 2)] ^= (uint8_t)(1 << rng_below(r, 8));
		break;
	case 2: /* but no options, which the model does not know, nor fragments below */
		ip[0] ^= (uint8_t)(v6 ? 1 << rng_below(r, 8) : lengths[rng_below(r, 6)]);
		break;
	case 3:
		ip[v6 ? 5 : 3] ^= (uint8_t)(1 << rng_below(r, 8));
		break;
	case 4:
		if (!v6)
			ip[6] ^= rng_percent(r, 50) ? 0x40 : 0x80;
		break;
	case 5:
		ip[v6 ? 6 : 9] ^= (uint8_t)(1 << rng_below(r, 8));
		/* what UDP becomes by one bit, and the model does not know */
		if (!v6 && ip[9] == IPPROTO_ICMP)
			ip[9] = IPPROTO_IGMP;
		break;
	case 6: /* cut off; tc gets no frame without its headers */
		f->len -= rng_below(r, f->len - ETHER - (v6 ? 40 : 20));
		break;
	case 7:
		memset(ip + (v6 ? 40 : 20) + (rng_percent(r, 50) ? 2 : 0), 0, 2);
		break;
	case 8: /* of TCP, where its data begins */
		ip[(v6 ? 40 : 20) + 12] ^= (uint8_t)(0x10 << rng_below(r, 4));
		break;
	default: /* padding */
		memset(f->b + f->len, 0x5a, 6);
		f->len += 6;
	}
}
