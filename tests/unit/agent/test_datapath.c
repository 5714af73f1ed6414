/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What settings and the Node object become in the configuration of the programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/agent/datapath.h"
#include "lb/base/cleanup.h"

static void add(struct fl_strings *strings, const char *text)
{
	assert_int_equal(fl_strings_add(strings, strdup(text)), 0);
}

static void set(char **field, const char *text)
{
	free(*field);
	*field = strdup(text);
}

static struct fl_ip ip_of(const char *text)
{
	struct fl_ip ip;

	assert_int_equal(fl_ip_parse(text, &ip), 0);
	return ip;
}

static struct fl_config config_of(const struct fl_settings *settings)
{
	const struct fl_ip none[FL_FAMILIES] = {0};
	const struct fl_port_range ports[FL_PORT_RANGES] = {{.first = 1024, .count = 100}};
	struct fl_detect detect;
	struct fl_err err = {""};
	struct fl_live live;

	assert_int_equal(fl_datapath_detector(settings, NULL, &detect, &err), 0);
	live = fl_datapath_live(settings, &detect, none, ports);
	return fl_datapath_config(settings, &live, false);
}

/* 5.2: pods are told by the cluster CIDR of their family, compared as address and mask. */
static void test_cluster_cidrs_become_masks(void **state)
{
	_cleanup_(fl_settings_fini) struct fl_settings settings;
	struct fl_config config;
	struct fl_ip ip;

	assert_int_equal(fl_settings_init(&settings), 0);
	add(&settings.cluster_cidr, "10.244.0.0/17");
	add(&settings.cluster_cidr, "fd00:10::/60");
	config = config_of(&settings);
	assert_true(config.live.pod_detector4 && config.live.pod_detector6);
	assert_false(config.live.pod_by_device);
	ip = ip_of("10.244.0.0");
	assert_memory_equal(&config.live.pod_cidr4, &ip, sizeof(ip));
	ip = ip_of("ffff:ffff:ffff:ffff:ffff:ffff:ffff:8000");
	assert_memory_equal(&config.live.pod_mask4, &ip, sizeof(ip));
	ip = ip_of("fd00:10::");
	assert_memory_equal(&config.live.pod_cidr6, &ip, sizeof(ip));
	ip = ip_of("ffff:ffff:ffff:fff0::");
	assert_memory_equal(&config.live.pod_mask6, &ip, sizeof(ip));
}

/* Without CIDRs, or with a mode that goes by devices, pod-side devices tell pods. */
static void test_pods_are_told_by_device_where_no_cidr_tells_them(void **state)
{
	static const struct {
		const char *cidr, *mode, *prefix, *pod_device;
		bool by_device, detector4;
	} rows[] = {
		{NULL, NULL, NULL, NULL, false, false},
		{NULL, NULL, NULL, "veth*", true, false},
		{"10.0.0.0/8", NULL, NULL, "veth*", false, true},
		{"10.0.0.0/8", "InterfaceNamePrefix", "veth", NULL, true, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(fl_settings_fini) struct fl_settings settings;
		struct fl_config config;

		assert_int_equal(fl_settings_init(&settings), 0);
		if (rows[i].cidr)
			add(&settings.cluster_cidr, rows[i].cidr);
		if (rows[i].mode)
			set(&settings.detect_mode, rows[i].mode);
		if (rows[i].prefix)
			set(&settings.pod_prefix, rows[i].prefix);
		if (rows[i].pod_device)
			add(&settings.pod_devices, rows[i].pod_device);
		config = config_of(&settings);
		assert_int_equal(config.live.pod_by_device, rows[i].by_device);
		assert_int_equal(config.live.pod_detector4, rows[i].detector4);
		assert_int_equal(config.live.pod_detector6, 0);
	}
}

static void test_settings_and_addresses_reach_the_programs(void **state)
{
	_cleanup_(fl_settings_fini) struct fl_settings settings;
	const struct fl_port_range ports[FL_PORT_RANGES] = {{.first = 40000, .count = 7}};
	const struct fl_ip addrs[FL_FAMILIES] = {[FL_IPV6] = ip_of("2001:db8::7")};
	const struct fl_addr none = {0};
	struct fl_detect detect = {0};
	struct fl_live live;
	struct fl_config config, other;

	assert_int_equal(fl_settings_init(&settings), 0);
	settings.new_flow_rate = 5;
	settings.reject_rate = 6;
	settings.masquerade_local = true;
	settings.reject_unknown_port = false;
	settings.answer_echo = false;
	live = fl_datapath_live(&settings, &detect, addrs, ports);
	config = fl_datapath_config(&settings, &live, false);
	assert_int_equal(config.new_flow_rate, 5);
	assert_int_equal(config.reject_rate, 6);
	assert_true(config.masquerade_local);
	assert_false(config.reject_unknown_port);
	assert_false(config.answer_echo);
	assert_int_equal(config.live.snat[0].first, 40000);
	assert_int_equal(config.live.snat[0].count, 7);
	assert_int_equal(config.live.snat_ports, 7);
	assert_memory_equal(&config.live.node_addr4, &none, sizeof(none));
	assert_memory_equal(&config.live.node_addr6, &addrs[FL_IPV6], sizeof(none));
	/* the seed is a hash of the text: the same on every node, another for another text */
	other = fl_datapath_config(&settings, &live, false);
	assert_true(config.maglev_seed == other.maglev_seed);
	set(&settings.maglev_seed, "other");
	other = fl_datapath_config(&settings, &live, false);
	assert_true(config.maglev_seed != other.maglev_seed);
}

static void test_options_of_the_datapath(void **state)
{
	_cleanup_(fl_settings_fini) struct fl_settings settings;
	const struct fl_config config = {.maglev_seed = 11};
	const struct fl_detect detect = {.on = {[FL_IPV6] = true}};
	struct fl_sync_options sync;
	struct fl_dp_options options;

	assert_int_equal(fl_settings_init(&settings), 0);
	settings.mode = FL_DP_TC;
	settings.timeout_s[FL_TIMEOUT_UDP_EMBRYONIC] = 30;
	settings.sizes.frontends = 1000;
	settings.maglev_ratio = 50;
	options = fl_datapath_options(&settings, &config);
	assert_string_equal(options.dir, settings.bpffs);
	assert_null(options.cgroup); /* the root of cgroup v2 */
	assert_int_equal(options.mode, FL_DP_TC);
	assert_false(options.no_tcx);
	assert_int_equal(options.timeout_s[FL_TIMEOUT_UDP_EMBRYONIC], 30);
	assert_int_equal(options.sizes.frontends, 1000);
	assert_int_equal(options.config.maglev_seed, 11);
	set(&settings.cgroup, "none");
	settings.tc_hook = FL_TC_HOOK_CLSACT;
	options = fl_datapath_options(&settings, &config);
	assert_string_equal(options.cgroup, "");
	assert_true(options.no_tcx);
	sync = fl_datapath_sync_options(&settings, &detect, &config);
	assert_int_equal(sync.maglev_seed, 11);
	assert_int_equal(sync.maglev_ratio, 50);
	assert_true(sync.reject_unknown_port);
	assert_false(sync.detector[FL_IPV4]);
	assert_true(sync.detector[FL_IPV6]);
}

static void test_faulty_settings_are_named(void **state)
{
	_cleanup_(fl_settings_fini) struct fl_settings settings;
	struct fl_detect detect;
	struct fl_err err = {""};

	assert_int_equal(fl_settings_init(&settings), 0);
	add(&settings.cluster_cidr, "10.0.0.0/33");
	assert_int_equal(fl_datapath_detector(&settings, NULL, &detect, &err), -EINVAL);
	assert_non_null(strstr(err.text, "10.0.0.0/33"));
	fl_strings_clear(&settings.cluster_cidr);
	set(&settings.detect_mode, "Guess");
	assert_int_equal(fl_datapath_detector(&settings, NULL, &detect, &err), -EINVAL);
	assert_non_null(strstr(err.text, "Guess"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cluster_cidrs_become_masks),
		cmocka_unit_test(test_pods_are_told_by_device_where_no_cidr_tells_them),
		cmocka_unit_test(test_settings_and_addresses_reach_the_programs),
		cmocka_unit_test(test_options_of_the_datapath),
		cmocka_unit_test(test_faulty_settings_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
