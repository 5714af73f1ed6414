// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* 12.4: what goes of kube-proxy's IPVS mode, and what stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "lb/base/cleanup.h"
#include "tools/kube_proxy_ipvs.h"

#define MAX 3

struct row {
	const char *saved;
	const char *addrs[MAX]; /* of the device */
	const char *input;	/* NULL: none */
	size_t gone, left;
};

static const struct row servers[] = {
	{"", {NULL}, NULL, 0, 0},
	/* at the device's addresses, of both families and every protocol */
	{"-A -t 10.96.0.1:443 -s rr\n"
	 "-a -t 10.96.0.1:443 -r 172.18.0.2:6443 -m -w 1\n"
	 "-A -u 10.96.0.10:53 -s rr -p 10800\n"
	 "-A --sctp-service 10.96.0.10:9 -s rr\n"
	 "-A -t [fd00:96::1]:443 -s wrr\n"
	 "-a -t [fd00:96::1]:443 -r [fd00::2]:6443 -m -w 1\n",
	 {"10.96.0.1", "10.96.0.10", "fd00:96::1"},
	 "-D -t 10.96.0.1:443\n-D -u 10.96.0.10:53\n-D --sctp-service 10.96.0.10:9\n"
	 "-D -t [fd00:96::1]:443\n",
	 4,
	 0},
	/* node ports are at the node's own addresses; 30000 and 32767 are the first and the last */
	{"-A -t 192.0.2.1:30000 -s rr\n-A -t 192.0.2.1:29999 -s rr\n-A -t 192.0.2.1:32767 -s rr\n"
	 "-A -t 192.0.2.1:32768 -s rr\n-A -t [2001:db8::1]:31000 -s rr\n",
	 {"10.96.0.1"},
	 "-D -t 192.0.2.1:30000\n-D -t 192.0.2.1:32767\n-D -t [2001:db8::1]:31000\n",
	 3,
	 2},
	/* somebody else's balancer on the same machine */
	{"-A -t 192.0.2.80:80 -s wlc\n-a -t 192.0.2.80:80 -r 192.0.2.81:80 -g -w 1\n-A -f 1 -s rr\n"
	 "-A -f 30000 -s rr\n-A -f 7 -6 -s rr\n",
	 {"10.96.0.1"},
	 NULL,
	 0,
	 4},
	/* what is no line of ipvsadm's is not understood, and left */
	{"-A -t nonsense -s rr\n-A -t :80 -s rr\n-A -t []:80 -s rr\n-A\n\n-A -t",
	 {NULL},
	 NULL,
	 0,
	 3},
};

static const struct row sets[] = {
	{"", {NULL}, NULL, 0, 0},
	{"KUBE-LOOP-BACK\nKUBE-6-LOOP-BACK\nKUBE-NODE-PORT-SCTP-HASH\nKUBE-6-IPVS-IPS\n",
	 {NULL},
	 "destroy KUBE-LOOP-BACK\ndestroy KUBE-6-LOOP-BACK\ndestroy KUBE-NODE-PORT-SCTP-HASH\n"
	 "destroy KUBE-6-IPVS-IPS\n",
	 4,
	 0},
	/* kube-router's, and others' */
	{"KUBE-SRC-ABCDEFGHIJKLMNOP\nKUBE-DST-ABCDEFGHIJKLMNOP\nkube-router-pod-subnets\nKUBE-\n"
	 "KUBE-LOOP\nKUBE-LOOP-BACK-2\nLOOP-BACK\nKUBE-6-\nKUBE-CLUSTER-IP",
	 {NULL},
	 "destroy KUBE-CLUSTER-IP\n",
	 1,
	 0},
};

static void check(const struct row *row, const struct fl_kube_ipvs *got)
{
	if (row->input)
		assert_string_equal(got->input, row->input);
	else
		assert_null(got->input);
	assert_int_equal(got->gone, row->gone);
	assert_int_equal(got->left, row->left);
}

static void test_servers(void **state)
{
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		_cleanup_(fl_kube_ipvs_fini) struct fl_kube_ipvs got;
		struct fl_ip addrs[MAX];
		size_t n = 0;

		for (; n < MAX && servers[i].addrs[n]; n++)
			assert_int_equal(fl_ip_parse(servers[i].addrs[n], &addrs[n]), 0);
		assert_int_equal(fl_kube_ipvs_servers(servers[i].saved, addrs, n, &got), 0);
		check(&servers[i], &got);
	}
}

static void test_sets(void **state)
{
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		_cleanup_(fl_kube_ipvs_fini) struct fl_kube_ipvs got;

		assert_int_equal(fl_kube_ipvs_sets(sets[i].saved, &got), 0);
		check(&sets[i], &got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
