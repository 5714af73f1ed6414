/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fairleadd: settings, then the agent; or only a check of what it would be given. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lb/agent/agent.h"
#include "lb/base/cleanup.h"
#include "lb/base/log.h"
#include "lb/model/conflict.h"
#include "lb/model/plan_store.h"
#include "lb/model/review.h"
#include "lb/settings/options.h"
#include "lb/settings/reread.h"
#include "lb/source/kube.h"
#include "lb/source/manifest.h"

#define EXIT_FAILED 1

static void on_note(bool warning, const char *text, void *arg)
{
	fl_log(warning ? FL_LOG_WARN : FL_LOG_INFO, "%s", text);
}

static void store_freep(struct fl_store **store)
{
	fl_store_free(store);
}

static void source_freep(struct fl_source **source)
{
	fl_source_free(source);
}

static void count_problem(const struct fl_problem *p, void *arg)
{
	_cleanup_free_ char *text = fl_problem_text(p, true);
	size_t *counts = arg;

	counts[p->level]++;
	if (text && (!p->foreign || p->level < FL_PROBLEM_NOTE))
		fl_log_plain("%s", text);
}

static void count_conflict(const struct fl_conflict *conflict, void *arg)
{
	_cleanup_free_ char *text = fl_conflict_text(conflict);
	size_t *counts = arg;

	counts[FL_PROBLEM_WARNING]++;
	if (text)
		fl_log_plain("%s: %s", fl_problem_level_name(FL_PROBLEM_WARNING), text);
}

static void count_finding(enum fl_finding finding, const char *text, void *arg)
{
	size_t *counts = arg;

	counts[FL_PROBLEM_WARNING]++;
	fl_log_plain("%s: %s", fl_problem_level_name(FL_PROBLEM_WARNING), text);
}

/* Whether there is a way to the API server, as far as can be said without going it. */
static int check_access(const struct fl_settings *settings, struct fl_err *err)
{
	_cleanup_(fl_kube_access_fini) struct fl_kube_access access = {0};

	if (!settings->kubeconfig && !settings->in_cluster)
		return 0;
	return fl_kube_source_access(settings->kubeconfig, &access, err);
}

/* --check: settings were read already; read the manifests and say what is wrong with them. */
static int check(const struct fl_settings *settings)
{
	_cleanup_(store_freep) struct fl_store *store = NULL;
	_cleanup_(source_freep) struct fl_source *source = NULL;
	size_t counts[FL_PROBLEM_NOTE + 1] = {0};
	struct fl_plan_options options;
	struct fl_err err = {""};
	int r = fl_store_new(settings->node, &store);

	if (!r)
		r = check_access(settings, &err);
	if (!r && settings->manifests.n)
		r = fl_manifest_new(
			&(struct fl_manifest_options){
				.paths = (const char *const *)settings->manifests.items,
				.n_paths = settings->manifests.n,
				.store = store,
				.host_ports = settings->host_ports,
				.report = count_problem,
				.arg = counts,
			},
			&source, &err);
	if (!r && source)
		r = fl_source_load(source, &err);
	if (!r) {
		options = fl_plan_options_of(store);
		options.no_external_ips = !settings->external_ips;
		options.reset_removed = settings->reset_removed;
		options.forwarding = settings->forwarding;
		if (settings->dispatch == FL_DISPATCH_GENEVE)
			options.nodes = fl_store_nodes(store);
		r = fl_conflict_each(store, &options, count_conflict, counts);
		if (!r)
			r = fl_review_each(store, &options, count_finding, counts);
	}
	if (r) {
		fl_log_plain("fairleadd: %s", err.text[0] ? err.text : strerror(-r));
		return EXIT_FAILED;
	}
	printf("configuration is good; %zu Services, %zu EndpointSlices, %zu errors, %zu "
	       "warnings\n",
	       fl_store_count(store, FL_KIND_SERVICE), fl_store_count(store, FL_KIND_SLICE),
	       counts[FL_PROBLEM_ERROR], counts[FL_PROBLEM_WARNING]);
	return counts[FL_PROBLEM_ERROR] || (source && !fl_source_complete(source)) ? EXIT_FAILED
										   : EXIT_SUCCESS;
}

static void set_oom_score(const struct fl_settings *settings)
{
	_cleanup_close_ int fd = -1;

	if (!settings->oom_score_adj)
		return;
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || dprintf(fd, "%d", (int)settings->oom_score_adj - FL_OOM_SCORE_BIAS) < 0)
		fl_log_warn("cannot set oomScoreAdj: %s", strerror(errno));
}

static int serve(struct fl_settings *settings, int argc, char **argv)
{
	_cleanup_(fl_reread_fini) struct fl_reread reread = {0};
	_cleanup_(fl_agent_free) struct fl_agent *agent = NULL;
	struct fl_err err = {""};
	int r;

	/* files and directories are made with the modes that we say, whoever started us */
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	/* until the loop listens: what a reload asks for is what the start does anyway */
	signal(SIGHUP, SIG_IGN);
	set_oom_score(settings);
	r = fl_reread_init(&reread, argc, argv, settings);
	if (!r)
		r = fl_agent_start(settings, &reread, &agent, &err);
	if (!r && !settings->once)
		r = fl_agent_run(agent, &err);
	if (r)
		fl_log_error("%s", err.text[0] ? err.text : strerror(-r));
	/* nobody will try again what failed */
	else if (settings->once && !fl_agent_is_complete(agent))
		r = -EIO;
	return r ? EXIT_FAILED : EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	_cleanup_(fl_settings_fini) struct fl_settings settings;
	const bool journal = fl_log_is_journal(getenv("JOURNAL_STREAM"), STDERR_FILENO);
	struct fl_err err = {""};
	int r = fl_settings_init(&settings);

	if (r)
		return EXIT_FAILED;
	fl_log_form_set(journal ? FL_LOG_JOURNAL : FL_LOG_TIMED);
	r = fl_settings_read_args(argc, argv, &settings, on_note, NULL, &err);
	if (r == -EINVAL)
		return fl_usage_say("fairleadd", "%s", err.text);
	if (r) {
		if (journal)
			fl_log_error("%s", err.text[0] ? err.text : strerror(-r));
		else
			fl_log_plain("fairleadd: %s", err.text[0] ? err.text : strerror(-r));
		return r == -ENOMEM ? EXIT_FAILED : FL_EXIT_CODE_USAGE;
	}
	if (settings.help) {
		fl_settings_help(stdout);
		return EXIT_SUCCESS;
	}
	if (settings.version) {
		printf("fairleadd %s\n", FL_VERSION);
		return EXIT_SUCCESS;
	}
	fl_log_level_set(settings.log_level);
	return settings.check ? check(&settings) : serve(&settings, argc, argv);
}
