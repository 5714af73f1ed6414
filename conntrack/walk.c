/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Listing and counting flows: scans of the mapped table, one consistent copy per entry. */
#include "conntrack/entry.h"

#include <arpa/inet.h>

#include "lb/model/addr.h"

bool fl_flow_has_backend(const struct fl_flow *flow, const struct fl_backend *backend)
{
	struct fl_ip ip = fl_ip_from_addr(&backend->addr);

	return flow->backend_id && flow->proto == backend->proto &&
	       flow->backend_port == ntohs(backend->port) && fl_ip_equal(&flow->backend, &ip);
}

static bool is_reply(const struct fl_entry *entry)
{
	return entry->head.flags & FL_FLOW_IS_REPLY;
}

/*
 * The datapath evicts the entries of a flow that has not proved itself one by one; what is left of
 * it is nobody's flow, and is gone when a packet or the sweep comes by.
 */
static bool is_dead(const struct fl_entry *entry, size_t slot, bool paired)
{
	return !paired && fl_flow_state(entry->head.word) < FL_FLOW_ESTABLISHED &&
	       !fl_entry_is_whole(&entry->head, slot);
}

int fl_flow_walk(const struct fl_flow_table *table, uint64_t now,
		 int (*fn)(const struct fl_flow *flow, void *arg), void *arg)
{
	struct fl_entry entry, twin;
	struct fl_flow flow;
	bool paired;
	int rc;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n = fl_entry_slots(table, family);

		for (size_t slot = 0; slot < n; slot++) {
			if (!fl_entry_read(table, family, slot, &entry) || is_reply(&entry))
				continue;
			paired = fl_entry_twin(table, family, slot, &entry, &twin);
			if (is_dead(&entry, slot, paired))
				continue;
			fl_entry_flow(family, slot, &entry, paired ? &twin : NULL, (uint32_t)now,
				      &flow);
			rc = fn(&flow, arg);
			if (rc)
				return rc;
		}
	}
	return 0;
}

bool fl_flow_frontend(const struct fl_flow_table *table, const struct fl_met *met,
		      struct fl_ip *ret_frontend, uint16_t *ret_port)
{
	struct fl_entry entry;

	if (!fl_entry_read(table, met->family, met->slot, &entry) ||
	    fl_flow_generation(entry.head.word) != fl_flow_generation(met->head->word))
		return false;
	*ret_frontend = is_reply(&entry) ? entry.new_saddr : entry.daddr;
	*ret_port = is_reply(&entry) ? entry.new_sport : entry.dport;
	return true;
}

void fl_flow_count(const struct fl_flow_table *table, struct fl_flow_counts *ret_counts)
{
	struct fl_flow_counts counts = {0};
	struct fl_entry entry, twin;
	bool paired;

	for (enum fl_family family = FL_IPV4; family < FL_FAMILIES; family++) {
		size_t n = fl_entry_slots(table, family);

		counts.slots[family] = n;
		for (size_t slot = 0; slot < n; slot++) {
			if (!fl_entry_read(table, family, slot, &entry))
				continue;
			paired = fl_entry_twin(table, family, slot, &entry, &twin);
			if (!is_reply(&entry) && !is_dead(&entry, slot, paired))
				counts.flows[family][fl_flow_state(entry.head.word)]++;
			counts.lone += !paired && !fl_entry_is_whole(&entry.head, slot);
		}
	}
	*ret_counts = counts;
}
