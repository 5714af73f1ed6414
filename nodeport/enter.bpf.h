/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Entering a new flow, of which everything has been chosen, into the flow table; and half a flow
 * that has lost the other half. */
#pragma once

#include "conntrack/scan.bpf.h"
#include "conntrack/track.bpf.h"
#include "nodeport/decision.bpf.h"

/* What a new flow is to be, besides its two tuples. */
struct fl_new {
	__u32 backend; /* id; 0: none of ours */
	bool masquerade;
	bool local; /* the backend is on this node */
	__u16 mss;  /* most that the backend's SYN may ask for; 0: anything */
};

/* What the first packet says of the numbers that follow, in entries that are being filled. */
static __always_inline void fl_flow_begin(struct fl_flow_head *head,
					  struct fl_flow_head *reply_head,
					  const struct fl_packet *p, __u32 now)
{
	if (p->proto == IPPROTO_UDP) {
		head->seq = now;
		return;
	}
	head->seq = fl_packet_seq_end(p);
	reply_head->ack = p->seq + 1;
}

/* A new flow's two entries while they are made. */
struct fl_new_pair {
	struct fl_flow_head *head, *reply;
	__u32 slot, reply_slot;
};

/* Fill both entries, which have been taken; `reply` is the mirror image of d->to. */
static __always_inline void fl_new_fill(bool v6, const struct fl_packet *p,
					const struct fl_decision *d, const struct fl_tuple6 *reply,
					const struct fl_new *new, const struct fl_new_pair *pair,
					__u32 now)
{
	__u8 flags = new->masquerade ? FL_FLOW_SNAT : FL_FLOW_TO_STACK;
	__u64 reply_flags = FL_FLOW_IS_REPLY;

	if (new->masquerade)
		reply_flags |= FL_FLOW_SNAT;
	else if (!(fl_local_flags(&p->tuple.daddr) & FL_LOCAL_NODE))
		/* the stack would drop a source that is an address of its own */
		reply_flags |= FL_FLOW_TO_STACK;
	/* masqueraded are flows to other machines, by devices whose replies we see, and to pods
	 * here */
	if (new->masquerade ? !(d->hop.flags & FL_DEVICE_EXTERNAL) : new->local)
		reply_flags |= FL_FLOW_LOCAL;
	/* for the verifier, one way on instead of one for each combination of flags */
	reply_flags = fl_forget(reply_flags, now);
	flags = fl_forget(flags, now);
	fl_flow_fill(v6, pair->head, pair->reply_slot, pair->reply, &p->tuple, p->proto, flags,
		     now);
	fl_flow_fill_rewrite(v6, pair->head, &d->to, false);
	fl_flow_fill(v6, pair->reply, pair->slot, pair->head, reply, p->proto, reply_flags, now);
	fl_flow_fill_rewrite(v6, pair->reply, &p->tuple, true);
	pair->head->packets = 1;
	pair->head->bytes_low = p->len;
	fl_flow_set_backend(pair->head, new->backend);
	fl_flow_set_backend(pair->reply, new->backend);
	if (new->mss)
		pair->reply->next_hop = new->mss;
	fl_flow_begin(pair->head, pair->reply, p, now);
	if (new->masquerade) {
		fl_hop_keep(&pair->head->next_hop, &d->hop);
		fl_filter_add_source(v6, &reply->daddr, reply->dport, p->proto);
	} else {
		fl_filter_add_backend(v6, &reply->saddr, reply->sport, p->proto);
	}
}

/* No reason to drop the packet: another CPU has made its flow at the same moment. */
#define FL_NEW_GAVE_WAY FL_REASON_MAX

/*
 * Record the flow p->tuple -> d->to in both directions, in two entries; `reply` is the mirror image
 * of d->to, `hash` that of p->tuple. Returns why that could not be, or FL_REASON_NONE.
 */
static __always_inline enum fl_reason fl_new_enter(bool v6, const struct fl_packet *p,
						   const struct fl_decision *d,
						   const struct fl_tuple6 *reply,
						   const struct fl_new *new, __u64 hash, __u32 now,
						   bool insist)
{
	__u64 reply_hash = fl_hash_tuple(v6, reply, p->proto, fl_config.flow_seed[0]);
	struct fl_new_pair pair = {};
	__u32 claim, reply_claim;

	pair.head = fl_flow_new(v6, hash, now, &pair.slot);
	if (!pair.head)
		return FL_REASON_FLOW_TABLE_FULL;
	pair.reply = fl_flow_new(v6, reply_hash, now, &pair.reply_slot);
	if (!pair.reply) {
		fl_flow_publish(pair.head, FL_FLOW_FREE);
		return FL_REASON_FLOW_TABLE_FULL;
	}
	fl_new_fill(v6, p, d, reply, new, &pair, now);
	reply_claim = fl_flow_publish(pair.reply, FL_FLOW_BUSY | FL_FLOW_CLAIM);
	if (!fl_flow_alone(v6, reply, p->proto, reply_hash, pair.reply_slot, pair.reply)) {
		/* another processor has given this source port away since it was found free */
		fl_flow_withdraw(pair.reply, reply_claim);
		fl_flow_publish(pair.head, FL_FLOW_FREE);
		return FL_REASON_NO_SOURCE_PORT;
	}
	claim = fl_flow_publish(pair.head, FL_FLOW_BUSY | FL_FLOW_CLAIM);
	if (!fl_flow_claim(v6, &p->tuple, p->proto, hash, pair.slot, pair.head, claim, insist,
			   pair.reply, reply_claim)) {
		fl_flow_withdraw(pair.head, claim);
		fl_flow_withdraw(pair.reply, reply_claim);
		return FL_NEW_GAVE_WAY;
	}
	fl_count(FL_COUNTER_FLOW_NEW);
	return FL_REASON_NONE;
}

/*
 * The same where both buckets are as they are nearly always, with one look through each: that of
 * the original and that of the reply. False: they are not, or another CPU has changed them
 * meanwhile, and nothing has become of it.
 */
static __always_inline bool fl_new_enter_scanned(bool v6, const struct fl_packet *p,
						 const struct fl_decision *d,
						 const struct fl_tuple6 *reply,
						 const struct fl_new *new, void *const bucket[2],
						 const struct fl_scan scan[2], __u32 now)
{
	struct fl_new_pair pair;
	__u32 claim, reply_claim;

	pair.slot = scan[0].bucket * FL_FLOW_WAYS + scan[0].way;
	pair.reply_slot = scan[1].bucket * FL_FLOW_WAYS + scan[1].way;
	pair.head = fl_scan_take(v6, bucket[0], &scan[0]);
	if (!pair.head)
		return false;
	pair.reply = fl_scan_take(v6, bucket[1], &scan[1]);
	if (!pair.reply) {
		fl_flow_publish(pair.head, FL_FLOW_FREE);
		return false;
	}
	fl_new_fill(v6, p, d, reply, new, &pair, now);
	reply_claim = fl_flow_publish(pair.reply, FL_FLOW_BUSY | FL_FLOW_CLAIM);
	if (!fl_scan_still(v6, bucket[1], &scan[1])) {
		fl_flow_withdraw(pair.reply, reply_claim);
		fl_flow_publish(pair.head, FL_FLOW_FREE);
		return false;
	}
	claim = fl_flow_publish(pair.head, FL_FLOW_BUSY | FL_FLOW_CLAIM);
	if (!fl_scan_still(v6, bucket[0], &scan[0]) || !fl_flow_appear(pair.reply, reply_claim) ||
	    !fl_flow_appear(pair.head, claim)) {
		fl_flow_withdraw(pair.head, claim);
		fl_flow_withdraw(pair.reply, reply_claim);
		return false;
	}
	fl_count(FL_COUNTER_FLOW_NEW);
	return true;
}

/*
 * Whether the other direction is gone. Once a second, where last_seen is written, it is looked at;
 * and for each packet of a flow that has not proved itself, of which newcomers take one alone.
 */
static __always_inline bool fl_flow_broken(bool v6, const struct fl_flow_ref *ref, __u32 now)
{
	/* one that is left to the kernel is made whole by nobody: its other direction is not the
	 * mirror image of this one */
	if (fl_flow_state(ref->word) >= FL_FLOW_ESTABLISHED &&
	    (ref->head->flags & FL_FLOW_KERNEL ||
	     (__s32)(now - ref->head->last_seen) < (__s32)fl_config.hz))
		return false;
	return fl_flow_lone(v6, ref->head);
}

/* Make the other direction of an open flow again from this one; false: its key is another flow's by
 * now. */
static __always_inline bool fl_flow_rebuild_twin(bool v6, const struct fl_flow_ref *ref, __u8 proto,
						 __u32 now)
{
	struct fl_flow_head *head = ref->head, *twin;
	struct fl_tuple6 key = {}, mapped = {};
	/* read where it lies, for the stack is full */
	const struct fl_tuple6 *own = v6 ? &((struct fl_flow6 *)head)->key : &mapped;
	__u32 twin_slot = 0, word;
	bool reply = head->flags & FL_FLOW_IS_REPLY;
	__u8 flags = head->flags & FL_FLOW_SNAT;
	__u64 hash;

	/* what the other direction sees is what this one sends, turned round, and the reverse */
	fl_flow_rewrite(v6, head, &mapped);
	fl_tuple_reverse(&mapped, &key);
	if (!v6) {
		fl_flow_key(v6, head, &mapped);
		fl_addr_map4(&mapped.saddr);
		fl_addr_map4(&mapped.daddr);
	}
	hash = fl_hash_tuple(v6, &key, proto, fl_config.flow_seed[0]);
	if (!flags && (reply || !(fl_local_flags(&own->daddr) & FL_LOCAL_NODE)))
		flags = FL_FLOW_TO_STACK;
	if (!reply) {
		struct fl_backend *backend = fl_backend_get(fl_flow_backend(head));

		flags |= FL_FLOW_IS_REPLY;
		if (backend && backend->flags & FL_BACKEND_LOCAL)
			flags |= FL_FLOW_LOCAL;
	}
	/* half closed, but not by this end */
	if (fl_flow_state(ref->word) == FL_FLOW_HALF_CLOSED && !(head->flags & FL_FLOW_FIN))
		flags |= FL_FLOW_FIN;
	twin = fl_flow_new(v6, hash, now, &twin_slot);
	if (!twin)
		return true; /* no room; again in a second */
	fl_flow_fill(v6, twin, ref->slot, head, &key, proto, flags, now);
	fl_flow_fill_rewrite(v6, twin, own, true);
	fl_flow_set_backend(twin, fl_flow_backend(head));
	twin->seq = head->ack;
	twin->ack = head->seq;
	twin->twin_generation = fl_flow_generation(ref->word);
	if (!reply && flags & FL_FLOW_SNAT)
		fl_filter_add_source(v6, &key.daddr, key.dport, proto);
	else if (!reply)
		fl_filter_add_backend(v6, &key.saddr, key.sport, proto);
	word = fl_flow_publish(twin, FL_FLOW_BUSY | FL_FLOW_CLAIM);
	if (fl_flow_unchanged(ref, twin_slot) &&
	    fl_flow_alone(v6, &key, proto, hash, twin_slot, twin)) {
		head->twin = twin_slot;
		head->twin_generation = fl_flow_generation(word);
		if (fl_flow_swap(twin, word,
				 fl_flow_word(fl_flow_generation(word), fl_flow_state(ref->word))))
			return true;
	}
	fl_flow_withdraw(twin, word);
	return false;
}

/* Make the packet's flow whole again, or if that cannot be, end it: a reply alone does no harm. */
static __always_inline void fl_flow_mend(bool v6, const struct fl_packet *p)
{
	__u64 hash = fl_hash_tuple(v6, &p->tuple, p->proto, fl_config.flow_seed[0]);
	__u32 now = fl_now(), seen;
	struct fl_flow_ref ref;

	if (!fl_flow_find(v6, &p->tuple, p->proto, hash, &ref) || !fl_flow_broken(v6, &ref, now))
		return;
	seen = READ_ONCE(ref.head->last_seen);
	/* one CPU does, and the flow is left alone for a second */
	if (!__sync_bool_compare_and_swap(&ref.head->last_seen, seen, now))
		return;
	if (!fl_flow_rebuild_twin(v6, &ref, p->proto, now) && !(ref.head->flags & FL_FLOW_IS_REPLY))
		fl_flow_remove(v6, &ref);
}

int fl_flow_mend4(const struct fl_packet *p);
int fl_flow_mend6(const struct fl_packet *p);

__noinline int fl_flow_mend4(const struct fl_packet *p)
{
	if (p)
		fl_flow_mend(false, p);
	return 0;
}

__noinline int fl_flow_mend6(const struct fl_packet *p)
{
	if (p)
		fl_flow_mend(true, p);
	return 0;
}
