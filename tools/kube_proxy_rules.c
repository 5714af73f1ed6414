/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Lines of iptables-save are taken as they are: a rule is deleted by what it was printed as, so
 * only its chain and its target need to be understood.
 */
#include "tools/kube_proxy_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

#define KEEPER "PREROUTING -m comment --comment fairlead-keeps-nat -m conntrack --ctstate DNAT"
#define KEEPER_MARK "fairlead-keeps-nat"

/* 12.5: KUBE-MARK-MASQ stays, since others mark packets by it, and all that is kubelet's */
static const char *const chains[] = {
	"KUBE-SERVICES",     "KUBE-NODEPORTS",
	"KUBE-POSTROUTING",  "KUBE-EXTERNAL-SERVICES",
	"KUBE-FORWARD",	     "KUBE-PROXY-FIREWALL",
	"KUBE-PROXY-CANARY", "KUBE-LOAD-BALANCER",
	"KUBE-NODE-PORT",    "KUBE-SOURCE-RANGES-FIREWALL",
	"KUBE-IPVS-FILTER",  "KUBE-IPVS-OUT-FILTER",
};
/* one for each Service or endpoint; XLB by releases before 1.24 */
static const char *const prefixes[] = {
	"KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-", "KUBE-XLB-",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

bool fl_kube_chain_is_ours(const char *name, size_t len)
{
	for (size_t i = 0; i < COUNT(chains); i++)
		if (strlen(chains[i]) == len && !memcmp(chains[i], name, len))
			return true;
	for (size_t i = 0; i < COUNT(prefixes); i++)
		if (strlen(prefixes[i]) < len && !memcmp(prefixes[i], name, strlen(prefixes[i])))
			return true;
	return false;
}

static size_t word_len(const char *text)
{
	return strcspn(text, " \n");
}

/* The word after the next one, of a line that goes on as far as `end`; comments are in quotes. */
static const char *next_word(const char *at, const char *end)
{
	if (at < end && *at == '"') {
		for (at++; at < end && *at != '"'; at++)
			at += *at == '\\' && at + 1 < end;
	}
	while (at < end && *at != ' ')
		at++;
	while (at < end && *at == ' ')
		at++;
	return at;
}

/* The chain that a rule goes on in; NULL: it has no target, or ends with one. */
static const char *target_of(const char *rule, const char *end)
{
	for (const char *at = rule; at < end; at = next_word(at, end))
		if (end - at > 3 && (!memcmp(at, "-j ", 3) || !memcmp(at, "-g ", 3)))
			return at + 3;
	return NULL;
}

/* One table of the output, as far as its COMMIT. */
struct table {
	const char *name;
	size_t name_len;
	const char *begin, *end;
};

static const char *line_end(const char *line)
{
	const char *end = strchrnul(line, '\n');

	return end;
}

static const char *next_line(const char *line)
{
	const char *end = line_end(line);

	return *end ? end + 1 : end;
}

static bool next_table(const char **at, struct table *ret_table)
{
	const char *line = *at;

	while (*line && *line != '*')
		line = next_line(line);
	if (!*line)
		return false;
	ret_table->name = line + 1;
	ret_table->name_len = word_len(line + 1);
	ret_table->begin = line = next_line(line);
	while (*line && strncmp(line, "COMMIT", 6) && *line != '*')
		line = next_line(line);
	ret_table->end = line;
	*at = line;
	return true;
}

/* What goes of one table: lines for iptables-restore. */
struct parts {
	FILE *flush, *delete, *remove;
	size_t chains, jumps;
	bool kept; /* the keeper is there */
};

static void look_at_chain(const char *line, struct parts *parts)
{
	const char *name = line + 1;
	int len = (int)word_len(name);

	if (!fl_kube_chain_is_ours(name, (size_t)len))
		return;
	/* naming a chain empties it, so that nothing refers to another that is about to go */
	fprintf(parts->flush, ":%.*s - [0:0]\n", len, name);
	fprintf(parts->remove, "-X %.*s\n", len, name);
	parts->chains++;
}

static void look_at_rule(const char *line, bool keep_nat, struct parts *parts)
{
	const char *end = line_end(line), *chain = line + 3, *target = target_of(chain, end);

	if (memmem(line, (size_t)(end - line), KEEPER_MARK, strlen(KEEPER_MARK))) {
		parts->kept = true;
		if (!keep_nat)
			fprintf(parts->delete, "-D %.*s\n", (int)(end - chain), chain);
		return;
	}
	if (!target || !fl_kube_chain_is_ours(target, word_len(target)) ||
	    fl_kube_chain_is_ours(chain, word_len(chain)))
		return;
	fprintf(parts->delete, "-D %.*s\n", (int)(end - chain), chain);
	parts->jumps++;
}

static void look_at_table(const struct table *table, bool keep_nat, struct parts *parts)
{
	for (const char *line = table->begin; line < table->end; line = next_line(line)) {
		if (*line == ':')
			look_at_chain(line, parts);
		else if (!strncmp(line, "-A ", 3))
			look_at_rule(line, keep_nat, parts);
	}
}

/* Three streams of text in memory that become one. */
struct streams {
	char *text[3];
	size_t len[3];
	FILE *stream[3];
};

static void streams_fini(struct streams *streams)
{
	for (size_t i = 0; i < COUNT(streams->stream); i++) {
		if (streams->stream[i])
			fclose(streams->stream[i]);
		free(streams->text[i]);
	}
}

static int make_table(const struct table *table, bool keep_nat, FILE *out,
		      struct fl_kube_rules *rules)
{
	_cleanup_(streams_fini) struct streams streams = {0};
	const bool nat = table->name_len == 3 && !memcmp(table->name, "nat", 3);
	struct parts parts = {0};
	bool keeper;

	for (size_t i = 0; i < COUNT(streams.stream); i++) {
		streams.stream[i] = open_memstream(&streams.text[i], &streams.len[i]);
		if (!streams.stream[i])
			return -ENOMEM;
	}
	parts.flush = streams.stream[0];
	parts.delete = streams.stream[1];
	parts.remove = streams.stream[2];
	look_at_table(table, keep_nat, &parts);
	keeper = keep_nat && nat && parts.chains && !parts.kept;
	if (keeper)
		fputs("-A " KEEPER "\n", parts.delete);
	for (size_t i = 0; i < COUNT(streams.stream); i++)
		if (fflush(streams.stream[i]))
			return -ENOMEM;
	rules->chains += parts.chains;
	rules->jumps += parts.jumps;
	rules->keeper |= keeper || (keep_nat && parts.kept);
	if (!streams.len[0] && !streams.len[1])
		return 0;
	fprintf(out, "*%.*s\n%s%s%sCOMMIT\n", (int)table->name_len, table->name, streams.text[0],
		streams.text[1], streams.text[2]);
	return 0;
}

int fl_kube_rules_make(const char *saved, bool keep_nat, struct fl_kube_rules *ret_rules)
{
	_cleanup_free_ char *text = NULL;
	struct fl_kube_rules rules = {0};
	struct table table;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	int r = 0;

	if (!out)
		return -ENOMEM;
	while (!r && next_table(&saved, &table))
		r = make_table(&table, keep_nat, out, &rules);
	if (fclose(out) || r)
		return -ENOMEM;
	if (len)
		rules.restore = TAKE_PTR(text);
	*ret_rules = rules;
	return 0;
}

void fl_kube_rules_fini(struct fl_kube_rules *rules)
{
	free(rules->restore);
	*rules = (struct fl_kube_rules){0};
}
