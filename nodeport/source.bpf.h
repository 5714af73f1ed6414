/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Choosing the source of a new flow: its own address, or one of this node's (masquerading). */
#pragma once

#include "nodeport/intent.bpf.h"

enum fl_new_source {
	FL_SOURCE_KEEP,
	FL_SOURCE_MASQUERADE,
	FL_SOURCE_FAILED, /* in->d says why */
};

/*
 * 5.3.4: an address of this node for a flow that leaves by a device, zero if there is none. Of
 * several it is chosen by other bits of the flow's hash than its port is (fl_snat_first()), so that
 * each address has all ports, and a lost flow is rebuilt the same.
 */
static __always_inline void fl_masquerade_addr(bool v6, __u32 ifindex, __u64 hash,
					       struct fl_addr *ret_addr)
{
	struct fl_device *device = fl_device_get(ifindex);
	struct fl_addr *addr;
	__u32 n;

	fl_node_addr(v6, ret_addr);
	if (!device)
		return;
	n = v6 ? device->n_pool6 : device->n_pool4;
	addr = v6 ? &device->addr6 : &device->addr4;
	if (n)
		addr = (v6 ? device->pool6 : device->pool4) +
		       ((__u32)(hash >> 24 & 0xffff) * n >> 16 & (FL_DEVICE_POOL - 1));
	if (!fl_addr_is_zero(addr))
		*ret_addr = *addr;
}

/*
 * 5.3: whether the source is masqueraded is a matter of the frontend and the kind of client. If it
 * is, the way to the backend goes to in->d.hop and our address to in->d.to.saddr. A flow that the
 * kernel would deliver here anyway keeps its source: masqueraded is only what leaves by a device
 * whose replies we see, and hairpins (5.3.3: a pod that reaches itself through a frontend).
 */
static __always_inline enum fl_new_source
fl_new_source(fl_ctx *ctx, bool v6, const struct fl_packet *p, const struct fl_frontend_packed *fe,
	      enum fl_client client, enum fl_hook hook, struct fl_backend *backend, __u32 now,
	      struct fl_intent *in)
{
	struct fl_decision *d = &in->d;
	bool local = backend->flags & FL_BACKEND_LOCAL,
	     hairpin = fl_addr_equal(&p->tuple.saddr, &backend->addr);
	/* 5.3.6: unmasqueraded, a pod of another node would be answered by the backend itself, at
	 * whose address it never asked */
	bool detour = hook == FL_HOOK_INGRESS && client == FL_CLIENT_POD && !local;

	if (!hairpin && !detour &&
	    (!(fe->flags & 1 << client) || (local && !fl_config.masquerade_local)))
		return FL_SOURCE_KEEP;
	if (!fl_hop_get(&backend->next_hop, now, &d->hop)) {
		switch (fl_fib_lookup(ctx, &d->to.daddr, &d->hop)) {
		case FL_FIB_LOCAL:
			return FL_SOURCE_KEEP;
		case FL_FIB_NO_ROUTE:
			fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
			return FL_SOURCE_FAILED;
		case FL_FIB_OK:
			break;
		}
		in->hop_asked = true;
	}
	if (!hairpin && !local && !(d->hop.flags & FL_DEVICE_EXTERNAL)) {
		in->unserved_exit = !(d->hop.flags & (FL_DEVICE_POD | FL_DEVICE_INSIDE));
		return FL_SOURCE_KEEP;
	}
	fl_masquerade_addr(v6, d->hop.ifindex, in->hash, &d->to.saddr);
	if (fl_addr_is_zero(&d->to.saddr)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_MASQUERADE_ADDRESS);
		return FL_SOURCE_FAILED;
	}
	fl_decision_forward(ctx, p, d);
	return d->action == FL_ACT_FORWARD || d->action == FL_ACT_FRAGMENT ? FL_SOURCE_MASQUERADE
									   : FL_SOURCE_FAILED;
}
