/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fairlead plan: what a node would program for these manifests. Pure: no privileges, no kernel, no
 * agent.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"
#include "lb/base/doc.h"
#include "lb/model/conflict.h"
#include "lb/model/names.h"
#include "lb/model/plan_json.h"
#include "lb/model/plan_store.h"
#include "lb/model/review.h"
#include "lb/source/manifest.h"
#include "tools/ask.h"
#include "tools/items.h"
#include "tools/output.h"

static const struct fl_column columns[] = {
	{"NAMESPACE", "namespace", 0, NULL},
	{"NAME", "name", 0, NULL},
	{"PORT", "port", 0, NULL},
	{"PROTO", "protocol", 0, NULL},
	{"FAMILY", "family", 0, NULL},
	{"CLUSTERIP", "verdicts.clusterIP", FL_COLUMN_WORD, NULL},
	{"EXTERNAL", "verdicts.external", FL_COLUMN_WORD, NULL},
	{"CLUSTER", "clusterEndpoints", FL_COLUMN_RIGHT | FL_COLUMN_NARROW, fl_cell_count},
	{"LOCAL", "localEndpoints", FL_COLUMN_RIGHT | FL_COLUMN_NARROW, fl_cell_count},
	{"FRONTENDS", "frontends", FL_COLUMN_NARROW, fl_cell_frontends},
	{"FROM INSIDE", "verdicts.internalToExternal", FL_COLUMN_WORD | FL_COLUMN_WIDE, NULL},
	{"FORWARDING", "forwarding", FL_COLUMN_WIDE, NULL},
	{"INTERNAL POLICY", "internalTrafficPolicy", FL_COLUMN_WIDE, NULL},
	{"EXTERNAL POLICY", "externalTrafficPolicy", FL_COLUMN_WIDE, NULL},
	{"AFFINITY", "sessionAffinity.type", FL_COLUMN_WIDE, NULL},
	{"SOURCE RANGES", "sourceRanges", FL_COLUMN_WIDE, NULL},
	{"FRONTENDS", "frontends", FL_COLUMN_WIDE, fl_cell_frontends_typed},
	{"CLUSTER ENDPOINTS", "clusterEndpoints", FL_COLUMN_WIDE, NULL},
	{"LOCAL ENDPOINTS", "localEndpoints", FL_COLUMN_WIDE, NULL},
};

static const struct fl_listing listing = {
	.columns = columns,
	.n_columns = sizeof(columns) / sizeof(columns[0]),
	.name = fl_name_service_port,
	.none = "nothing to program",
};

/* "file:line: object: reason"; what is not an error says so. */
static void put_problem(const struct fl_problem *problem, void *arg)
{
	bool *failed = arg;

	if (problem->file && *problem->file) {
		fl_text_put(problem->file, stderr);
		if (problem->line)
			fprintf(stderr, ":%u", problem->line);
		fputs(": ", stderr);
	}
	if (problem->level == FL_PROBLEM_ERROR)
		*failed = true;
	else
		fprintf(stderr, "%s: ", fl_problem_level_name(problem->level));
	if (problem->object && *problem->object) {
		fl_text_put(problem->object, stderr);
		fputs(": ", stderr);
	}
	fl_text_put(problem->reason, stderr);
	putc('\n', stderr);
}

static void put_warning(const char *text)
{
	fprintf(stderr, "%s: ", fl_problem_level_name(FL_PROBLEM_WARNING));
	fl_text_put(text, stderr);
	putc('\n', stderr);
}

/* What is planned for the loser too, and not programmed while the winner is there. */
static void put_conflict(const struct fl_conflict *conflict, void *arg)
{
	_cleanup_free_ char *text = fl_conflict_text(conflict);

	if (text)
		put_warning(text);
}

static void put_finding(enum fl_finding finding, const char *text, void *arg)
{
	put_warning(text);
}

static int plan_text(struct fl_cli *cli, char **ret_text, bool *ret_failed, struct fl_err *err)
{
	_cleanup_(fl_source_free) struct fl_source *source = NULL;
	_cleanup_(fl_store_free) struct fl_store *store = NULL;
	_cleanup_free_ char *node = strdup(cli->node);
	struct fl_plan_options options;
	int rc, forwarding = FL_FORWARDING_SNAT;

	if (node && !fl_node_name_fold(node))
		return fl_err_set(err, -EINVAL, "the node's name is empty");
	if (cli->forwarding &&
	    !fl_word_value_typed(fl_forwarding_words, cli->forwarding, &forwarding))
		return fl_err_set(err, -EINVAL, "no forwarding mode: %s", cli->forwarding);
	rc = node ? fl_store_new(node, &store) : -ENOMEM;
	if (rc)
		return fl_err_set(err, rc, "no memory");
	rc = fl_manifest_new(&(struct fl_manifest_options){.paths = cli->manifests.value,
							   .n_paths = cli->manifests.n,
							   .store = store,
							   .host_ports = cli->host_ports},
			     &source, err);
	if (!rc)
		rc = fl_source_load(source, err);
	if (rc)
		return rc;
	fl_source_each_problem(source, put_problem, ret_failed);
	options = fl_plan_options_of(store);
	options.node_hints = !cli->no_node_hints;
	if (cli->zone)
		options.zone = cli->zone;
	options.forwarding = FL_FORWARDING_SNAT;
	if (cli->forwarding)
		options.forwarding = (enum fl_forwarding)forwarding;
	rc = fl_plan_json_text(store, &options, false, ret_text);
	if (!rc)
		rc = fl_conflict_each(store, &options, put_conflict, NULL);
	if (!rc)
		rc = fl_review_each(store, &options, put_finding, NULL);
	return rc ? fl_err_set(err, rc, "no memory") : 0;
}

static enum fl_exit show(struct fl_cli *cli, const struct fl_doc *doc)
{
	const struct fl_value *root = fl_doc_root(doc);
	_cleanup_(fl_items_fini) struct fl_items items = {0};

	if (fl_items_add(&items, root))
		return fl_say_no_memory();
	if (cli->family)
		fl_items_keep(&items, "family", cli->family);
	if (cli->sort && fl_items_sort(&items, &listing, cli->sort))
		return fl_say_no_memory();
	return fl_print(cli, &listing, root, &items);
}

static enum fl_exit run_plan(struct fl_cli *cli)
{
	_cleanup_(fl_doc_free) struct fl_doc *doc = NULL;
	_cleanup_free_ char *text = NULL;
	struct fl_err err = {""};
	bool failed = false;
	enum fl_exit rc;

	for (int i = 0; i < cli->n_operands; i++) {
		if (cli->manifests.n == FL_CLI_MAX_VALUES)
			return fl_usage("more than %d manifests", FL_CLI_MAX_VALUES);
		cli->manifests.value[cli->manifests.n++] = cli->operand[i];
	}
	if (!cli->manifests.n)
		return fl_usage("plan needs --manifests DIR");
	if (!cli->node || !*cli->node)
		return fl_usage("plan needs --node NAME");
	if (cli->watch)
		return fl_usage("plan cannot be watched");
	if (plan_text(cli, &text, &failed, &err) ||
	    fl_doc_parse(text, strlen(text), FL_DOC_JSON, &doc, &err)) {
		fl_say("%s", err.text);
		return FL_EXIT_FAILED;
	}
	rc = show(cli, doc);
	return rc ? rc : failed ? FL_EXIT_FAILED : FL_EXIT_OK;
}

static const struct fl_cli_option options[] = {
	{{"manifests", "PATH", "directory or file of Kubernetes objects; may be repeated", NULL,
	  'f', false, false},
	 FL_CLI_STRINGS,
	 offsetof(struct fl_cli, manifests)},
	FL_VALUE(node, 0, "node", "NAME", "the node to plan for"),
	FL_VALUE(zone, 0, "zone", "ZONE", "its zone (default: that of its Node object)"),
	FL_FLAG(no_node_hints, 0, "no-node-hints", "do not honour hints.forNodes"),
	FL_FLAG(host_ports, 0, "host-ports", "serve the host ports of the node's Pods, too"),
	FL_CHOICE(forwarding, 0, "forwarding-mode", "MODE",
		  "of Services that do not name one (default: snat)", fl_forwarding_words),
	FL_FAMILY_OPTION,
	FL_SORT_OPTION,
	FL_OPTIONS_END,
};

static const struct fl_command commands[] = {
	{.operands = "--manifests PATH... --node NAME",
	 .max_operands = FL_CLI_MAX_VALUES,
	 .help = "what a node would program",
	 .options = options,
	 .run = run_plan,
	 .listing = &listing},
};

const struct fl_noun fl_noun_plan = {
	.name = "plan",
	.help = "What a node would program for these manifests; needs no privileges and no agent.",
	.commands = commands,
	.n_commands = 1,
};
