/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which rules are kube-proxy's, and how to take them out of what iptables-save prints (rules 12.4,
 * 12.5). Pure: text in, text out.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct fl_kube_rules {
	char *restore;	      /* for iptables-restore --noflush; NULL: nothing is to be changed */
	size_t chains, jumps; /* that go */
	bool keeper;	      /* a rule that keeps NAT on is added, or stays */
};

/* Whether a chain of this name is kube-proxy's own: not kubelet's, nor one that others use too. */
bool fl_kube_chain_is_ours(const char *name, size_t len);

/*
 * From `saved`, the output of iptables-save, make what removes kube-proxy's chains and the rules
 * that jump to them. With `keep_nat` a rule without effect is put into nat/PREROUTING if any of
 * kube-proxy's chains there go: the kernel turns NAT and connection tracking off when no rule needs
 * them, and connections that are translated would break. Without, that rule goes as well. 0 or
 * -ENOMEM.
 */
int fl_kube_rules_make(const char *saved, bool keep_nat, struct fl_kube_rules *ret_rules);
void fl_kube_rules_fini(struct fl_kube_rules *rules);
