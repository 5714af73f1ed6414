/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What an operator can set, as plain data, and one table of all settings: its rows are command-line
 * options, keys of the configuration file, or both.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi/fairlead.h"
#include "lb/base/err.h"
#include "lb/base/ip.h"
#include "lb/base/options.h"
#include "lb/base/strings.h"
#include "lb/dp/dp.h"

enum fl_tc_hook {
	FL_TC_HOOK_AUTO,
	FL_TC_HOOK_TCX,
	FL_TC_HOOK_CLSACT,
};

/* What becomes of a system call that an agent that serves has no use for. */
enum fl_system_calls {
	FL_SYSTEM_CALLS_ALL,	 /* it is made */
	FL_SYSTEM_CALLS_REFUSED, /* it fails */
	FL_SYSTEM_CALLS_KILL,	 /* it ends the agent: for tests, which are to see it */
};

/* Whether the kernel's connection tracking is set, too. */
enum fl_kernel_set {
	FL_KERNEL_SET_AUTO, /* where an API server is followed, and so a kube-proxy is replaced */
	FL_KERNEL_SET_ON,
	FL_KERNEL_SET_OFF,
};

struct fl_settings {
	/* the node, and where things are; strings are owned, NULL when unset */
	char *node;
	struct fl_strings manifests;
	char *kubeconfig;
	bool in_cluster;
	struct fl_strings api_servers; /* URLs where the same API server is as well */
	uint32_t manifest_grace_s;     /* what seems to be gone from them stays for so long */
	struct fl_strings config;      /* files; what a later one sets counts */
	char *bpffs, *cgroup, *socket;
	char *state_dir;    /* what an API server said last is kept there; NULL: nowhere */
	char *bind_address; /* overrides the node's address of its family */
	/* where the servers of health and metrics listen; empty: everywhere, and on loopback */
	struct fl_strings healthz_bind, metrics_bind;
	uint32_t metrics_services; /* how many have series of their own */
	bool bind_hard_fail;	   /* else what cannot be bound is tried again */
	uint32_t sync_period_s;	   /* twice as long a change may wait before health is bad */
	char *proxy_mode;	   /* what /proxyMode answers */
	/* devices */
	struct fl_strings devices; /* glob patterns; none or "auto": found */
	struct fl_strings pod_devices;
	uint32_t mode;	  /* enum fl_dp_mode */
	uint32_t tc_hook; /* enum fl_tc_hook */
	/* what tells a pod, and where node ports are */
	struct fl_strings cluster_cidr;
	char *detect_mode, *pod_bridge, *pod_prefix;
	struct fl_strings node_port_addresses;
	char *node_port_range;
	/* behaviour */
	bool reset_removed;		  /* TCP connections whose backend is gone */
	uint32_t forwarding;		  /* enum fl_forwarding */
	uint32_t dispatch;		  /* enum fl_dispatch */
	uint32_t dsr_mtu6;		  /* of ways between nodes; 0: what is known of them */
	struct fl_strings node_addresses; /* of other nodes, which may encapsulate */
	struct fl_strings tunnel_sources; /* CIDRs, one per family: what they do so with */
	struct fl_strings masquerade_addresses;
	bool masquerade_all, masquerade_local, reject_unknown_port, answer_echo;
	bool node_hints, external_ips;
	bool host_ports;       /* of this node's pods */
	bool events;	       /* are written to the API server that is followed */
	uint32_t system_calls; /* enum fl_system_calls */
	char *maglev_seed;     /* any text, the same on all nodes */
	uint32_t maglev_ratio, maglev_length;
	uint32_t new_flow_rate, reject_rate; /* per CPU and second */
	uint32_t timeout_s[FL_TIMEOUTS];     /* 0: default */
	uint32_t next_hop_ttl_ms;
	/* the kernel's own connection tracking; of numbers 0: left as it is */
	uint32_t kernel_set; /* enum fl_kernel_set */
	char *kernel_sysctls;
	uint32_t kernel_max_per_core, kernel_min;
	uint32_t kernel_tcp_established_s, kernel_tcp_close_wait_s;
	uint32_t kernel_udp_s, kernel_udp_stream_s;
	bool kernel_tcp_be_liberal;
	struct fl_dp_sizes sizes;
	/* the process */
	uint32_t log_level;	/* enum fl_log_level */
	uint32_t oom_score_adj; /* plus OOM_SCORE_BIAS; 0: leave it */
	bool once, check, version, help;
};

#define FL_TUNNEL_RANGE_BITS 24 /* of tunnelSources: that many differ from flow to flow */
#define FL_DSR_MTU6_MIN 1280	/* RFC 8200, section 5 */
#define FL_OOM_SCORE_BIAS 2000
#define FL_SYNC_PERIOD_S 30 /* kube-proxy's */
#define FL_METRICS_SERVICES_MAX 100000U

enum fl_setting_type {
	FL_SETTING_FLAG, /* option without argument; true or false in the file */
	FL_SETTING_STRING,
	FL_SETTING_STRINGS,	 /* repeated or separated by commas; a list in the file */
	FL_SETTING_ADDRESSES,	 /* the same, and each is an IP address */
	FL_SETTING_SERVERS,	 /* the same, and each is https://HOST[:PORT] */
	FL_SETTING_NUMBER,	 /* uint32_t */
	FL_SETTING_SECONDS,	 /* uint32_t; "90", "90s", "24h" */
	FL_SETTING_MILLISECONDS, /* uint32_t; "500ms", "1s" */
	FL_SETTING_WORD,	 /* uint32_t; one of option.words */
};

struct fl_setting {
	struct fl_option option; /* of the command line; name NULL: none */
	const char *key;	 /* of FairleadConfiguration, with dots; NULL none */
	enum fl_setting_type type;
	size_t offset; /* in struct fl_settings */
};

extern const struct fl_setting fl_setting_table[];
extern const size_t fl_setting_count;

/* Whether the field is a struct fl_strings. */
bool fl_setting_is_list(const struct fl_setting *setting);
/* Where the value of a setting is, in the type that it has. */
void *fl_setting_field(struct fl_settings *settings, const struct fl_setting *setting);

/* Defaults. 0 or -ENOMEM. */
int fl_settings_init(struct fl_settings *settings);
void fl_settings_fini(struct fl_settings *settings);

/*
 * Set one from text. Strings of a list are added. 0, or -EINVAL with what is accepted in `err` (the
 * caller names the option or key), or -ENOMEM.
 */
int fl_setting_set(struct fl_settings *settings, const struct fl_setting *setting, const char *text,
		   struct fl_err *err);
/* Make a list empty, so that what is added next replaces it; no-op for other types. */
void fl_setting_clear(struct fl_settings *settings, const struct fl_setting *setting);
const struct fl_setting *fl_setting_by_key(const char *key); /* or NULL */

/*
 * What can only be judged when all is known: required ones, addresses, ranges. -EINVAL names the
 * first fault. The node's name is taken from the host when unset, and brought into the form of
 * 9.4: trimmed and in lower case.
 */
int fl_settings_finish(struct fl_settings *settings, struct fl_err *err);
/* The judging part of it. */
int fl_settings_check(const struct fl_settings *settings, struct fl_err *err);

/* "24h0m0s", "1.5s", "200ms", or a number of `unit_ms`. 0 or -EINVAL. */
int fl_duration_parse(const char *text, uint32_t unit_ms, uint64_t *ret_ms);
