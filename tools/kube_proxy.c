/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * kube-proxy's rules are in iptables (of two kinds, which do not know each other's) or in tables of
 * nftables; in IPVS mode there are virtual servers, sets and a device besides. They are changed by
 * iptables-restore and nft, each in one step, and by ipvsadm and ipset: the kernel's interface
 * under iptables is private to that program and differs by release, and a rule has to be named
 * exactly as it was made.
 */
#include "tools/kube_proxy.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conntrack/kernel_nat.h"
#include "lb/base/array.h"
#include "lb/base/cleanup.h"
#include "tools/kube_proxy_ipvs.h"
#include "tools/kube_proxy_rules.h"
#include "tools/run.h"

#define IPVS_DEVICE "kube-ipvs0"
#define NFT_TABLE "kube-proxy"
#define NFT_KEEPER "fairlead-keeps-nat"

/* One kind of iptables for one family. */
struct variant {
	const char *save, *restore;
	const char *tables; /* the kernel's list of its tables; NULL: it has none */
};

static const struct variant variants[] = {
	{"iptables-nft-save", "iptables-nft-restore", NULL},
	{"ip6tables-nft-save", "ip6tables-nft-restore", NULL},
	{"iptables-legacy-save", "iptables-legacy-restore", "/proc/net/ip_tables_names"},
	{"ip6tables-legacy-save", "ip6tables-legacy-restore", "/proc/net/ip6_tables_names"},
};
/* Where only one kind is installed. */
static const struct variant plain[] = {
	{"iptables-save", "iptables-restore", NULL},
	{"ip6tables-save", "ip6tables-restore", NULL},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum cleanup_mode {
	CLEAN,
	DRY_RUN, /* print what would be done */
	LOOK,	 /* only find out whether something is there; nothing is said */
};

struct kube_cleanup {
	enum cleanup_mode mode;
	bool keep_nat;
	bool any;     /* something was to be done */
	bool rules;   /* there are rules of kube-proxy */
	bool keeps;   /* a rule keeps NAT on */
	bool failed;  /* something could not be done */
	size_t found; /* programs */
};

/* Whether the kernel translates connections that would break without NAT. */
static int on_flow(const struct fl_flow *flow, void *arg)
{
	++*(size_t *)arg;
	return 0;
}

static size_t count_flows(void)
{
	_cleanup_(fl_kernel_nat_close) struct fl_kernel_nat *nat = NULL;
	struct fl_err err = {""};
	size_t n = 0;
	int r = fl_kernel_nat_open(&nat, &err);

	if (!r)
		r = fl_kernel_nat_each(nat, on_flow, &n, &err);
	/* unknown: as if there were some */
	if (r && r != -EPROTONOSUPPORT) {
		fl_say("%s", err.text);
		return 1;
	}
	return n;
}

/* The kernel lists the tables that legacy iptables has made; asking for others would make them. */
static bool has_tables(const char *path)
{
	_cleanup_fclose_ FILE *in = fopen(path, "re");

	return in && fgetc(in) != EOF;
}

__attribute__((format(printf, 2, 3))) static void fail(struct kube_cleanup *cleanup,
						       const char *fmt, ...)
{
	char text[sizeof(((struct fl_err *)NULL)->text)];
	va_list args;

	cleanup->failed = true;
	if (cleanup->mode == LOOK)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fl_say("%s", text);
}

static void change(struct kube_cleanup *cleanup, const char *const argv[], const char *input)
{
	_cleanup_free_ char *output = NULL;
	struct fl_err err = {""};

	cleanup->any = true;
	if (cleanup->mode == DRY_RUN)
		printf("# %s\n%s", argv[0], input);
	else if (cleanup->mode == CLEAN && fl_run(argv, input, &output, &err))
		fail(cleanup, "%s", err.text);
}

static bool done(const struct kube_cleanup *cleanup)
{
	return cleanup->mode == CLEAN && !cleanup->failed;
}

static void clean_variant(struct kube_cleanup *cleanup, const struct variant *variant)
{
	const char *const save[] = {variant->save, NULL};
	const char *const restore[] = {variant->restore, "--noflush", "--wait", "10", NULL};
	_cleanup_(fl_kube_rules_fini) struct fl_kube_rules rules = {0};
	_cleanup_free_ char *saved = NULL;
	struct fl_err err = {""};
	int r;

	if (variant->tables && !has_tables(variant->tables))
		return;
	r = fl_run(save, NULL, &saved, &err);
	cleanup->found += r != -ENOENT;
	if (r == -ENOENT && variant->tables)
		fail(cleanup, "%s is not installed, and the kernel has tables that only it shows",
		     variant->save);
	else if (r && r != -ENOENT)
		fail(cleanup, "%s", err.text);
	if (r)
		return;
	if (fl_kube_rules_make(saved, cleanup->keep_nat, &rules)) {
		fail(cleanup, "no memory");
		return;
	}
	cleanup->keeps |= rules.keeper;
	cleanup->rules |= rules.chains > 0;
	if (!rules.restore)
		return;
	change(cleanup, restore, rules.restore);
	if (done(cleanup))
		printf("%s: %zu chains and %zu jumps to them removed\n", variant->restore,
		       rules.chains, rules.jumps);
}

static bool has_line(const char *text, const char *line)
{
	const size_t len = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at += len)
		if ((at == text || at[-1] == '\n') && (!at[len] || at[len] == '\n'))
			return true;
	return false;
}

/* What is to be done to the tables of one family. */
static void put_nft(struct kube_cleanup *cleanup, const char *tables, const char *family, FILE *out)
{
	char proxy[64], keeper[64];
	bool kept;

	snprintf(proxy, sizeof(proxy), "table %s " NFT_TABLE, family);
	snprintf(keeper, sizeof(keeper), "table %s " NFT_KEEPER, family);
	kept = has_line(tables, keeper);
	if (has_line(tables, proxy)) {
		cleanup->rules = true;
		if (cleanup->keep_nat && !kept) {
			fprintf(out,
				"add %s\nadd chain %s " NFT_KEEPER
				" prerouting { type nat hook prerouting priority -100; }\n"
				"add rule %s " NFT_KEEPER " prerouting ct status dnat counter\n",
				keeper, family, family);
			kept = true;
		}
		fprintf(out, "delete %s\n", proxy);
	}
	if (kept && !cleanup->keep_nat)
		fprintf(out, "delete %s\n", keeper);
	cleanup->keeps |= kept && cleanup->keep_nat;
}

static void clean_nftables(struct kube_cleanup *cleanup)
{
	static const char *const list[] = {"nft", "list", "tables", NULL};
	static const char *const apply[] = {"nft", "-f", "-", NULL};
	_cleanup_free_ char *tables = NULL, *input = NULL;
	struct fl_err err = {""};
	size_t len = 0;
	FILE *out;
	int r = fl_run(list, NULL, &tables, &err);

	cleanup->found += r != -ENOENT;
	if (r == -ENOENT)
		fail(cleanup, "nft is not installed: whether tables of kube-proxy's nftables mode "
			      "are there is not known");
	else if (r)
		fail(cleanup, "%s", err.text);
	if (r)
		return;
	out = open_memstream(&input, &len);
	if (out) {
		put_nft(cleanup, tables, "ip", out);
		put_nft(cleanup, tables, "ip6", out);
	}
	if (!out || fclose(out)) {
		fail(cleanup, "no memory");
		return;
	}
	if (!len)
		return;
	change(cleanup, apply, input);
	if (done(cleanup))
		puts("nft: tables removed");
}

/* The addresses of Services, which the device has. The caller's; -errno: why not. */
static ssize_t device_addrs(struct fl_ip **ret_addrs)
{
	_cleanup_free_ struct fl_ip *addrs = NULL;
	struct ifaddrs *all;
	size_t n = 0, room = 0;
	int r = 0;

	if (getifaddrs(&all))
		return -errno;
	for (const struct ifaddrs *at = all; at && !r; at = at->ifa_next) {
		const struct sockaddr *sa = at->ifa_addr;

		if (!sa || strcmp(at->ifa_name, IPVS_DEVICE) ||
		    (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
			continue;
		r = FL_ARRAY_ROOM(addrs, room, n + 1);
		if (!r && sa->sa_family == AF_INET)
			addrs[n++] = fl_ip_from_ipv4(&((const struct sockaddr_in *)sa)->sin_addr);
		else if (!r)
			fl_ip_from_bytes(&((const struct sockaddr_in6 *)sa)->sin6_addr, 16,
					 &addrs[n++]);
	}
	freeifaddrs(all);
	if (r)
		return -ENOMEM;
	*ret_addrs = TAKE_PTR(addrs);
	return (ssize_t)n;
}

/* Let a program print what there is, and another one take out of it what is kube-proxy's. */
static bool list_ipvs(struct kube_cleanup *cleanup, const char *const argv[], bool needed,
		      char **ret_output)
{
	struct fl_err err = {""};
	const int r = fl_run(argv, NULL, ret_output, &err);

	if (r == -ENOENT && needed)
		fail(cleanup,
		     "%s is not installed, and " IPVS_DEVICE " of kube-proxy's IPVS mode "
		     "is here: what it made besides is not known",
		     argv[0]);
	else if (r && needed)
		fail(cleanup, "%s", err.text);
	return !r;
}

static void clean_servers(struct kube_cleanup *cleanup)
{
	static const char *const save[] = {"ipvsadm", "--save", "--numeric", NULL};
	static const char *const restore[] = {"ipvsadm", "--restore", NULL};
	_cleanup_(fl_kube_ipvs_fini) struct fl_kube_ipvs servers = {0};
	_cleanup_free_ struct fl_ip *addrs = NULL;
	_cleanup_free_ char *saved = NULL;
	ssize_t n;

	/* or ipvsadm would load it */
	if (access("/proc/net/ip_vs", F_OK) || !list_ipvs(cleanup, save, true, &saved))
		return;
	n = device_addrs(&addrs);
	if (n < 0 || fl_kube_ipvs_servers(saved, addrs, (size_t)n, &servers)) {
		fail(cleanup, "the addresses of " IPVS_DEVICE " cannot be read");
		return;
	}
	if (servers.input)
		change(cleanup, restore, servers.input);
	if (servers.input && done(cleanup))
		printf("ipvsadm: %zu virtual servers removed\n", servers.gone);
	if (servers.left && cleanup->mode == CLEAN)
		printf("ipvsadm: %zu virtual servers are not at addresses of " IPVS_DEVICE
		       " nor at node ports, and stay\n",
		       servers.left);
}

static void clean_sets(struct kube_cleanup *cleanup, bool device)
{
	static const char *const list[] = {"ipset", "list", "-name", NULL};
	static const char *const restore[] = {"ipset", "restore", NULL};
	_cleanup_(fl_kube_ipvs_fini) struct fl_kube_ipvs sets = {0};
	_cleanup_free_ char *names = NULL;

	if (!list_ipvs(cleanup, list, device, &names))
		return;
	if (fl_kube_ipvs_sets(names, &sets)) {
		fail(cleanup, "no memory");
		return;
	}
	if (!sets.input)
		return;
	change(cleanup, restore, sets.input);
	if (done(cleanup))
		printf("ipset: %zu sets removed\n", sets.gone);
}

/* 12.4: what IPVS has beside the rules, which name the sets and so go before. The device is last,
 * for by its addresses the virtual servers are known. */
static void clean_ipvs(struct kube_cleanup *cleanup)
{
	static const char *const argv[] = {"ip", "link", "delete", IPVS_DEVICE, NULL};
	const bool device = if_nametoindex(IPVS_DEVICE);

	clean_sets(cleanup, device);
	if (device)
		clean_servers(cleanup);
	if (!device || cleanup->failed)
		return;
	change(cleanup, argv, "link delete " IPVS_DEVICE "\n");
	if (done(cleanup))
		puts("ip: device " IPVS_DEVICE " removed");
}

static void clean_rules(struct kube_cleanup *cleanup)
{
	for (size_t i = 0; i < COUNT(variants); i++)
		clean_variant(cleanup, &variants[i]);
	for (size_t i = 0; i < COUNT(plain) && !cleanup->found; i++)
		clean_variant(cleanup, &plain[i]);
	clean_nftables(cleanup);
}

bool fl_kube_proxy_is_missing(void)
{
	struct kube_cleanup look = {.mode = LOOK};

	clean_rules(&look);
	return !look.rules && !look.failed;
}

enum fl_exit fl_kube_proxy_cleanup(bool dry_run)
{
	const size_t flows = count_flows();
	struct kube_cleanup cleanup = {.mode = dry_run ? DRY_RUN : CLEAN, .keep_nat = flows > 0};

	clean_rules(&cleanup);
	clean_ipvs(&cleanup);
	if (!cleanup.any && !cleanup.failed)
		puts(cleanup.keeps ? "nothing of kube-proxy is left"
				   : "nothing of kube-proxy is here");
	if (cleanup.keeps && !cleanup.failed)
		printf("%s keeps the kernel's NAT on for %zu connections that it translates; the "
		       "same command removes it when there are none\n",
		       NFT_KEEPER, flows);
	return cleanup.failed ? FL_EXIT_FAILED : fl_written();
}
