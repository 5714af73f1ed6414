/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Reading the configuration file. Fields of KubeProxyConfiguration are mapped to our settings by a
 * table; what means nothing to us is accepted, so that an existing file works unchanged, with a
 * note where the user may expect an effect. A field that kube-proxy does not have either is
 * refused: it is mistyped.
 */
#include "lb/settings/config.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/base/exists.h"
#include "lb/base/read_file.h"

#define MAX_CONFIG_BYTES (1024 * 1024)
#define MAX_KEY 128

enum treatment {
	/* to the setting `to`, same form; empty, zero and false are kube-proxy's way to say "not
	 * set" */
	MAP_IF_SET,
	OOM,	 /* oomScoreAdj, which has no setting of its own */
	SILENT,	 /* accepted; nothing is lost by ignoring it */
	IGNORED, /* accepted; a note if it is set */
};

static const struct {
	const char *field;
	enum treatment treatment;
	const char *to; /* key of FairleadConfiguration */
	/* another one, that also zero and false are for: null alone is "not set" there */
	const char *kernel;
} kube_fields[] = {
	{"apiVersion", SILENT, NULL, NULL},
	{"kind", SILENT, NULL, NULL},
	{"metadata", SILENT, NULL, NULL},
	{"mode", IGNORED, NULL, NULL},
	{"hostnameOverride", MAP_IF_SET, "nodeName", NULL},
	{"bindAddress", MAP_IF_SET, "bindAddress", NULL},
	{"bindAddressHardFail", MAP_IF_SET, "bindAddressHardFail", NULL},
	{"healthzBindAddress", MAP_IF_SET, "healthzBindAddress", NULL},
	{"metricsBindAddress", MAP_IF_SET, "metricsBindAddress", NULL},
	{"enableProfiling", SILENT, NULL, NULL},
	{"showHiddenMetricsForVersion", SILENT, NULL, NULL},
	{"clientConnection", SILENT, NULL, NULL},
	{"clientConnection.kubeconfig", MAP_IF_SET, "kubeconfig", NULL},
	{"clientConnection.acceptContentTypes", SILENT, NULL, NULL},
	{"clientConnection.burst", SILENT, NULL, NULL},
	{"clientConnection.contentType", SILENT, NULL, NULL},
	{"clientConnection.qps", SILENT, NULL, NULL},
	{"clusterCIDR", MAP_IF_SET, "clusterCIDR", NULL},
	{"detectLocalMode", MAP_IF_SET, "detectLocalMode", NULL},
	{"detectLocal", SILENT, NULL, NULL},
	{"detectLocal.bridgeInterface", MAP_IF_SET, "podBridgeInterface", NULL},
	{"detectLocal.interfaceNamePrefix", MAP_IF_SET, "podInterfaceNamePrefix", NULL},
	{"detectLocal.clusterCIDRs", MAP_IF_SET, "clusterCIDR", NULL},
	{"nodePortAddresses", MAP_IF_SET, "nodePortAddresses", NULL},
	{"iptables.masqueradeAll", MAP_IF_SET, "masqueradeAll", NULL},
	{"nftables.masqueradeAll", MAP_IF_SET, "masqueradeAll", NULL},
	{"linux.masqueradeAll", MAP_IF_SET, "masqueradeAll", NULL},
	{"iptables", SILENT, NULL, NULL},
	{"nftables", SILENT, NULL, NULL},
	{"ipvs", SILENT, NULL, NULL},
	{"linux", SILENT, NULL, NULL},
	{"configSyncPeriod", SILENT, NULL, NULL},
	{"syncPeriod", MAP_IF_SET, "syncPeriod", NULL},
	{"minSyncPeriod", SILENT, NULL, NULL},
	{"conntrack.tcpEstablishedTimeout", MAP_IF_SET, "timeouts.tcpEstablished",
	 "kernelConntrack.tcpEstablished"},
	{"conntrack.tcpCloseWaitTimeout", MAP_IF_SET, "timeouts.tcpCloseWait",
	 "kernelConntrack.tcpCloseWait"},
	{"conntrack.udpTimeout", MAP_IF_SET, "timeouts.udp", "kernelConntrack.udp"},
	{"conntrack.udpStreamTimeout", MAP_IF_SET, "timeouts.udpStream",
	 "kernelConntrack.udpStream"},
	{"conntrack", SILENT, NULL, NULL},
	{"conntrack.maxPerCore", SILENT, NULL, "kernelConntrack.maxPerCore"},
	{"conntrack.min", SILENT, NULL, "kernelConntrack.min"},
	{"conntrack.tcpBeLiberal", SILENT, NULL, "kernelConntrack.tcpBeLiberal"},
	{"iptables.localhostNodePorts", SILENT, NULL, NULL},
	{"iptables.masqueradeBit", SILENT, NULL, NULL},
	{"iptables.minSyncPeriod", SILENT, NULL, NULL},
	{"iptables.syncPeriod", MAP_IF_SET, "syncPeriod", NULL},
	{"nftables.masqueradeBit", SILENT, NULL, NULL},
	{"nftables.minSyncPeriod", SILENT, NULL, NULL},
	{"nftables.syncPeriod", MAP_IF_SET, "syncPeriod", NULL},
	{"oomScoreAdj", OOM, NULL, NULL},
	{"featureGates", IGNORED, NULL, NULL},
	{"logging", SILENT, NULL, NULL},
	{"portRange", IGNORED, NULL, NULL},
	{"udpIdleTimeout", SILENT, NULL, NULL},
	{"resourceContainer", SILENT, NULL, NULL},
	{"windowsRunAsService", SILENT, NULL, NULL},
	{"winkernel", SILENT, NULL, NULL},
};

struct config_reader {
	const char *file;
	struct fl_settings *settings;
	fl_config_note_fn note;
	void *arg;
	bool seen_kube, seen_own, seen_map;
	unsigned int above; /* lines of the file before the text being read */
	struct fl_err *err;
};

static void __attribute__((format(printf, 3, 4)))
say(struct config_reader *r, bool warning, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	if (!r->note)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	r->note(warning, text, r->arg);
}

static unsigned int line_of(const struct config_reader *r, const struct fl_value *value)
{
	return r->above + fl_value_line(value);
}

static int fault(struct config_reader *r, const struct fl_value *value, const char *key,
		 const char *reason)
{
	return fl_err_set(r->err, -EINVAL, "%s:%u: %s%s%s", r->file, line_of(r, value), key,
			  *key ? ": " : "", reason);
}

static int set_scalar(struct config_reader *r, const struct fl_setting *setting,
		      const struct fl_value *value, const char *key)
{
	const char *text = fl_value_text(value);
	struct fl_err err = {""};
	int rc;

	if (!text)
		return fault(r, value, key, "must be a single value");
	rc = fl_setting_set(r->settings, setting, text, &err);
	return rc == -EINVAL ? fault(r, value, key, err.text) : rc;
}

/* Set from a scalar, or from a list of them where the setting is a list. */
static int set_value(struct config_reader *r, const struct fl_setting *setting,
		     const struct fl_value *value, const char *key)
{
	enum fl_value_type type = fl_value_type(value);

	if (type == FL_VALUE_NULL)
		return 0;
	fl_setting_clear(r->settings, setting);
	if (type != FL_VALUE_LIST || !fl_setting_is_list(setting))
		return set_scalar(r, setting, value, key);
	FL_VALUE_EACH(item, value)
	{
		int rc = set_scalar(r, setting, item, key);

		if (rc)
			return rc;
	}
	return 0;
}

/* What kube-proxy's generated files hold for "use the default". */
static bool is_unset(const struct fl_value *value)
{
	const char *text = fl_value_text(value);

	switch (fl_value_type(value)) {
	case FL_VALUE_NULL:
		return true;
	case FL_VALUE_LIST:
	case FL_VALUE_MAP:
		return !fl_value_count(value);
	default:
		return !text || !*text || !strcmp(text, "0") || !strcmp(text, "0s") ||
		       !strcmp(text, "false");
	}
}

static int set_oom(struct config_reader *r, const struct fl_value *value, const char *key)
{
	int64_t score;

	if (fl_value_type(value) == FL_VALUE_NULL)
		return 0;
	if (!fl_value_int(value, &score) || score < -1000 || score > 1000)
		return fault(r, value, key, "must be a number from -1000 to 1000");
	r->settings->oom_score_adj = (uint32_t)(score + FL_OOM_SCORE_BIAS);
	return 0;
}

/* 1: the field is not in the table. */
static int kube_field(struct config_reader *r, const struct fl_value *value, const char *key)
{
	for (size_t i = 0; i < sizeof(kube_fields) / sizeof(kube_fields[0]); i++) {
		int rc = 0;

		if (strcmp(kube_fields[i].field, key))
			continue;
		if (kube_fields[i].kernel)
			rc = set_value(r, fl_setting_by_key(kube_fields[i].kernel), value, key);
		if (rc)
			return rc;
		switch (kube_fields[i].treatment) {
		case MAP_IF_SET:
			if (is_unset(value))
				return 0;
			return set_value(r, fl_setting_by_key(kube_fields[i].to), value, key);
		case OOM:
			return set_oom(r, value, key);
		case IGNORED:
			if (!is_unset(value))
				say(r, false, "%s:%u: %s is ignored", r->file, line_of(r, value),
				    key);
			return 0;
		case SILENT:
			return 0;
		}
	}
	return 1;
}

/* Whose members are looked at one by one; the others are ignored as a whole. */
static bool is_kube_group(const char *field)
{
	static const char *const groups[] = {"clientConnection", "detectLocal", "conntrack",
					     "iptables",	 "nftables",	"linux"};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (!strcmp(groups[i], field))
			return true;
	return false;
}

static int kube_map(struct config_reader *r, const struct fl_value *map, const char *prefix)
{
	FL_VALUE_EACH(member, map)
	{
		char path[MAX_KEY];
		int rc;

		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "",
			 fl_value_key(member));
		rc = kube_field(r, member, path);
		if (rc > 0)
			rc = fault(r, member, path, "KubeProxyConfiguration has no such field");
		else if (!rc && !*prefix && is_kube_group(path))
			rc = kube_map(r, member, path);
		if (rc)
			return rc;
	}
	return 0;
}

static bool is_group(const char *key)
{
	size_t len = strlen(key);

	for (size_t i = 0; i < fl_setting_count; i++) {
		const char *k = fl_setting_table[i].key;

		if (k && !strncmp(k, key, len) && k[len] == '.')
			return true;
	}
	return false;
}

/* `prefix`: "" or the name of a group. */
static int own_map(struct config_reader *r, const struct fl_value *map, const char *prefix)
{
	FL_VALUE_EACH(member, map)
	{
		const char *key = fl_value_key(member);
		const struct fl_setting *setting;
		char path[MAX_KEY];
		int rc;

		if (!*prefix && (!strcmp(key, "apiVersion") || !strcmp(key, "kind") ||
				 !strcmp(key, "metadata")))
			continue;
		snprintf(path, sizeof(path), "%s%s%s", prefix, *prefix ? "." : "", key);
		setting = fl_setting_by_key(path);
		if (setting) {
			rc = set_value(r, setting, member, path);
		} else if (!*prefix && is_group(key)) {
			if (fl_value_type(member) != FL_VALUE_MAP &&
			    fl_value_type(member) != FL_VALUE_NULL)
				return fault(r, member, key, "must be a map");
			rc = own_map(r, member, key);
		} else {
			rc = fault(r, member, path, "no such setting");
		}
		if (rc)
			return rc;
	}
	return 0;
}

static int on_document(const struct fl_doc *doc, void *arg);

/* What stands under `key` of a ConfigMap: a text with lines of its own. */
static int inner_text(struct config_reader *r, const struct fl_value *value, const char *key)
{
	const char *text = fl_value_string(value);
	const unsigned int above = r->above;
	struct fl_err syntax = {""};
	unsigned int line = 0;
	int rc;

	if (!text)
		return fault(r, value, key, "must be a text");
	/* a block (`|`) begins on the line after its key */
	r->above = line_of(r, value);
	rc = fl_doc_each(text, strlen(text), FL_DOC_YAML, on_document, r, &line, &syntax);
	if (rc && !r->err->text[0])
		rc = fl_err_set(r->err, rc, "%s:%u: %s: %s", r->file, r->above + line, key,
				syntax.text[0] ? syntax.text : strerror(-rc));
	r->above = above;
	return rc;
}

/* 9.1: as kubeadm writes it; its kubeconfig.conf is a file of its own where it is mounted. */
static int config_map(struct config_reader *r, const struct fl_value *root)
{
	const struct fl_value *data = fl_value_get(root, "data");
	int rc = 0;

	if (r->seen_map)
		return fault(r, root, "", "a second ConfigMap, or one in another");
	r->seen_map = true;
	if (!fl_value_get(data, "config.conf"))
		return fault(r, root, "data", "has no config.conf");
	FL_VALUE_EACH(member, data)
	{
		const char *key = fl_value_key(member);

		if (!strcmp(key, "config.conf"))
			rc = inner_text(r, member, key);
		else if (strcmp(key, "kubeconfig.conf"))
			rc = fault(r, member, key, "is neither config.conf nor kubeconfig.conf");
		if (rc)
			return rc;
	}
	return 0;
}

static int known_as(struct config_reader *r, const struct fl_value *root, const char *version)
{
	const struct fl_value *found = fl_value_get(root, "apiVersion");
	char text[160];

	if (!strcmp(fl_value_string(found), version))
		return 0;
	snprintf(text, sizeof(text), "%s is known as %s",
		 fl_value_string(fl_value_get(root, "kind")), version);
	return fault(r, found, "apiVersion", text);
}

static int once(struct config_reader *r, const struct fl_value *root, bool *seen)
{
	char text[80];

	if (*seen) {
		snprintf(text, sizeof(text), "a second %s",
			 fl_value_string(fl_value_get(root, "kind")));
		return fault(r, root, "", text);
	}
	*seen = true;
	return 0;
}

static int on_document(const struct fl_doc *doc, void *arg)
{
	struct config_reader *r = arg;
	const struct fl_value *root = fl_doc_root(doc);
	const char *kind = fl_value_string(fl_value_get(root, "kind"));
	const char *version = fl_value_string(fl_value_get(root, "apiVersion"));
	int rc;

	if (fl_value_type(root) == FL_VALUE_NULL)
		return 0;
	if (fl_value_type(root) != FL_VALUE_MAP || !kind || !version)
		return fault(r, root, "", "a configuration has apiVersion and kind");
	if (!strcmp(kind, "KubeProxyConfiguration")) {
		rc = known_as(r, root, "kubeproxy.config.k8s.io/v1alpha1");
		rc = rc ? rc : once(r, root, &r->seen_kube);
		return rc ? rc : kube_map(r, root, "");
	}
	if (!strcmp(kind, "FairleadConfiguration")) {
		rc = known_as(r, root, "fairlead.dev/v1");
		rc = rc ? rc : once(r, root, &r->seen_own);
		return rc ? rc : own_map(r, root, "");
	}
	if (!strcmp(kind, "ConfigMap")) {
		rc = known_as(r, root, "v1");
		return rc ? rc : config_map(r, root);
	}
	return fault(r, fl_value_get(root, "kind"), "kind",
		     "must be KubeProxyConfiguration, FairleadConfiguration, or a ConfigMap that "
		     "has them");
}

int fl_config_parse(const char *text, size_t len, const char *file, struct fl_settings *settings,
		    fl_config_note_fn note_fn, void *arg, struct fl_err *err)
{
	struct fl_err own = {""}, syntax = {""};
	struct config_reader r = {
		.file = file, .settings = settings, .note = note_fn, .arg = arg, .err = &own};
	unsigned int line = 0;
	int rc = fl_doc_each(text, len, FL_DOC_YAML, on_document, &r, &line, &syntax);

	if (!rc)
		return 0;
	if (own.text[0])
		return fl_err_set(err, rc, "%s", own.text);
	return fl_err_set(err, rc, "%s:%u: %s", file, line,
			  syntax.text[0] ? syntax.text : strerror(-rc));
}

int fl_config_read(const char *file, struct fl_settings *settings, fl_config_note_fn note_fn,
		   void *arg, struct fl_err *err)
{
	_cleanup_free_ char *text = NULL;
	size_t len;
	int r = fl_read_file(file, MAX_CONFIG_BYTES, &text, &len, NULL, err);

	if (r)
		return fl_err_wrap(err, r, "cannot read %s", file);
	return fl_config_parse(text, len, file, settings, note_fn, arg, err);
}

const char *fl_config_of_pod(const char *service_host, const char *path)
{
	return service_host && *service_host && fl_exists(AT_FDCWD, path) ? path : NULL;
}
