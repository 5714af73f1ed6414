// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The table of settings and how text becomes each kind of value. Command line and configuration
 * file both come here, so that a value means the same wherever it is written.
 */
#include "lb/settings/settings.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/detect.h"

#define F(field) offsetof(struct fl_settings, field)
#define OPTION(option, key, type, field, arg, help)                                                \
	{                                                                                          \
		option, key, FL_SETTING_##type, F(field), arg, help, 0                             \
	}
#define KEY(key, type, field)                                                                      \
	{                                                                                          \
		NULL, key, FL_SETTING_##type, F(field), NULL, NULL, 0                              \
	}

const struct fl_setting fl_setting_table[] = {
	OPTION("manifests", "manifests", STRINGS, manifests, "PATH",
	       "directory or file of Kubernetes objects; may be repeated"),
	OPTION("node", "nodeName", STRING, node, "NAME", "this node's name (default: the host's)"),
	OPTION("config", NULL, STRING, config, "FILE",
	       "KubeProxyConfiguration and FairleadConfiguration"),
	OPTION("mode", "mode", MODE, mode, "MODE",
	       "xdp, xdp-generic, tc, or auto: native XDP, else tc"),
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
	OPTION("log-level", "logLevel", LOG_LEVEL, log_level, "LEVEL",
	       "error, warn, info or debug"),
	OPTION("once", NULL, FLAG, once, NULL,
	       "apply everything and exit, leaving the datapath at work"),
	OPTION("check", NULL, FLAG, check, NULL, "only check configuration and manifests"),
	{"version", NULL, FL_SETTING_FLAG, F(version), NULL, "print the version", 'V'},
	{"help", NULL, FL_SETTING_FLAG, F(help), NULL, "print this", 'h'},
	KEY("tcHook", TC_HOOK, tc_hook),
	KEY("bindAddress", STRING, bind_address),
	KEY("detectLocalMode", STRING, detect_mode),
	KEY("podBridgeInterface", STRING, pod_bridge),
	KEY("podInterfaceNamePrefix", STRING, pod_prefix),
	KEY("nodePortRange", STRING, node_port_range),
	KEY("masqueradeAll", FLAG, masquerade_all),
	KEY("masqueradeLocal", FLAG, masquerade_local),
	KEY("rejectUnknownPort", FLAG, reject_unknown_port),
	KEY("nodeHints", FLAG, node_hints),
	KEY("externalIPs", FLAG, external_ips),
	KEY("maglev.seed", STRING, maglev_seed),
	KEY("maglev.ratio", NUMBER, maglev_ratio),
	KEY("maglev.tableLength", NUMBER, maglev_length),
	KEY("limits.newFlowsPerCPU", NUMBER, new_flow_rate),
	KEY("limits.rejectsPerCPU", NUMBER, reject_rate),
	KEY("timeouts.tcpHandshake", SECONDS, timeout_s[FL_TIMEOUT_TCP_EMBRYONIC]),
	KEY("timeouts.tcpEstablished", SECONDS, timeout_s[FL_TIMEOUT_TCP_ESTABLISHED]),
	KEY("timeouts.tcpClosing", SECONDS, timeout_s[FL_TIMEOUT_TCP_CLOSING]),
	KEY("timeouts.udp", SECONDS, timeout_s[FL_TIMEOUT_UDP_EMBRYONIC]),
	KEY("timeouts.udpStream", SECONDS, timeout_s[FL_TIMEOUT_UDP_ESTABLISHED]),
	KEY("timeouts.nextHop", MILLISECONDS, next_hop_ttl_ms),
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
		.bpffs = strdup("/sys/fs/bpf/fairlead"),
		.socket = strdup("/run/fairlead/fairlead.sock"),
		.node_port_range = strdup("30000-32767"),
		.maglev_seed = strdup("fairlead"),
		.reject_unknown_port = true, /* design section 13 */
		.node_hints = true,
		.external_ips = true,
		.reject_rate = 1000,
		.log_level = FL_LOG_INFO,
	};
	if (!settings->bpffs || !settings->socket || !settings->node_port_range ||
	    !settings->maglev_seed) {
		fl_settings_fini(settings);
		return -ENOMEM;
	}
	return 0;
}

static void *field(struct fl_settings *settings, const struct fl_setting *setting)
{
	return (char *)settings + setting->offset;
}

void fl_settings_fini(struct fl_settings *settings)
{
	char **const unlisted[] = {&settings->healthz_address, &settings->metrics_address};

	for (size_t i = 0; i < fl_setting_count; i++) {
		const struct fl_setting *s = &fl_setting_table[i];

		if (s->type == FL_SETTING_STRINGS) {
			fl_strings_clear(field(settings, s));
		} else if (s->type == FL_SETTING_STRING) {
			free(*(char **)field(settings, s));
			*(char **)field(settings, s) = NULL;
		}
	}
	for (size_t i = 0; i < sizeof(unlisted) / sizeof(unlisted[0]); i++) {
		free(*unlisted[i]);
		*unlisted[i] = NULL;
	}
}

/* Add the words between commas, without the blanks around them. */
static int strings_split(struct fl_strings *strings, const char *text, struct fl_err *err)
{
	while (1) {
		size_t len = strcspn(text, ","), trimmed = len;
		const char *word = text;
		int r;

		for (; trimmed && isspace((unsigned char)*word); trimmed--)
			word++;
		while (trimmed && isspace((unsigned char)word[trimmed - 1]))
			trimmed--;
		if (!trimmed)
			return fl_err_set(err, -EINVAL, "an empty word in a list");
		r = fl_strings_add(strings, strndup(word, trimmed));
		if (r)
			return r;
		if (!text[len])
			return 0;
		text += len + 1;
	}
}

int fl_duration_parse(const char *text, uint32_t unit_ms, uint64_t *ret_ms)
{
	static const struct {
		const char *name;
		double ms;
	} units[] = {{"ms", 1}, {"us", 1e-3}, {"ns", 1e-6}, {"h", 3600e3}, {"m", 60e3}, {"s", 1e3}};
	double total = 0;
	bool any = false;

	while (*text) {
		double number;
		char *end;
		size_t i;

		if (!isdigit((unsigned char)*text) && *text != '.')
			return -EINVAL;
		/* strtod() would also read hexadecimal and exponents, which are no durations */
		if (text[strspn(text, "0123456789.")] == 'x' ||
		    text[strspn(text, "0123456789.")] == 'e')
			return -EINVAL;
		number = strtod(text, &end);
		if (end == text)
			return -EINVAL;
		if (!*end && !any) {
			total = number * unit_ms;
			any = true;
			break;
		}
		for (i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (!strncmp(end, units[i].name, strlen(units[i].name)))
				break;
		if (i == sizeof(units) / sizeof(units[0]))
			return -EINVAL;
		total += number * units[i].ms;
		text = end + strlen(units[i].name);
		any = true;
	}
	if (!any || !(total < 1e15))
		return -EINVAL;
	*ret_ms = (uint64_t)llround(total);
	return 0;
}

static int set_number(const char *text, uint32_t *ret_number, struct fl_err *err)
{
	unsigned long long n;
	char *end;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || n > UINT32_MAX)
		return fl_err_set(err, -EINVAL, "\"%s\" is not a number from 0 to %u", text,
				  UINT32_MAX);
	*ret_number = (uint32_t)n;
	return 0;
}

static int set_duration(const char *text, uint32_t unit_ms, uint32_t *ret_units, struct fl_err *err)
{
	uint64_t ms;

	if (fl_duration_parse(text, unit_ms, &ms) || ms / unit_ms > UINT32_MAX)
		return fl_err_set(err, -EINVAL, "\"%s\" is not a duration like 90s, 15m or 24h",
				  text);
	/* a fraction counts as a whole: 0 would mean the default */
	*ret_units = (uint32_t)((ms + unit_ms - 1) / unit_ms);
	return 0;
}

static int set_flag(const char *text, bool *ret_flag, struct fl_err *err)
{
	if (strcmp(text, "true") && strcmp(text, "false"))
		return fl_err_set(err, -EINVAL, "\"%s\" is neither true nor false", text);
	*ret_flag = !strcmp(text, "true");
	return 0;
}

static int set_string(const char *text, char **ret_string)
{
	char *copy = strdup(text);

	if (!copy)
		return -ENOMEM;
	free(*ret_string);
	*ret_string = copy;
	return 0;
}

static int set_mode(const char *text, uint32_t *ret_mode, struct fl_err *err)
{
	enum fl_dp_mode mode;

	if (fl_dp_mode_parse(text, &mode))
		return fl_err_set(err, -EINVAL, "\"%s\" is none of auto, xdp, xdp-generic, tc",
				  text);
	*ret_mode = mode;
	return 0;
}

static int set_tc_hook(const char *text, uint32_t *ret_hook, struct fl_err *err)
{
	static const char *const names[] = {"auto", "tcx", "clsact"};

	for (uint32_t i = 0; i < 3; i++)
		if (!strcmp(text, names[i])) {
			*ret_hook = i;
			return 0;
		}
	return fl_err_set(err, -EINVAL, "\"%s\" is none of auto, tcx, clsact", text);
}

static int set_log_level(const char *text, uint32_t *ret_level, struct fl_err *err)
{
	enum fl_log_level level;

	if (fl_log_level_parse(text, &level))
		return fl_err_set(err, -EINVAL, "\"%s\" is none of error, warn, info, debug", text);
	*ret_level = level;
	return 0;
}

int fl_setting_set(struct fl_settings *settings, const struct fl_setting *setting, const char *text,
		   struct fl_err *err)
{
	void *at = field(settings, setting);

	switch (setting->type) {
	case FL_SETTING_FLAG:
		return set_flag(text, at, err);
	case FL_SETTING_STRING:
		return set_string(text, at);
	case FL_SETTING_STRINGS:
		return strings_split(at, text, err);
	case FL_SETTING_NUMBER:
		return set_number(text, at, err);
	case FL_SETTING_SECONDS:
		return set_duration(text, 1000, at, err);
	case FL_SETTING_MILLISECONDS:
		return set_duration(text, 1, at, err);
	case FL_SETTING_MODE:
		return set_mode(text, at, err);
	case FL_SETTING_TC_HOOK:
		return set_tc_hook(text, at, err);
	case FL_SETTING_LOG_LEVEL:
		return set_log_level(text, at, err);
	}
	return -EINVAL;
}

void fl_setting_clear(struct fl_settings *settings, const struct fl_setting *setting)
{
	if (setting->type == FL_SETTING_STRINGS)
		fl_strings_clear(field(settings, setting));
}

const struct fl_setting *fl_setting_by_option(const char *option)
{
	for (size_t i = 0; i < fl_setting_count; i++)
		if (fl_setting_table[i].option && !strcmp(fl_setting_table[i].option, option))
			return &fl_setting_table[i];
	return NULL;
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

/* Where interfaces tell who is a pod (rule 5.2), these are the pod-side devices, whatever else is.
 */
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

int fl_settings_finish(struct fl_settings *s, struct fl_err *err)
{
	int r = finish_node(s, err);

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
