/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The first packet of a flow: which service, which backend, which addresses, and two entries to
 * remember it by. */
#pragma once

#include "nodeport/snat.bpf.h"

/* The frontend this packet is for. NULL: none, and *d says what that means. */
static __always_inline struct fl_frontend *fl_new_frontend(bool v6, const struct fl_packet *p,
							   struct fl_decision *d)
{
	bool opening =
		p->proto == IPPROTO_UDP || (p->tcp_flags & (FL_TCP_SYN | FL_TCP_ACK)) == FL_TCP_SYN;
	struct fl_frontend *fe = fl_frontend_get(&p->tuple.daddr, p->tuple.dport, p->proto);
	__u32 local;

	if (fe)
		return fe; /* rule 2.19: before a node port */
	local = fl_local_flags(&p->tuple.daddr);
	if (local & FL_LOCAL_NODE_PORTS) {
		fe = fl_frontend_get_node_port(v6, p->tuple.dport, p->proto);
		if (fe)
			return fe;
	}
	if (fl_config.reject_unknown_port && !local && opening &&
	    fl_frontend_get(&p->tuple.daddr, 0, 0) &&
	    !(fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE))
		fl_decision_set(d, FL_ACT_REJECT, FL_REASON_REJECT_UNKNOWN_PORT); /* rule 2.22 */
	else
		fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
	return NULL;
}

/*
 * Who writes straight to a backend, from a port with which he reaches it through a frontend too,
 * would be answered as that frontend. A flow that is over makes way; beside one that lives, the
 * newcomer needs a flow of its own, with another source port: true.
 */
static __always_inline bool fl_new_direct(bool v6, const struct fl_packet *p)
{
	struct fl_flow_ref ref;
	struct fl_tuple6 reply;

	if (p->proto == IPPROTO_TCP && (p->tcp_flags & (FL_TCP_SYN | FL_TCP_ACK)) != FL_TCP_SYN)
		return false;
	fl_tuple_reverse(&p->tuple, &reply);
	if (!fl_flow_find(v6, &reply, p->proto,
			  fl_hash_tuple(v6, &reply, p->proto, fl_config.flow_seed[0]), &ref))
		return false;
	if (!(ref.head->flags & FL_FLOW_IS_REPLY))
		return false;
	if ((p->proto == IPPROTO_UDP || fl_flow_state(ref.word) == FL_FLOW_ESTABLISHED) &&
	    !fl_flow_lone(v6, ref.head) && !fl_flow_expired(v6, ref.head, ref.word, fl_now()))
		return true;
	fl_flow_remove(v6, &ref);
	if (p->proto == IPPROTO_TCP)
		fl_count(FL_COUNTER_FLOW_RESTARTED);
	return false;
}

/*
 * The id of the backend that this client had lately (rules 5.5), or that it gets by its address
 * alone. 0: none. Global, so that its keys do not lie on the stack of whoever does without.
 */
__u32 fl_new_sticky(const struct fl_addr *client, const struct fl_frontend *fe, enum fl_side side,
		    bool v6, __u32 now);

__noinline __u32 fl_new_sticky(const struct fl_addr *client, const struct fl_frontend *fe,
			       enum fl_side side, bool v6, __u32 now)
{
	struct fl_affinity_key who = {};
	const struct fl_list *list;
	struct fl_backend *backend;
	__u32 id;

	if (!client || !fe)
		return 0;
	list = &fe->list[side == FL_SIDE_EXTERNAL ? FL_SIDE_EXTERNAL : FL_SIDE_INTERNAL];
	who.client = *client;
	who.service_id = fe->service_id;
	id = fl_affinity_get(&who, fe, list, now);
	if (id)
		return id;
	id = fl_list_choose(list, fl_hash_finish(fl_hash_addr(v6, fl_config.maglev_seed, client)));
	backend = fl_backend_get(id);
	if (backend && backend->generation)
		fl_affinity_put(&who, id, backend->generation, now);
	return id;
}

/* A live backend of the list; its id in *ret_id. NULL: none. */
static __always_inline struct fl_backend *fl_new_backend(bool v6, const struct fl_packet *p,
							 const struct fl_frontend *fe,
							 enum fl_side side, __u32 now,
							 __u32 *ret_id)
{
	struct fl_backend *backend;

	if (fe->flags & FL_AFFINITY)
		*ret_id = fl_new_sticky(&p->tuple.saddr, fe, side, v6, now);
	else
		*ret_id = fl_list_choose(&fe->list[side], fl_hash_tuple(v6, &p->tuple, p->proto,
									fl_config.maglev_seed));
	backend = fl_backend_get(*ret_id);
	return *ret_id && backend && backend->generation ? backend : NULL;
}

enum fl_source {
	FL_SOURCE_KEEP,
	FL_SOURCE_MASQUERADE,
	FL_SOURCE_FAILED, /* *d says why */
};

/*
 * Whether the source is masqueraded (rules 5.3), and if so the way to the backend in d->hop and our
 * address in d->to.saddr. A flow that the kernel would deliver here anyway keeps its source: only
 * what leaves by a device whose replies we see is masqueraded, and hairpins (5.3.3).
 */
static __always_inline enum fl_source fl_new_source(fl_ctx *ctx, bool v6, const struct fl_packet *p,
						    const struct fl_frontend *fe,
						    enum fl_client client, enum fl_hook hook,
						    struct fl_backend *backend, __u32 now,
						    struct fl_decision *d)
{
	bool local = backend->flags & FL_BACKEND_LOCAL,
	     hairpin = fl_addr_equal(&p->tuple.saddr, &backend->addr);
	/* rule 5.3.6: a pod of another node would be answered by the backend itself, whom it has
	 * not asked */
	bool detour = hook == FL_HOOK_INGRESS && client == FL_CLIENT_POD && !local;
	struct fl_device *device;

	if (!hairpin && !detour &&
	    (!(fe->flags & 1 << client) || (local && !fl_config.masquerade_local)))
		return FL_SOURCE_KEEP;
	if (!fl_hop_get(backend->next_hop, backend->next_hop_generation, now, &d->hop)) {
		switch (fl_fib_lookup(ctx, &d->to.daddr, &d->hop)) {
		case FL_FIB_LOCAL:
			return FL_SOURCE_KEEP;
		case FL_FIB_NO_ROUTE:
			fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_ROUTE);
			return FL_SOURCE_FAILED;
		case FL_FIB_OK:
			break;
		}
		backend->next_hop = d->hop.index;
		backend->next_hop_generation = d->hop.generation;
	}
	if (!hairpin && !local && !(d->hop.flags & FL_DEVICE_EXTERNAL))
		return FL_SOURCE_KEEP;
	device = bpf_map_lookup_elem(&fl_devices, &d->hop.ifindex);
	fl_node_addr(v6, &d->to.saddr);
	if (device) {
		struct fl_addr *addr = v6 ? &device->addr6 : &device->addr4;

		if (!fl_addr_is_zero(addr))
			d->to.saddr = *addr;
	}
	if (fl_addr_is_zero(&d->to.saddr)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_MASQUERADE_ADDRESS);
		return FL_SOURCE_FAILED;
	}
	fl_decision_forward(ctx, p, d);
	return d->action == FL_ACT_FORWARD ? FL_SOURCE_MASQUERADE : FL_SOURCE_FAILED;
}

/* What a new flow is to be, besides d->to. */
struct fl_new {
	__u32 backend; /* id; 0: none of ours */
	__u16 generation;
	bool masquerade;
};

/* Record the flow p->tuple -> d->to in both directions, in two entries. Returns why that could not
 * be, or FL_REASON_NONE. */
static __always_inline enum fl_reason
fl_new_entries(bool v6, const struct fl_packet *p, struct fl_decision *d,
	       const struct fl_tuple6 *reply, const struct fl_new *new, __u64 hash, __u32 now)
{
	__u64 reply_hash = fl_hash_tuple(v6, reply, p->proto, fl_config.flow_seed[0]);
	struct fl_flow_head *head, *reply_head;
	__u32 slot = 0, reply_slot = 0;
	__u8 reply_flags;

	head = fl_flow_new(v6, hash, now, &slot);
	if (!head)
		return FL_REASON_FLOW_TABLE_FULL;
	reply_head = fl_flow_new(v6, reply_hash, now, &reply_slot);
	if (!reply_head) {
		fl_flow_publish(head, FL_FLOW_FREE);
		return FL_REASON_FLOW_TABLE_FULL;
	}
	reply_flags = FL_FLOW_IS_REPLY;
	if (new->masquerade)
		reply_flags |= FL_FLOW_SNAT;
	else if (!(fl_local_flags(&p->tuple.daddr) & FL_LOCAL_NODE))
		reply_flags |= FL_FLOW_TO_STACK; /* the stack would drop a source that is its own
						    address */
	fl_flow_fill(v6, head, reply_slot, reply_head, &p->tuple, &d->to, p->proto,
		     new->masquerade ? FL_FLOW_SNAT : FL_FLOW_TO_STACK, now);
	fl_flow_fill(v6, reply_head, slot, head, reply, &p->tuple, p->proto, reply_flags, now);
	head->packets = 1;
	head->bytes = p->len;
	head->backend = new->backend;
	head->backend_generation = new->generation;
	reply_head->backend = new->backend;
	reply_head->backend_generation = new->generation;
	if (new->masquerade) {
		head->next_hop = d->hop.index;
		head->next_hop_generation = d->hop.generation;
	}
	fl_flow_publish(reply_head, FL_FLOW_NEW);
	if (!(v6 ? fl_flow_alone6(reply, p->proto, reply_hash, reply_slot)
		 : fl_flow_alone4(reply, p->proto, reply_hash, reply_slot))) {
		__u32 word = READ_ONCE(reply_head->word);

		/* another processor has given this source port away since it was found free */
		if (fl_flow_generation(word) == head->twin_generation)
			fl_flow_free(reply_head, word);
		fl_flow_publish(head, FL_FLOW_FREE);
		return FL_REASON_NO_SOURCE_PORT;
	}
	fl_flow_publish(head, FL_FLOW_NEW);
	fl_count(FL_COUNTER_FLOW_NEW);
	return FL_REASON_NONE;
}

/* A flow through a frontend: d->to, all but the source port, and the backend. False: *d says why
 * there is none. */
static __always_inline bool fl_new_served(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					  const struct fl_frontend *fe, enum fl_hook hook,
					  __u32 now, struct fl_decision *d, struct fl_new *ret_new)
{
	enum fl_client client = FL_CLIENT_OUTSIDE;
	enum fl_source source;
	struct fl_backend *backend;
	enum fl_side side;
	__u32 verdict;

	/* never from a wire: our own address */
	if (fl_local_flags(&p->tuple.saddr) & FL_LOCAL_NODE)
		return false;
	if ((hook == FL_HOOK_POD_INGRESS && fl_config.pod_by_device) ||
	    fl_addr_is_pod(v6, &p->tuple.saddr))
		client = FL_CLIENT_POD;
	if (fe->flags & FL_SOURCE_RANGES && !fl_source_allowed(fe->service_id, &p->tuple.saddr)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_SOURCE_RANGE);
		return false;
	}
	side = client == FL_CLIENT_OUTSIDE ? FL_SIDE_EXTERNAL : FL_SIDE_INTERNAL;
	verdict = fe->verdict[side];
	if (verdict == FL_VERDICT_DROP) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_LOCAL_ENDPOINT);
		return false;
	}
	if (verdict != FL_VERDICT_FORWARD) {
		fl_decision_set(d, FL_ACT_REJECT, FL_REASON_REJECT_NO_ENDPOINT);
		return false;
	}
	if (!fl_rate_take(FL_RATE_NEW_FLOW, fl_config.new_flow_rate)) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NEW_FLOW_RATE);
		return false;
	}
	backend = fl_new_backend(v6, p, fe, side, now, &ret_new->backend);
	if (!backend) {
		fl_decision_set(d, FL_ACT_DROP, FL_REASON_NO_BACKEND);
		return false;
	}
	ret_new->generation = backend->generation;
	d->to.daddr = backend->addr;
	d->to.dport = backend->port;
	source = fl_new_source(ctx, v6, p, fe, client, hook, backend, now, d);
	if (source == FL_SOURCE_FAILED)
		return false;
	if (source == FL_SOURCE_KEEP)
		d->to.saddr = p->tuple.saddr;
	ret_new->masquerade = source == FL_SOURCE_MASQUERADE;
	return true;
}

static __always_inline void fl_new_flow(fl_ctx *ctx, bool v6, const struct fl_packet *p,
					enum fl_hook hook, __u32 now, struct fl_decision *d)
{
	struct fl_new new = {};
	struct fl_tuple6 reply;
	struct fl_frontend *fe;
	__u32 failed = FL_ACT_DROP;
	enum fl_reason reason;
	__u64 hash;

	fl_decision_set(d, FL_ACT_PASS, FL_REASON_NONE);
	/* never from a wire: the kernel drops these itself */
	if (fl_packet_martian(v6, &p->tuple))
		return;
	fe = fl_new_frontend(v6, p, d);
	d->to = p->tuple;
	if (fe) {
		if (!fl_new_served(ctx, v6, p, fe, hook, now, d, &new))
			return;
	} else {
		if (d->action != FL_ACT_PASS || !fl_new_direct(v6, p))
			return;
		failed = FL_ACT_PASS;
	}
	hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	fl_tuple_reverse(&d->to, &reply);
	if (!fl_snat_choose(ctx, v6, &reply, p->proto, hash,
			    new.masquerade ? FL_SNAT_SOCKETS : FL_SNAT_KEEP)) {
		fl_decision_set(d, failed, FL_REASON_NO_SOURCE_PORT);
		return;
	}
	d->to.sport = reply.dport;
	reason = fl_new_entries(v6, p, d, &reply, &new, hash, now);
	if (reason) {
		fl_decision_set(d, failed, reason);
		return;
	}
	fl_decision_set(d, new.masquerade ? FL_ACT_FORWARD : FL_ACT_STACK, FL_REASON_NONE);
}
