/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Requests that are translated and then left to the stack are a connection to the kernel, from the
 * client to the backend. The answers of that connection have the same tuple as those of the one
 * that is to replace it, so the kernel cannot have both; and with a request in between it would
 * give the old one another source port, to which the backend answers with a reset. So in a first
 * step such requests are sent to the backend straight, past the stack: without FL_FLOW_TO_STACK the
 * datapath looks for a next hop. Answers go through the stack as before. Only then the kernel's
 * connections are exchanged, and the flow leaves the table, so that its next packet is the
 * kernel's.
 */
#include "conntrack/hand_over.h"

#include "conntrack/entry.h"

/* A pass takes what the one before has missed: entries that changed while they were looked at, and
 * flows of programs that were at work when the frontends went. */
#define PASSES 4

static bool wanted(const struct fl_flow *flow)
{
	if ((flow->flags | flow->reply_flags) & (FL_FLOW_KERNEL | FL_FLOW_STALE))
		return false;
	/* half of a flow that has not proved itself is nobody's: see fl_flow_walk() */
	if (flow->slot == FL_SLOT_NONE || flow->reply_slot == FL_SLOT_NONE)
		return fl_flow_open(flow->state);
	return flow->state != FL_FLOW_CLOSING;
}

/* Past the stack. Returns whether there is an original that was left to it. */
static bool send_straight(const struct fl_flow_table *table, enum fl_family family, size_t slot)
{
	struct fl_entry entry;

	if (!fl_entry_read(table, family, slot, &entry) ||
	    entry.head.flags & (FL_FLOW_IS_REPLY | FL_FLOW_KERNEL) ||
	    fl_flow_is_tunnelled(entry.head.flags) || !(entry.head.flags & FL_FLOW_TO_STACK))
		return false;
	return fl_entry_change_flags(fl_entry_head(table, family, slot), entry.head.word, 0,
				     FL_FLOW_TO_STACK);
}

static size_t send_all_straight(const struct fl_flow_table *table)
{
	size_t changed = 0;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n = fl_entry_slots(table, family);

		for (size_t slot = 0; slot < n; slot++)
			changed += send_straight(table, family, slot);
	}
	return changed;
}

struct pass {
	const struct fl_hand_over *over;
	size_t failed;
	int error;
};

static bool give(const struct fl_flow *flow, void *arg)
{
	struct pass *pass = arg;
	int r;

	if (!wanted(flow))
		return false;
	r = pass->over->give(flow, pass->over->arg);
	if (!r)
		return true;
	if (!pass->failed++)
		pass->error = r;
	return false;
}

void fl_flow_hand_over(const struct fl_flow_table *table, const struct fl_hand_over *over,
		       uint64_t now, struct fl_handed_over *ret_over)
{
	struct fl_handed_over sum = {0};

	/* those that have seen frontends */
	over->wait();
	for (int i = 0; i < PASSES; i++) {
		struct pass pass = {.over = over};
		size_t given;

		/* and those that have seen the flag */
		if (send_all_straight(table))
			over->wait();
		given = fl_flow_flush(table, now, give, &pass);
		sum.flows += given;
		sum.failed = pass.failed;
		sum.error = pass.error;
		if (!given)
			break;
	}
	*ret_over = sum;
}
