/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Command line and configuration file of the agent: what is accepted, what is refused and with
 * which words. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lb/settings/config.h"
#include "lb/settings/options.h"
#include "lb/settings/settings.h"

static char notes[2048];

static void keep_note(bool warning, const char *text, void *arg)
{
	size_t used = strlen(notes);

	snprintf(notes + used, sizeof(notes) - used, "%s%s\n", warning ? "! " : "", text);
}

static int setup(void **state)
{
	struct fl_settings *s = calloc(1, sizeof(*s));

	notes[0] = '\0';
	*state = s;
	return s ? fl_settings_init(s) : -1;
}

static int teardown(void **state)
{
	fl_settings_fini(*state);
	free(*state);
	return 0;
}

static int parse(struct fl_settings *s, const char *text, struct fl_err *err)
{
	return fl_config_parse(text, strlen(text), "f.yaml", s, keep_note, NULL, err);
}

static void refused(const char *text, const char *words)
{
	struct fl_settings s;
	struct fl_err err = {""};

	assert_int_equal(fl_settings_init(&s), 0);
	assert_int_equal(parse(&s, text, &err), -EINVAL);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" has no \"%s\"", err.text, words);
	fl_settings_fini(&s);
}

#define OWN "apiVersion: fairlead.dev/v1\nkind: FairleadConfiguration\n"
#define KUBE "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\n"

/* rule 9.1: a file as kubeadm writes it works unchanged */
static void test_kube_proxy_configuration_as_kubeadm_writes_it(void **state)
{
	struct fl_settings *s = *state;
	struct fl_err err = {""};

	assert_int_equal(
		parse(s,
		      KUBE
		      "bindAddress: 0.0.0.0\nbindAddressHardFail: false\n"
		      "clientConnection:\n  acceptContentTypes: \"\"\n  burst: 0\n  contentType: "
		      "\"\"\n"
		      "  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf\n  qps: 0\n"
		      "clusterCIDR: 10.244.0.0/16,fd00:244::/56\nconfigSyncPeriod: 0s\n"
		      "conntrack:\n  maxPerCore: null\n  min: null\n  tcpBeLiberal: false\n"
		      "  tcpCloseWaitTimeout: 30m\n  tcpEstablishedTimeout: 2h30m\n  udpTimeout: "
		      "0s\n"
		      "detectLocal:\n  bridgeInterface: \"\"\n  interfaceNamePrefix: \"\"\n"
		      "detectLocalMode: \"\"\nenableProfiling: false\nhealthzBindAddress: \"\"\n"
		      "hostnameOverride: Node-7\n"
		      "iptables:\n  localhostNodePorts: null\n  masqueradeAll: true\n  "
		      "masqueradeBit: null\n  syncPeriod: 45s\n"
		      "ipvs:\n  excludeCIDRs: null\nlogging:\n  flushFrequency: 0\n"
		      "metricsBindAddress: 127.0.0.1:10249\nmode: iptables\n"
		      "nodePortAddresses: [192.0.2.0/24, primary]\noomScoreAdj: -998\nportRange: "
		      "\"\"\n"
		      "showHiddenMetricsForVersion: \"\"\nwinkernel:\n  enableDSR: false\n",
		      &err),
		0);
	assert_string_equal(s->node, "Node-7");
	assert_int_equal(s->cluster_cidr.n, 2);
	assert_string_equal(s->cluster_cidr.items[1], "fd00:244::/56");
	assert_int_equal(s->timeout_s[FL_TIMEOUT_TCP_ESTABLISHED], 9000);
	assert_int_equal(s->timeout_s[FL_TIMEOUT_TCP_CLOSE_WAIT], 1800);
	assert_int_equal(s->timeout_s[FL_TIMEOUT_UDP_EMBRYONIC], 0);
	/* 9.5: what is null is kube-proxy's default, zero is "leave it" */
	assert_int_equal(s->kernel_max_per_core, 32768);
	assert_int_equal(s->kernel_min, 131072);
	assert_int_equal(s->kernel_tcp_established_s, 9000);
	assert_int_equal(s->kernel_tcp_close_wait_s, 1800);
	assert_int_equal(s->kernel_udp_s, 0);
	assert_true(s->masquerade_all);
	assert_int_equal(s->node_port_addresses.n, 2);
	assert_int_equal(s->healthz_bind.n, 0); /* "" is the default */
	assert_int_equal(s->metrics_bind.n, 1);
	assert_string_equal(s->metrics_bind.items[0], "127.0.0.1:10249");
	assert_int_equal(s->sync_period_s, 45);
	assert_int_equal(s->oom_score_adj, FL_OOM_SCORE_BIAS - 998);
	assert_string_equal(notes, "f.yaml:37: mode is ignored\n");
}

static void test_9_5_zero_leaves_the_kernel_alone(void **state)
{
	struct fl_settings *s = *state;
	struct fl_err err = {""};

	assert_int_equal(parse(s,
			       KUBE "conntrack: {maxPerCore: 0, min: 5, tcpBeLiberal: true,\n"
				    "  tcpEstablishedTimeout: 0s, udpTimeout: 20s}\n",
			       &err),
			 0);
	assert_int_equal(s->kernel_max_per_core, 0);
	assert_int_equal(s->kernel_min, 5);
	assert_true(s->kernel_tcp_be_liberal);
	assert_int_equal(s->kernel_tcp_established_s, 0);
	assert_int_equal(s->timeout_s[FL_TIMEOUT_TCP_ESTABLISHED], 0); /* the default */
	assert_int_equal(s->kernel_tcp_close_wait_s, 3600);
	assert_int_equal(s->kernel_udp_s, 20);
	assert_int_equal(s->timeout_s[FL_TIMEOUT_UDP_EMBRYONIC], 20);
}

/* robustness E8: a field that kube-proxy does not have either is mistyped */
static void test_9_1_unknown_kube_proxy_fields_are_refused(void **state)
{
	refused(KUBE "newThing: 1\n",
		"f.yaml:3: newThing: KubeProxyConfiguration has no such field");
	refused(KUBE "conntrack:\n  min: 1\n  newThing: 1\n", "f.yaml:5: conntrack.newThing: ");
	assert_int_equal(parse(*state, KUBE "ipvs: {any: 1}\n", NULL), 0);
}

#define MAP "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: kube-proxy}\ndata:\n"

/* 9.1: the ConfigMap itself, as kubeadm writes it; lines are those of the file. */
static void test_9_1_config_map(void **state)
{
	struct fl_settings *s = *state;
	struct fl_err err = {""};

	if (parse(s,
		  MAP
		  "  config.conf: |-\n    apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
		  "    kind: KubeProxyConfiguration\n    clusterCIDR: 10.1.0.0/16\n    mode: ipvs\n"
		  "  kubeconfig.conf: |-\n    apiVersion: v1\n---\n" OWN "mode: tc\n",
		  &err))
		fail_msg("%s", err.text);
	assert_string_equal(s->cluster_cidr.items[0], "10.1.0.0/16");
	assert_int_equal(s->mode, FL_DP_TC);
	assert_string_equal(notes, "f.yaml:9: mode is ignored\n");
	refused(MAP "  config.conf: |\n    apiVersion: kubeproxy.config.k8s.io/v1alpha1\n"
		    "    kind: KubeProxyConfiguration\n    clusterCIDRs: 10.1.0.0/16\n",
		"f.yaml:8: clusterCIDRs: KubeProxyConfiguration has no such field");
	refused(MAP "  config.conf: |\n    apiVersion: v1\n    kind: {\n", "f.yaml:");
	refused(MAP "  config.conf: [1]\n", "f.yaml:5: config.conf: must be a text");
	refused(MAP "  other.conf: a\n", "f.yaml:1: data: has no config.conf");
	refused(MAP "  config.conf: \"\"\n  other.conf: a\n", "f.yaml:6: other.conf: is neither");
	refused(MAP "  config.conf: |\n    apiVersion: v1\n    kind: ConfigMap\n",
		"f.yaml:6: a second ConfigMap");
}

/* 9.1: in a pod, kubeadm's file is read without being named. */
static void test_9_1_config_of_a_pod(void **state)
{
	char path[] = "/tmp/fairlead-config-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	close(fd);
	assert_string_equal(fl_config_of_pod("10.96.0.1", path), path);
	assert_null(fl_config_of_pod(NULL, path));
	assert_null(fl_config_of_pod("", path));
	assert_int_equal(unlink(path), 0);
	assert_null(fl_config_of_pod("10.96.0.1", path));
}

/* 11.1: in a pod the API server needs no option, and a kubeconfig still counts. */
static void test_11_1_api_server_of_a_pod(void **state)
{
	struct fl_settings *s = *state;

	assert_int_not_equal(fl_settings_finish(s, NULL), 0);
	setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	assert_int_equal(fl_settings_finish(s, NULL), 0);
	assert_true(s->in_cluster);
	s->in_cluster = false;
	s->kubeconfig = strdup("/a");
	assert_int_equal(fl_settings_finish(s, NULL), 0);
	assert_false(s->in_cluster);
	unsetenv("KUBERNETES_SERVICE_HOST");
	unsetenv("KUBERNETES_SERVICE_PORT");
}

static void test_own_settings(void **state)
{
	struct fl_settings *s = *state;
	struct fl_err err = {""};

	assert_int_equal(
		parse(s,
		      OWN "manifests: [/a, /b]\nmode: tc\ntcHook: clsact\ndevices: [eth*, bond0]\n"
			  "dsr: {dispatch: geneve, ipv6PathMTU: 1500}\n"
			  "rejectUnknownPort: false\nanswerEcho: false\nmaglev: {ratio: 100, seed: "
			  "blue}\n"
			  "timeouts:\n  udpStream: 3m\n  nextHop: 250ms\n  tcpClosing: 15\n"
			  "maps:\n  flowBuckets4: 1024\n",
		      &err),
		0);
	assert_int_equal(s->manifests.n, 2);
	assert_int_equal(s->mode, FL_DP_TC);
	assert_int_equal(s->tc_hook, FL_TC_HOOK_CLSACT);
	assert_int_equal(s->dispatch, FL_DISPATCH_GENEVE);
	assert_int_equal(s->dsr_mtu6, 1500);
	assert_string_equal(s->devices.items[1], "bond0");
	assert_false(s->reject_unknown_port);
	assert_false(s->answer_echo);
	assert_int_equal(s->maglev_ratio, 100);
	assert_string_equal(s->maglev_seed, "blue");
	assert_int_equal(s->timeout_s[FL_TIMEOUT_UDP_ESTABLISHED], 180);
	assert_int_equal(s->timeout_s[FL_TIMEOUT_TCP_CLOSING], 15);
	assert_int_equal(s->next_hop_ttl_ms, 250);
	assert_int_equal(s->sizes.flows4, 1024);
}

static void test_both_kinds_in_one_file(void **state)
{
	struct fl_settings *s = *state;

	assert_int_equal(
		parse(s, KUBE "clusterCIDR: 10.1.0.0/16\n---\n" OWN "mode: xdp\n---\n", NULL), 0);
	assert_string_equal(s->cluster_cidr.items[0], "10.1.0.0/16");
	assert_int_equal(s->mode, FL_DP_XDP);
}

/* robustness E8: an unknown key is an error that can be found */
static void test_faults_name_file_line_and_key(void **state)
{
	refused(OWN "colour: red\n", "f.yaml:3: colour: no such setting");
	refused(OWN "maps:\n  colour: 1\n", "f.yaml:4: maps.colour: no such setting");
	refused(OWN "maps: 7\n", "f.yaml:3: maps: must be a map");
	refused(OWN "dsr:\n  dispatch: vxlan\n",
		"f.yaml:4: dsr.dispatch: \"vxlan\" is not ipip or geneve");
	refused(OWN "mode: fast\n", "f.yaml:3: mode: \"fast\" is not auto, xdp, xdp-generic or tc");
	refused(OWN "mode: [xdp]\n", "f.yaml:3: mode: must be a single value");
	refused(OWN "timeouts:\n  udp: soon\n",
		"f.yaml:4: timeouts.udp: \"soon\" is not a duration");
	refused(OWN "masqueradeAddresses:\n- 192.0.2.1\n- 192.0.2\n",
		"f.yaml:5: masqueradeAddresses: \"192.0.2\" is not an address");
	refused(OWN "apiServerURLs:\n- https://10.0.0.2:6443\n- 10.0.0.3:6443\n",
		"f.yaml:5: apiServerURLs: \"10.0.0.3:6443\" is not https://HOST[:PORT]");
	refused(OWN "apiServerURLs: [http://10.0.0.3]\n", "f.yaml:3: apiServerURLs: ");
	refused(OWN "apiServerURLs: ['https://10.0.0.3:0']\n", "f.yaml:3: apiServerURLs: ");
	refused(OWN "apiServerURLs: ['https://fd00::3:6443']\n", "f.yaml:3: apiServerURLs: ");
	refused(OWN "apiServerURLs: ['https://me@10.0.0.3']\n", "f.yaml:3: apiServerURLs: ");
	refused(OWN "apiServerURLs: {a: b}\n", "f.yaml:3: apiServerURLs: must be a single value");
	refused(OWN "maps:\n  lines: -1\n", "maps.lines: \"-1\" is not a number");
	refused(OWN "maps:\n  lines: 4294967296\n", "is not a number from 0 to 4294967295");
	refused(OWN "nodeHints: yes please\n", "neither true nor false");
	refused(OWN "devices: [eth0, {a: b}]\n", "devices: must be a single value");
	refused(KUBE "oomScoreAdj: 2000\n", "oomScoreAdj: must be a number from -1000 to 1000");
	refused("apiVersion: fairlead.dev/v2\nkind: FairleadConfiguration\n",
		"f.yaml:1: apiVersion: ");
	refused("apiVersion: v1\nkind: Service\n",
		"f.yaml:2: kind: must be KubeProxyConfiguration, ");
	refused("- a\n", "a configuration has apiVersion and kind");
	refused(OWN "---\n" OWN, "a second FairleadConfiguration");
	refused(OWN "mode: {\n", "f.yaml:");
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {{"0", 0},	    {"90", 90000},	{"24h0m0s", 86400000}, {"1.5s", 1500},
		    {"200ms", 200}, {"1h1ms", 3600001}, {"1000000ns", 1}};
	static const char *const bad[] = {"",	 "s", "-1s", "1x",  "1s2", "0x10",
					  "1e3", ".", "1 s", "inf", "nan"};
	uint64_t ms;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(fl_duration_parse(good[i].text, 1000, &ms), 0);
		assert_int_equal(ms, good[i].ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(fl_duration_parse(bad[i], 1000, &ms), -EINVAL);
}

static int options(struct fl_settings *s, struct fl_err *err, const char *const *args)
{
	char *argv[16] = {(char *)"fairleadd"};
	int argc = 1;

	for (; args[argc - 1]; argc++)
		argv[argc] = (char *)args[argc - 1];
	return fl_settings_read_args(argc, argv, s, keep_note, NULL, err);
}

#define OPTIONS(s, err, ...) options(s, err, (const char *const[]){__VA_ARGS__, NULL})

static void test_command_line(void **state)
{
	struct fl_settings *s = *state;
	struct fl_err err = {""};

	assert_int_equal(OPTIONS(s, &err, "--manifests", "/a", "--manifests=/b", "--node",
				 " Node-1 ", "--devices", "eth0, eth1", "--mode", "xdp-generic",
				 "--once"),
			 0);
	assert_int_equal(s->manifests.n, 2);
	assert_string_equal(s->manifests.items[1], "/b");
	assert_string_equal(s->node, "node-1"); /* rule 9.4: in lower case */
	assert_int_equal(s->devices.n, 2);
	assert_string_equal(s->devices.items[1], "eth1");
	assert_int_equal(s->mode, FL_DP_XDP_GENERIC);
	assert_true(s->once);
}

/* 11.8: others of the same API server, of which only how it is reached says who is trusted. */
static void test_11_8_api_servers(void **state)
{
	struct fl_settings *s = *state;
	struct fl_err err = {""};

	assert_int_equal(OPTIONS(s, &err, "--in-cluster", "--api-server-urls",
				 "https://10.0.0.2:6443,https://[fd00::3]:6443"),
			 0);
	assert_int_equal(s->api_servers.n, 2);
	assert_string_equal(s->api_servers.items[1], "https://[fd00::3]:6443");
	s->in_cluster = false;
	assert_int_equal(OPTIONS(s, &err, "--manifests", "/a", "--api-server-urls", "https://a"),
			 -EBADMSG);
	assert_non_null(strstr(err.text, "apiServerURLs without"));
	assert_int_equal(OPTIONS(s, &err, "--in-cluster", "--api-server-urls", "a:6443"), -EINVAL);
	assert_string_equal(err.text,
			    "option --api-server-urls: \"a:6443\" is not https://HOST[:PORT]");
}

static void test_auto_is_no_device_name(void **state)
{
	struct fl_settings *s = *state;

	assert_int_equal(OPTIONS(s, NULL, "--manifests", "/a", "--devices", "auto"), 0);
	assert_int_equal(s->devices.n, 0);
}

/* rule 9.2: with kube-proxy only the node's name does, here every option */
static void test_command_line_beats_the_file(void **state)
{
	char path[] = "/tmp/fairlead-test-XXXXXX";
	int fd = mkstemp(path);
	struct fl_settings *s = *state;
	struct fl_err err = {""};

	assert_true(fd >= 0);
	assert_true(dprintf(fd, OWN "nodeName: from-file\nmanifests: [/file]\nmode: tc\n") > 0);
	close(fd);
	assert_int_equal(
		OPTIONS(s, &err, "--node", "from-line", "--config", path, "--manifests", "/line"),
		0);
	unlink(path);
	assert_string_equal(s->node, "from-line");
	assert_int_equal(s->manifests.n, 1);
	assert_string_equal(s->manifests.items[0], "/line");
	assert_int_equal(s->mode, FL_DP_TC);
}

/* Of two ways to the API server the command line's counts; a file may not have two. */
static void test_command_line_chooses_the_api_server(void **state)
{
	char path[] = "/tmp/fairlead-test-XXXXXX", other[] = "/tmp/fairlead-test-XXXXXX";
	int fd = mkstemp(path), other_fd = mkstemp(other);
	struct fl_settings *s = *state;

	assert_true(fd >= 0 && other_fd >= 0);
	assert_true(dprintf(fd, KUBE "clientConnection: {kubeconfig: /k}\n") > 0);
	assert_true(dprintf(other_fd, OWN "inCluster: true\n") > 0);
	close(fd);
	close(other_fd);
	assert_int_equal(OPTIONS(s, NULL, "--config", path, "--in-cluster"), 0);
	assert_true(s->in_cluster);
	assert_null(s->kubeconfig);
	s->in_cluster = false;
	assert_int_equal(OPTIONS(s, NULL, "--config", path), 0);
	assert_string_equal(s->kubeconfig, "/k");
	assert_int_equal(OPTIONS(s, NULL, "--config", other, "--kubeconfig", "/line"), 0);
	assert_string_equal(s->kubeconfig, "/line");
	assert_false(s->in_cluster);
	unlink(path);
	unlink(other);
}

static void wrong(int rc, const char *words, const char *const *args)
{
	struct fl_settings s;
	struct fl_err err = {""};

	assert_int_equal(fl_settings_init(&s), 0);
	assert_int_equal(options(&s, &err, args), rc);
	if (!strstr(err.text, words))
		fail_msg("\"%s\" has no \"%s\"", err.text, words);
	fl_settings_fini(&s);
}

#define WRONG(words, ...) wrong(-EINVAL, words, (const char *const[]){__VA_ARGS__, NULL})
#define BAD(words, ...) wrong(-EBADMSG, words, (const char *const[]){__VA_ARGS__, NULL})

/* 9.1: kube-proxy's file as it is, and one's own beside it: what a later file sets counts. */
static void test_several_files(void **state)
{
	static const char *const texts[] = {
		KUBE "clusterCIDR: 10.1.0.0/16\nhostnameOverride: theirs\n",
		OWN "nodeName: ours\nmode: tc\n",
	};
	struct fl_settings *s = *state;
	struct fl_err err = {""};
	char paths[2][32];

	for (size_t i = 0; i < 2; i++) {
		int fd;

		strcpy(paths[i], "/tmp/fairlead.XXXXXX");
		fd = mkstemp(paths[i]);
		assert_true(fd >= 0);
		assert_int_equal(write(fd, texts[i], strlen(texts[i])), strlen(texts[i]));
		close(fd);
	}
	assert_int_equal(
		OPTIONS(s, &err, "--in-cluster", "--config", paths[0], "--config", paths[1]), 0);
	for (size_t i = 0; i < 2; i++)
		unlink(paths[i]);
	assert_string_equal(s->node, "ours");
	assert_int_equal(s->cluster_cidr.n, 1);
	assert_string_equal(s->cluster_cidr.items[0], "10.1.0.0/16");
	assert_int_equal(s->mode, FL_DP_TC);
}

static void test_wrong_command_lines(void **state)
{
	WRONG("there is no option --colour here", "--colour");
	WRONG("there is no option --devcies here (did you mean --devices?)", "--devcies=eth0");
	WRONG("there is no option -x here", "-x");
	WRONG("option --node needs a value", "--node");
	WRONG("option --once takes no value", "--once=yes");
	WRONG("unexpected argument \"x\"", "--manifests", "/a", "x");
	WRONG("option --mode: \"fast\" is not auto, xdp, xdp-generic or tc", "--manifests", "/a",
	      "--mode", "fast");
	WRONG("option --mode: \"xpd\" is not auto, xdp, xdp-generic or tc (did you mean xdp?)",
	      "--mode", "xpd");
	WRONG("option --devices: an empty word", "--manifests", "/a", "--devices", "eth0,,eth1");
}

/*
 * A command line of good form whose settings, or whose file, make no sense: --help does not help.
 */
static void test_bad_settings_are_told_from_wrong_command_lines(void **state)
{
	BAD("give --manifests", "--node", "a");
	BAD("cluster CIDR \"10.0.0.0\"", "--manifests", "/a", "--cluster-cidr", "10.0.0.0");
	BAD("node's name is empty", "--manifests", "/a", "--node", " ");
	BAD("\"10.0.0.0/40\" is neither a CIDR nor", "--manifests", "/a", "--nodeport-addresses",
	    "primary,10.0.0.0/40");
	BAD("is longer than 107 bytes", "--manifests", "/a", "--socket",
	    "/an/address/of/a/unix/socket/has/room/for/no/more/than/one/hundred/and/seven/bytes/"
	    "and/this/one/is/a/bit/longer");
	BAD("cgroup must not be empty", "--manifests", "/a", "--cgroup", "");
	wrong(-ENOENT, "cannot read /nonexistent/file",
	      (const char *const[]){"--manifests", "/a", "--config", "/nonexistent/file", NULL});
}

/* What the maps or the programs would refuse at start is refused by --check already. */
static void test_settings_are_judged_by_those_who_use_them(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
		{"maglev: {tableLength: 100}", "tableLength 100 is not a prime up to 131071"},
		{"detectLocalMode: BridgeInterface", "no interface is named"},
		{"detectLocalMode: InterfaceNamePrefix\npodInterfaceNamePrefix: muchtoolongaprefix",
		 "is too long"},
		{"nodePortRange: 0-10", "nodePortRange \"0-10\""},
		{"masqueradeAddresses: [192.0.2.1, 192.0.2.2, 192.0.2.1]",
		 "192.0.2.1 is there twice"},
		{"masqueradeAddresses: ['fe80::1']", "fe80::1 is no address that backends could"},
		{"masqueradeAddresses: [127.0.0.2]", "127.0.0.2 is no address that backends could"},
		{"masqueradeAddresses: ['::1,::2,::3,::4,::5,::6,::7,::8,::9']",
		 "::1 is no address that backends could"},
		{"masqueradeAddresses: ['1::1,1::2,1::3,1::4,1::5,1::6,1::7,1::8,1::9,1.1.1.1']",
		 "more than 8 addresses of a family"},
		{"masqueradeLocal: true", "masqueradeLocal needs podDevices"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fl_settings s;
		struct fl_err err = {""};
		char text[256];

		snprintf(text, sizeof(text), OWN "manifests: [/a]\n%s\n", cases[i].text);
		assert_int_equal(fl_settings_init(&s), 0);
		assert_int_equal(parse(&s, text, &err), 0);
		assert_int_equal(fl_settings_finish(&s, &err), -EINVAL);
		if (!strstr(err.text, cases[i].words))
			fail_msg("\"%s\" has no \"%s\"", err.text, cases[i].words);
		fl_settings_fini(&s);
	}
}

/* rule 5.2: in the interface modes these devices are the pod side */
static void test_interface_modes_name_pod_devices(void **state)
{
	struct fl_settings *s = *state;

	assert_int_equal(parse(s,
			       KUBE "detectLocalMode: InterfaceNamePrefix\ndetectLocal: "
				    "{interfaceNamePrefix: cali}\n---\n" OWN "manifests: [/a]\n",
			       NULL),
			 0);
	assert_int_equal(fl_settings_finish(s, NULL), 0);
	assert_int_equal(s->pod_devices.n, 1);
	assert_string_equal(s->pod_devices.items[0], "cali*");
}

static void test_help_and_version_need_nothing_else(void **state)
{
	struct fl_settings *s = *state;

	assert_int_equal(OPTIONS(s, NULL, "-h"), 0);
	assert_true(s->help);
}

static void test_every_option_is_in_the_help(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fl_settings_help(f);
	fclose(f);
	for (size_t i = 0; i < fl_setting_count; i++)
		if (fl_setting_table[i].option.name)
			assert_non_null(strstr(text, fl_setting_table[i].option.name));
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		assert_true(strlen(line) <= 130);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(test_kube_proxy_configuration_as_kubeadm_writes_it),
		T(test_9_5_zero_leaves_the_kernel_alone),
		T(test_9_1_unknown_kube_proxy_fields_are_refused),
		T(test_9_1_config_map),
		T(test_9_1_config_of_a_pod),
		T(test_11_1_api_server_of_a_pod),
		T(test_command_line_chooses_the_api_server),
		T(test_own_settings),
		T(test_both_kinds_in_one_file),
		T(test_faults_name_file_line_and_key),
		T(test_durations),
		T(test_command_line),
		T(test_several_files),
		T(test_11_8_api_servers),
		T(test_auto_is_no_device_name),
		T(test_command_line_beats_the_file),
		T(test_wrong_command_lines),
		T(test_bad_settings_are_told_from_wrong_command_lines),
		T(test_settings_are_judged_by_those_who_use_them),
		T(test_interface_modes_name_pod_devices),
		T(test_help_and_version_need_nothing_else),
		T(test_every_option_is_in_the_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
