/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The agent's command line. It is walked twice: once to see which file to read, and after the file
 * to put what it says on top.
 */
#include "lb/settings/options.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lb/base/cleanup.h"

struct line_walk {
	struct fl_settings *settings;
	bool first; /* only flags and the file to read */
	bool seen[FL_OPTIONS_MAX];
};

/* The row of the table that an option stands in. */
static const struct fl_setting *row(const struct fl_option *option)
{
	for (size_t i = 0; i < fl_setting_count; i++)
		if (&fl_setting_table[i].option == option)
			return &fl_setting_table[i];
	return NULL;
}

static int take(const struct fl_option *option, const char *value, void *arg, struct fl_err *err)
{
	const struct fl_setting *setting = row(option);
	struct line_walk *walk = arg;
	size_t i = (size_t)(setting - fl_setting_table);
	struct fl_err why = {""};
	int r;

	assert(i < FL_OPTIONS_MAX); /* rows with an option come first */
	if (walk->first && option->arg && strcmp(option->name, "config"))
		return 0;
	/* what the command line lists replaces what the file lists */
	if (!walk->seen[i])
		fl_setting_clear(walk->settings, setting);
	walk->seen[i] = true;
	r = fl_setting_set(walk->settings, setting, option->arg ? value : "true", &why);
	if (r)
		return fl_err_set(err, r, "option --%s: %s", option->name,
				  why.text[0] ? why.text : strerror(-r));
	return 0;
}

static int walk(int argc, char **argv, bool first, struct fl_settings *settings, struct fl_err *err)
{
	struct line_walk walk = {.settings = settings, .first = first};
	struct fl_options options = {0};
	int r, next;

	fl_settings_options(&options);
	r = fl_options_read(&options, FL_OPERANDS_ANYWHERE, argc, argv, take, &walk, &next, err);
	if (!r && next < argc)
		return fl_err_set(err, -EINVAL, "unexpected argument \"%s\"", argv[next]);
	return r;
}

/* Distinct from a command line that makes no sense. */
static int bad_configuration(int r)
{
	return r == -EINVAL ? -EBADMSG : r;
}

int fl_settings_read_args(int argc, char **argv, struct fl_settings *settings,
			  fl_config_note_fn note, void *arg, struct fl_err *err)
{
	_cleanup_free_ char *kubeconfig = NULL;
	int r = walk(argc, argv, true, settings, err);
	const bool in_cluster = settings->in_cluster;
	const char *config;

	if (r || settings->help || settings->version)
		return r;
	config = fl_config_of_pod(getenv("KUBERNETES_SERVICE_HOST"), FL_CONFIG_OF_KUBEADM);
	if (config && !settings->config.n) {
		r = fl_strings_add(&settings->config, strdup(config));
		if (r)
			return r;
	}
	for (size_t i = 0; i < settings->config.n; i++) {
		r = fl_config_read(settings->config.items[i], settings, note, arg, err);
		if (r)
			return bad_configuration(r);
	}
	/* of two ways to an API server the command line's counts */
	kubeconfig = TAKE_PTR(settings->kubeconfig);
	r = walk(argc, argv, false, settings, err);
	if (r)
		return r;
	if (settings->kubeconfig)
		settings->in_cluster = in_cluster;
	else if (!in_cluster)
		settings->kubeconfig = TAKE_PTR(kubeconfig);
	return bad_configuration(fl_settings_finish(settings, err));
}

void fl_settings_options(struct fl_options *ret_options)
{
	for (size_t i = 0; i < fl_setting_count; i++)
		if (fl_setting_table[i].option.name)
			fl_options_add(ret_options, &fl_setting_table[i].option);
}

void fl_settings_help(FILE *out)
{
	struct fl_options options = {0};

	fprintf(out,
		"Usage: fairleadd {--kubeconfig FILE | --in-cluster | --manifests DIR} "
		"[OPTION...]\n"
		"Balance this node's Service traffic by eBPF. The datapath outlives the agent;\n"
		"`fairlead cleanup` removes it.\n\n");
	fl_settings_options(&options);
	for (size_t i = 0; i < options.n; i++)
		fl_option_help(options.option[i], out);
	fprintf(out, "\nExit status: 0 after SIGTERM or --once, 1 when something failed, 2 for "
		     "wrong usage or a bad\n"
		     "configuration. Every other setting is a key of kind FairleadConfiguration in "
		     "--config FILE.\n");
}
