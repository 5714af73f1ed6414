/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The table of settings, their defaults, and what can only be said when all are known. */
#include "lb/settings/settings.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/detect.h"
#include "lb/model/names.h"
#include "lb/model/object.h"

#define F(field) offsetof(struct fl_settings, field)
#define OPTION(name, key, type, field, arg, help)                                                  \
	{                                                                                          \
		{name, arg, help, NULL, 0, false, false}, key, FL_SETTING_##type, F(field)         \
	}
#define WORD(name, key, field, arg, help, words)                                                   \
	{                                                                                          \
		{name, arg, help, words, 0, false, false}, key, FL_SETTING_WORD, F(field)          \
	}
#define KEY(key, type, field)                                                                      \
	{                                                                                          \
		{.name = NULL}, key, FL_SETTING_##type, F(field)                                   \
	}

static const struct fl_word tc_hook_words[] = {
	{"auto", FL_TC_HOOK_AUTO},
	{"tcx", FL_TC_HOOK_TCX},
	{"clsact", FL_TC_HOOK_CLSACT},
	{NULL, 0},
};

static const struct fl_word kernel_set_words[] = {
	{"auto", FL_KERNEL_SET_AUTO},
	{"true", FL_KERNEL_SET_ON},
	{"false", FL_KERNEL_SET_OFF},
	{NULL, 0},
};

static const struct fl_word system_call_words[] = {
	{"true", FL_SYSTEM_CALLS_REFUSED},
	{"false", FL_SYSTEM_CALLS_ALL},
	{"kill", FL_SYSTEM_CALLS_KILL},
	{NULL, 0},
};

const struct fl_setting fl_setting_table[] = {
	OPTION("manifests", "manifests", STRINGS, manifests, "PATH",
	       "directory or file of Kubernetes objects; may be repeated"),
	OPTION("manifest-grace", "manifestGrace", SECONDS, manifest_grace_s, "SECONDS",
	       "how long that stays which seems to be gone from them (30)"),
	OPTION("kubeconfig", "kubeconfig", STRING, kubeconfig, "FILE",
	       "follow the API server of its current context"),
	OPTION("in-cluster", "inCluster", FLAG, in_cluster, NULL,
	       "follow the API server of the pod this runs in"),
	OPTION("api-server-urls", "apiServerURLs", SERVERS, api_servers, "URL,..",
	       "where else the same API server is reached, tried in turn"),
	OPTION("node", "nodeName", STRING, node, "NAME", "this node's name (default: the host's)"),
	OPTION("config", NULL, STRINGS, config, "FILE",
	       "KubeProxyConfiguration and FairleadConfiguration; may be repeated"),
	WORD("mode", "mode", mode, "MODE", "how devices are served, auto being native XDP, else tc",
	     fl_dp_mode_words),
	OPTION("devices", "devices", STRINGS, devices, "NAME,..",
	       "devices that face the network, * allowed (default auto: default routes, node "
	       "addresses)"),
	OPTION("pod-devices", "podDevices", STRINGS, pod_devices, "NAME,..",
	       "pod-side devices to balance packet by packet, * allowed"),
	OPTION("cluster-cidr", "clusterCIDR", STRINGS, cluster_cidr, "CIDR,..",
	       "addresses of pods, one per family"),
	OPTION("nodeport-addresses", "nodePortAddresses", STRINGS, node_port_addresses, "CIDR,..",
	       "where node ports are served (default: all addresses); also primary, localhost, "
	       "all"),
	OPTION("bpffs", "bpffs", STRING, bpffs, "DIR",
	       "where maps and links are pinned (/sys/fs/bpf/fairlead)"),
	OPTION("cgroup", "cgroup", STRING, cgroup, "DIR",
	       "sockets below it are translated (default: cgroup v2's root; none: no sockets)"),
	OPTION("socket", "socket", STRING, socket, "PATH",
	       "where the CLI reaches the agent (/run/fairlead/fairlead.sock)"),
	OPTION("state-dir", "stateDir", STRING, state_dir, "DIR",
	       "where drains and what the API server said are kept (default: $STATE_DIRECTORY; "
	       "none: nowhere)"),
	OPTION("healthz-bind-address", "healthzBindAddress", STRINGS, healthz_bind, "ADDRESS,..",
	       "where /healthz and /livez are served (0.0.0.0:10256,[::]:10256; none: nowhere)"),
	OPTION("metrics-bind-address", "metricsBindAddress", STRINGS, metrics_bind, "ADDRESS,..",
	       "where /metrics is served (127.0.0.1:10249,[::1]:10249; none: nowhere)"),
	WORD("log-level", "logLevel", log_level, "LEVEL", "what is logged (default info)",
	     fl_log_level_words),
	OPTION("reset-on-backend-removal", "resetOnBackendRemoval", FLAG, reset_removed, NULL,
	       "answer TCP connections whose backend is gone with a reset"),
	OPTION("host-ports", "hostPorts", FLAG, host_ports, NULL,
	       "serve the host ports of this node's pods, instead of the CNI plugin portmap"),
	WORD("forwarding-mode", "forwardingMode", forwarding, "MODE",
	     "how outside clients reach backends of other nodes (default snat)",
	     fl_forwarding_words),
	OPTION("once", NULL, FLAG, once, NULL,
	       "apply everything and exit, leaving the datapath at work"),
	OPTION("check", NULL, FLAG, check, NULL, "only check configuration and manifests"),
	{{"help", NULL, "print this and exit", NULL, 'h', false, false},
	 NULL,
	 FL_SETTING_FLAG,
	 F(help)},
	{{"version", NULL, "print the version and exit", NULL, 'V', false, false},
	 NULL,
	 FL_SETTING_FLAG,
	 F(version)},
	{{.words = tc_hook_words}, "tcHook", FL_SETTING_WORD, F(tc_hook)},
	KEY("bindAddress", STRING, bind_address),
	KEY("bindAddressHardFail", FLAG, bind_hard_fail),
	KEY("metricsServices", NUMBER, metrics_services),
	KEY("syncPeriod", SECONDS, sync_period_s),
	KEY("proxyMode", STRING, proxy_mode),
	KEY("detectLocalMode", STRING, detect_mode),
	KEY("podBridgeInterface", STRING, pod_bridge),
	KEY("podInterfaceNamePrefix", STRING, pod_prefix),
	KEY("nodePortRange", STRING, node_port_range),
	KEY("masqueradeAll", FLAG, masquerade_all),
	KEY("masqueradeAddresses", ADDRESSES, masquerade_addresses),
	KEY("masqueradeLocal", FLAG, masquerade_local),
	KEY("rejectUnknownPort", FLAG, reject_unknown_port),
	KEY("answerEcho", FLAG, answer_echo),
	KEY("nodeHints", FLAG, node_hints),
	KEY("externalIPs", FLAG, external_ips),
	KEY("events", FLAG, events),
	{{.words = system_call_words}, "systemCallFilter", FL_SETTING_WORD, F(system_calls)},
	{{.words = fl_dispatch_words}, "dsr.dispatch", FL_SETTING_WORD, F(dispatch)},
	KEY("dsr.ipv6PathMTU", NUMBER, dsr_mtu6),
	KEY("nodeAddresses", ADDRESSES, node_addresses),
	KEY("tunnelSources", STRINGS, tunnel_sources),
	KEY("maglev.seed", STRING, maglev_seed),
	KEY("maglev.ratio", NUMBER, maglev_ratio),
	KEY("maglev.tableLength", NUMBER, maglev_length),
	KEY("limits.newFlowsPerCPU", NUMBER, new_flow_rate),
	KEY("limits.rejectsPerCPU", NUMBER, reject_rate),
	KEY("timeouts.tcpHandshake", SECONDS, timeout_s[FL_TIMEOUT_TCP_EMBRYONIC]),
	KEY("timeouts.tcpEstablished", SECONDS, timeout_s[FL_TIMEOUT_TCP_ESTABLISHED]),
	KEY("timeouts.tcpCloseWait", SECONDS, timeout_s[FL_TIMEOUT_TCP_CLOSE_WAIT]),
	KEY("timeouts.tcpTimeWait", SECONDS, timeout_s[FL_TIMEOUT_TCP_TIME_WAIT]),
	KEY("timeouts.tcpClosing", SECONDS, timeout_s[FL_TIMEOUT_TCP_CLOSING]),
	KEY("timeouts.udp", SECONDS, timeout_s[FL_TIMEOUT_UDP_EMBRYONIC]),
	KEY("timeouts.udpStream", SECONDS, timeout_s[FL_TIMEOUT_UDP_ESTABLISHED]),
	KEY("timeouts.nextHop", MILLISECONDS, next_hop_ttl_ms),
	{{.words = kernel_set_words}, "kernelConntrack.set", FL_SETTING_WORD, F(kernel_set)},
	KEY("kernelConntrack.sysctls", STRING, kernel_sysctls),
	KEY("kernelConntrack.maxPerCore", NUMBER, kernel_max_per_core),
	KEY("kernelConntrack.min", NUMBER, kernel_min),
	KEY("kernelConntrack.tcpEstablished", SECONDS, kernel_tcp_established_s),
	KEY("kernelConntrack.tcpCloseWait", SECONDS, kernel_tcp_close_wait_s),
	KEY("kernelConntrack.tcpBeLiberal", FLAG, kernel_tcp_be_liberal),
	KEY("kernelConntrack.udp", SECONDS, kernel_udp_s),
	KEY("kernelConntrack.udpStream", SECONDS, kernel_udp_stream_s),
	KEY("maps.frontends", NUMBER, sizes.frontends),
	KEY("maps.backends", NUMBER, sizes.backends),
	KEY("maps.lines", NUMBER, sizes.lines),
	KEY("maps.sourceRanges", NUMBER, sizes.ranges),
	KEY("maps.affinity", NUMBER, sizes.affinity),
	KEY("maps.members", NUMBER, sizes.members),
	KEY("maps.localAddresses", NUMBER, sizes.local),
	KEY("maps.devices", NUMBER, sizes.devices),
	KEY("maps.sockets", NUMBER, sizes.sockets),
	KEY("maps.flowBuckets4", NUMBER, sizes.flows4),
	KEY("maps.flowBuckets6", NUMBER, sizes.flows6),
};
const size_t fl_setting_count = sizeof(fl_setting_table) / sizeof(fl_setting_table[0]);

int fl_settings_init(struct fl_settings *settings)
{
	*settings = (struct fl_settings){
		.bpffs = strdup(FL_DP_DEFAULT_DIR),
		.socket = strdup("/run/fairlead/fairlead.sock"),
		.node_port_range = strdup("30000-32767"),
		.maglev_seed = strdup("fairlead"),
		.proxy_mode = strdup("fairlead"),
		.kernel_sysctls = strdup("/proc/sys/net"),
		/* kube-proxy's */
		.kernel_max_per_core = 32768,
		.kernel_min = 131072,
		.kernel_tcp_established_s = 24 * 3600,
		.kernel_tcp_close_wait_s = 3600,
		.sync_period_s = FL_SYNC_PERIOD_S,
		.metrics_services = 1000,
		.manifest_grace_s = 30,
		.reject_unknown_port = true, /* as kube-proxy's nftables mode does */
		.answer_echo = true,
		.node_hints = true,
		.external_ips = true,
		.events = true,
		.system_calls = FL_SYSTEM_CALLS_REFUSED,
		.reject_rate = 1000,
		.forwarding = FL_FORWARDING_SNAT,
		.dispatch = FL_DISPATCH_IPIP,
		.dsr_mtu6 = FL_DSR_MTU6_MIN,
		.log_level = FL_LOG_INFO,
	};
	if (!settings->bpffs || !settings->socket || !settings->node_port_range ||
	    !settings->maglev_seed || !settings->proxy_mode || !settings->kernel_sysctls) {
		fl_settings_fini(settings);
		return -ENOMEM;
	}
	return 0;
}

bool fl_setting_is_list(const struct fl_setting *setting)
{
	return setting->type == FL_SETTING_STRINGS || setting->type == FL_SETTING_ADDRESSES ||
	       setting->type == FL_SETTING_SERVERS;
}

void *fl_setting_field(struct fl_settings *settings, const struct fl_setting *setting)
{
	return (char *)settings + setting->offset;
}

void fl_settings_fini(struct fl_settings *settings)
{
	for (size_t i = 0; i < fl_setting_count; i++) {
		const struct fl_setting *s = &fl_setting_table[i];

		if (fl_setting_is_list(s)) {
			fl_strings_clear(fl_setting_field(settings, s));
		} else if (s->type == FL_SETTING_STRING) {
			free(*(char **)fl_setting_field(settings, s));
			*(char **)fl_setting_field(settings, s) = NULL;
		}
	}
}

void fl_setting_clear(struct fl_settings *settings, const struct fl_setting *setting)
{
	if (fl_setting_is_list(setting))
		fl_strings_clear(fl_setting_field(settings, setting));
}

const struct fl_setting *fl_setting_by_key(const char *key)
{
	for (size_t i = 0; i < fl_setting_count; i++)
		if (fl_setting_table[i].key && !strcmp(fl_setting_table[i].key, key))
			return &fl_setting_table[i];
	return NULL;
}

/* Rule 9.4: the host's name when none is given; trimmed, in lower case, not empty. */
static int finish_node(struct fl_settings *s, struct fl_err *err)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (!s->node) {
		if (gethostname(host, sizeof(host) - 1))
			return fl_err_set(err, -errno,
					  "cannot get the host's name: %s (give --node)",
					  strerror(errno));
		s->node = strdup(host);
		if (!s->node)
			return -ENOMEM;
	}
	return fl_node_name_fold(s->node) ? 0
					  : fl_err_set(err, -EINVAL, "the node's name is empty");
}

/* 5.2: in the modes that tell pods by interface, those interfaces are pod-side devices too. */
static int pods_by_interface(struct fl_settings *s)
{
	enum fl_detect_mode mode = FL_DETECT_CLUSTER_CIDR;
	char pattern[FL_DETECT_INTERFACE_LEN + 2];

	if (s->detect_mode)
		fl_detect_mode_parse(s->detect_mode, &mode);
	if (mode == FL_DETECT_BRIDGE_INTERFACE && s->pod_bridge)
		return fl_strings_add(&s->pod_devices, strdup(s->pod_bridge));
	if (mode == FL_DETECT_INTERFACE_NAME_PREFIX && s->pod_prefix) {
		snprintf(pattern, sizeof(pattern), "%s*", s->pod_prefix);
		return fl_strings_add(&s->pod_devices, strdup(pattern));
	}
	return 0;
}

/* systemd gives it for StateDirectory=; of several the first. */
static int finish_state_dir(struct fl_settings *s, struct fl_err *err)
{
	const char *given = getenv("STATE_DIRECTORY");

	if (!s->state_dir && given && *given) {
		s->state_dir = strndup(given, strcspn(given, ":"));
		if (!s->state_dir)
			return fl_err_set(err, -ENOMEM, "out of memory");
	}
	if (s->state_dir && !strcmp(s->state_dir, "none")) {
		free(s->state_dir);
		s->state_dir = NULL;
	}
	if (s->state_dir && *s->state_dir != '/')
		return fl_err_set(err, -EINVAL,
				  "stateDir \"%s\" is neither an absolute path nor none",
				  s->state_dir);
	return 0;
}

int fl_settings_finish(struct fl_settings *s, struct fl_err *err)
{
	int r = finish_node(s, err);

	/* 11.1: without another way, that of a pod */
	if (!s->manifests.n && !s->kubeconfig && getenv("KUBERNETES_SERVICE_HOST") &&
	    getenv("KUBERNETES_SERVICE_PORT"))
		s->in_cluster = true;
	if (!r)
		r = finish_state_dir(s, err);
	if (!r)
		r = fl_settings_check(s, err);
	if (r)
		return r;
	r = pods_by_interface(s);
	if (r)
		return fl_err_set(err, r, "out of memory");
	/* "auto" is what no pattern means */
	if (s->devices.n == 1 && !strcmp(s->devices.items[0], "auto"))
		fl_strings_clear(&s->devices);
	return 0;
}
