/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which virtual servers of IPVS and which sets are kube-proxy's, and how to take them out of what
 * `ipvsadm --save --numeric` and `ipset list -name` print (rule 12.4). Pure: text in, text out.
 */
#pragma once

#include <stddef.h>

#include "lb/base/ip.h"

struct fl_kube_ipvs {
	char *input; /* for the program that restores; NULL: nothing is to be changed */
	size_t gone; /* virtual servers or sets */
	size_t left; /* virtual servers that are others' */
};

/*
 * A virtual server is kube-proxy's if its address is one of the `n` of its device, or its port one
 * that node ports have as a rule. `saved` is what ipvsadm printed. 0 or -ENOMEM.
 */
int fl_kube_ipvs_servers(const char *saved, const struct fl_ip *addrs, size_t n,
			 struct fl_kube_ipvs *ret_servers);
/* `names`: a line each. 0 or -ENOMEM. */
int fl_kube_ipvs_sets(const char *names, struct fl_kube_ipvs *ret_sets);
void fl_kube_ipvs_fini(struct fl_kube_ipvs *ipvs);
