/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * docs/configuration.md has a row for every key of FairleadConfiguration, and one that says what
 * becomes of each field of KubeProxyConfiguration.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/json_write.h"
#include "lb/settings/config.h"
#include "lb/settings/configz.h"
#include "tests/golden/golden.h"

/* Some of the fields of kubeproxy.config.k8s.io/v1alpha1 have members that mean nothing here. */
static const char *const kube_fields[] = {
	"featureGates",
	"clientConnection.kubeconfig",
	"clientConnection.acceptContentTypes",
	"clientConnection.contentType",
	"clientConnection.qps",
	"clientConnection.burst",
	"logging",
	"hostnameOverride",
	"bindAddress",
	"healthzBindAddress",
	"metricsBindAddress",
	"bindAddressHardFail",
	"enableProfiling",
	"showHiddenMetricsForVersion",
	"mode",
	"iptables.masqueradeBit",
	"iptables.masqueradeAll",
	"iptables.localhostNodePorts",
	"iptables.syncPeriod",
	"iptables.minSyncPeriod",
	"ipvs",
	"nftables.masqueradeBit",
	"nftables.masqueradeAll",
	"nftables.syncPeriod",
	"nftables.minSyncPeriod",
	"winkernel",
	"detectLocalMode",
	"detectLocal.bridgeInterface",
	"detectLocal.interfaceNamePrefix",
	"clusterCIDR",
	"nodePortAddresses",
	"oomScoreAdj",
	"conntrack.maxPerCore",
	"conntrack.min",
	"conntrack.tcpEstablishedTimeout",
	"conntrack.tcpCloseWaitTimeout",
	"conntrack.tcpBeLiberal",
	"conntrack.udpTimeout",
	"conntrack.udpStreamTimeout",
	"configSyncPeriod",
	"portRange",
	"windowsRunAsService",
};

/* A row of `text` that begins with the key: "`a.b`", or "`a.x`, `.b`" for a.b. */
static bool has_row(const char *text, const char *key)
{
	const char *dot = strchr(key, '.');

	for (const char *row = strstr(text, "\n| "); row; row = strstr(row + 1, "\n| ")) {
		const size_t len = strcspn(row + 3, "|");
		char cell[512], whole[128], rest[128], group[128];

		snprintf(cell, sizeof(cell), "%.*s", (int)len, row + 3);
		snprintf(whole, sizeof(whole), "`%s`", key);
		snprintf(rest, sizeof(rest), "`%s`", dot ? dot : key);
		snprintf(group, sizeof(group), "`%.*s.", dot ? (int)(dot - key) : 0, key);
		if (strstr(cell, whole) || (dot && strstr(cell, group) && strstr(cell, rest)))
			return true;
	}
	return false;
}

static int check(const char *where, const char *text, const char *key)
{
	if (has_row(text, key))
		return 0;
	fprintf(stderr, "%s of docs/configuration.md has no row of %s\n", where, key);
	return 1;
}

static int check_map(const char *text, const struct fl_value *map, const char *prefix,
		     size_t *ret_keys)
{
	int failed = 0;

	FL_VALUE_EACH(member, map)
	{
		char key[128];

		snprintf(key, sizeof(key), "%s%s%s", prefix, *prefix ? "." : "",
			 fl_value_key(member));
		if (fl_value_type(member) == FL_VALUE_MAP) {
			failed += check_map(text, member, key, ret_keys);
			continue;
		}
		if (!strcmp(key, "apiVersion") || !strcmp(key, "kind"))
			continue;
		failed += check("what is before KubeProxyConfiguration", text, key);
		++*ret_keys;
	}
	return failed;
}

static char *manual(bool of_kube_proxy)
{
	char *text = golden_read("docs/configuration.md"), *at, *part;

	assert_non_null(text);
	at = strstr(text, "\n## KubeProxyConfiguration\n");
	assert_non_null(at);
	part = of_kube_proxy ? strdup(at) : strndup(text, (size_t)(at - text));
	free(text);
	return part;
}

static void test_every_key(void **state)
{
	_cleanup_(fl_json_free) struct fl_json *json = fl_json_new(false);
	_cleanup_(fl_settings_fini) struct fl_settings settings;
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	_cleanup_free_ char *text = manual(false);
	struct fl_err err = {""};
	size_t len, keys = 0;
	const char *all;

	assert_int_equal(fl_settings_init(&settings), 0);
	fl_json_object_begin(json);
	fl_settings_json(&settings, json);
	fl_json_object_end(json);
	all = fl_json_text(json, &len);
	assert_int_equal(fl_doc_parse(all, len, FL_DOC_JSON, &doc, &err), 0);
	assert_int_equal(check_map(text, fl_value_get(fl_doc_root(doc), "fairlead.dev"), "", &keys),
			 0);
	assert_true(keys > 60);
}

static void test_9_1_every_field_of_kube_proxy(void **state)
{
	_cleanup_free_ char *text = manual(true);
	int failed = 0;

	for (size_t i = 0; i < sizeof(kube_fields) / sizeof(kube_fields[0]); i++)
		failed += check("KubeProxyConfiguration", text, kube_fields[i]);
	assert_int_equal(failed, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_9_1_every_field_of_kube_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
